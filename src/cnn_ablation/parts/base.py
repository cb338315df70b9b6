"""The base class of all parts, and how conf names them."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, get_args

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from cnn_ablation.base_parameters import Parameters
from cnn_ablation.errors import suggestion


class Part(Parameters):
    """A component of a training that an experiment can vary, with its settings and its behaviour.

    Subclasses set `kind`, a `Literal` of one name with that name as its default. Every other field needs
    a default, which must not change after a release, because a stored trial keeps only the settings that
    differ from the defaults.
    """

    kind: str = Field(description="Name of the part.")

    version: ClassVar[int] = 1
    """Raise it when a change of code changes numbers. Trials with the part are then trained again."""

    def __str__(self) -> str:
        """The label: `sgd`, or `sgd(momentum=0.5)` if settings differ from the defaults."""
        changed = {key: value for key, value in self.identity().items() if key != "kind"}
        settings = ", ".join(f"{key}={value}" for key, value in changed.items())
        return f"{self.kind}({settings})" if settings else self.kind

    def identity(self) -> dict[str, Any]:
        """The kind, and the settings that differ from the defaults."""
        return {"kind": self.kind, **self.model_dump(exclude_defaults=True)}


class OneOf:
    """Marks a union of parts, in which a bare name stands for a part with its defaults.

    `Annotated[Adam | SGD, OneOf("optimizer")]` takes `sgd`, `{kind: sgd, momentum: 0.5}` or an instance.

    Args:
        role: Role of the parts in error messages, such as optimizer.
    """

    def __init__(self, role: str) -> None:
        self.role = role

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema of a union that `kind` discriminates, after a check of the name."""
        parts = parts_in(source)
        union = Annotated[source, Field(discriminator="kind")] if len(parts) > 1 else source
        names = [kind_of(part) for part in parts]

        def name_kind(value: Any) -> Any:
            given = {"kind": value} if isinstance(value, str) else value
            if isinstance(given, Part):
                return given
            article = "an" if self.role[0] in "aeiou" else "a"
            if not isinstance(given, Mapping) or "kind" not in given:
                raise ValueError(
                    f"must be the name of {article} {self.role}, or a mapping with its `kind` and "
                    f"settings; allowed: {', '.join(names)}"
                )
            if given["kind"] not in names:
                raise ValueError(
                    f"no such {self.role}; allowed: {', '.join(names)}."
                    f"{suggestion(given['kind'], names)}"
                )
            return given

        return core_schema.no_info_before_validator_function(name_kind, handler.generate_schema(union))


def parts_in(annotation: Any) -> list[type[Part]]:
    """The part classes that an annotation mentions, in order."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    return [part for argument in get_args(annotation) for part in parts_in(argument)]


def kind_of(part: type[Part]) -> str:
    """The name that conf uses for a part class."""
    return str(part.model_fields["kind"].default)
