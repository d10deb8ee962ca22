"""One channel of a layer: the test images to which it responds most, and the accuracy without it."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.formatting import format_percent, plural
from lab.inspection.channels import ChannelStudy, ClassChange, class_changes
from lab.inspection.receptive_field import ReceptiveField
from pages.cache.channels import channel_study_of
from pages.components.tiles import Tile, tiles
from pages.inside.subject import Subject
from pages.markdown import plain
from pages.state.inside import look_at
from pages.state.keys import element
from pages.widgets.waiting import images_at_once, worth_waiting

_PASSES = 2  # with the channel and without it
_NAMED = 3  # classes


def show_channel(subject: Subject, layer: str, channel: int, field: ReceptiveField | None, *, read_side: int) -> None:
    """Draw the images and the accuracy. field: of the layer, counted in pixels of an image of `read_side` rows."""
    count = min(images_at_once(subject.run, passes=_PASSES), len(subject.dataset.test_images))
    if not worth_waiting(
        subject.run,
        passes=_PASSES * count,
        what="Searching for images to which this channel responds",
        key=element("channel", subject.moment.digest),
    ):
        return
    with st.spinner("Searching for images to which this channel responds"):
        study = channel_study_of(*subject.key, subject.run.config.dataset, layer, channel, count)
    st.markdown(f"**Images with the highest values of channel {channel}**")
    _strongest(subject, study, field, read_side)
    st.markdown(f"**Without channel {channel}**")
    st.markdown(plain(describe(study, subject.classes)))


def _strongest(subject: Subject, study: ChannelStudy, field: ReceptiveField | None, read_side: int) -> None:
    images = paint.image_tiles(subject.dataset.test_images[study.strongest])
    if field is not None:
        for image, (row, column) in zip(images, study.places, strict=True):
            _highlight(image, field.pixels(int(row)), field.pixels(int(column)), read_side)
    names = [subject.classes[label] for label in subject.dataset.test_labels[study.strongest]]
    tiles(
        "inside-strongest",
        paint.pack(images),
        [
            Tile(label=f"Test image {number}, a {name}: {value:.2f}", one=name, two=f"{value:.2f}")
            for number, name, value in zip(study.strongest, names, study.values, strict=True)
        ],
        name="Images with the highest values",
        height=64,
        cell=64,
        on_pick=lambda place: look_at(int(study.strongest[place])),
    )
    lit = "The bright square is the receptive field of the highest value. " if field is not None else ""
    st.caption(
        f"Of {plural(len(study.answers.labels), 'test image')}, {subject.moment.words}. {lit}Click an image to choose it."
    )


def _highlight(image: np.ndarray, rows: tuple[int, int], columns: tuple[int, int], read_side: int) -> None:
    """Brighten a receptive field in an image uint8 (H, W, 3), in place, and darken the rest."""
    side = len(image)
    top, left = (first * side // read_side for first in (rows[0], columns[0]))
    bottom, right = (-(-(last + 1) * side // read_side) for last in (rows[1], columns[1]))
    inside = image[top:bottom, left:right].astype(float)
    image[:] = image * 0.4
    image[top:bottom, left:right] = np.round(56 + inside * (199 / 255))


def describe(study: ChannelStudy, classes: Sequence[str]) -> str:
    """Return the accuracies with and without the channel, and the classes that need it most."""
    before, after = study.answers.accuracy, study.without.accuracy
    changed = int((study.answers.predicted != study.without.predicted).sum())
    first = (
        f"With this channel set to 0, {format_percent(after, digits=1)} of the {len(study.answers.labels):,} images are "
        f"recognised instead of {format_percent(before, digits=1)} ({100 * (after - before):+.1f} points)"
    ).replace("-", "−")
    if not changed:
        return f"{first}: no prediction changes. The network does not need it for these images."
    first = f"{first}; {plural(changed, 'prediction changes', 'predictions change')}."
    hurt = [each for each in class_changes(study) if each.without < each.recognised][:_NAMED]
    if not hurt:
        return f"{first} No class is recognised less often."
    return f"{first} Most affected: {', '.join(_class_words(classes[each.label], each) for each in hurt)}."


def _class_words(name: str, change: ClassChange) -> str:
    shares = [format_percent(share, digits=0) for share in (change.recognised, change.without)]
    return f"{name} ({' → '.join(shares)})"
