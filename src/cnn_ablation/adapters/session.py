"""The session that `kedro run` runs in."""

from typing import Any

from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from cnn_ablation.adapters.checks import wrong_selection
from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.errors import InputError


class ProjectSession(KedroSession):
    """Kedro's session, which reports unknown names without a traceback."""

    @click_errors()
    def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run pipelines as `KedroSession.run` does.

        Raises:
            InputError: There is no pipeline, node, tag, dataset or namespace of a requested name, or
                nothing is left to run.
        """
        try:
            result: dict[str, Any] = super().run(*args, **kwargs)
        except ValueError:
            # Kedro has no specific type of error for them.
            problem = wrong_selection(kwargs, pipelines)
            if problem is None:
                raise
            raise InputError(problem) from None
        return result
