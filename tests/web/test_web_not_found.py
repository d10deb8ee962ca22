"""Unknown paths are a 404 with links; paths of pages, routes and Streamlit pass through."""

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pages.registry import list_pages
from pages.server.not_found import NotFound
from pages.server.routes import ROUTES
from tests.web.web_data import Client


@pytest.fixture
def client() -> Client:
    """Return a client of an application that answers every path, as Streamlit does, behind the middleware."""

    def respond(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("passed")

    paths = tuple(route.path for route in ROUTES)
    return Client(Starlette(routes=[Route("/{path:path}", respond)], middleware=[Middleware(NotFound, routes=paths)]))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        *(f"/{spec.name}" for spec in list_pages() if spec.name != "home"),
        "/train/",
        "/healthz",
        "/api/runs/abc/points",
        "/assets/plotly.min.js",
        "/_stcore/health",
        "/train/_stcore/health",
        "/static/js/x.js",
        "/media/x.png",
        "/component/x/y.js",
        "/favicon.png",
    ],
)
def test_paths_that_are_served_pass_through(client: Client, path: str) -> None:
    assert client.get(path).text == "passed"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nosuchpage", "has no page <b>/nosuchpage</b>"),
        ("/trian", 'Did you mean <a href="/train">Train</a>?'),
        ("/Runs", 'Did you mean <a href="/runs">Runs</a>?'),
        ("/train/x", "has no page <b>/train/x</b>"),
        ("/a/b/c", "has no page <b>/a/b/c</b>"),
        ("/<script>x", "has no page <b>/&lt;script&gt;x</b>"),
        ("/" + "x" * 500, "x" * 59 + "…</b>"),
    ],
)
def test_every_other_path_is_a_404_with_links_to_all_pages(client: Client, path: str, words: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert words in response.text
    assert "<script>" not in response.text
    assert all(f">{spec.title}</a>" in response.text for spec in list_pages())


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/lab", True),
        ("/lab/", True),
        ("/lab/train", True),
        ("/lab/nosuchpage", False),
        ("/labs", False),
        ("/labtrain", False),  # starts with the base path, but is not below it
        ("/train", True),  # as a proxy may forward it
    ],
)
def test_with_a_base_path_the_same_pages_are_served_and_links_start_with_it(
    client: Client, monkeypatch: pytest.MonkeyPatch, path: str, passes: bool
) -> None:
    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: "lab" if name == "server.baseUrlPath" else real(name))
    response = client.get(path)
    assert (response.status_code == 200) is passes
    if not passes:
        assert '<a href="/lab/train">' in response.text
        assert '<a href="/lab/">' in response.text
