"""Collects the lab's modules that an exported `train.py` imports. They are shipped unchanged but for the package name.

The modules are found by following import statements, starting with those of the script, so that there is no list to
maintain. The package is renamed because a folder `lab` next to a script in a checkout would be the lab itself.
"""

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

OURS, SHIPPED = "lab", "convlab"
_NAME = re.compile(rf"(?<![\w./]){OURS}(?=\.\w|\s+import\b)")
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # import name -> distribution name, if they differ


def rename(source: str) -> str:
    """Return the source with `lab.…` renamed to `convlab.…`, in imports and in other text."""
    return _NAME.sub(SHIPPED, source)


def collect_modules(source: str) -> dict[str, str]:
    """Return the sources of all modules that `source` imports from the lab, directly or indirectly, by module name.

    A package counts as its `__init__` module, and an import of `a.b.c` also imports `a` and `a.b`.
    """
    found: dict[str, str] = {}
    pending = list(_modules(source))
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found[name] = _path(name).read_text(encoding="utf-8")
        pending += [*_parents(name), *_modules(found[name])]
    return dict(sorted(found.items()))


def package_files(modules: Mapping[str, str]) -> dict[str, bytes]:
    """Return the renamed modules as files, by their paths below the script's folder."""
    files = {}
    for name, source in modules.items():
        inner = "/__init__.py" if _path(name).name == "__init__.py" else ".py"
        files[f"{SHIPPED}{name.removeprefix(OURS)}".replace(".", "/") + inner] = rename(source).encode()
    return files


def required_distributions(*sources: str) -> tuple[str, ...]:
    """Return the distributions that these sources need to be installed, torch and NumPy first."""
    tops = {name.split(".")[0] for source in sources for name, _ in _imports(source)}
    needed = {_DISTRIBUTIONS.get(top, top) for top in tops - sys.stdlib_module_names - {OURS, SHIPPED}}
    return tuple(sorted(needed, key=lambda name: (name not in ("torch", "numpy"), name != "torch", name)))


def _modules(source: str) -> Iterator[str]:
    """Yield the lab's modules that `source` imports directly."""
    for module, name in _imports(source):
        if module.split(".")[0] == OURS:
            inner = f"{module}.{name}"
            yield inner if name and _is_module(inner) else module


def _imports(source: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name imported from it or "") for all import statements, including nested ones."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def _is_module(name: str) -> bool:
    package = importlib.util.find_spec(name.rpartition(".")[0])
    if package is None or package.submodule_search_locations is None:
        return False
    return importlib.util.find_spec(name) is not None


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _path(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"Exported code imports {name}, which does not exist", name=name)
    return Path(spec.origin)
