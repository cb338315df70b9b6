"""Whatever a user writes is either taken as it is or refused by a message. Hypothesis writes it.

Few examples by default, always the same ones. To try more: HYPOTHESIS_EXAMPLES=10000 pytest …
"""

import copy
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel, ValidationError

from cnn_ablation.adapters.config_loader import read_file
from cnn_ablation.adapters.validation import invalid_keys
from cnn_ablation.cli import run
from cnn_ablation.data import image_files
from cnn_ablation.errors import ImageFileError, ParameterError
from cnn_ablation.execution.store import MANIFEST, TrialStore
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters, expand_trials
from cnn_ablation.study.groups import SHARED_GROUPS, find_experiments
from cnn_ablation.study.parameters import SeedParameters
from tests.conftest import ROOT
from tests.execution.test_store import KEY, TRAINED

few = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "60")),
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["adam", "dropout_0.3", "{dropout_rate}", "{", "}", "{0}", "{x.y}", "{x!r:>9999}"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def parameters_of(name: str) -> dict[str, Any]:
    content = yaml.safe_load((ROOT / f"conf/base/{name}.yml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


SHARED = parameters_of("parameters")
EXPERIMENTS = {
    name: parameters_of(f"parameters_{name}")[name]
    for name in ("dropout", "conv_depth", "interactions", "combined", "batchnorm")
}
BASELINE = Configuration.model_validate(SHARED["baseline"])


def paths(tree: Any) -> Iterator[tuple[Any, ...]]:
    yield ()
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from ((key, *path) for path in paths(value))


@st.composite
def changed(draw: st.DrawFn, tree: Any) -> Any:
    """The tree with a value of it replaced, removed or moved."""
    result = copy.deepcopy(tree)
    path = draw(st.sampled_from([path for path in paths(tree) if path]))
    parent = result
    for step in path[:-1]:
        parent = parent[step]
    action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    if action == "remove":
        del parent[path[-1]]
    elif action == "add" and isinstance(parent, dict):
        parent[draw(st.text(max_size=6))] = draw(values)
    else:
        parent[path[-1]] = draw(values)
    return result


def parsed(text: str) -> Any:
    return run.make_context("run", [f"--params={text}"]).params["params"]


@few
@given(st.text(max_size=30) | st.text("ab=.,[]{}'\":$&*!|>%@#- \n\t01", max_size=20))
def test_any_text_of_params_is_parsed_or_refused_in_a_line(text: str) -> None:
    try:
        result = parsed(text)
    except click.BadParameter as error:
        assert "\n" not in error.format_message()
    else:
        assert isinstance(result, dict)


# YAML allows no control characters, and folds lines within a text.
characters = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
plain = st.none() | st.booleans() | st.integers() | st.text(characters, max_size=8)


@few
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,6}(\.[a-z_]{1,6}){0,2}", fullmatch=True),
        plain | st.lists(plain, max_size=3) | st.floats(allow_nan=False, allow_infinity=False),
        min_size=1,
        max_size=3,
    ).filter(lambda items: not any(f"{key}." in other for key in items for other in items))
)
def test_values_of_params_are_taken_as_they_are(items: dict[str, Any]) -> None:
    result = parsed(
        ",".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in items.items())
    )
    for key, expected in items.items():
        value = result
        for step in key.split("."):
            value = value[step]
        assert value == expected
        assert type(value) is type(expected)


@few
@given(st.data())
def test_any_shared_group_is_taken_or_refused_by_key(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SHARED_GROUPS)))
    value = data.draw(changed(SHARED)).get(name, data.draw(values))
    kind: type[BaseModel] = SHARED_GROUPS[name]
    for steps, reason in invalid_keys(kind, value):
        assert all(isinstance(step, str) for step in steps)
        assert reason


