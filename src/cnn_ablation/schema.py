"""The base class of everything that conf describes."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from cnn_ablation.errors import suggestion


class Parameters(BaseModel):
    """A group of parameters: immutable, without silent conversions and without unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True)

    def __str__(self) -> str:
        """JSON, which is what MLflow shows of a group."""
        return self.model_dump_json()

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            unknown = sorted(str(key) for key in values if key not in cls.model_fields)
            if unknown:
                raise ValueError(
                    f"unknown key {', '.join(map(repr, unknown))}; "
                    f"allowed: {', '.join(cls.model_fields)}.{suggestion(unknown[0], cls.model_fields)}"
                )
        return values
