"""Inference with trained networks: a classifier, and the MLflow model that serves it.

Code that applies a trained network to new images belongs here. Training and evaluation do not.
"""
