"""Pictures as data URLs, for pages and reports that contain their pictures."""

import base64


def png_url(png: bytes) -> str:
    """Return a PNG as a data URL."""
    return _data_url("png", png)


def svg_url(svg: str) -> str:
    """Return an SVG document as a data URL."""
    return _data_url("svg+xml", svg.encode())


def _data_url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
