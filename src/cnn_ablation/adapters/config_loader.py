"""Kedro's configuration loader, which reports unusable files by file, key and reason."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any, cast

import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from yaml.reader import ReaderError

from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.dotted_keys import flatten
from cnn_ablation.errors import InputError, one_line, suggestion
from cnn_ablation.workarounds import protocol_of

_checkout = Path(__file__).resolve().parents[3]
PROJECT_ROOT = _checkout if (_checkout / "pyproject.toml").is_file() else Path.cwd()
"""Folder of the project. For an installed package, it is the working directory."""

MISSING = object()

SUFFIXES = (".yml", ".yaml", ".json")
"""Suffixes of the files that Kedro reads."""


RESULTS = ("outputs", "model_input", "reports")
"""Keys in globals.yml of the folders that each variant and environment has for itself."""

LOOKS = "looks"
"""Key in globals.yml of the folder of the looks at results, which variants share."""

REGISTERED_MODEL = "registered_model"
"""Key in globals.yml of the name of the winner in MLflow's registry."""

IN_PATTERNS = "[]{}"
"""Characters that make Kedro take the path of a project for a pattern of paths or of datasets."""

NOT_IN_MODEL_NAMES = "/:.%\"'"
"""Characters that MLflow refuses in the name of a model."""


NO_VALUE = "??? would keep the value from elsewhere; allowed: a value, or null for none"
"""Reason why a key cannot have OmegaConf's mark of a missing value."""


