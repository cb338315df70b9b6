"""Write docs/parameters.md, the reference of all parameters, from their types and conf/base.

.venv/bin/python scripts/parameter_reference.py
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from cnn_ablation.parts.base import kind_of, parts_in
from cnn_ablation.study import claims
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from cnn_ablation.study.experiment import ExperimentParameters, Factors, Overrides
from cnn_ablation.study.groups import SHARED_GROUPS
from cnn_ablation.study.parameters import MAX_SEEDS, SeedParameters

FILE = ROOT / "docs" / "parameters.md"
CLAIMS = (
    *(claims.Above, claims.Best, claims.Equivalent, claims.Trend, claims.Difference),
    *(claims.Interaction, claims.AtMost, claims.AtLeast, claims.Value, claims.Reaches),
)
HEAD = """\
# Parameters

This page is generated from the types in `src/cnn_ablation` by `scripts/parameter_reference.py`; do not
edit it. The values are those of `conf/base/parameters.yml`. Change them there, in `conf/local`, or for
one run with `--params=baseline.training.epochs=5`, whose results then go to a folder in `data/variants`.
A value of a wrong kind, or one that is not allowed, ends a run before any training. The metrics that a
claim can name are listed in [how verdicts are computed](statistics.md#what-is-measured).

A part is given by its name, which stands for the part with its defaults, or by a mapping with its `kind`
and its settings: `optimizer: sgd`, or `optimizer: {kind: sgd, momentum: 0.5}`.
"""


def rows(model: type[BaseModel], values: Any, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Key, kind, value and meaning of each field, including the fields of nested groups."""
    for name, field in model.model_fields.items():
        inner = next((kind for kind in _kinds(field) if _is_group(kind)), None)
        given = values.get(name) if isinstance(values, dict) else None
        if parts_in(field.annotation):
            yield f"{prefix}{name}", _part_kind(field), _value(given), field.description or ""
        elif inner is not None and inner is not Overrides and inner is not Factors:
            if field.description:
                shown = "null" if given is None else ""
                yield f"{prefix}{name}", _kind(field), shown, field.description
            yield from rows(inner, given, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _kind(field), _value(given), field.description or ""


def reference() -> str:
    """The whole page."""
    conf = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text())
    parts = [HEAD]
    seeds = ("seeds", _kind_of_seeds(), _value(conf["seeds"]), "")
    for group, model in SHARED_GROUPS.items():
        body = iter([seeds]) if group == "seeds" else rows(model, conf[group], f"{group}.")
        parts.append(_table(group, model.__doc__ or "", body))
    parts.append(
        _table(
            "`<experiment>`",
            f"{ExperimentParameters.__doc__}\nIn `parameters_<experiment>.yml`.",
            _with_defaults(ExperimentParameters),
        )
    )
    for place, owner in _part_settings():
        for part in parts_in(owner.model_fields[place.rpartition(".")[2]].annotation):
            fields = (row for row in _with_defaults(part) if row[0] != "kind")
            parts.append(_table(f"{place}, kind: {kind_of(part)}", part.__doc__ or "", fields))
    for kind in CLAIMS:
        name = get_args(kind.model_fields["kind"].annotation)[0]
        fields = (row for row in _with_defaults(kind) if row[0] != "kind")
        parts.append(_table(f"claims, kind: {name}", kind.__doc__ or "", fields))
    return "\n".join(parts)


def _part_settings() -> Iterator[tuple[str, type[BaseModel]]]:
    """The settings that are parts, and the groups that contain them."""
    yield "model", Configuration
    for name, field in TrainingParameters.model_fields.items():
        if parts_in(field.annotation):
            yield f"training.{name}", TrainingParameters


def _part_kind(field: FieldInfo) -> str:
    names = " or ".join(f"`{kind_of(part)}`" for part in parts_in(field.annotation))
    several = "list of " if get_origin(field.annotation) is list else ""
    return f"{several}part: {names}"


def _with_defaults(model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        default = "(required)" if field.is_required() else _value(_plain(field.default))
        yield name, _kind(field), default, field.description or ""


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


def _table(title: str, text: str, body: Iterator[tuple[str, str, str, str]]) -> str:
    paragraphs = "\n".join(line.strip() for line in text.strip().splitlines())
    lines = [f"## {title}", "", paragraphs, ""]
    settings = [f"| {' | '.join(map(_cell, row))} |" for row in body]
    if settings:
        lines += ["| key | kind | value | meaning |", "| --- | --- | --- | --- |", *settings]
    else:
        lines.append("No settings.")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text as a cell of a table. A name in angle brackets would be taken for HTML."""
    return re.sub(r"(?<![`\w])<\w+>\w*", r"`\g<0>`", text).replace("|", "\\|")


def _kinds(field: FieldInfo) -> list[Any]:
    return [field.annotation, *get_args(field.annotation)]


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kind(field: FieldInfo) -> str:
    """The kind of a field's values, with their limits, in words."""
    if SeedParameters in _kinds(field):
        return f"{_kind_of_seeds()}, or null"
    schema = _schema(field)
    return _describe(schema, schema.get("$defs", {}))


def _kind_of_seeds() -> str:
    """The kind of seeds, whose schema lacks the number that stands for a list."""
    schema = SeedParameters.model_json_schema()
    return f"{_describe(schema, schema.get('$defs', {}))}, or integer from 1 to {MAX_SEEDS:,}"


def _schema(field: FieldInfo) -> dict[str, Any]:
    kind: Any = field.annotation
    for constraint in field.metadata:
        kind = Annotated[kind, constraint]
    return TypeAdapter(kind).json_schema()


def _describe(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return "group" if name not in definitions else _describe(definitions[name], definitions)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(_describe(option, definitions) for option in schema[union]))
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of {_describe(schema.get('items', {}), definitions)}"
    if kind == "integer" and (ends := _ends(schema)):
        return f"integer from {ends[0]:,} to {ends[1]:,}"
    names = {"boolean": "true or false", "object": "group", "string": "text"}
    limits = [
        f"{sign} {schema[key]:,}"
        for key, sign in {
            "minimum": "≥",
            "exclusiveMinimum": ">",
            "maximum": "≤",
            "exclusiveMaximum": "<",
        }.items()
        if key in schema
    ]
    return " ".join([names.get(kind, kind), *limits])


def _ends(schema: dict[str, Any]) -> tuple[int, int] | None:
    """The smallest and the largest allowed integer, if both are limited."""
    first = [
        schema[key] + step for key, step in (("minimum", 0), ("exclusiveMinimum", 1)) if key in schema
    ]
    last = [
        schema[key] - step for key, step in (("maximum", 0), ("exclusiveMaximum", 1)) if key in schema
    ]
    return (first[0], last[0]) if first and last else None


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict) and not any(value.values()):
        return "{}"
    return f"`{yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0]}`"


if __name__ == "__main__":
    FILE.write_text(reference())
