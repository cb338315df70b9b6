"""What is asked: experiments, their conditions, trials and claims, and the parameters of a study.

This package describes and validates. It trains nothing and judges nothing.
"""
