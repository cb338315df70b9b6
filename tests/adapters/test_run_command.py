"""The command `kedro run`: parsing of --params, its errors, and the first line of a run."""

import os
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cnn_ablation.adapters import run_command
from cnn_ablation.cli import run


@pytest.mark.parametrize(
    "content",
    [
        b"run:\n\ta: 1",
        b"run: {a: 1",
        b"caf\xe9: 1",
        b"- a",
        b"",
        b"walk: {}",
        b"run: 5",
        b"run: {params: [a]}",
    ],
)
def test_a_config_file_that_cannot_be_read_gives_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "options.yml"
    file.write_bytes(content)
    with pytest.raises(click.BadParameter) as raised:
        run.make_context("run", [f"--config={file}"])
    assert "\n" not in raised.value.format_message()
    assert re.search("allowed: YAML with the options|is not a mapping", raised.value.format_message())


def test_a_config_file_gives_options(tmp_path: Path) -> None:
    file = tmp_path / "options.yml"
    file.write_text("run: {params: {seeds: [3]}, env: demo}")
    params = run.make_context("run", [f"--config={file}"]).params
    assert (params["params"], params["env"]) == ({"seeds": [3]}, "demo")


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("pipelines", "[dropout, pooling]", ["dropout", "pooling"]),
        ("pipelines", "'dropout,pooling'", ["dropout", "pooling"]),
        ("tags", "[training]", ["training"]),
        ("node_names", "[a, b.c]", ["a", "b.c"]),
        ("from_nodes", "[x]", ["x"]),
        ("to_nodes", "[x]", ["x"]),
        ("from_inputs", "[images, splits]", ["images", "splits"]),
        ("to_outputs", "[x]", ["x"]),
        ("namespaces", "[x, y]", ["x", "y"]),
        ("load_versions", "['a:2020-01-01T00.00.00.000Z']", {"a": "2020-01-01T00.00.00.000Z"}),
    ],
)
def test_a_config_file_gives_lists(tmp_path: Path, key: str, given: str, expected: Any) -> None:
    file = tmp_path / "options.yml"
    file.write_text(f"run: {{{key}: {given}}}")
    assert run.make_context("run", [f"--config={file}"]).params[key] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("params: {seeds: '???'}", r"'--params': seeds: \?\?\? would keep the value from elsewhere"),
        ("pipelines: [1]", r"'--pipelines': \[1\] is not text or a list of texts"),
        ("tags: {a: 1}", r"'--tags' / '-t': \{'a': 1\} is not text or a list of texts"),
        ("env: [demo]", r"'--env' / '-e': \['demo'\] is not text$"),
        ("pipeline: [a, b]", r"'--pipeline' / '-p': \['a', 'b'\] is not text$"),
    ],
)
def test_a_config_file_with_values_of_another_type_gives_one_line(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "options.yml"
    file.write_text(f"run: {{{content}}}")
    with pytest.raises(click.BadParameter) as raised:
        run.make_context("run", [f"--config={file}"])
    assert re.search(message, raised.value.format_message())


def parsed(text: str) -> Any:
    """The parameters of `kedro run --params=<text>`."""
    return run.make_context("run", [f"--params={text}"]).params["params"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seeds=[0,1]", {"seeds": [0, 1]}),
        ("seeds=[0,1],data.protocol=holdout", {"seeds": [0, 1], "data": {"protocol": "holdout"}}),
        ("a=[[8],[8,16]], b=2", {"a": [[8], [8, 16]], "b": 2}),
        ("a={x: 1, y: [2,3]},b=null", {"a": {"x": 1, "y": [2, 3]}, "b": None}),
        ("title='A, B',b=1", {"title": "A, B", "b": 1}),
        ('title="[A, B",b=1', {"title": "[A, B", "b": 1}),
        ("title=it's,b=1", {"title": "it's", "b": 1}),
        ("name=fc_{fc_units},b=c=d", {"name": "fc_{fc_units}", "b": "c=d"}),
        ("rate=1e-3,a.b=1,a.c=2", {"rate": 0.001, "a": {"b": 1, "c": 2}}),
        ("a = 1", {"a": 1}),
        ("title=Größe", {"title": "Größe"}),
        (os.fsdecode("title=Größe".encode()), {"title": "Größe"}),
    ],
)
def test_params_are_yaml(text: str, expected: dict[str, Any]) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a=caf\udce9", "is not UTF-8"),
        ("a=\x00", "does not end as YAML"),
        ("seeds=[0,1", "'seeds=[0,1' does not end as YAML: did not find expected ',' or ']'"),
        ("seeds=[0,1,b=2", "'seeds=[0,1,b=2' does not end as YAML"),
        ("title='A, B", "does not end as YAML: found unexpected end of stream"),
        ("title=A, B", "'B' is not a key=value pair"),
        ("seeds=[0,1],0.5", "'0.5' is not a key=value pair"),
        ("a=${b", "'a=${b' does not end as YAML"),
        ("=3", "'=3': the key, or a part of it between dots, is empty"),
        ("a..b=1", "'a..b=1': the key, or a part of it between dots, is empty"),
        ("seeds=???", "seeds: ??? would keep the value from elsewhere; allowed: a value, or null"),
        ("a.b=[1,'???']", "a.b.1: ??? would keep"),
        ("seeds=", "'seeds=': the value is missing; write null for none"),
        ("seeds=[0],,b=1", "a parameter is empty"),
        ("", "a parameter is empty; write key=value pairs, such as seeds=[0,1]"),
        ("seeds=2,a=1,seeds=3", "seeds is given more than once; allowed: one value"),
        ("[=1", "'[=1': the key has a bracket; allowed: names, with dots between them"),
        ("seeds[=5", "'seeds[=5': the key has a bracket"),
        ("a=!!float x", "'a=!!float x' does not end as YAML: could not convert string to float"),
        ("a.b=!!binary aGk=", "bytes is not JSON serializable; allowed: numbers, texts"),
    ],
)
def test_malformed_params_give_one_line(text: str, reason: str) -> None:
    with pytest.raises(click.BadParameter) as raised:
        parsed(text)
    message = raised.value.format_message()
    assert message.startswith("Invalid value for '--params': ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--runner=ParallelRunner", "'ParallelRunner' cannot run the pipelines"),
        ("--runner=kedro.runner.ParallelRunner", "ParallelRunner' cannot run the pipelines"),
        ("--runner=kedro.runner.Nope", "'kedro.runner.Nope' is not the class of a runner"),
        ("--runner=pathlib.Path", "'pathlib.Path' is not the class of a runner"),
        ("--runner-params=foo=1", "Invalid value for --runner-params:"),
        ("--async", "--async: not supported, because nodes save each trial when it ends"),
    ],
)
def test_an_option_that_does_not_fit_gives_one_line(option: str, expected: str) -> None:
    result = CliRunner().invoke(run, [option])
    assert result.exit_code == 2
    assert expected in result.output


