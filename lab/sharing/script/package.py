"""The modules that an exported `train.py` imports, as files to lie beside it: whole and unchanged but for the package's name.

Which ones is read from the import statements, those of the script first, so nothing is listed by hand. The name changes
because a folder called `lab` beside a script written into a checkout would be the lab itself.
"""

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

OURS, SHIPPED = "lab", "convlab"
_NAME = re.compile(rf"(?<![\w./]){OURS}(?=\.\w|\s+import\b)")
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where the name to install is not the name to import


def rename(source: str) -> str:
    """Return the source with `lab.…` renamed to `convlab.…`, in imports and in text."""
    return _NAME.sub(SHIPPED, source)


def collect_modules(source: str) -> dict[str, str]:
    """Return the source of every module that a piece of source imports from the lab, directly or not, by module name.

    A package is its `__init__` module, and whoever imports `a.b.c` imports `a` and `a.b` too.
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
    """Return the modules as files by their path below the script's folder, under the shipped name."""
    files = {}
    for name, source in modules.items():
        inner = "/__init__.py" if _path(name).name == "__init__.py" else ".py"
        files[f"{SHIPPED}{name.removeprefix(OURS)}".replace(".", "/") + inner] = rename(source).encode()
    return files


def required_distributions(*sources: str) -> tuple[str, ...]:
    """Return what has to be installed for these sources to run, torch and NumPy first."""
    tops = {name.split(".")[0] for source in sources for name, _ in _imports(source)}
    needed = {_DISTRIBUTIONS.get(top, top) for top in tops - sys.stdlib_module_names - {OURS, SHIPPED}}
    return tuple(sorted(needed, key=lambda name: (name not in ("torch", "numpy"), name != "torch", name)))


def _modules(source: str) -> Iterator[str]:
    """Yield the lab's modules that a piece of source imports."""
    for module, name in _imports(source):
        if module.split(".")[0] == OURS:
            inner = f"{module}.{name}"
            yield inner if name and _is_module(inner) else module


def _imports(source: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name imported from it or ""), wherever in the source the statement stands."""
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
        raise ModuleNotFoundError(f"{name} is imported by exported code, but it is not there", name=name)
    return Path(spec.origin)
