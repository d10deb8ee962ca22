"""The lab's styles are part of the page that the server sends; other answers stay as they are."""

from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pages.server.shell import Shell
from pages.styles import shell_styles
from tests.web.web_data import Client

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
PAGE = {"accept": "text/html,*/*;q=0.8"}


async def index(_: Request) -> Response:
    return FileResponse(INDEX)


async def parts(_: Request) -> Response:
    return StreamingResponse(iter(["<body>a", "b</bo", "dy>c"]), media_type="text/html")


async def fragment(_: Request) -> Response:
    return Response("<p>no end</p>", media_type="text/html")


async def data(_: Request) -> Response:
    return JSONResponse({"page": "</body>"})


async def failed(_: Request) -> Response:
    return PlainTextResponse("no", status_code=403)


@pytest.fixture
def client() -> Client:
    answers = (index, parts, fragment, data, failed)
    routes = [Route(f"/{answer.__name__}", answer) for answer in answers]
    return Client(
        Starlette(
            routes=routes, middleware=[Middleware(Shell, styles="p{}"), Middleware(GZipMiddleware, minimum_size=1)]
        )
    )


def test_a_page_has_the_styles_after_those_that_streamlit_will_add_to_its_head(client: Client) -> None:
    page = client.get("/index", headers=PAGE)
    assert page.text == INDEX.read_text(encoding="utf-8").replace("</body>", "<style>p{}</style></body>")
    assert int(page.headers["content-length"]) == len(page.content)
    assert client.get("/parts", headers=PAGE).text == "<body>ab<style>p{}</style></body>c"


def test_a_browser_does_not_keep_a_page_with_the_styles_of_an_earlier_release(client: Client) -> None:
    asked = client.get("/index", headers={"accept": "*/*"})
    page = client.get("/index", headers={**PAGE, "if-none-match": asked.headers["etag"], "range": "bytes=0-9"})
    assert page.status_code == 200
    assert page.text.endswith("</html>\n")
    assert not {"etag", "last-modified", "accept-ranges", "content-encoding"} & set(page.headers)


def test_other_answers_are_passed_on(client: Client) -> None:
    assert client.get("/fragment", headers=PAGE).text == "<p>no end</p>"
    assert client.get("/data", headers=PAGE).json() == {"page": "</body>"}
    assert (client.get("/failed", headers=PAGE).status_code, client.get("/failed", headers=PAGE).text) == (403, "no")
    assert "<style>p{}" not in client.get("/index", headers={"accept": "*/*"}).text


def test_the_styles_are_those_of_the_frame_and_of_home() -> None:
    styles = shell_styles()
    assert '[data-testid="stMainBlockContainer"] { padding: 4.4rem' in styles
    assert ".cl-flow {" in styles
    assert "</style" not in styles
    assert styles.count("{") == styles.count("}")
