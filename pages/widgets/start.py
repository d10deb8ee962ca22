"""Starting a training from any page: confirm a long one, then show the run on Train."""

from functools import cache

import streamlit as st

from lab.config import RunConfig
from lab.errors import ConfigError
from lab.runs.records import RunRecord
from lab.service.resolved import ResolvedConfig
from pages.cache.lab import get_lab
from pages.cache.runs import estimate_cost
from pages.registry import page_path
from pages.state.asking import asking_owner
from pages.state.train import TRAIN
from pages.widgets.confirm import start_unless_long
from pages.widgets.frame import show_errors


def start_training(
    config: RunConfig,
    *,
    place: str,
    pressed: bool,
    fresh: bool = False,
    name: str = "",
    priority: int = 0,
    executor: str | None = None,
    short: bool = False,
    baseline: str = "",
) -> None:
    """Submit a run of this configuration when its button is pressed and show it; confirm a long one first.

    fresh: train even if there is such a run already. name: of the new run. priority: in the queue. executor: where it
    is trained (`Submissions.submit`). short: it takes minutes at most on any machine, so its duration is not estimated,
    which would import torch. baseline: the run whose curves are drawn behind those of the new one, "" for none.
    """

    lab = get_lab()
    resolved = cache(lambda: lab.validation.resolve(config))  # only when pressed, and then once

    def start() -> None:
        submission = lab.submissions.submit(
            resolved(), fresh=fresh, name=name, owner=asking_owner(), priority=priority, executor=executor
        )
        lab.workers.ensure()
        watch(submission.run, cached=submission.cached, baseline=baseline)

    with show_errors():
        start_unless_long(
            place, pressed=pressed, seconds=lambda: 0.0 if short else _seconds(resolved(), fresh=fresh), act=start
        )


def _seconds(resolved: ResolvedConfig, *, fresh: bool) -> float:
    """Return how long a training takes, as on the cost card; 0 if its run exists or `start` will report an error."""
    if not fresh and get_lab().submissions.find_answer(resolved) is not None:
        return 0.0
    try:
        return estimate_cost(resolved)[0].seconds
    except ConfigError:
        return 0.0


def watch(run: RunRecord, *, cached: bool, baseline: str = "") -> None:
    """Open a run on the Train page. cached: whether it existed before it was requested. baseline: a run behind it."""
    TRAIN.change(cached=run.id if cached else "")
    behind = {"baseline": baseline} if baseline and baseline != run.id else {}
    st.switch_page(page_path("train"), query_params={"run": run.id, **behind})
