"""Running many trials: the engine, its cluster and workers, progress, and the store of results.

The training of a single network does not belong here: see `training`.
"""
