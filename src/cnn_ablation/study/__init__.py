"""The description of a study: experiments with their conditions, trials and claims, and parameters.

This package describes and validates. Training belongs to `execution`, and judging to `evidence`.
"""
