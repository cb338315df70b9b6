"""Running many trials: the engine, its cluster and workers, progress, and the store of results.

How one network is trained belongs to `training`.
"""
