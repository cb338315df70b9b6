"""The stages of a study. Each is a Kedro pipeline."""
