"""The guess game: ten digits to draw, and which network understands most of them."""

import random
from collections.abc import Sequence

import streamlit as st

from lab.sketch.reading import Answer
from pages.draw.models import Model
from pages.draw.pad import drawn
from pages.draw.studio import normalised, read_all, show_answers, show_pad, titles
from pages.markdown import plain
from pages.state.draw import Game, draw_page
from pages.state.keys import element
from pages.widgets.frame import show_errors
from pages.widgets.runs import with_id

ROUNDS = 10


@st.fragment
def guess_game(models: Sequence[Model]) -> None:
    """Play: say what to draw, read it, count."""
    with show_errors():
        page = draw_page()
        if not page.game.running:
            _result(models, page.game)
            st.button(
                "Play again" if page.game.round else "Start",
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
            st.header(f"Draw: {plain(target)}", anchor=False)
            says = st.container()  # see draw_studio
            sketch = show_pad(page)
            st.caption(f"Round {page.game.round} of {len(page.game.digits)}")
        answers = read_all(models, sketch, normalised(models, sketch))
        with left, st.container(horizontal=True):
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
        _score(page.game, models, read_all(models, sketch, normalised(models, sketch)))
        page.clear()


def _score(game: Game, models: Sequence[Model], answers: Sequence[Answer]) -> None:
    target = game.digits[game.round - 1]
    for model, answer in zip(models, answers, strict=True):
        understood = answer.label == target and not answer.verdict.unsure
        game.scores[model.id] = game.scores.get(model.id, 0) + int(understood)
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


def _stop() -> None:
    page = draw_page()
    page.game = Game()
    page.clear()


def _result(models: Sequence[Model], game: Game) -> None:
    if not game.drawn:
        st.markdown(f"**{ROUNDS} rounds.** You are told what to draw; every network that reads it scores a point.")
        return
    st.header("Result", anchor=False)
    best = max(game.scores.values(), default=0)
    rows = [
        {
            "Network": model.title,
            "Run": model.id,
            "Understood": f"{game.scores.get(model.id, 0)} of {len(game.drawn)}",
            "": "best" if game.scores.get(model.id, 0) == best else "",
        }
        for model in models
    ]
    st.dataframe(rows, hide_index=True, width="stretch", alt="Score of each network")
    st.dataframe(game.drawn, hide_index=True, width="stretch", alt="What was asked and what was read")
