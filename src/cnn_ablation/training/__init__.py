"""Training of one network: the loop, its random streams, devices and results.

How many trials are run, where, and what is kept of them belongs to `execution`.
"""
