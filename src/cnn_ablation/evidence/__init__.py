"""Evaluation of results: scores, effects over seeds, verdicts, comparison with published numbers.

Statistics belong here. Text, tables and figures that present them belong to `report`.
"""
