"""Record versions of the code that determines a trial's numbers in tests/execution/code_versions.json.

A stored trial is reused as long as the versions of the loop, of its parts and of the fast layers stay
the same. This script records a hash of the code beside each version, without comments, docstrings and
messages. tests/execution/test_versions.py fails if code changes and its version does not.

.venv/bin/python scripts/record_versions.py
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from cnn_ablation import kernels
from cnn_ablation.parts.base import Part, kind_of, parts_in
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from cnn_ablation.training import loop

FILE = ROOT / "tests/execution/code_versions.json"
PACKAGE = "cnn_ablation"
Place = tuple[str, str]
"""A module, and the name of a definition in it."""

BOUNDARIES = ("cnn_ablation.errors", "cnn_ablation.base_parameters", "cnn_ablation.parts.base")
"""Modules that describe and report but do not compute."""


def current() -> dict[str, dict[str, Any]]:
    """Version and hash of the code of the loop, of the fast layers and of every part."""
    units: dict[str, tuple[int, list[Place]]] = {
        "loop": (loop.VERSION, [(loop.__name__, "train")]),
        # All definitions, because Numba finds some functions by decorators instead of names.
        "kernels": (kernels.VERSION, list(_everything_in(kernels))),
        **{kind_of(part): (part.version, [(part.__module__, part.__name__)]) for part in all_parts()},
    }
    return {
        name: {"version": version, "code": code_hash(places)}
        for name, (version, places) in units.items()
    }


def all_parts() -> list[type[Part]]:
    """Every part that a configuration can have."""
    fields = [Configuration.model_fields["model"], *TrainingParameters.model_fields.values()]
    return [part for field in fields for part in parts_in(field.annotation)]


def code_hash(places: list[Place]) -> str:
    """Hash of definitions and of everything in this package that they use, in any module.

    The loop, the fast layers and the parts have separate hashes, which do not include each other's code.
    """
    texts = {}
    module = places[0][0]
    pending = list(places)
    while pending:
        place = pending.pop()
        if place in texts or _is_other_unit(place[0], module):
            continue
        node = _definitions(place[0])[0].get(place[1])
        if node is None:
            continue
        texts[place] = ast.unparse(_Bare().visit(ast.parse(ast.unparse(node))))
        pending += _uses(place[0], node)
    # Sorted by content, so that moving a definition to another module does not change the hash.
    return hashlib.sha256("\n".join(sorted(texts.values())).encode()).hexdigest()[:16]


def _is_other_unit(module: str, start: str) -> bool:
    if module in BOUNDARIES:
        return True
    is_kernel, from_kernel = (name.startswith(kernels.__name__) for name in (module, start))
    if is_kernel != from_kernel:
        return is_kernel or module != "cnn_ablation.parts.layers"
    return module != start and module in {part.__module__ for part in all_parts()}


@cache
def _definitions(module: str) -> tuple[dict[str, ast.AST], dict[str, Place]]:
    """Definitions of a module by name, and where its imported names of this package come from."""
    loaded = import_module(module)
    tree = ast.parse(Path(str(loaded.__file__)).read_text())
    found: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in (
                n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)
            ):
                found[name] = node
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE)
        for alias in node.names
    }
    return found, imported


def _everything_in(package: ModuleType) -> Iterator[Place]:
    for module in (
        package.__name__,
        *(m.name for m in iter_modules(package.__path__, f"{package.__name__}.")),
    ):
        yield from ((module, name) for name in _definitions(module)[0] if name != "VERSION")


def _uses(module: str, node: ast.AST) -> Iterator[Place]:
    """Definitions of this package that a piece of code mentions."""
    found, imported = _definitions(module)
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            source = _module_named(imported.get(part.value.id))
            if source is not None:
                yield source.__name__, part.attr
        elif isinstance(part, ast.Name):
            if part.id in found:
                yield module, part.id
            elif part.id in imported:
                yield imported[part.id]


def _module_named(origin: Place | None) -> ModuleType | None:
    if origin is None:
        return None
    value = getattr(import_module(origin[0]), origin[1], None)
    return value if isinstance(value, ModuleType) else None


class _Bare(ast.NodeTransformer):
    """Drops code without influence on numbers: docstrings, descriptions of fields, f-strings."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if is_text else self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST | None:
        return None if node.arg == "description" else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant("")


if __name__ == "__main__":
    FILE.write_text(json.dumps(current(), indent=2) + "\n")
