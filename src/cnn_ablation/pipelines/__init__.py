"""The stages of a study, each of which is a Kedro pipeline.

Nodes belong here: short functions that call other packages. Training, statistics and figures do not.
They belong to packages that do not depend on Kedro.
"""
