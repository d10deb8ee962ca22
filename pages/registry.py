"""The pages there are: every package beside this file that has a `PAGE`, in the order in which they are listed.

A page is one package with `page.py`, the script that Streamlit runs, and `PAGE` in its `__init__`, what the navigation
says. Nothing else names a page, so a new one is a new package.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pages


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSpec:
    """One page: `name` is its package and its address.

    order: place in the navigation, where a section comes with its first page. teaser: what Home says about it, "" for no
    card there.
    """

    name: str
    title: str
    icon: str
    order: int
    section: str = ""
    teaser: str = ""


@cache
def list_pages() -> tuple[PageSpec, ...]:
    """Return all pages, in order."""
    specs = [import_module(f"pages.{name}").PAGE for name in _scripts()]
    return tuple(sorted(specs, key=lambda spec: spec.order))


@cache
def _scripts() -> dict[str, Path]:
    """Return the script of each page by its name."""
    folders = {module.name: Path(module.module_finder.path) / module.name for module in _modules()}
    return {name: folder / "page.py" for name, folder in folders.items() if (folder / "page.py").is_file()}


def _modules() -> Iterator[Any]:
    return iter_modules(pages.__path__)


def has_page(name: str) -> bool:
    """Whether there is a page of this name."""
    return name in _scripts()


def page_path(name: str) -> str:
    """Return the script of a page, such as "train", for `st.switch_page` and `st.page_link`."""
    return str(_scripts()[name])


def forget_pages() -> None:
    """Look for pages anew at the next call, after one was added."""
    list_pages.cache_clear()
    _scripts.cache_clear()
