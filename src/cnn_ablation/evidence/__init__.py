"""Evaluation of results: scores, effects over seeds, verdicts on claims, comparison with publications.

Statistics belong here. Text, tables and figures that present them belong to `report`.
"""
