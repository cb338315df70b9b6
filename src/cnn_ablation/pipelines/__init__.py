"""The stages of a study, a Kedro pipeline each."""
