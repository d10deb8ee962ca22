"""Adds the lab's styles to the page that Streamlit serves, so that they apply before its scripts have loaded."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The page is sent whole and uncompressed: it changes with the lab's styles, not with Streamlit's file.
_LEFT_OUT = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
_BODY_END = b"</body>"  # not the head's end: Streamlit adds its own styles to the head, and the later ones apply


class Shell:
    """ASGI middleware that inserts styles at the end of HTML pages."""

    def __init__(self, app: ASGIApp, *, styles: str) -> None:
        self.app = app
        self._styles = f"<style>{styles}</style>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and insert the styles if the answer is a page."""
        if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
            await self.app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in _LEFT_OUT]
        answer = _Answer(self._styles, send)
        await self.app({**scope, "headers": headers}, receive, answer.send)


class _Answer:
    """One answer: a page is held back until it is complete, anything else is sent on."""

    def __init__(self, styles: bytes, send: Send) -> None:
        self._styles = styles
        self._send = send
        self._start: Message | None = None
        self._body: list[bytes] = []

    async def send(self, message: Message) -> None:
        """Send a message on, or keep it if it is part of a page."""
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._send_page(self._start, b"".join(self._body))
        else:
            await self._send(message)

    async def _send_page(self, start: Message, page: bytes) -> None:
        before, end, after = page.rpartition(_BODY_END)
        whole = before + self._styles + end + after if end else page
        headers = MutableHeaders(scope=start)
        if page:  # the answer to a HEAD request has no body
            headers["content-length"] = str(len(whole))
        for name in ("etag", "last-modified", "accept-ranges"):
            if name in headers:
                del headers[name]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": whole})


def _is_page(start: Message) -> bool:
    return Headers(raw=start.get("headers", [])).get("content-type", "").startswith("text/html")
