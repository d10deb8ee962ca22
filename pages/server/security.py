"""The middleware in front of Streamlit: refuses requests as `pages.server.origins` says, and adds security headers.

Streamlit's `server.allowedHosts` guards only the WebSocket, so a foreign page could read our routes under a name that
it resolves to this machine (DNS rebinding); its check of origins connects to an external service. A request refused
here reaches no Streamlit code. The headers prevent sites other than those named from framing the lab, and foreign
scripts from running.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from pages.server.origins import Access, refusal, request_origin

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def inline_script_hashes(html: str) -> list[str]:
    """Return the CSP sources that allow exactly the inline scripts of a page, such as "'sha256-…'"."""
    digests = [hashlib.sha256(body.encode()).digest() for body in _INLINE_SCRIPT.findall(html)]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def content_security_policy(host: str, sites: Sequence[str] = ()) -> str:
    """Return the policy that allows Streamlit, Plotly and our components, and nothing else.

    Inline components are loaded as blob modules; Streamlit and Plotly set style attributes. host: must have passed
    `host_allowed`. sites: origins whose pages may show the lab in a frame.
    """
    index = Path(st.__file__).parent / "static" / "index.html"
    scripts = " ".join(inline_script_hashes(index.read_text(encoding="utf-8")))
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' blob: {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' data: blob: ws://{host} wss://{host}",
            "worker-src 'self' blob:",
            "media-src 'self' data: blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            " ".join(["frame-ancestors 'self'", *sites]),
        ]
    )


class Guard:
    """ASGI middleware: answers foreign hosts and origins with 403, and adds the security headers to every response.

    token: what tools send as "Authorization: Bearer TOKEN" instead of an origin; "" for no such access. sites: origins
    whose pages may show the lab in a frame.
    """

    def __init__(self, app: ASGIApp, *, token: str = "", sites: Sequence[str] = ()) -> None:
        self.app = app
        self.token = token
        self.sites = sites
        self._policies: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one HTTP request or one WebSocket handshake."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        hosts, origins = st.get_option("server.allowedHosts"), st.get_option("server.corsAllowedOrigins")
        reason = refusal(scope, Access(hosts, origins, self.token, framed=bool(self.sites)))
        if scope["type"] == "websocket":
            await (_refuse(scope, receive, send, reason) if reason else self.app(_as_same_origin(scope), receive, send))
        elif reason:
            await PlainTextResponse(reason, status_code=403)(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope)["host"]
        policy = self._policies.get(host) or self._remember(host)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                if not self.sites:  # this header cannot name other sites; browsers that know the policy ignore it
                    headers["X-Frame-Options"] = "SAMEORIGIN"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _remember(self, host: str) -> str:
        policy = content_security_policy(host, self.sites)
        if len(self._policies) < 64:  # hosts are few unless every one is allowed
            self._policies[host] = policy
        return policy


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: str) -> None:
    """Answer a handshake with 403 and the reason instead of accepting it."""
    websocket = WebSocket(scope, receive, send)
    await websocket.receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        await websocket.send_denial_response(PlainTextResponse(reason, status_code=403))
    else:
        await websocket.close(code=1008)


def _as_same_origin(scope: Scope) -> Scope:
    """Return the scope of an accepted handshake with the request's own origin.

    Streamlit compares Origin and Host as text, and queries an external service if they differ.
    """
    own = request_origin(scope).encode("latin-1")
    headers = [(name, own if name == b"origin" else value) for name, value in scope["headers"]]
    return {**scope, "headers": headers}