class ProjectConfigLoader(OmegaConfigLoader):
    """Kedro's `OmegaConfigLoader`, which reports unusable files by file, key and reason.

    Each loader finds its own globals. With Kedro's, the newest loader of a process answers for all.

    An environment with parameters or a catalog of its own, and another folder of configuration than the
    project's, never write into the results of the project's configuration: `own_place` is the name of
    their folders, or empty.

    Args:
        conf_source: Folder or archive of configuration.
        env: Name of the environment, a folder in it, or None for the default one.
        project_conf: The project's folder of configuration.
        args: See `OmegaConfigLoader`.
        kwargs: See `OmegaConfigLoader`.
    """

    @click_errors()
    def __init__(
        self,
        conf_source: str,
        env: str | None = None,
        *args: Any,
        project_conf: Path = PROJECT_ROOT / "conf",
        **kwargs: Any,
    ) -> None:
        self.env_option = "KEDRO_ENV" if env == os.getenv("KEDRO_ENV") else "--env"
        if env:
            env = self._environment(env, conf_source)
        try:
            super().__init__(conf_source, env, *args, **kwargs)
        except InputError:
            raise
        # Libraries for archives and remote folders raise errors of unrelated types.
        except Exception as error:
            raise _wrong_source(conf_source, f"cannot be read: {one_line(error)}") from None
        if protocol_of(self) == "file" and ("://" in str(conf_source) or Path(conf_source).is_file()):
            raise _wrong_source(conf_source, "is no folder and no archive")
        source = str(Path(self.conf_source).absolute())
        if found := [character for character in IN_PATTERNS if character in source]:
            raise InputError(
                f"{source}: this path contains {' '.join(found)}, which Kedro reads as a pattern; "
                "allowed: a folder with another name"
            )
        self._project_conf = project_conf.resolve()
        self.own_place = ""
        with suppress(MissingConfigException):
            merged = self["globals"]
            self["globals"] = merged | self._own_globals(merged)

    @click_errors()
    def __getitem__(self, key: str) -> dict[str, Any]:
        """The merged configuration of a kind, such as parameters.

        Raises:
            InputError: A file cannot be read, or the files cannot be merged.
            MissingConfigException: There is no file of this kind, or no folder of the environment.
        """
        if key in self or key not in self.config_patterns:
            known: dict[str, Any] = super().__getitem__(key)
            return known
        if "globals" in self:
            OmegaConf.register_new_resolver("globals", self.find_global, replace=True)
        try:
            merged: dict[str, Any] = super().__getitem__(key)
            if not all(isinstance(name, str) for name in merged):
                raise TypeError("a key is not text")
            self._check_for_missing_values(key)
        except (InputError, MissingConfigException):
            raise
        # YAML and OmegaConf raise a dozen unrelated types of errors.
        except Exception as error:
            raise InputError(self._explain(key, error)) from None
        return merged

    def _check_for_missing_values(self, kind: str) -> None:
        """Raise a ValueError if a file has a missing value, which OmegaConf drops when it merges."""
        for file in (file for files in self.files(kind).values() for file in files):
            if "???" in read_text(file):
                read_file(file)

    def find_global(self, key: str, default: Any = MISSING) -> Any:
        """The value of `${globals:key}` or `${globals:key,default}`.

        Raises:
            InterpolationResolutionError: There is no such key, and no default.
        """
        value = OmegaConf.select(OmegaConf.create(self["globals"]), key, default=default)
        if value is MISSING:
            allowed = list(self["globals"])
            raise InterpolationResolutionError(
                f"globals.yml has no key {key!r}; allowed: {', '.join(allowed) or 'none'}."
                f"{suggestion(key, allowed)}"
            )
        return value

    def files(self, kind: str) -> dict[str, list[Path]]:
        """The files of a kind of configuration, by environment, in order."""
        source = Path(self.conf_source)
        environments = dict.fromkeys((self.base_env, self.env or self.default_run_env))
        return {name: list(_files(source, name, kind)) for name in environments}

    def relative(self, file: Path) -> str:
        """A path as messages show it: relative to the folder that contains conf."""
        return os.path.relpath(file, Path(self.conf_source).absolute().parent)

    def _environment(self, env: str, conf_source: str) -> str:
        """The name of an environment, as `demo` for `./demo/`.

        Kedro would read all environments as one for `.`, and the results would be beside another folder
        than data for a path that leads out of conf.
        """
        path = Path(env)
        if path == Path() or path.is_absolute() or ".." in path.parts:
            raise InputError(
                f"{self.env_option}: {env!r} is not an environment; allowed: the name of a folder in "
                f"{conf_source}"
            )
        return path.as_posix()

    def _own_globals(self, merged: Mapping[str, Any]) -> dict[str, Any]:
        """Folders of results and a name of the model, if conf's apply although the settings differ."""
        conf, source = self._conf_globals(), Path(self.conf_source).resolve()
        digest = hashlib.sha256(str(source).encode()).hexdigest()[:8]
        name = source.parent.name if source.name == self._project_conf.name else source.name
        env, chosen = self._own_environment()
        own: dict[str, Any] = {}
        for key in (*RESULTS, LOOKS, REGISTERED_MODEL):
            value = merged.get(key)
            steps = [f"{name.partition('.')[0]}_{digest}"] if value == conf.get(key, MISSING) else []
            steps += [env] if env and key not in chosen else []
            if not steps or not isinstance(value, str) or not value.strip():
                continue
            self.own_place = "/".join(steps)
            if key == REGISTERED_MODEL:
                suffix = "-".join(steps).translate(dict.fromkeys(map(ord, NOT_IN_MODEL_NAMES), "-"))
                own[key] = f"{value}-{suffix}"
            else:
                own[key] = Path(value).parent.joinpath(*steps, Path(value).name).as_posix()
        return own

    def _conf_globals(self) -> dict[str, Any]:
        """The globals of the project's own folder of configuration, if another one is read."""
        if Path(self.conf_source).resolve() == self._project_conf:
            return {}
        environments = self.files("globals")
        files = [file for name in environments for file in _files(self._project_conf, name, "globals")]
        return {key: value for file in files for key, value in read_file(file).items()}

    def _own_environment(self) -> tuple[str, set[str]]:
        """The environment if it has settings of its own, and the globals that it gives."""
        env = self.env or self.default_run_env
        settings = [file for kind in ("parameters", "catalog") for file in self.files(kind)[env]]
        if env in (self.base_env, self.default_run_env) or not settings:
            return "", set()
        return env, {key for file in self.files("globals")[env] for key in read_file(file)}

    def _explain(self, kind: str, error: Exception) -> str:
        by_environment = self.files(kind)
        contents: dict[Path, dict[str, Any]] = {}
        for file in (file for files in by_environment.values() for file in files):
            try:
                contents[file] = read_file(file)
            except ValueError as fault:
                return f"{self.relative(file)}: {fault}"
        for files in by_environment.values():
            duplicate = self._duplicate(kind, [(file, contents[file]) for file in files])
            if duplicate is not None:
                return duplicate
        sources = [(self.relative(file), content) for file, content in contents.items()]
        if kind == "parameters":
            sources.append(("--params", self.runtime_params or {}))
        if mismatch := _mismatch(sources):
            return mismatch
        reason = _reason(error)
        if "nterpolation" in reason:
            reason += "; allowed: a key of the same configuration. Write \\${ for the text ${"
        key = getattr(error, "full_key", None) or ""
        if not key:
            return f"conf: {kind}: {reason}"
        steps = re.split(r"[.\[]", key.replace("]", ""))
        if kind == "parameters" and reaches(self.runtime_params or {}, steps) == len(steps):
            return f"--params: {key}: {reason}"
        owners = [
            file
            for file, content in contents.items()
            # Keys of the catalog contain dots.
            if any(re.split(rf"^{re.escape(name)}(?=$|[.\[])", key)[1:] for name in content)
        ]
        place = self.relative(owners[-1]) if owners else "conf"
        return f"{place}: {key}: {reason}"

    def _duplicate(self, kind: str, files: Sequence[tuple[Path, dict[str, Any]]]) -> str | None:
        seen: dict[str, Path] = {}
        for file, content in files:
            keys = dict(flatten(content)) if kind == "parameters" else content
            for key in keys:
                if key.startswith("_"):
                    continue
                if key in seen:
                    return (
                        f"{self.relative(seen[key])} and {self.relative(file)}: {key}: both files of "
                        "the same environment have this key; allowed: one of them"
                    )
                seen[key] = file
        return None


