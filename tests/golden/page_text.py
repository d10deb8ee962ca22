"""A page's content as lines of text: every heading, label, option, cell, help and curve, but no styles or scripts.

One item per line, indented as it is nested. Long lists of numbers are written as their first and last values and their
sum, images as their size and mean, so that a change of any number, word or order changes a line.
"""

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from google.protobuf.json_format import MessageToDict
from PIL import Image
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest

_LONG = 8  # longest list whose values are all written
# Fields that every element has, that only a browser uses, or whose names depend on the release of Streamlit.
_UNSEEN = {
    "id",
    "pageScriptHash",
    "elementType",
    "wrap",
    "setValue",
    "rawValue",
    "rawValues",
    "jsContent",
    "jsSourcePath",
    "htmlContent",
    "cssContent",
    "arrowData",
    "data",
    "allowEmpty",
    "acceptNewOptions",
    "formId",
    "mixed",
    "isolateStyles",
    "tag",
    "url",
    "elementHash",
    "unlinkedHash",
    "cssSourcePath",
    "deferredFileId",
    "gridCell",
    "scale",
}
_USUAL = {
    "direction": "VERTICAL",
    "justify": "JUSTIFY_START",
    "align": "ALIGN_START",
    "heightConfig": {"useContent": True},
    "widthConfig": {"useStretch": True},
    "labelVisibility": {},
    "rowGapConfig": {"gapSize": "SMALL"},
    "columnGapConfig": {"gapSize": "SMALL"},
    "gapConfig": {"gapSize": "SMALL"},
    "verticalAlignment": "TOP",
    "type": "secondary",
}
_KEY = re.compile(r"^\$\$ID-[0-9a-f]{32}-(.*)$")
_BYTES = re.compile(r"[A-Za-z0-9+/]{60,}={0,2}")  # base64
_STYLE = re.compile(r"""style=(["'])(.*?)\1""")
_SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
_PICTURE = re.compile(r"data:image/([a-z+]+);base64,([A-Za-z0-9+/=]+)")
_THEME = {"template", "plotly", "colorway", "paper_bgcolor", "plot_bgcolor", "font"}  # the same in every figure
_FRAME = ("convlab_nav", "convlab_share")  # on every page


def page_lines(app: AppTest) -> list[str]:
    """Return the lines of a page, followed by the parameters of its address."""
    address = [f"address {name}={text}" for name, text in _address(app).items()]
    return [*_lines(app._tree, 0), *address]


def _address(app: AppTest) -> dict[str, str]:
    return {name: text if isinstance(text, str) else text[0] for name, text in app.query_params.items()}


def _lines(node: Any, depth: int) -> Iterator[str]:
    children = getattr(node, "children", None)
    if children is None:
        yield from ("  " * depth + line for line in _element(node))
        return
    own = _block(node)
    if own:
        yield "  " * depth + own
    for child in children.values():
        yield from _lines(child, depth + bool(own))


def _block(block: Any) -> str:
    """Return the line of a container with visible properties, or "" for one that only holds its content."""
    proto = getattr(block, "proto", None)
    facts = {} if proto is None else MessageToDict(proto)
    arranged = {**facts.pop("flexContainer", {}), **facts.pop(block.type, {})}
    words = _words({**facts, **arranged})
    return f"{block.type}{words}" if words else ""


def _element(element: Any) -> Iterator[str]:
    facts: dict[str, Any] = MessageToDict(element.proto)
    if facts.get("componentName") in _FRAME or str(facts.get("body", "")).startswith("<style>"):
        return
    given: dict[str, Any] = {}
    if element.type not in ("button", "bidi_component") and "setValue" in facts:
        given["value"] = getattr(element, "value", None)
    shown = facts.pop("json", None) if element.type == "bidi_component" else None
    columns = facts.pop("columns", None) if element.type == "dataframe" else None
    if "tag" in facts and not facts.pop("hideAnchor", False):
        given["anchor"] = True  # a heading with a link to itself
    kind = str(facts.pop("componentName", element.type)).removeprefix("convlab_")
    yield f"{kind}{_words({**facts, **given})}"
    if shown is not None:
        yield from ("  " + line for line in _json_lines(json.loads(shown)))
    if element.type in ("dataframe", "table"):
        yield from ("  " + line for line in _table(shown_table(element), columns))


def _words(facts: Mapping[str, Any]) -> str:
    key = _KEY.match(str(facts.get("id", "")))
    named = [f" #{key[1]}"] if key else []
    usual = (name for name, value in facts.items() if value is None or value == _USUAL.get(name))
    left_out = {*_UNSEEN, *usual}
    return "".join([*named, *(f" {name}={_text(value)}" for name, value in facts.items() if name not in left_out)])


