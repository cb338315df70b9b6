"""What all groups of parameters have in common."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class ParameterError(ValueError):
    """A parameter that is of the right kind, but not possible with the others or on this machine.

    Args:
        key: Dotted key of the parameter.
        reason: What is wrong with it, and what is allowed.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class Parameters(BaseModel):
    """Base of all groups of parameters: immutable, without silent conversions or unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True)

    def __str__(self) -> str:
        return self.model_dump_json()  # What MLflow shows of a group.

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            unknown = sorted(str(key) for key in values if key not in cls.model_fields)
            if unknown:
                raise ValueError(
                    f"unknown key {', '.join(map(repr, unknown))}; "
                    f"allowed: {', '.join(cls.model_fields)}"
                )
        return values
