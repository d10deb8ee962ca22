"""A photo of handwriting: uploaded or pasted, split into its digits, each read by every network."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

import streamlit as st

from lab.errors import InputError
from lab.formatting import plural
from lab.sketch.boxes import Box
from lab.sketch.photo import Photo
from lab.sketch.photo_reading import Reader, read_photo
from lab.sketch.reading import Answer, average
from lab.sketch.sketch import Sketch
from pages.cache.photos import LARGEST_MB, PICTURE_KINDS, photo_of
from pages.components.base import component
from pages.draw.models import Model
from pages.draw.studio import normalised, titles
from pages.draw.view import percent, picture_url
from pages.markdown import plain
from pages.state.draw import DRAW
from pages.state.keys import element
from pages.widgets.frame import show_errors


@st.fragment
def photo(models: Sequence[Model]) -> None:
    """Draw the upload and paste inputs, and show what every network reads in the picture."""
    with show_errors():
        left, right = st.columns(2)
        with left:
            upload = st.file_uploader(
                "Photo of one or more digits",
                type=PICTURE_KINDS,
                key=element("draw-photo"),
                max_upload_size=LARGEST_MB,
                on_change=DRAW.change,
                kwargs={"source": "uploaded"},
            )
        with right:
            pasted = _pasted(
                component("paste")(key=element("draw-paste"), on_png_change=partial(DRAW.change, source="pasted"))
            )
        uploaded = None if upload is None else (upload.name, upload.getvalue())
        data = (pasted or uploaded) if DRAW.read().source == "pasted" else (uploaded or pasted)
        if data is None:
            st.caption(
                "Any light and any colours, on lined paper or on a table. Several digits are read one by one, from "
                "left to right."
            )
            return
        _show(models, *data)


def _pasted(value: Any) -> tuple[str, bytes] | None:
    text = value.get("png") if isinstance(value, Mapping) else getattr(value, "png", None)
    if not text:
        return None
    head, _, body = str(text).partition(",")
    try:
        if head != "data:image/png;base64":
            raise ValueError("it is not a PNG")
        return "the pasted picture", base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputError(f"The pasted picture cannot be read ({error}): save it and upload the file.") from error


def _show(models: Sequence[Model], name: str, data: bytes) -> None:
    split = any(model.spec.has_digits for model in models)
    found = photo_of(data, name, split=split)
    if not found.digits:
        st.warning(plain(found.reason))
        return
    status = st.empty()

    def say(number: int) -> None:
        if len(found.digits) > 1:  # this call is also where Streamlit ends the script of a closed tab
            status.caption(f"Reading digit {number} of {len(found.digits)}")

    readers = [Reader(model.loaded, model.recipe, model.rule) for model in models]
    digits = read_photo(found, readers, split=split, before=say)
    status.empty()
    read = [digit.answers for digit in digits]
    st.html(_summary(models, read))
    st.html(boxes_html(found, [digit.box for digit in digits], [_label(answers) for answers in read]))
    st.html(_table(models, [digit.sketch for digit in digits], read))


def _label(answers: Sequence[Answer]) -> str:
    """Return the label of a digit's box: the average of all networks, with a question mark if it is unsure."""
    answer = average(answers) or answers[0]
    return f"{answer.label}?" if answer.verdict.unsure else answer.label


def boxes_html(found: Photo, places: Sequence[Box], labels: Sequence[str]) -> str:
    """Return the photo with a box around each digit that was found, and its label above the box."""
    tall, wide = found.size
    boxes = "".join(
        f'<span style="--left:{left / wide:.4f};--top:{top / tall:.4f};--wide:{(right - left) / wide:.4f};'
        f'--tall:{(bottom - top) / tall:.4f}"><b>{escape(label)}</b></span>'
        for (top, left, bottom, right), label in zip(places, labels, strict=True)
    )
    words = f"The photo with {plural(len(labels), 'digit')} found: {', '.join(labels)}"
    sheet = found.sheet if found.sheet.shape[2] == 3 else found.sheet[..., 0]
    picture = f'<img alt="" src="{picture_url(sheet)}">'
    return f'<div class="cl-boxes" role="img" aria-label="{escape(words)}">{picture}{boxes}</div>'


def _summary(models: Sequence[Model], read: Sequence[Sequence[Answer]]) -> str:
    """Return the line with the digits that each network reads, and those of the ensemble."""
    lines = []
    for index, title in enumerate(titles(models)):
        lines.append(f"{escape(title)} reads {_digits([answers[index] for answers in read])}")
    ensemble = [average(answers) for answers in read]
    if all(answer is not None for answer in ensemble):
        lines.append(f"the ensemble reads {_digits([answer for answer in ensemble if answer is not None])}")
    return f'<p class="cl-line cl-photo" role="status">{"; ".join(lines)}.</p>'


def _digits(answers: Sequence[Answer]) -> str:
    """Return the digits that were read, and how many of them are unsure."""
    unsure = sum(answer.verdict.unsure for answer in answers)
    doubt = f" ({f'{unsure} of {len(answers)} digits ' if len(answers) > 1 else ''}unsure)" if unsure else ""
    return f"<b>{escape(''.join(answer.label for answer in answers))}</b>{doubt}"


def _table(models: Sequence[Model], digits: Sequence[Sketch], read: Sequence[Sequence[Answer]]) -> str:
    figures = []
    for digit, answers in zip(digits, read, strict=True):
        picture = normalised(models[:1], digit)[models[0].recipe]
        names = [f"{escape(title)}: " for title in titles(models)] if len(models) > 1 else [""]
        says = "".join(
            f"<small>{name}<b>{escape(answer.label)}</b> · {_certainty(answer)}</small>"
            for name, answer in zip(names, answers, strict=True)
        )
        figures.append(
            f'<figure><img decoding="sync" alt="One digit, normalised" src="{picture_url(picture)}">'
            f"<figcaption>{says}</figcaption></figure>"
        )
    return f'<div class="cl-steps">{"".join(figures)}</div>'


def _certainty(answer: Answer) -> str:
    """Return an answer's probability, or why it is unsure."""
    if answer.verdict.unsure:
        return f"unsure: {escape(answer.verdict.reasons[0])}"
    return percent(answer.probability)
