"""The guess game: ten digits to draw, and a score for each network that reads them."""

import random
from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np
import streamlit as st
from PIL import Image

from lab.charts.data_url import png_url
from lab.charts.tiles import encode, image_tiles
from lab.data.recipes import Recipe
from lab.formatting import plural
from lab.sketch.reading import Answer
from lab.sketch.saved import encode_ink
from lab.sketch.sketch import Sketch
from pages.cache.lab import get_lab
from pages.draw.models import Model
from pages.draw.pad import drawn
from pages.draw.studio import normalised, read_all, show_answers, show_pad, titles
from pages.markdown import plain
from pages.state.draw import Game, draw_page
from pages.state.keys import element
from pages.widgets.frame import show_errors
from pages.widgets.runs import with_id
from pages.widgets.table import NumberAsText, sortable

ROUNDS = 10
_RIGHT = " ✓"  # appended to a correct answer
_THUMB = 84  # side of a drawing among the results, in pixels


@st.fragment
def guess_game(models: Sequence[Model]) -> None:
    """Show the current round of the game, or the result of the last game."""
    with show_errors():
        page = draw_page()
        if not page.game.running:
            _result(models, page.game)
            with st.container(horizontal=True):
                st.button(
                    "Play again" if page.game.drawn else "Start",
                    type="primary",
                    icon=":material/play_arrow:",
                    key=element("draw-game-start"),
                    on_click=_start,
                    args=(models,),
                )
                if page.game.inks:
                    _offer_saving(page.game)
            return
        target = page.game.digits[page.game.round - 1]
        left, right = st.columns([5, 9], gap="large")
        with left:
            task = st.container(horizontal=True, vertical_alignment="center")  # above the pad, so that Done is visible
            line = st.container()  # above the pad, as in `studio`
            sketch = show_pad(page)
        answers = read_all(models, sketch, normalised(models, sketch))
        with task:
            st.header(f"Draw: {plain(target)}", anchor=False, width="content")
            st.caption(f"Round {page.game.round} of {len(page.game.digits)}", width="content")
            st.button(
                "Done",
                type="primary",
                icon=":material/check:",
                key=element("draw-game-next"),
                disabled=sketch.blank,
                on_click=_next,
                args=(models,),
            )
            st.button("Stop", key=element("draw-game-stop"), on_click=_stop)
        with right:
            show_answers(models, answers, page=page, sketch=sketch, line=line)


def _start(models: Sequence[Model]) -> None:
    page = draw_page()
    names = list(models[0].loaded.class_names)
    chosen = random.sample(names, len(names))[:ROUNDS]
    page.game = Game(tuple(chosen), 1, {model.id: 0 for model in models}, dataset=models[0].spec.id)
    page.clear()


def _next(models: Sequence[Model]) -> None:
    """Score the drawing as it is now; its last stroke may not have been read yet when "Done" was pressed."""
    page = draw_page()
    with show_errors():
        sketch = drawn(page)
        images = normalised(models, sketch)
        answers = read_all(models, sketch, images)
        page.game.pictures.append(_pictures(models, sketch, images))
        page.game.inks.append(encode_ink(sketch))
        _score(page.game, models, answers)
        page.clear()


def _score(game: Game, models: Sequence[Model], answers: Sequence[Answer]) -> None:
    target = game.digits[game.round - 1]
    hits = [answer.label == target and not answer.verdict.unsure for answer in answers]
    for model, hit in zip(models, hits, strict=True):
        game.scores[model.id] = game.scores.get(model.id, 0) + int(hit)
    game.understood += int(2 * sum(hits) > len(hits))
    game.drawn.append(
        {
            "Asked": target,
            **{
                with_id(title, model.id): ("unsure: " if answer.verdict.unsure else "") + answer.label
                for title, model, answer in zip(titles(models), models, answers, strict=True)
            },
        }
    )
    game.round += 1


def _pictures(models: Sequence[Model], sketch: Sketch, images: dict[Recipe, np.ndarray]) -> tuple[bytes, ...]:
    """Return a thumbnail of the drawing and each network's input, as PNGs."""
    small = np.asarray(Image.fromarray(np.ascontiguousarray(sketch.ink)).resize((_THUMB, _THUMB)))
    return tuple(encode(image_tiles(each[None])[0]) for each in (small, *(images[model.recipe] for model in models)))


def _stop() -> None:
    """End the game after the rounds that were played."""
    page = draw_page()
    page.game = replace(page.game, digits=page.game.digits[: len(page.game.drawn)])
    page.clear()


def _offer_saving(game: Game) -> None:
    """Draw the button that saves the drawings, each with the digit that was asked as its label."""
    st.button(
        "Saved in My drawings" if game.saved else "Save these drawings",
        icon=":material/check:" if game.saved else ":material/save:",
        key=element("draw-game-save"),
        disabled=game.saved or get_lab().settings.read_only,
        help="They become part of your own test set, with the digits that were asked as labels. A network can also be "
        "fine-tuned on them.",
        on_click=_save,
        args=(game,),
    )


def _save(game: Game) -> None:
    if game.saved:  # a second click that was sent before the first one was answered
        return
    with show_errors():
        for row, ink in zip(game.drawn, game.inks, strict=True):
            get_lab().store.sketches.save(ink, label=row["Asked"], dataset=game.dataset)
        game.saved = True


def _result(models: Sequence[Model], game: Game) -> None:
    if not game.drawn:
        st.markdown(f"**{ROUNDS} rounds.** Draw what the page asks for; every network that reads it scores a point.")
        return
    st.header(f"You were understood in {game.understood} of {plural(len(game.drawn), 'round')}", anchor=False)
    st.html(rounds_html(game))
    if len(models) == 1:  # the cards show everything
        return
    st.dataframe(sortable(score_rows(models, game)), hide_index=True, width="stretch", alt="Score of each network")
    # The cards have no room for the networks' names.
    st.dataframe(game.drawn, hide_index=True, width="stretch", alt="What was asked and what was read")


def score_rows(models: Sequence[Model], game: Game) -> list[dict[str, NumberAsText | str]]:
    """Return one row per network: how many of the digits it read, and whether it is the best."""
    points = {model.id: game.scores.get(model.id, 0) for model in models}
    best = max(points.values())
    return [
        {
            "Network": model.title,
            "Run": model.id,
            "Understood": NumberAsText(points[model.id], f"{points[model.id]} of {len(game.drawn)}"),
            "": "best" if points[model.id] == best else "",
        }
        for model in models
    ]


def rounds_html(game: Game) -> str:
    """Return one card per round: the drawing, each network's input, and its answer."""
    cards = []
    for row, (drawing, *inputs) in zip(game.drawn, game.pictures, strict=True):
        asked, *answers = row.items()
        items = "".join(
            f'<li><img alt="Input of {escape(network)}" src="{png_url(picture)}">'
            f"{escape(answer)}{_RIGHT if answer == asked[1] else ''}</li>"
            for (network, answer), picture in zip(answers, inputs, strict=True)
        )
        cards.append(
            f'<figure><img alt="Your {escape(asked[1])}" src="{png_url(drawing)}">'
            f"<figcaption>Asked: <b>{escape(asked[1])}</b></figcaption><ul>{items}</ul></figure>"
        )
    return f'<div class="cl-rounds">{"".join(cards)}</div>'