@pytest.mark.parametrize("workers", ["abc", "0", "1.5", "true", "[1]"])
def test_a_wrong_number_of_workers_gives_one_line(workers: str) -> None:
    result = CliRunner().invoke(run, ["--runner=ThreadRunner", f"--runner-params=max_workers={workers}"])
    assert result.exit_code == 2
    assert "Invalid value for --runner-params: max_workers: " in result.output
    assert "is no number of workers; allowed: 1 or more, or null" in result.output


@pytest.mark.parametrize(
    "option",
    ["--pipeline=", "--pipelines=", "--pipelines= , ", "--nodes=", "--tags=", "--env=", "--runner="],
)
def test_an_empty_option_is_refused(option: str) -> None:
    result = CliRunner().invoke(run, [option])
    assert result.exit_code == 2
    assert f"{option.partition('=')[0]}: is empty; allowed: " in result.output


@pytest.mark.parametrize(
    ("content", "option", "expected"),
    [
        ("run: {parms: {seeds: 1}}", "", "Key `parms` in provided configuration is not valid."),
        ("run: {}", "--load-versions=abc", "found abc instead"),
    ],
)
def test_errors_of_kedro_show_their_message_in_one_line(
    tmp_path: Path, content: str, option: str, expected: str
) -> None:
    file = tmp_path / "options.yml"
    file.write_text(content)
    result = CliRunner().invoke(run, [f"--config={file}", *filter(None, [option])])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert expected in result.output
    assert result.output.count("\n") == 1


def test_without_params_there_are_none() -> None:
    assert not run.make_context("run", []).params["params"]


def test_a_run_says_at_once_what_it_does(monkeypatch: pytest.MonkeyPatch, messages: list[str]) -> None:
    before: list[str] = []
    kedro_run = click.Command("run", callback=lambda **_: before.extend(messages))
    monkeypatch.setattr(run_command, "kedro_run", kedro_run)
    result = CliRunner().invoke(run, [])
    assert result.exit_code == 0, result.output
    assert before == ["Checking parameters, catalog and tracking"]


def test_a_run_draws_figures_whatever_backend_the_user_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "garbage")
    named: list[str] = []
    kedro_run = click.Command("run", callback=lambda **_: named.append(os.environ["MPLBACKEND"]))
    monkeypatch.setattr(run_command, "kedro_run", kedro_run)
    result = CliRunner().invoke(run, [])
    assert result.exit_code == 0, result.output
    assert named == ["agg"]
