"""The image next to most views: its source, an enlarged picture, and the network's answer at this epoch."""

from html import escape

import numpy as np
import streamlit as st

from lab.charts.tiles import encode, image_tiles, pack
from lab.data.pictures import read_picture
from lab.data.pixels import is_on_paper
from lab.formatting import format_percent
from lab.inspection.images import read_image
from lab.sketch.normalise import normalise
from lab.sketch.saved import decode_ink
from lab.sketch.unsure import UnsureRule, assess_answer
from pages.cache.drawing import digits_of
from pages.cache.inspection import next_mistake, probabilities_of
from pages.cache.lab import get_lab
from pages.cache.photos import LARGEST_MB, PICTURE_KINDS, photo_of
from pages.components.tiles import Tile, tiles
from pages.inside.subject import Picture, Subject
from pages.markdown import plain
from pages.registry import page_path
from pages.state.codec import one_of, whole
from pages.state.inside import INSIDE, SOURCES, look_at
from pages.state.keys import element
from pages.widgets.number_choice import choose_number, show_refusal
from pages.widgets.segments import choose_segment

_ENLARGE = 8
_SHOWN = 10  # bars
_STRIP = 40  # thumbnails per page of the strip
_BARS = """<style>
.cl-probs { display: grid; grid-template-columns: minmax(1.2rem, auto) 1fr 3.6rem; gap: 0.22rem 0.5rem;
  align-items: center; font-size: 0.86rem; }
.cl-probs b { font-weight: 600; text-align: right; white-space: nowrap; }
.cl-probs .t { background: color-mix(in srgb, currentColor 12%, transparent); border-radius: 0.25rem; height: 0.8rem;
  overflow: hidden; }
.cl-probs .t i { display: block; height: 100%; background: #2f86cf; border-radius: 0.25rem; }
.cl-probs .wrong .t i, .cl-probs .t i.wrong { background: #d98a1f; }
.cl-probs .p { text-align: right; font-variant-numeric: tabular-nums; }
</style>"""


def choose_picture(subject: Subject) -> Picture | None:
    """Draw the source's widgets and return the image, None if the source has no image yet."""
    row = st.container(horizontal=True, vertical_alignment="bottom", key=element("inside-chooser"))
    with row:
        source = choose_segment(INSIDE, "source", SOURCES, label="Image")
    if source == "drawing":
        return _drawn(subject)
    INSIDE.leave("drawing")
    if source == "upload":
        return _uploaded(subject)
    with row:
        picture = _test_image(subject)
    show_refusal(INSIDE.widget_key("image"), beside=INSIDE.read().image)
    _strip(subject, INSIDE.read().image)
    return picture


def _drawn(subject: Subject) -> Picture | None:
    """Return a saved drawing, prepared like the images of the run's data set."""
    spec = subject.dataset.spec
    if spec.recipe is None:
        words = "has colour images, so drawings cannot be prepared for it: choose a test image, or upload a picture."
        st.caption(f"{plain(spec.title)} {words}")
        return None
    saved = {each.id: each for each in get_lab().store.sketches.list() if each.label in spec.classes}
    if not saved:
        st.caption("No drawings are saved yet. Save one with its label on the Draw page.")
        st.page_link(page_path("draw"), label="Draw", icon=":material/draw:")
        return None
    numbers = {id: number for number, id in enumerate(saved, start=1)}
    INSIDE.take("drawing", read=one_of(saved))
    if INSIDE.read().drawing not in saved:
        INSIDE.change(drawing=list(saved)[-1])
    chosen = st.selectbox(
        "Saved drawing",
        list(saved)[::-1],
        format_func=lambda each: f"{saved[each].label}, drawing {numbers[each]}",
        **INSIDE.widget("drawing"),
    )
    INSIDE.show("drawing")
    pixels = normalise(decode_ink(saved[chosen].png), recipe=spec.require_recipe())
    return Picture(pixels, spec.classes.index(saved[chosen].label), f"drawing {numbers[chosen]}")


