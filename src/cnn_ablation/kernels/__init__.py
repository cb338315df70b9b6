"""Faster layers for a CPU, behind one function, `accelerate`.

Numba loops and the autograd functions around them belong here. Nothing outside this package knows them.
"""
