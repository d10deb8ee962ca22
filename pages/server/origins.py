"""Decides which requests may reach the lab from Host, Origin, Sec-Fetch-Site and a token, before Streamlit runs.

Streamlit's own check of a WebSocket accepts a missing Origin and every port of this machine, and for any other origin
it queries an external service for the machine's public IP inside the event loop. Here only the exact origin of the
request (scheme, host and port) and those of `server.corsAllowedOrigins` are accepted, and nothing is looked up.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEMES = {"ws": "http", "wss": "https"}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})  # "none": typed, or opened from a bookmark
HOST_REFUSED = (
    "403: this lab does not accept requests under this host name. If the name is yours, start the lab with `python -m "
    "lab serve --allow NAME`, or add it to server.allowedHosts in .streamlit/config.toml.\n"
)
ORIGIN_REFUSED = (
    "403: this request comes from another web page. Behind a proxy, add the lab's public origin, such as "
    "https://lab.example, to server.corsAllowedOrigins in .streamlit/config.toml.\n"
)
NO_ORIGIN = (
    "403: this request has no origin, so it does not come from a page of this lab. For tools, set LAB_TOKEN for the "
    "server and send it as 'Authorization: Bearer TOKEN'.\n"
)
Origin = tuple[str, str, int]  # scheme, host, port


@dataclass(frozen=True, slots=True)
class Access:
    """What the server accepts: host names, origins in addition to its own, and the token of tools ("" for none).

    framed: whether pages of other sites may show the lab in a frame; which sites, the browser checks.
    """

    hosts: Sequence[str]
    origins: Sequence[str] = ()
    token: str = ""
    framed: bool = False


def host_allowed(host: str | None, allowed: Sequence[str]) -> bool:
    """Whether a Host header names one of the allowed hosts; "*.name" allows subdomains, "*" and an empty list all."""
    if not allowed or "*" in allowed:
        return True
    try:
        parts = urlsplit(f"//{host or ''}")
        name = (parts.hostname or "").rstrip(".")
        _ = parts.port  # raises if it is not a port
    except ValueError:
        return False
    if not name or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        return False
    known = [entry.strip().lower().rstrip(".") for entry in allowed]
    return any(name == entry or (entry.startswith("*.") and name.endswith(entry[1:])) for entry in known)


def parse_origin(text: str) -> Origin | None:
    """Return (scheme, host, port) of an Origin header with the default port filled in, None if it is not an origin."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    if parts.path or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname.rstrip("."), port or _DEFAULT_PORTS[parts.scheme]


def request_origin(scope: Scope) -> str:
    """Return the origin under which this request reached the server, such as "http://localhost:8501"."""
    scheme = str(scope.get("scheme", "http"))
    return f"{_SCHEMES.get(scheme, scheme)}://{Headers(scope=scope).get('host', '')}"


def refusal(scope: Scope, access: Access) -> str:
    """Return why an HTTP request or a WebSocket handshake is refused, "" if it may pass."""
    headers = Headers(scope=scope)
    host = headers.get("host")
    if host is None or not host_allowed(host, access.hosts):
        return HOST_REFUSED
    origin = headers.get("origin")
    if origin is not None:
        accepted = {parse_origin(request_origin(scope)), *map(parse_origin, access.origins)} - {None}
        return "" if parse_origin(origin) in accepted and len(headers.getlist("origin")) == 1 else ORIGIN_REFUSED
    if scope["type"] == "websocket":
        return "" if _has_token(headers, access.token) else NO_ORIGIN
    return _refusal_without_origin(scope["method"], headers, access)


def _refusal_without_origin(method: str, headers: Headers, access: Access) -> str:
    """Check an HTTP request of a tool, or a browser's GET: browsers send no Origin with same-origin GET requests.

    Another site may link to the lab, but not load its routes as pictures or scripts, and as frames only if it is
    allowed to embed the lab: the browser compares it with the policy in the response.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITES:
        opened = ("document", "iframe") if access.framed else ("document",)
        link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") in opened
        return "" if link and method in _SAFE_METHODS else ORIGIN_REFUSED
    if method in _SAFE_METHODS or site == "same-origin" or _has_token(headers, access.token):
        return ""
    return NO_ORIGIN


def _has_token(headers: Headers, token: str) -> bool:
    given = headers.get("authorization", "")
    return bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
