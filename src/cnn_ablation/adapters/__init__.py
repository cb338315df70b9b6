"""The edge to Kedro and MLflow: commands, hooks, the context and interrupts.

Code that needs Kedro's or kedro-mlflow's API belongs here, in `datasets`, in `pipelines` or in
`serving`. Decisions about a study do not. They belong to packages that do not depend on Kedro.
"""
