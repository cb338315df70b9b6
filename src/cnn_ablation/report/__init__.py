"""What people read: the journal, tables and figures.

Presentation belongs here. Numbers are computed in `evidence`.
"""
