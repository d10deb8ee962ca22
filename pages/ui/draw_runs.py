"""Which runs read the drawing: chosen on the page, carried by the address, or one trained on the spot if there is none."""

from collections.abc import Sequence

import streamlit as st

from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.errors import RunNotFoundError
from lab.presets import get_preset
from lab.runs.records import RunRecord
from pages.ui.datasets import default_dataset
from pages.ui.frame import plain, show_errors, shows_errors
from pages.ui.lab import get_lab
from pages.ui.machine import describe_machine
from pages.ui.state import put, value_of
from pages.ui.widgets import dataset_title, format_duration, format_share, present_datasets, run_title

KEY = "draw.runs"
MOST = 6
_FRESH, _FAILED = "draw.training", "draw.training.failed"
# Images per second of LeNet-5 in training, with sketch augmentation; rough on purpose (docs/benchmarks.md has exact ones).
_SPEED = {"cpu": 3_000, "gpu": 60_000}
_START_S = 6  # a worker's start, most of it importing torch


def chosen_runs() -> list[str]:
    """Let the reader choose up to six runs; the address bar follows. Returns [] where there is none to choose."""
    runs = {run.id: run for run in readable_runs()}
    wanted = _from_address(runs)
    if not runs:
        return []
    if wanted:
        put(KEY, wanted)
    elif not [run for run in value_of(KEY, []) if run in runs]:
        put(KEY, default_runs(list(runs.values())))
    else:
        put(KEY, [run for run in value_of(KEY) if run in runs])
    chosen = st.multiselect(
        "Networks that read along", list(runs), format_func=lambda run: label(runs[run]), key=KEY,
        max_selections=MOST, persist_state="session", on_change=_follow, placeholder="Choose up to six runs",
        help="Each reads the same drawing. The link in the address bar carries the choice.",
    )  # fmt: skip
    if chosen and st.query_params.get("runs") != ",".join(chosen):
        st.query_params.clear()
        st.query_params["runs"] = ",".join(chosen)
    return list(chosen)


def _follow() -> None:
    st.query_params.clear()
    if value_of(KEY):
        st.query_params["runs"] = ",".join(value_of(KEY))


def _from_address(runs: dict[str, RunRecord]) -> list[str]:
    """Return the runs named by `?runs=a,b` or `?run=a`, adding older ones to `runs`; says which are not there."""
    text = st.query_params.get("runs") or st.query_params.get("run") or ""
    wanted = list(dict.fromkeys(part for part in text.split(",") if part))[:MOST]
    found = []
    for run_id in wanted:
        try:
            run = runs.get(run_id) or get_lab().store.get(run_id)
        except RunNotFoundError as error:
            st.warning(plain(str(error)), icon=":material/link_off:")
            continue
        runs.setdefault(run.id, run)
        found.append(run.id)
    return found


def label(run: RunRecord) -> str:
    """Return a run's name, accuracy and id, to tell equal ones apart."""
    augmented = f", {run.config.augment}" if run.config.augment != "none" else ""
    accuracy = run.summary.get("test_accuracy")
    share = f" · {format_share(accuracy)}" if accuracy is not None else ""
    return f"{run_title(run)}{augmented}{share} · {run.id[:4]}"


def readable_runs(limit: int = 200) -> list[RunRecord]:
    """Return runs that may have weights for a data set one can draw, the newest first; reads no file."""
    return [
        run for run in get_lab().store.list_runs(limit=limit)
        if (run.summary or run.progress.get("epoch", 0) > 1) and get_dataset_spec(run.config.dataset).drawable
    ]  # fmt: skip


def default_runs(runs: Sequence[RunRecord], *, count: int = 3) -> list[str]:
    """Return the best run of each of up to `count` networks, the best first."""
    best: dict[str, RunRecord] = {}
    for run in runs:
        known = best.get(run.config.arch)
        if known is None or _accuracy(run) > _accuracy(known):
            best[run.config.arch] = run
    return [run.id for run in sorted(best.values(), key=_accuracy, reverse=True)[:count]]


def _accuracy(run: RunRecord) -> float:
    value = run.summary.get("test_accuracy")
    return float(value) if isinstance(value, int | float) else -1.0


def offer_training() -> None:
    """Say that nothing can read yet, and train a LeNet-5 on the data at hand at one press."""
    fresh = str(value_of(_FRESH, ""))
    if fresh:
        _wait_for(fresh)
        return
    if value_of(_FAILED):
        st.error(plain(str(value_of(_FAILED))), icon=":material/error:")
    config = _starter()
    machine = describe_machine(get_lab().settings.device)
    seconds = _estimate(config, gpu=not machine.startswith("CPU"))
    with st.container(border=True):
        st.markdown("**No network has been trained yet.** Train one, and then draw for it.")
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.button(
                f"Train LeNet-5 on {dataset_title(config.dataset)}", type="primary", icon=":material/play_arrow:",
                key="draw-train",
                disabled=get_lab().settings.read_only,
            )  # fmt: skip
            st.caption(f"Takes about {format_duration(seconds)} on this machine ({plain(machine)}).", width="content")
        if pressed:
            with show_errors():
                put(_FRESH, get_lab().submit(config).run.id)
                put(_FAILED, "")
                get_lab().ensure_worker()
                st.rerun()


def _starter() -> RunConfig:
    present = [spec.id for spec in present_datasets(get_lab().settings)]
    if default_dataset(present) == "mnist":
        changes = {"augment": "sketch", "epochs": 3, "lr": 3e-3, "schedule": "one-cycle"}
        return get_preset("lenet5").config(**changes)
    return get_preset("lenet5-digits").config(augment="light")


def _estimate(config: RunConfig, *, gpu: bool) -> float:
    images = 60_000 if config.dataset == "mnist" else 1_438
    return _START_S + config.epochs * images * (1 - config.val_fraction) / _SPEED["gpu" if gpu else "cpu"]


@st.fragment(run_every=1.0)
@shows_errors
def _wait_for(run_id: str) -> None:
    run = get_lab().store.get(run_id)
    if run.summary or not run.state.live:
        put(_FRESH, "")
        if not run.summary:
            put(_FAILED, f"{run_title(run)} is {run.state} and cannot read yet. {run.reason}")
        st.rerun(scope="app")
    done, total = run.progress.get("step", 0), run.progress.get("total_steps", 0)
    words = f"step {done:,} of {total:,}" if total else "starting"
    st.progress(done / total if total else 0.0, text=f"Training {plain(run_title(run))}: {words}")
