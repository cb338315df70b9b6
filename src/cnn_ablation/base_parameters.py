"""The base class of all settings in conf, and types that all packages share."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cnn_ablation.errors import suggestion

ImageShape = tuple[int, int, int]
"""Channels, height and width of an image, pixels."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Seed of a trial; see `training.random_streams`."""


class Parameters(BaseModel):
    """A group of parameters: immutable, without silent conversions and without unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    moved: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions, and their replacements."""

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            unknown = sorted(str(key) for key in values if key not in cls.model_fields)
            moved = [f"{key} is now {cls.moved[key]}" for key in unknown if key in cls.moved]
            if moved:
                raise ValueError("; ".join(moved))
            if unknown:
                raise ValueError(
                    f"unknown key {', '.join(map(repr, unknown))}; "
                    f"allowed: {', '.join(cls.model_fields)}.{suggestion(unknown[0], cls.model_fields)}"
                )
        return values
