"""The runs that read the drawing: chosen on the page, taken from the address, or trained here if there is none."""

from collections.abc import Container, Sequence

import streamlit as st

from lab.config import RunConfig
from lab.data.registry import dataset_title, get_dataset_spec
from lab.formatting import format_duration, format_range
from lab.presets import get_preset
from lab.runs.records import RunRecord
from pages.cache.lab import get_lab
from pages.cache.runs import estimate_cost
from pages.cache.torch_import import WARMING_S, warm_torch
from pages.markdown import plain
from pages.state.address import complain, find_run
from pages.state.asking import asking_owner
from pages.state.draw import DRAW, requested_runs, show_runs
from pages.state.keys import element
from pages.widgets.confirm import start_unless_long
from pages.widgets.frame import show_errors, shows_errors
from pages.widgets.machine import describe_machine
from pages.widgets.runs import present_datasets, run_title, with_id

MAX = 6
_LOOKED = 200  # newest runs that are searched for those with weights


def chosen_runs() -> list[str]:
    """Draw the choice of up to six runs, which the address bar follows, and return it; [] if no run can be chosen."""
    own = readable_runs()
    examples = [run for run in get_lab().list_examples() if _readable(run)]
    runs = {run.id: run for run in (*own, *examples)}
    wanted, wrong = _from_address(runs)
    if not runs:
        return []
    if wanted or wrong:  # runs that cannot be shown are not replaced by others
        DRAW.change(runs=tuple(wanted))
    else:
        held = tuple(run for run in DRAW.read().runs if run in runs)
        DRAW.change(runs=held or tuple(default_runs(own) or default_runs(examples, count=1)))
    chosen = st.multiselect(
        "Models",
        list(runs),
        format_func=lambda run: label(runs[run]),
        max_selections=MAX,
        placeholder="Choose up to six runs",
        help="Every model reads the same drawing. Of two or more with the same classes, the ensemble is shown too: the "
        "average of their probabilities. The choice is part of the page's address.",
        **DRAW.widget("runs", then=_follow, offered=tuple(runs)),
    )
    if chosen and not wrong:
        show_runs(chosen)
    return list(chosen)


def _follow() -> None:
    show_runs(DRAW.read().runs)


def _from_address(runs: dict[str, RunRecord]) -> tuple[list[str], bool]:
    """Return the runs named by `?runs=a.b` or `?run=a`, and whether there was a problem with any of them.

    Adds named runs that are missing from `runs`; reports runs that do not exist and runs beyond `MAX`.
    """
    wanted = requested_runs()
    problems = []
    if len(wanted) > MAX:
        problems.append(
            f"The address names {len(wanted)} runs, but at most {MAX} can be tested at once. Only the first {MAX} "
            "are shown."
        )
    found = []
    for run_id in wanted[:MAX]:
        run, problem = find_run(run_id)
        if run is None:
            problems.append(problem)
            continue
        runs.setdefault(run.id, run)
        found.append(run.id)
    for problem in problems:
        complain(problem)
    return found, bool(problems)


def label(run: RunRecord) -> str:
    """Return a run's title, accuracy with its epoch, outcome if it did not learn, and id to distinguish equal ones."""
    augmented = f", {run.config.augment} augmentation" if run.config.augment != "none" else ""
    share = f" · {run.headline_text}" if run.headline_text else ""
    outcome = f" · {run.outcome}" if run.outcome else ""
    return with_id(f"{run_title(run)}{augmented}{share}{outcome}", run.id)


def readable_runs(limit: int = _LOOKED) -> list[RunRecord]:
    """Return the runs with weights for a data set whose images can be drawn, newest first. Reads no file."""
    return [run for run in get_lab().store.runs.list(limit=limit) if _readable(run)]


def _readable(run: RunRecord) -> bool:
    return run.has_weights and get_dataset_spec(run.config.dataset).drawable


