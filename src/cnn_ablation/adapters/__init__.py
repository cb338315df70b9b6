"""The edge to Kedro and MLflow: commands, hooks, the context and interrupts.

Code that needs Kedro's or kedro-mlflow's API belongs here, in `datasets`, in `pipelines` or in
`serving`. Decisions about a study do not: they belong to the packages that know nothing of Kedro.
"""