def _json_lines(value: Any, name: str = "", depth: int = 0) -> Iterator[str]:
    """Yield a line for each part of a component's data; for a figure, one for each trace and part of its layout."""
    if name.rpartition(".")[2] in _THEME:
        return
    if isinstance(value, str) and value.startswith('{"'):
        value = json.loads(value)
    if isinstance(value, dict) and depth < 3 and "bdata" not in value:
        for key, part in value.items():
            yield from _json_lines(part, f"{name}.{key}".strip("."), depth + 1)
    elif isinstance(value, list) and depth < 3 and any(isinstance(one, dict) for one in value) and len(value) < 40:
        for number, part in enumerate(value):
            yield f"{name}[{number}] {_text(part)}"
    elif value not in (None, "", [], {}):
        yield f"{name} {_text(value)}"


def shown_table(element: Any) -> pd.DataFrame:
    """Return a table with the texts of the numbers that have one (`pages.widgets.table`)."""
    table: pd.DataFrame = element.value
    texts = element.proto.arrow_data.styler.display_values
    if not texts:
        return table
    settings = json.loads(element.proto.columns or "{}")
    plain = [n for n in table.select_dtypes("number") if not settings.get(n, {}).get("type_config", {}).get("format")]
    places = [table.columns.get_loc(name) for name in plain]
    shown = convert_arrow_bytes_to_pandas_df(texts).iloc[:, places]
    return table.assign(**{name: list(shown.iloc[:, at]) for at, name in enumerate(plain)})


def _table(table: pd.DataFrame, columns: str | None) -> Iterator[str]:
    settings = json.loads(columns or "{}")
    for name, setting in settings.items():
        yield f"column {name}: {_text({key: value for key, value in setting.items() if value is not None})}"
    yield f"columns {' | '.join(map(str, table.columns))}"
    for row in table.itertuples(index=False):
        yield " | ".join("" if cell is None or cell != cell else _text(cell) for cell in map(_plain, row))


def _plain(cell: Any) -> Any:
    return cell.tolist() if isinstance(cell, np.generic | np.ndarray) else None if cell is pd.NaT else cell


def _text(value: Any) -> str:
    """Return a value as one line."""
    if isinstance(value, dict):
        if "bdata" in value:
            return _text(np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"]).tolist())
        if len(value) == 1 and "content" in value:
            return _text(value["content"])
        return "{" + ", ".join(f"{name}: {_text(part)}" for name, part in value.items() if name != "template") + "}"
    if isinstance(value, list | tuple):
        return _row(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        text = _SVG.sub(lambda found: _svg(found[0]), _PICTURE.sub(_picture, value))
        text = _STYLE.sub(lambda found: f"style={_digest(found[2].encode())}", text)
        return _BYTES.sub(_bytes, text).replace("\n", "⏎")
    return str(value)


def _row(values: Sequence[Any]) -> str:
    if len(values) <= _LONG:
        return "[" + ", ".join(map(_text, values)) + "]"
    start, end = ", ".join(map(_text, values[:3])), _text(values[-1])
    numbers = np.ravel([_numbers(each) for each in values]) if not _has_words(values) else None
    total = "" if numbers is None else f"; sum {np.nansum(numbers):.6g}"
    rest = "" if numbers is not None else f"; {sum(len(_text(each)) for each in values)} letters"
    return f"[{len(values)}: {start} … {end}{total}{rest}]"


def _has_words(values: Any) -> bool:
    if isinstance(values, list | tuple):
        return any(map(_has_words, values)) or len({len(one) for one in values if isinstance(one, list)}) > 1
    return isinstance(values, str | dict)


def _numbers(value: Any) -> Any:
    return (
        [_numbers(one) for one in value]
        if isinstance(value, list | tuple)
        else np.nan
        if value is None
        else float(value)
    )


def _picture(found: re.Match[str]) -> str:
    data = base64.b64decode(found[2])
    if found[1] == "svg+xml":
        return f"svg:{_digest(data)}"
    picture = Image.open(io.BytesIO(data))
    return f"{found[1]}:{picture.width}×{picture.height} mean {np.asarray(picture.convert('L')).mean():.4g}"


def _svg(drawing: str) -> str:
    """Return an SVG as a digest followed by its texts."""
    words = " ".join(re.sub(r"<[^>]*>", " ", drawing).split())
    return f"svg:{_digest(drawing.encode())} {words}"


def _bytes(found: re.Match[str]) -> str:
    data = base64.b64decode(found[0] + "=" * (-len(found[0]) % 4))
    return f"bytes:{len(data)} mean {np.frombuffer(data, np.uint8).mean():.4g}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:6]
