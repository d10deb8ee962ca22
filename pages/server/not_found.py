"""A 404 page for unknown addresses, which Streamlit would answer with Home under a dialog or with an empty page."""

from html import escape
from pathlib import Path
from string import Template

import streamlit as st
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lab.errors import close_match
from pages.registry import list_pages

# First parts of Streamlit's own paths.
_STREAMLIT = ("_stcore", "media", "component", "static", "app", "auth", "oauth2callback")
_FILES = frozenset(path.name for path in (Path(st.__file__).parent / "static").iterdir() if path.is_file())
_PAGE = Template((Path(__file__).parent / "not_found.html").read_text(encoding="utf-8"))


class NotFound:
    """ASGI middleware that answers unknown paths with 404 and links to all pages. routes: paths of the lab's routes."""

    def __init__(self, app: ASGIApp, *, routes: tuple[str, ...]) -> None:
        self.app = app
        self._routes = tuple(path.partition("{")[0] for path in routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on requests for known paths, and answer the others."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or self._known(scope["path"]):
            await self.app(scope, receive, send)
            return
        await HTMLResponse(not_found_page(scope["path"]), status_code=404)(scope, receive, send)

    def _known(self, path: str) -> bool:
        if path.startswith(self._routes):
            return True
        inner = _below_base(path)
        parts = inner.split("/")
        # Before Streamlit knows its root, it requests its files relative to a deep link, such as /train/_stcore/health.
        return inner in _names() or any(part in _STREAMLIT for part in parts[:2]) or parts[-1] in _FILES


def _below_base(path: str) -> str:
    base = str(st.get_option("server.baseUrlPath")).strip("/")
    inner = path.strip("/")
    return inner.removeprefix(base).strip("/") if base and f"{inner}/".startswith(f"{base}/") else inner


def _names() -> tuple[str, ...]:
    return ("", *(spec.name for spec in list_pages()))


def not_found_page(path: str) -> str:
    """Return the HTML of the 404 page, with a suggestion if the path is close to a page's name."""
    base = str(st.get_option("server.baseUrlPath")).strip("/")
    root = f"/{base}/" if base else "/"
    wanted = _below_base(path)
    close = close_match(wanted.partition("/")[0].lower(), [name for name in _names() if name])
    titles = {spec.name: spec.title for spec in list_pages()}
    links = "".join(f'<li><a href="{_address(root, name)}">{escape(title)}</a></li>' for name, title in titles.items())
    hint = f'Did you mean <a href="{_address(root, close)}">{escape(titles[close])}</a>?' if close else ""
    shown = wanted if len(wanted) <= 60 else f"{wanted[:59]}…"
    return _PAGE.substitute(root=root, wanted=escape(shown), hint=hint, links=links)


def _address(root: str, name: str) -> str:
    return root if name == "home" else root + name
