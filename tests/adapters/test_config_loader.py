"""Configuration files that cannot be used: one line with file, key and reason."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from cnn_ablation.adapters.conf_files import LOADER_ARGUMENTS
from cnn_ablation.adapters.config_loader import ProjectConfigLoader
from cnn_ablation.errors import InputError
from tests.conftest import write_yaml


def loader_of(
    folder: Path, files: dict[str, bytes], parameters: dict[str, Any] | None = None
) -> ProjectConfigLoader:
    (folder / "conf/base").mkdir(parents=True)
    (folder / "conf/local").mkdir()
    for name, content in files.items():
        file = folder / "conf" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    return reader(folder / "conf", parameters)


def reader(
    conf: Path, parameters: dict[str, Any] | None = None, env: str | None = None, of: Path | None = None
) -> ProjectConfigLoader:
    """A loader of a folder of configuration, in a project whose own is `of`, by default the same."""
    return ProjectConfigLoader(str(conf), env, parameters, project_conf=of or conf, **LOADER_ARGUMENTS)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: [1, 2\nb: 3\n", "line 2, column 2: did not find expected ',' or ']'"),
        (b"a:\n\tb: 1\n", "line 2, column 1: found character that cannot start any token; indent"),
        (b"a: 1\na: 2\n", "line 2, column 1: found duplicate key a"),
        (b"a:\n  b: 1\n  b: 2\n", "line 3, column 3: found duplicate key b"),
        (b"- a\n- b\n", "begins with a list; allowed: a mapping, with lines such as key: value"),
        (b"5\n", "Invalid loaded object type: int"),
        (b"1: 2\n", "1: this key is not text"),
        (b"yes: 2\n", "True: this key is not text"),
        (b"x: 1\na: caf\xe9\n", "line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
        (b"a: 1\nb: \x00\n", "line 2: character '\\x00' is not allowed"),
        (b"a: 1\n---\nb: 2\n", "line 2, column 1: but found another document"),
        (b"a: !!python/name:os.system\n", "line 1, column 4: could not determine a constructor"),
        (b"a: *b\n", "line 1, column 4: found undefined alias"),
        (b"a: " + b"[" * 3000 + b"]" * 3000, "is nested too deeply"),
        (b"a: &a [*a]\n", "line 1, column 4: YAML recursive aliases are not supported"),
        (b"a: ${nope}\n", "a: Interpolation key 'nope' not found; allowed: "),
        (b"a: {b: [1, '${nope.x}']}\n", "a.b[1]: Interpolation key 'nope.x' not found"),
        (b"a: ${oc.env:HOME}\n", "a: Unsupported interpolation type oc.env"),
        (b"a: ${globals:foldr}\n", "a: globals.yml has no key 'foldr'; allowed: folder."),
        (b"a: ${open\n", "a: "),
        (b"a: ${a}\n", "a: "),
    ],
)
@pytest.mark.parametrize("kind", ["parameters", "catalog", "mlflow"])
def test_an_unusable_file_is_named(tmp_path: Path, content: bytes, reason: str, kind: str) -> None:
    files = {
        f"base/{kind}.yml": b"z: {type: text}\n",
        f"local/{kind}_mine.yaml": content,
        "base/globals.yml": b"folder: data\n",
    }
    loader = loader_of(tmp_path, files)
    with pytest.raises(InputError) as raised:
        loader[kind]
    assert str(raised.value).startswith(f"conf/local/{kind}_mine.yaml: {reason}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("env", [".", "./", "../conf/mine", "base/../mine", "/mine", ".."])
def test_a_path_that_is_no_environment_is_named(tmp_path: Path, env: str) -> None:
    message = rf"^--env: '{re.escape(env)}' is not an environment; allowed: the name of a folder in "
    with pytest.raises(InputError, match=message):
        reader(tmp_path, env=env)


@pytest.mark.parametrize(
    ("env", "name"), [("mine/", "mine"), ("./mine", "mine"), ("a/b", "a/b"), ("a//./b/", "a/b")]
)
def test_the_name_of_an_environment(tmp_path: Path, env: str, name: str) -> None:
    loader_of(tmp_path, {"base/globals.yml": GLOBALS})
    write_yaml(tmp_path / f"conf/{name}/parameters.yml", {"a": 1})
    loader = reader(tmp_path / "conf", env=env)
    assert (loader.env, loader.own_place) == (name, name)


def test_the_variable_that_names_no_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEDRO_ENV", "..")
    with pytest.raises(InputError, match=r"^KEDRO_ENV: '\.\.' is not an environment; allowed: "):
        reader(tmp_path, env="..")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("README.md", "is no folder and no archive"),
        ("broken.tar.gz", "cannot be read: "),
        ("broken.zip", "cannot be read: "),
        ("foo://a/b", "is no folder and no archive"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str) -> None:
    source = name if "://" in name else str(tmp_path / name)
    if source != name:
        (tmp_path / name).write_text("text")
    with pytest.raises(InputError) as raised:
        ProjectConfigLoader(source, **LOADER_ARGUMENTS)
    message = str(raised.value)
    assert message.startswith(f"--conf-source: {source} {reason}")
    assert message.endswith("; allowed: a folder, or a .zip or .tar.gz archive")
    assert "\n" not in message


def test_a_remote_source_without_its_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError, match=r"^--conf-source: s3://a/b cannot be read: Install s3fs"):
        ProjectConfigLoader("s3://a/b", **LOADER_ARGUMENTS)


def test_an_archive_is_read(tmp_path: Path) -> None:
    loader_of(tmp_path, {"base/globals.yml": GLOBALS})
    archive = shutil.make_archive(str(tmp_path / "conf"), "gztar", tmp_path, "conf")
    loader = ProjectConfigLoader(archive, **LOADER_ARGUMENTS)
    assert loader["globals"]["models"] == "data/06_models"


@pytest.mark.parametrize("name", ["globals.yml", "globals.yaml", "globals_mine.json"])
def test_unusable_globals_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"^conf/local/{name}: line 2, column \d+: "):
        loader_of(tmp_path, {f"local/{name}": b"a: [1"})


@pytest.mark.parametrize(
    ("kind", "files", "key"),
    [
        ("parameters", ("parameters.yml", "parameters_b.yml"), "group.a"),
        ("parameters", ("parameters.yaml", "parameters/b.json"), "group.a"),
        ("catalog", ("catalog.yml", "catalog_b.yml"), "group"),
        ("globals", ("globals.yml", "globals_b.yml"), "group"),
    ],
)
def test_a_key_in_two_files_of_one_environment(
    tmp_path: Path, kind: str, files: tuple[str, str], key: str
) -> None:
    contents = {f"local/{name}": b'{"group": {"a": 1}}' for name in files}
    with pytest.raises(InputError) as raised:
        loader_of(tmp_path, contents)[kind]
    message = str(raised.value)
    assert all(f"conf/local/{name}" in message for name in files)
    assert message.endswith(
        f": {key}: both files of the same environment have this key; allowed: one of them"
    )


def test_an_interpolation_on_the_command_line_is_named(tmp_path: Path) -> None:
    loader = loader_of(tmp_path, {"base/parameters.yml": b"a: 1"}, {"b": {"c": "${nope}"}})
    with pytest.raises(InputError, match=r"^--params: b\.c: Interpolation key 'nope' not found"):
        loader["parameters"]


def test_a_key_of_the_catalog_with_dots_is_found(tmp_path: Path) -> None:
    catalog = b'"{experiment}.trials": {type: x, filepath: "${globals:nope}/x"}'
    loader = loader_of(tmp_path, {"base/catalog.yml": catalog, "local/catalog.yml": b"a: {type: x}"})
    with pytest.raises(InputError, match=r"^conf/base/catalog\.yml: \{experiment\}\.trials\.filepath: "):
        loader["catalog"]


def test_files_in_both_environments_are_merged(tmp_path: Path) -> None:
    files = {"base/globals.yml": b"a: 1\nb: 2", "local/globals.yaml": b"b: 3"}
    assert loader_of(tmp_path, files)["globals"] == {"a": 1, "b": 3}


@pytest.mark.parametrize("kind", ["parameters", "globals", "catalog", "mlflow"])
@pytest.mark.parametrize(
    ("content", "key"), [(b"a: ???", "a"), (b"b: {c: [1, '???']}", "b.c.1"), (b'"a": "???"', "a")]
)
def test_a_missing_value_is_named(tmp_path: Path, kind: str, content: bytes, key: str) -> None:
    files = {f"base/{kind}.yml": b"a: 1 # ???\nb: {c: [0], d: really ???}", f"local/{kind}.yml": content}
    with pytest.raises(InputError) as raised:
        loader_of(tmp_path, files)[kind]
    message = f"conf/local/{kind}.yml: {key}: ??? would keep the value from elsewhere; allowed: a value"
    assert str(raised.value).startswith(message)


def test_each_loader_finds_its_own_globals(tmp_path: Path) -> None:
    files = {"base/catalog.yml": b'a: {type: "${globals:key}", x: "${globals:nothing,5}"}'}
    first = loader_of(tmp_path / "first", {**files, "base/globals.yml": b"key: first"})
    second = loader_of(tmp_path / "second", {**files, "base/globals.yml": b"key: second"})
    assert first["catalog"] == {"a": {"type": "first", "x": 5}}
    assert second["catalog"]["a"]["type"] == "second"


@pytest.mark.parametrize(
    ("local", "parameters", "message"),
    [
        (
            b"a: {b: []}",
            {},
            "conf/local/parameters.yml: a.b: is a list, but conf/base/",
        ),
        (
            b"a: []",
            {},
            "conf/local/parameters.yml: a: is a list, but conf/base/",
        ),
        (
            b"x: {y: 1}",
            {},
            "conf/local/parameters.yml: x: is a mapping, but conf/base/",
        ),
        (
            b"",
            {"x": {0: 3}},
            "--params: x: is a mapping, but conf/base/parameters.yml has a list",
        ),
        (b"", {"a": {"b": [1]}}, "--params: a.b: is a list, but conf/base/parameters.yml has a mapping"),
    ],
)
def test_a_list_in_place_of_a_mapping_is_named(
    tmp_path: Path, local: bytes, parameters: dict[str, Any], message: str
) -> None:
    files = {"base/parameters.yml": b"a: {b: {c: 1}}\nx: [1]\n", "local/parameters.yml": local}
    loader = loader_of(tmp_path, files, parameters)
    with pytest.raises(InputError) as raised:
        loader["parameters"]
    assert str(raised.value).startswith(message)


GLOBALS = b"""
models: data/06_models
looks: data/07_model_output
outputs: data/07_model_output
model_input: data/05_model_input
reports: data/08_reporting
registered_model: cnn
"""


@pytest.mark.parametrize("kind", ["parameters", "catalog"])
def test_an_environment_with_settings_has_folders_of_its_own(tmp_path: Path, kind: str) -> None:
    files = {"base/globals.yml": GLOBALS, f"mine/{kind}.yml": b"a: {type: b}\n"}
    loader_of(tmp_path, files)
    loader = reader(tmp_path / "conf", env="mine")
    assert loader.own_place == "mine"
    assert loader["globals"] == {
        "models": "data/06_models",
        "looks": "data/mine/07_model_output",
        "outputs": "data/mine/07_model_output",
        "model_input": "data/mine/05_model_input",
        "reports": "data/mine/08_reporting",
        "registered_model": "cnn-mine",
    }


def test_the_model_of_an_environment_has_a_name_that_mlflow_accepts(tmp_path: Path) -> None:
    files = {"base/globals.yml": GLOBALS, "v1.2/parameters.yml": b"a: 1\n"}
    loader_of(tmp_path, files)
    globals_ = reader(tmp_path / "conf", env="v1.2")["globals"]
    assert globals_["registered_model"] == "cnn-v1-2"
    assert globals_["reports"] == "data/v1.2/08_reporting"


def test_folders_that_an_environment_names_are_its_own(tmp_path: Path) -> None:
    files = {
        "base/globals.yml": GLOBALS,
        "mine/globals.yml": b"reports: elsewhere/08_reporting\nlooks: data/07_model_output\n",
        "mine/parameters.yml": b"a: 1\n",
    }
    loader_of(tmp_path, files)
    globals_ = reader(tmp_path / "conf", env="mine")["globals"]
    assert globals_["reports"] == "elsewhere/08_reporting"
    assert globals_["looks"] == "data/07_model_output"
    assert globals_["outputs"] == "data/mine/07_model_output"


@pytest.mark.parametrize("env", [None, "base", "local", "server"])
def test_settings_of_conf_itself_keep_its_folders(tmp_path: Path, env: str | None) -> None:
    files = {
        "base/globals.yml": GLOBALS,
        "base/parameters.yml": b"a: 1\n",
        "local/parameters.yml": b"a: 2\n",
        "server/mlflow.yml": b"server: {}\n",
    }
    loader_of(tmp_path, files)
    loader = reader(tmp_path / "conf", env=env)
    assert loader.own_place == ""
    assert loader["globals"]["reports"] == "data/08_reporting"


def test_another_folder_of_configuration_has_folders_of_its_own(tmp_path: Path) -> None:
    files = {
        "base/globals.yml": GLOBALS,
        "demo/globals.yml": b"reports: data/demo/08_reporting\n",
        "demo/parameters.yml": b"a: 1\n",
    }
    for name in ("project", "copy"):
        loader_of(tmp_path / name, files)
    own, copy = (tmp_path / name / "conf" for name in ("project", "copy"))
    first = reader(copy, of=own)["globals"]["reports"]
    assert re.fullmatch(r"data/copy_[0-9a-f]{8}/08_reporting", first)
    assert reader(copy, env="demo", of=own)["globals"]["reports"] == first.replace("data", "data/demo")
    assert reader(copy, of=tmp_path / "missing")["globals"]["reports"] == "data/08_reporting"
    other = GLOBALS.replace(b"data/08_reporting", b"elsewhere")
    (copy / "base/globals.yml").write_bytes(other)
    assert reader(copy, of=own)["globals"]["reports"] == "elsewhere"


@pytest.mark.parametrize("name", ["study [2024]", "{x}"])
def test_a_project_whose_path_is_a_pattern_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"this path contains . ., which Kedro reads as a pattern"):
        ProjectConfigLoader(str(tmp_path / name / "conf"), **LOADER_ARGUMENTS)
