"""Distorted images: how the network's answer to one of them changes, and how its accuracy does over many."""

from dataclasses import replace

import streamlit as st

from lab.charts.robustness import accuracy_figure, level_map, level_map_figure, level_map_words
from lab.charts.tiles import image_tiles, pack
from lab.errors import NotFiniteError
from lab.formatting import format_percent, percent_number, plural
from lab.inspection.distortions import DISTORTIONS, Distortion, Robustness, read_robustness
from lab.runs.records import RunRecord
from pages.cache.robustness import level_probabilities_of, levels_of, robustness_of
from pages.components.plot import plot
from pages.components.tiles import Tile, tiles
from pages.inside.image import show_picture
from pages.inside.subject import Picture, Subject, moments_of, selected_moment
from pages.markdown import plain
from pages.state.address import find_run
from pages.state.codec import one_of, whole
from pages.state.inside import INSIDE
from pages.state.keys import element
from pages.widgets.runs import run_title, with_id
from pages.widgets.segments import choose_segment
from pages.widgets.theme import dark
from pages.widgets.waiting import images_at_once, worth_waiting


def show_robustness(subject: Subject, picture: Picture) -> None:
    """Draw the choice of a distortion, the image at its levels, and the accuracy at them."""
    titles = {name: distortion.title for name, distortion in DISTORTIONS.items()}
    name = choose_segment(INSIDE, "distortion", titles, label="Distortion", then=lambda: INSIDE.change(level=None))
    distortion = DISTORTIONS[name]
    st.caption(distortion.help)
    level = _level(distortion)
    _one_image(subject, picture, name, level)
    st.header("Accuracy", anchor=False)
    _many_images(subject, name, level)


def _level(distortion: Distortion) -> int:
    """Return the index of the chosen level. Another distortion may have fewer."""
    last = len(distortion.levels) - 1
    INSIDE.take("level", read=whole(0, last))
    held = INSIDE.read().level
    INSIDE.show("level")
    return distortion.levels.index(distortion.start) if held is None or held > last else held


def _one_image(subject: Subject, picture: Picture, name: str, level: int) -> None:
    distortion = DISTORTIONS[name]
    with st.spinner("Distorting the image"):  # the first time, this imports a library
        images = levels_of(picture.pixels, name)
    probabilities = level_probabilities_of(*subject.key, picture.pixels, name)
    answers = probabilities.argmax(axis=1).tolist()
    words = []
    for label, answer, shares in zip(distortion.labels, answers, probabilities, strict=True):
        sure, read = format_percent(float(shares[answer]), digits=0), subject.classes[answer]
        wrong = picture.label is not None and answer != picture.label
        words.append(Tile(label=f"{label}: read as {read} with {sure}", one=f"{label} → {read}", two=sure, bad=wrong))
    tiles(
        "inside-levels",
        pack(image_tiles(images)),
        words,
        name=f"The image at every level of {distortion.title.lower()}",
        height=56,
        cell=60,
        selected=level,
        on_pick=lambda place: INSIDE.change(level=place),
    )
    left, right = st.columns([1.2, 3], gap="medium")
    with left:
        at = f"{picture.name}, {distortion.title.lower()} {distortion.labels[level]}"
        show_picture(subject, replace(picture, pixels=images[level], name=at))
    with right:
        info = level_map(probabilities, subject.classes, chosen=level, truth=picture.label)
        plot(
            "inside-level-map",
            level_map_figure(info, distortion, dark=dark()),
            words=level_map_words(info, distortion),
            name="probabilities",
        )
        st.caption("Probability of each class at every level; the chosen level has a frame.")


def _many_images(subject: Subject, name: str, level: int) -> None:
    other = _choose_other(subject)
    compared = (subject.run,) if other is None else (subject.run, other)
    count = images_at_once(*compared, passes=len(DISTORTIONS[name].levels))
    available = min(count, len(subject.dataset.test_images))
    measured = []
    for run in compared:
        digest = subject.moment.digest if run is subject.run else selected_moment(run, moments_of(run)[0]).digest
        passes = available * len(DISTORTIONS[name].levels)
        asked = element("robustness", digest, name)
        if not worth_waiting(run, passes=passes, what=f"Classifying {passes:,} distorted images", key=asked):
            return
        with st.spinner("Classifying distorted images"):
            try:
                found = robustness_of(run.id, digest, subject.run.config.dataset, name, count)
            except NotFiniteError:
                if run is subject.run:
                    raise
                st.error(
                    plain(f"{_words(run)} has diverged, so its outputs are not finite: choose another run to compare."),
                    icon=":material/error:",
                )
                continue
        measured.append((_words(run), found))
    _show_accuracies(measured, name, level)
    st.caption(
        f"Measured with {plural(measured[0][1].images, 'test image')}, evenly spaced over the test set, "
        f"{subject.moment.words}."
        + (f" {plain(_words(other))} is measured with its selected weights." if other and len(measured) > 1 else "")
    )


def _choose_other(subject: Subject) -> RunRecord | None:
    """Return the run to compare with, None if none is chosen."""
    linked, _ = find_run(INSIDE.text("against"))  # it may be older than those listed
    data = subject.run.config.dataset
    others = {
        run.id: run
        for run in (*subject.listed, *([linked] if linked else []))
        if run.id != subject.run.id and run.config.dataset == data and run.has_weights
    }
    INSIDE.take("against", read=one_of(others))
    if not others:
        return None
    if INSIDE.read().against not in others:
        INSIDE.change(against=None)
    chosen = st.selectbox(
        "Compare with",
        list(others),
        index=None,
        format_func=lambda run: _words(others[run]),
        placeholder="Another run on the same data set",
        **INSIDE.widget("against", offered=tuple(others)),
    )
    INSIDE.show("against")
    return None if chosen is None else others[chosen]


def _words(run: RunRecord) -> str:
    return with_id(run_title(run), run.id, letters=6)


def _show_accuracies(measured: list[tuple[str, Robustness]], name: str, level: int) -> None:
    distortion = DISTORTIONS[name]
    sentences = [plain(read_robustness(found)) for _, found in measured]
    if len(measured) > 1:
        sentences = [f"- **{plain(run)}**: {words}" for (run, _), words in zip(measured, sentences, strict=True)]
    plot(
        "inside-robustness",
        accuracy_figure(measured, distortion, chosen=level, dark=dark()),
        words=" ".join(f"{run}: {read_robustness(found)}" for run, found in measured),
        name="robustness",
    )
    st.markdown("\n".join(sentences))
    with st.expander("Accuracy at every level"):
        st.dataframe(
            [
                {distortion.title: label} | {run: percent_number(found.accuracies[at]) for run, found in measured}
                for at, label in enumerate(distortion.labels)
            ],
            hide_index=True,
            width="stretch",
            key=element("inside-robustness-levels"),
            alt=f"Accuracy at every level of {distortion.title.lower()}",
            column_config={run: st.column_config.NumberColumn(format="%.1f %%") for run, _ in measured},
        )
