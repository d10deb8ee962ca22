"""The registry of pages: every package next to this file that has a `page.py`, in the order of the navigation.

A page is one package with `page.py`, the script that Streamlit runs, and `PAGE` in its `__init__`, its entry in the
navigation. Nothing else lists the pages, so adding one means adding a package.
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
    """One page. name: its package and its URL path.

    order: position in the navigation; a section is placed with its first page. teaser: text of its card on Home, "" for
    no card.
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
    """Return the script of each page, by page name."""
    folders = {module.name: Path(module.module_finder.path) / module.name for module in _modules()}
    return {name: folder / "page.py" for name, folder in folders.items() if (folder / "page.py").is_file()}


def _modules() -> Iterator[Any]:
    return iter_modules(pages.__path__)


def has_page(name: str) -> bool:
    """Whether there is a page of this name."""
    return name in _scripts()


def page_path(name: str) -> str:
    """Return the path of a page's script, for `st.switch_page` and `st.page_link`. name: such as "train"."""
    return str(_scripts()[name])


def forget_pages() -> None:
    """Clear the caches, so that the next call looks for pages again."""
    list_pages.cache_clear()
    _scripts.cache_clear()
