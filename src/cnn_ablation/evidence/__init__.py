"""What results say: scores, effects over seeds, verdicts on claims, comparisons with published numbers.

Statistics belong here. Text, tables and figures that present them belong to `report`.
"""
