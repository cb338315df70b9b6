"""A trained network put to use: a classifier, and the MLflow model that serves it."""
