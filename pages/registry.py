"""The pages there are: every package beside this file that has a `PAGE`, in the order in which they are listed.

A page is one package with `page.py`, the script that Streamlit runs, and `PAGE` in its `__init__`, what the navigation
says. Nothing else names a page, so a new one is a new package.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

_PAGES = Path(__file__).resolve().parent


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
    names = [module.name for module in iter_modules([str(_PAGES)]) if (_PAGES / module.name / "page.py").is_file()]
    specs = [import_module(f"pages.{name}").PAGE for name in names]
    return tuple(sorted(specs, key=lambda spec: spec.order))


def has_page(name: str) -> bool:
    """Whether there is a page of this name."""
    return any(spec.name == name for spec in list_pages())


def page_path(name: str) -> str:
    """Return the script of a page, such as "train", for `st.switch_page` and `st.page_link`."""
    return str(_PAGES / name / "page.py")