def _test_image(subject: Subject) -> Picture:
    """Draw the widgets that choose a test image and return the chosen one. `_strip` shows its neighbours."""
    labels = subject.dataset.test_labels
    count = len(labels)
    INSIDE.take("image", read=whole(0, count - 1))
    names = ("", *subject.classes)
    if INSIDE.read().only not in names:
        INSIDE.change(only="")
    st.selectbox(
        "Class",
        names,
        format_func=lambda name: name or "all",
        width=110,
        **INSIDE.widget("only", then=lambda: _first_of_class(subject)),
    )
    number = choose_number(INSIDE, "image", f"Number, 0 to {count - 1:,}", 0, count - 1, width=150)
    st.button("Random", icon=":material/shuffle:", on_click=_random, args=(subject,), key=element("inside-random"))
    st.button(
        "Next error",
        icon=":material/error:",
        on_click=_next_mistake,
        args=(subject,),
        help="The next test image that the network misreads at this epoch.",
        key=element("inside-mistake"),
    )
    INSIDE.show("image")
    return Picture(subject.dataset.test_images[number], int(labels[number]), f"test image {number}")


def _of_class(subject: Subject) -> np.ndarray:
    """Return the numbers of the test images of the chosen class, or of all images if no class is chosen."""
    only = INSIDE.read().only
    labels = subject.dataset.test_labels
    if only not in subject.classes:
        return np.arange(len(labels))
    return np.flatnonzero(labels == subject.classes.index(only))


def _strip(subject: Subject, number: int) -> None:
    """Show the images around the chosen one; a click chooses another one."""
    numbers = _of_class(subject)
    page = int(np.searchsorted(numbers, number)) // _STRIP
    shown = numbers[page * _STRIP : (page + 1) * _STRIP]
    if not len(shown):
        shown = numbers[-_STRIP:]
    found = np.flatnonzero(shown == number)
    names = [subject.classes[label] for label in subject.dataset.test_labels[shown]]
    tiles(
        "inside-images",
        pack(image_tiles(subject.dataset.test_images[shown])),
        [Tile(label=f"test image {k}", one=name) for k, name in zip(shown, names)],
        name="Images to choose from",
        height=40,
        cell=48,
        selected=int(found[0]) if len(found) else None,
        row=True,
        on_pick=lambda place: look_at(int(shown[place])),
    )


def _first_of_class(subject: Subject) -> None:
    numbers = _of_class(subject)
    if len(numbers) and INSIDE.read().image not in numbers:
        look_at(int(numbers[0]))


def _random(subject: Subject) -> None:
    numbers = _of_class(subject)
    if len(numbers):
        look_at(int(np.random.default_rng().choice(numbers)))


def _next_mistake(subject: Subject) -> None:
    """Choose the next misread image of the chosen class, wrapping around at the end."""
    numbers = _of_class(subject)
    found = next_mistake(*subject.key, subject.run.config.dataset, numbers, after=INSIDE.read().image)
    if found.number is not None:
        look_at(found.number)
    elif found.asked < len(numbers):
        st.toast(f"No errors among the next {found.asked:,} images. Press again to search further.")
    else:
        st.toast("There are no errors at this epoch.")


def _uploaded(subject: Subject) -> Picture | None:
    """Return an uploaded picture: unchanged if it has the network's size, else the digit found in it."""
    spec = subject.dataset.spec
    size = spec.image_size
    file = st.file_uploader("Picture file", PICTURE_KINDS, key=element("inside-upload"), max_upload_size=LARGEST_MB)
    cut = spec.drawable and st.toggle(
        "Cut out the digit",
        **INSIDE.widget("cut"),
        help="The digit is found and prepared as on the Draw page. Off: the whole picture, resized.",
    )
    if file is None:
        st.caption(f"A photo or scan of any size. A picture of {size}×{size} pixels is used unchanged.")
        return None
    data = file.getvalue()
    pixels = read_image(data, size=size, channels=spec.channels, fit=True, name=file.name)
    if cut and read_picture(data, name=file.name).shape != (size, size):
        return _cut_out(subject, data, file.name)
    if INSIDE.read().upload != file.file_id:  # guessed once for each file; the toggle overrides it
        INSIDE.change(upload=file.file_id, invert=spec.channels == 1 and is_on_paper(pixels))
    invert = spec.channels == 1 and st.toggle("Dark ink on white paper", **INSIDE.widget("invert"))
    return Picture(255 - pixels if invert else pixels, None, file.name)


