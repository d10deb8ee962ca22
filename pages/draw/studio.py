"""The drawing board: pad, answers, and explanations below. One fragment, so that only it reruns while one draws."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lab.data.recipes import Recipe
from lab.sketch.normalise import ALL_STEPS, STEP_TITLES, STEPS, normalise, normalise_steps
from lab.sketch.reading import Answer, average, compare_steps, read_sketch
from lab.sketch.sketch import Sketch
from pages.draw.inside import inside, similar
from pages.draw.models import Model
from pages.draw.network import whole_network
from pages.draw.pad import standard_pad, switch_pad
from pages.draw.saved_drawings import save_form
from pages.draw.view import answers_html, line_html, steps_html
from pages.markdown import plain
from pages.state.draw import DRAW, VIEW_TITLES, VIEWS, DrawPage, draw_page
from pages.widgets.frame import show_errors
from pages.widgets.pad import live_pad


@st.fragment
def studio(models: Sequence[Model]) -> None:
    """Show the pad, the models' answers, and the chosen view below them."""
    with show_errors():
        page = draw_page()
        left, right = st.columns([5, 9], gap="large")
        with left:
            # Above the pad, where a finger does not cover it and a phone shows it. Not `st.empty`: that removes the old
            # line before the new one is there, so the pad jumps up for a moment and the stroke gets a kink.
            line = st.container()
            sketch = show_pad(page)
        images = normalised(models, sketch, steps=frozenset(DRAW.read().steps))
        answers = read_all(models, sketch, images)
        with right:
            show_answers(models, answers, page=page, sketch=sketch, line=line)
        _views(models, sketch, images, answers, page)


def show_pad(page: DrawPage) -> Sketch:
    """Show the chosen pad with its toggle below it, and return what is drawn on it."""
    pad = st.container()
    live = st.toggle(
        "Answer while I draw",
        help="On: answers update while you draw. Off: the standard canvas, which updates them after each stroke.",
        **DRAW.widget("live_ink", then=_switch),
    )
    with pad:
        return live_pad(page) if live else standard_pad(page)


def _switch() -> None:
    switch_pad(draw_page())


def normalised(
    models: Sequence[Model], sketch: Sketch, *, steps: frozenset[str] = ALL_STEPS
) -> dict[Recipe, np.ndarray]:
    """Return the image that each recipe makes of the sketch, uint8 (side, side)."""
    return {recipe: normalise(sketch, recipe=recipe, steps=steps) for recipe in {model.recipe for model in models}}


def read_all(models: Sequence[Model], sketch: Sketch, images: dict[Recipe, np.ndarray]) -> list[Answer]:
    """Return each model's answer to the image that its recipe made."""
    return [read_sketch(model.loaded, sketch, images[model.recipe], rule=model.rule) for model in models]


def show_answers(
    models: Sequence[Model], answers: Sequence[Answer], *, page: DrawPage, sketch: Sketch, line: DeltaGenerator
) -> None:
    """Show a card for each model and one for their average, and a summary in the container `line`."""
    cards = [(title, subtitle(model), answer) for title, model, answer in zip(titles(models), models, answers)]
    ensemble = average(answers)
    if ensemble is not None:
        cards.append(("Ensemble", f"average of {len(answers)} models", ensemble))
    line.html(line_html(cards, blank=sketch.blank))
    ink = 0 if sketch.blank else int(sketch.ink.sum(dtype=np.int64))
    st.html(answers_html(cards, answered=page.answered, ink=ink))


def titles(models: Sequence[Model]) -> list[str]:
    """Return the titles of the cards; an unnamed run's title omits the data set if all models share it."""
    same = len({model.spec.id for model in models}) == 1
    return [model.title.removesuffix(f" on {model.spec.title}") if same else model.title for model in models]


def subtitle(model: Model) -> str:
    """Return the epoch and test accuracy of the loaded weights, and the augmentation of the training images."""
    run, result = model.run, model.loaded.result
    words = [result.text(run.config.epochs, live=not run.state.over) if result else f"epoch {model.loaded.epoch}"]
    if run.config.augment != "none":
        words.append(f"{run.config.augment} augmentation")
    return " · ".join(words)


def _views(
    models: Sequence[Model],
    sketch: Sketch,
    images: dict[Recipe, np.ndarray],
    answers: Sequence[Answer],
    page: DrawPage,
) -> None:
    view = st.segmented_control(
        "Show",
        VIEWS,
        format_func=lambda name: VIEW_TITLES.get(name, name),
        label_visibility="collapsed",
        required=True,
        **DRAW.widget("view"),
    )
    if view == "Network":
        whole_network(models, images, blank=sketch.blank)
    elif view == "Why":
        _why(models, sketch, answers)
    elif view == "Inside":
        inside(models, images, answers, blank=sketch.blank)
    elif view == "Nearest neighbours":
        similar(models, images, blank=sketch.blank)
    elif view == "Keep":
        save_form(models, sketch)


def _why(models: Sequence[Model], sketch: Sketch, answers: Sequence[Answer]) -> None:
    st.pills(
        "From your ink to the network's input. Turn steps off to see what they do.",
        STEPS,
        selection_mode="multi",
        format_func=lambda step: STEP_TITLES[step],
        **DRAW.widget("steps"),
    )
    if sketch.blank:
        st.caption("Draw something to see the image after each step.")
        return
    model, answer = models[0], answers[0]
    pictures = normalise_steps(sketch, recipe=model.recipe, steps=frozenset(DRAW.read().steps))
    without = compare_steps(model.loaded, sketch, recipe=model.recipe, steps=frozenset(DRAW.read().steps))
    st.html(steps_html(pictures, without=without, answer=answer))
    st.caption(
        f"Prepared like the images of {model.spec.title}, then normalised with mean {model.loaded.mean:.4f} and "
        f"standard deviation {model.loaded.std:.4f} for {plain(model.title)}. The small print shows its answer without "
        "the step."
    )
