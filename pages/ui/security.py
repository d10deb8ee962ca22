"""What every HTTP answer of the lab is checked for and carries.

Streamlit's `server.allowedHosts` guards only the WebSocket, so a page elsewhere could read our routes under a name that
it points at this machine (DNS rebinding). This middleware asks the same list for every request, and adds the headers
that keep other sites from framing the lab and foreign scripts from running in it.
"""

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def host_allowed(host: str | None, allowed: list[str]) -> bool:
    """Whether a Host header names one of the allowed hosts; "*.name" allows subdomains, "*" and an empty list all."""
    if not allowed or "*" in allowed:
        return True
    try:
        parts = urlsplit(f"//{host or ''}")
        name = (parts.hostname or "").rstrip(".")
        _ = parts.port  # raises when it is not a port
    except ValueError:
        return False
    if not name or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        return False
    known = [entry.strip().lower().rstrip(".") for entry in allowed]
    return any(name == entry or (entry.startswith("*.") and name.endswith(entry[1:])) for entry in known)


def inline_script_hashes(html: str) -> list[str]:
    """Return the CSP sources that allow exactly the inline scripts of a page, such as "'sha256-…'"."""
    digests = [hashlib.sha256(body.encode()).digest() for body in _INLINE_SCRIPT.findall(html)]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def content_security_policy(host: str) -> str:
    """Return the policy under which Streamlit, Plotly and our components work and nothing foreign does.

    Components written inline are loaded as blob modules; Streamlit and Plotly set style attributes. `host` must have
    passed `host_allowed`.
    """
    index = Path(st.__file__).parent / "static" / "index.html"
    scripts = " ".join(inline_script_hashes(index.read_text(encoding="utf-8")))
    return "; ".join([
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
        "frame-ancestors 'self'",
    ])  # fmt: skip


class Guard:
    """ASGI middleware: refuses foreign hosts with 403 and adds the security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._policies: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request; WebSockets pass through to Streamlit's own check of the same list."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host")
        if host is None or not host_allowed(host, st.get_option("server.allowedHosts")):
            answer = PlainTextResponse(
                "403: this lab does not answer under this name. Add it to server.allowedHosts in "
                ".streamlit/config.toml if it is yours.\n",
                status_code=403,
            )
            await answer(scope, receive, send)
            return
        policy = self._policies.get(host) or self._remember(host)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                headers["X-Frame-Options"] = "SAMEORIGIN"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _remember(self, host: str) -> str:
        policy = content_security_policy(host)
        if len(self._policies) < 64:  # hosts are few unless every one is allowed
            self._policies[host] = policy
        return policy