@few
@given(st.data())
def test_any_experiment_is_expanded_or_refused(data: st.DataObject) -> None:
    experiment = EXPERIMENTS[data.draw(st.sampled_from(sorted(EXPERIMENTS)))]
    value = data.draw(changed(experiment))
    problems = list(invalid_keys(ExperimentParameters, value))
    if problems:
        return
    parameters = ExperimentParameters.model_validate(value)
    try:
        trials = expand_trials(parameters, BASELINE, SeedParameters([0, 1]))
    except ParameterError as error:
        assert error.key
        assert error.reason
        return
    assert len({(trial.condition.name, trial.seed) for trial in trials}) == len(trials)
    for trial in trials:
        for setting, level in trial.condition.levels.items():
            assert setting in trial.settings() or isinstance(level, str | dict)


@few
@given(st.data())
def test_any_claim_is_taken_or_refused(data: st.DataObject) -> None:
    experiment = EXPERIMENTS[data.draw(st.sampled_from(sorted(EXPERIMENTS)))]
    name = data.draw(st.sampled_from(sorted(experiment["claims"])))
    claim = data.draw(changed(experiment["claims"][name]))
    try:
        parameters = ExperimentParameters.model_validate({**experiment, "claims": {name: claim}})
        expand_trials(parameters, BASELINE, SeedParameters([0]))
    except (ValidationError, ParameterError):
        return
    assert parameters.claims is not None
    taken = parameters.claims[name].model_dump()
    assert all(taken[key] == value for key, value in claim.items() if value is not None)


@few
@given(st.dictionaries(st.text(max_size=8) | st.integers() | st.sampled_from(["seeds", "main"]), values))
def test_any_groups_are_experiments_or_refused(groups: dict[Any, Any]) -> None:
    try:
        found = find_experiments({**EXPERIMENTS, **groups}, reserved={"predict"})
    except ParameterError as error:
        assert "\n" not in str(error).replace(error.key, "")
    else:
        assert {experiment.name for experiment in found} >= set(EXPERIMENTS)


@few
@given(st.binary(max_size=40) | values.map(lambda value: yaml.safe_dump(value).encode()))
def test_any_file_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "parameters.yml"
    file.write_bytes(content)
    try:
        result = read_file(file)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(key, str) for key in result)


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialStore, Path, bytes]:
    """A store with one entry, its manifest, and the manifest's content."""
    store = TrialStore(tmp_path_factory.mktemp("store") / "trials")
    file = store.put(KEY, {"seed": 0}, TRAINED).folder / MANIFEST
    return store, file, file.read_bytes()


@few
@given(data=st.data())
def test_an_altered_manifest_never_counts(
    entry: tuple[TrialStore, Path, bytes], data: st.DataObject
) -> None:
    store, file, content = entry
    original = json.loads(content)
    altered = data.draw(
        st.binary(max_size=20)
        | values.map(lambda value: json.dumps(value).encode())
        | changed(original).map(lambda value: json.dumps(value).encode())
    )
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(altered)
    stored = store.get(KEY)
    if stored is None:
        store.put(KEY, {"seed": 0}, TRAINED)
    else:
        assert stored.manifest == original


def encoded(form: str, mode: str) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((9, 7), 90).convert(mode).save(stream, form)
    return stream.getvalue()


IMAGES = [
    encoded(form, mode)
    for form, mode in (
        ("PNG", "L"),
        ("PNG", "P"),
        ("JPEG", "RGB"),
        ("TIFF", "RGBA"),
        ("GIF", "P"),
        ("BMP", "1"),
    )
]


@few
@given(st.data())
def test_any_altered_image_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(IMAGES)))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] + data.draw(st.binary(max_size=9))
    try:
        image = image_files.read(bytes(content))
        prepared = image_files.prepare(image, (1, 28, 28), dark_on_light=False)
    except ImageFileError as error:
        assert str(error)
    else:
        assert prepared.shape == (1, 28, 28)
        assert prepared.dtype == np.uint8
