"""Output for people: the journal, tables and figures.

Presentation belongs here. Statistics belong to `evidence`.
"""