def default_runs(runs: Sequence[RunRecord], *, count: int = 3) -> list[str]:
    """Return the ids of the best runs of up to `count` networks, one each, best first.

    Runs that did not learn are returned only if no run learned.
    """
    best: dict[str, RunRecord] = {}
    for run in [run for run in runs if not run.outcome] or runs:
        known = best.get(run.config.arch)
        if known is None or _accuracy(run) > _accuracy(known):
            best[run.config.arch] = run
    return [run.id for run in sorted(best.values(), key=_accuracy, reverse=True)[:count]]


def _accuracy(run: RunRecord) -> float:
    value = run.headline.test_accuracy
    return -1.0 if value is None else value


def offer_training() -> None:
    """Ask for a choice of runs, or if there are none, offer to train a LeNet on the data on this machine."""
    if readable_runs() or get_lab().list_examples():
        st.info("Choose one or more networks above to read what you draw.", icon=":material/arrow_upward:")
        return
    state = DRAW.read()
    if state.training:
        _wait_for(state.training)
        return
    if state.failed:
        st.error(plain(state.failed), icon=":material/error:")
    config = starter([spec.id for spec in present_datasets(get_lab().settings)])
    with st.container(border=True):
        st.markdown("**No network has been trained yet.** Train one, and then test it with a drawing.")
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.button(
                f"Train a LeNet on {dataset_title(config.dataset)}",
                type="primary",
                icon=":material/play_arrow:",
                key=element("draw-train"),
                disabled=get_lab().settings.read_only,
            )
            _promise(config)
        with show_errors():
            start_unless_long(
                "draw",
                pressed=pressed,
                seconds=lambda: estimate_cost(get_lab().validation.resolve(config))[0].range_s[1],
                act=lambda: _start(config),
            )


def _start(config: RunConfig) -> None:
    lab = get_lab()
    asked = lab.submissions.submit(lab.validation.resolve(config), owner=asking_owner())
    DRAW.change(training=asked.run.id, failed="")
    lab.workers.ensure()
    st.rerun()


def starter(present: Container[str]) -> RunConfig:
    """Return the configuration of a first network. present: ids of the data sets on this machine."""
    changes = {"augment": "sketch", "epochs": 3, "lr": 3e-3, "schedule": "one-cycle"}
    config = get_preset("lenet5").config(**changes)
    if config.dataset in present:
        return config
    return get_preset("lenet5-digits").config()


def _promise(config: RunConfig) -> None:
    """Show how long the training will take, as the Train page's cost card does."""
    if not warm_torch():
        _estimating()
        return
    cost, _ = estimate_cost(get_lab().validation.resolve(config))
    machine = describe_machine(get_lab().settings.device)
    st.caption(
        plain(f"Takes {format_range(*cost.range_s)} on this machine ({machine}), {cost.source_text}."),
        width="content",
    )


@st.fragment(run_every=WARMING_S)
def _estimating() -> None:
    if warm_torch():
        st.rerun()
    st.caption("Estimating how long it takes …", width="content")


@st.fragment(run_every=1.0)
@shows_errors
def _wait_for(run_id: str) -> None:
    run = get_lab().store.runs.get(run_id)
    if not run.state.live:
        DRAW.change(training="")
        if not run.has_weights:
            DRAW.change(failed=f"{run_title(run)} is {run.state} and cannot read yet. {run.reason}")
        st.rerun(scope="app")
    share, words = training_words(run)
    st.progress(share, text=f"Training {plain(run_title(run))}: {words}")


def training_words(run: RunRecord) -> tuple[float, str]:
    """Return a run's progress as a share and as text, such as "step 20 of 80, 1 min 05 s left"."""
    done, total = run.progress.step or 0, run.progress.total_steps or 0
    if not total:
        return 0.0, "starting"
    left = run.progress.eta_seconds
    more = f"{run.status}, {run.silence_text}" if run.silent else left is not None and f"{format_duration(left)} left"
    return done / total, f"step {done:,} of {total:,}" + (f", {more}" if more else "")