def _cut_out(subject: Subject, data: bytes, name: str) -> Picture | None:
    """Return the digit in a photo, normalised; if there are several, the chosen one.

    Touching digits are split by the run's selected weights, so that their number does not change with the epoch.
    """
    spec = subject.dataset.spec
    found = photo_of(data, name, split=spec.has_digits)
    if not found.digits:
        st.warning(plain(found.reason))
        return None
    digits = [each.sketch for each in digits_of(subject.run.id, subject.answering.digest, data, name)]
    number = 1
    if len(digits) > 1:
        label = f"Digit, 1 to {len(digits)} from left to right"
        number = choose_number(INSIDE, "digit", label, 1, len(digits))
        show_refusal(INSIDE.widget_key("digit"), beside=number)
    if len(digits) > len(found.digits):
        st.caption("Touching digits were split.")
    digit = digits[number - 1]
    pixels = normalise(digit, recipe=spec.require_recipe())
    probabilities = probabilities_of(*subject.key, pixels)
    verdict = assess_answer(probabilities, rule=UnsureRule(), sketch=digit, image=pixels)
    if verdict.unsure:
        st.caption(plain(f"Unsure whether it is a digit: {verdict.reasons[0]}."))
    return Picture(pixels, None, name if len(digits) == 1 else f"{name}, digit {number}")


def show_picture(subject: Subject, picture: Picture) -> None:
    """Show the image and the network's answer."""
    with st.container(key=element("inside-picture")):
        _enlarged(subject, picture)


def _enlarged(subject: Subject, picture: Picture) -> None:
    big = image_tiles(picture.pixels[None])[0].repeat(_ENLARGE, axis=0).repeat(_ENLARGE, axis=1)
    st.image(encode(big), width=big.shape[1], alt=f"The image {picture.name}, enlarged")
    probabilities = probabilities_of(*subject.key, picture.pixels)
    answer = int(probabilities.argmax())
    truth = "" if picture.label is None else subject.classes[picture.label]
    probability = plain(format_percent(float(probabilities[answer]), digits=1))
    prediction = f"Read as **{plain(subject.classes[answer])}** ({probability})"
    if picture.label is None:
        st.markdown(prediction)
    elif picture.label == answer:
        st.markdown(f":material/check_circle: {prediction}, which is correct")
    else:
        st.markdown(f":material/cancel: {prediction}, but it is **{plain(truth)}**")
    st.html(_BARS + bars_html(probabilities, subject.classes, label=picture.label))


def bars_html(probabilities: np.ndarray, classes: tuple[str, ...], *, label: int | None) -> str:
    """Return the probabilities as bars: of up to ten classes all in order, else the highest ones and the true class."""
    if len(classes) <= _SHOWN:
        order = list(range(len(classes)))
    else:
        order = [int(k) for k in np.argsort(-probabilities)[:_SHOWN]]
        if label is not None and label not in order:
            order.append(label)
    top = int(probabilities.argmax())
    rows = []
    for k in order:
        share = float(probabilities[k])
        wrong = " class='wrong'" if k == top and label is not None and k != label else ""
        mark = " ✓" if k == label else ""
        rows.append(
            f"<b>{escape(classes[k])}{mark}</b><span class='t'><i{wrong} style='width:{100 * share:.1f}%'></i></span>"
            f"<span class='p'>{escape(format_percent(share, digits=1))}</span>"
        )
    return f"<div class='cl-probs' role='group' aria-label='Probabilities of the classes'>{''.join(rows)}</div>"
