"""The session that `kedro run` runs in."""

from typing import Any

from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from cnn_ablation.adapters.configuration import InputError
from cnn_ablation.errors import suggestion


class ProjectSession(KedroSession):
    """Kedro's session, which reports a pipeline that does not exist without a traceback."""

    def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run pipelines as `KedroSession.run` does.

        Raises:
            InputError: There is no pipeline of a requested name.
        """
        try:
            result: dict[str, Any] = super().run(*args, **kwargs)
        except ValueError as error:
            match error.__cause__:
                case KeyError(args=(str(name),)) if name not in pipelines:
                    allowed = [other for other in pipelines if other != "__default__"]
                    raise InputError(
                        f"--pipeline: no pipeline {name!r}; allowed: {', '.join(allowed)}."
                        f"{suggestion(name, allowed)}"
                    ) from None
            raise
        return result
