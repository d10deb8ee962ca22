"""The guess game: ten digits to draw, and which network understands most of them."""

import random
from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np
import streamlit as st
from PIL import Image

from lab.charts.tiles import encode, image_tiles
from lab.data.recipes import Recipe
from lab.formatting import plural
from lab.sketch.reading import Answer
from lab.sketch.sketch import Sketch
from pages.components.base import data_url
from pages.draw.models import Model
from pages.draw.pad import drawn
from pages.draw.studio import normalised, read_all, show_answers, show_pad, titles
from pages.markdown import plain
from pages.state.draw import Game, draw_page
from pages.state.keys import element
from pages.widgets.frame import show_errors
from pages.widgets.runs import with_id

ROUNDS = 10
_RIGHT = " ✓"  # behind an answer that is what was asked
_THUMB = 84  # pixels a side of a drawing among the results


@st.fragment
def guess_game(models: Sequence[Model]) -> None:
    """Play: say what to draw, read it, count."""
    with show_errors():
        page = draw_page()
        if not page.game.running:
            _result(models, page.game)
            st.button(
                "Play again" if page.game.drawn else "Start",
                type="primary",
                icon=":material/play_arrow:",
                key=element("draw-game-start"),
                on_click=_start,
                args=(models,),
            )
            return
        target = page.game.digits[page.game.round - 1]
        left, right = st.columns([5, 9], gap="large")
        with left:
            asks = st.container(horizontal=True, vertical_alignment="center")  # above the pad, so that Done is in sight
            says = st.container()  # see draw_studio
            sketch = show_pad(page)
        answers = read_all(models, sketch, normalised(models, sketch))
        with asks:
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
            show_answers(models, answers, page=page, sketch=sketch, says=says)


def _start(models: Sequence[Model]) -> None:
    page = draw_page()
    names = list(models[0].loaded.class_names)
    chosen = random.sample(names, len(names))[:ROUNDS]
    page.game = Game(tuple(chosen), 1, {model.id: 0 for model in models})
    page.clear()


def _next(models: Sequence[Model]) -> None:
    """Score the drawing as it is now: its last stroke may not have been answered when "Done" was pressed."""
    page = draw_page()
    with show_errors():
        sketch = drawn(page)
        images = normalised(models, sketch)
        answers = read_all(models, sketch, images)
        page.game.pictures.append(_pictures(models, sketch, images))
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
    """Return the drawing as a thumbnail and what each network was given, as PNGs."""
    small = np.asarray(Image.fromarray(np.ascontiguousarray(sketch.ink)).resize((_THUMB, _THUMB)))
    return tuple(encode(image_tiles(each[None])[0]) for each in (small, *(images[model.recipe] for model in models)))


def _stop() -> None:
    """End the game with the rounds that were played."""
    page = draw_page()
    page.game = replace(page.game, digits=page.game.digits[: len(page.game.drawn)])
    page.clear()


def _result(models: Sequence[Model], game: Game) -> None:
    if not game.drawn:
        st.markdown(f"**{ROUNDS} rounds.** You are told what to draw; every network that reads it scores a point.")
        return
    st.header(f"You were understood in {game.understood} of {plural(len(game.drawn), 'round')}", anchor=False)
    st.html(rounds_html(game))
    if len(models) == 1:  # its cards have said it all
        return
    st.dataframe(score_rows(models, game), hide_index=True, width="stretch", alt="Score of each network")
    # the cards have no room for names
    st.dataframe(game.drawn, hide_index=True, width="stretch", alt="What was asked and what was read")


def score_rows(models: Sequence[Model], game: Game) -> list[dict[str, str]]:
    """Return a row a network: how many of the digits it read, and which read most."""
    points = {model.id: game.scores.get(model.id, 0) for model in models}
    best = max(points.values())
    return [
        {
            "Network": model.title,
            "Run": model.id,
            "Understood": f"{points[model.id]} of {len(game.drawn)}",
            "": "best" if points[model.id] == best else "",
        }
        for model in models
    ]


def rounds_html(game: Game) -> str:
    """Return a card a round: the drawing, what each network was given, and what it read."""
    cards = []
    for told, (drawing, *given) in zip(game.drawn, game.pictures, strict=True):
        asked, *answers = told.items()
        seen = "".join(
            f'<li><img alt="What {escape(network)} was given" src="{data_url(picture)}">{escape(answer)}{_RIGHT if answer == asked[1] else ""}</li>'
            for (network, answer), picture in zip(answers, given, strict=True)
        )
        cards.append(
            f'<figure><img alt="Your {escape(asked[1])}" src="{data_url(drawing)}"><figcaption>Asked: <b>{escape(asked[1])}</b>'
            f"</figcaption><ul>{seen}</ul></figure>"
        )
    return f'<div class="cl-rounds">{"".join(cards)}</div>'