def _wrong_source(conf_source: str, reason: str) -> InputError:
    return InputError(
        f"--conf-source: {conf_source} {reason}; allowed: a folder, or a .zip or .tar.gz archive"
    )


def read_text(file: Path) -> str:
    """The text of a configuration file.

    Raises:
        ValueError: The file cannot be read. The message is the reason.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"line {line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def read_file(file: Path) -> dict[str, Any]:
    """The content of a configuration file, without resolved interpolations.

    Raises:
        ValueError: The file cannot be read. The message is the reason.
    """
    text = read_text(file)
    try:
        content = OmegaConf.to_container(OmegaConf.load(StringIO(text)))
    except yaml.MarkedYAMLError as error:
        raise ValueError(_syntax(error, text)) from None
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ValueError(f"line {line}: character {chr(error.character)!r} is not allowed") from None
    except RecursionError:
        raise ValueError("is nested too deeply, or contains itself by an anchor") from None
    # OmegaConf raises OSError for a number in place of a mapping.
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError, OSError) as error:
        key = getattr(error, "full_key", None)
        raise ValueError(f"{key}: {_reason(error)}" if key else _reason(error)) from None
    if not isinstance(content, dict):
        raise ValueError("begins with a list; allowed: a mapping, with lines such as key: value")
    for key in content:
        if not isinstance(key, str):
            raise ValueError(f"{key!r}: this key is not text; allowed: letters, or put it in quotes")
    if key := missing_value(content):
        raise ValueError(f"{key}: {NO_VALUE}")
    return cast("dict[str, Any]", content)


def missing_value(tree: Any, key: str = "") -> str:
    """The dotted key of the first value that OmegaConf takes for missing; empty if there is none."""
    if tree == "???":
        return key
    items = (
        tree.items() if isinstance(tree, Mapping) else enumerate(tree if isinstance(tree, list) else ())
    )
    found = (missing_value(value, f"{key}.{name}".lstrip(".")) for name, value in items)
    return next(filter(None, found), "")


def reaches(tree: Any, path: Sequence[str]) -> int:
    """Number of steps of the path that exist in the tree.

    A null on the way does not count, because it is where a group would be.
    """
    for depth, step in enumerate(path):
        if isinstance(tree, list) and step.isdecimal() and int(step) < len(tree):
            tree = tree[int(step)]
        elif isinstance(tree, dict) and step in tree:
            tree = tree[step]
        else:
            return depth - 1 if depth and tree is None else depth
    return len(path)


def _files(conf: Path, environment: str, kind: str) -> Iterator[Path]:
    """The files that Kedro reads for a kind of configuration, as its patterns name them."""
    folder = conf / environment
    for file in sorted(folder.rglob("*")):
        ends = (file.relative_to(folder).parts[0], file.name)
        named = file.suffix in SUFFIXES and any(name.startswith(kind) for name in ends)
        if named and file.is_file() and not _is_hidden(file.resolve(), conf.resolve()):
            yield file


def _is_hidden(file: Path, conf: Path) -> bool:
    """Whether Kedro ignores a file as hidden. A folder that contains the whole of conf may be hidden."""
    place = file.relative_to(conf) if file.is_relative_to(conf) else file
    return any(part.startswith(".") for part in place.parts)


def _mismatch(sources: Sequence[tuple[str, Any]], key: str = "") -> str | None:
    """The first key that is a list in one source and a mapping in another, which cannot be merged."""
    kinds: dict[type, str] = {dict: "a mapping", list: "a list"}
    (first, content), *others = sources
    for place, other in others:
        if type(other) is not type(content) and {type(other), type(content)} <= {*kinds}:
            wanted = kinds[type(content)]
            return (
                f"{place}: {key}: is {kinds[type(other)]}, but {first} has {wanted} there; "
                f"allowed: {wanted}"
            )
    groups = [(place, tree) for place, tree in sources if isinstance(tree, dict)]
    for name in dict.fromkeys(name for _, tree in groups for name in tree):
        found = [(place, tree[name]) for place, tree in groups if tree.get(name) is not None]
        if found and (mismatch := _mismatch(found, f"{key}.{name}".lstrip("."))):
            return mismatch
    return None


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = error.problem or error.context or "is not YAML"
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return problem
    lines = [*text.splitlines(), ""]
    line = lines[min(mark.line, len(lines) - 1)]
    has_tab = "\t" in line[: len(line) - len(line.lstrip())]
    hint = "; indent with spaces instead of tabs" if has_tab else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}{hint}"


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rpartition("resolving interpolation: ")[2] if lines else type(error).__name__
