"""Training of one network: the loop, CUDA graphs, random streams, devices and results.

Running many trials on workers, and storing them, does not belong here: see `execution`.
"""
