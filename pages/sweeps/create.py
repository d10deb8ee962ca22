"""The form of a new sweep: base settings, settings to vary with their ranges, and the budget.

Its number inputs have no bounds, as in `pages.widgets.setting_input`: `read_spec` reports what is wrong with them.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from lab.architectures.registry import list_architectures
from lab.config import FIELDS, RunConfig
from lab.data.registry import choose_dataset
from lab.errors import ConfigError
from lab.presets import get_preset, list_presets
from lab.sweeps.presets import SWEEP_PRESETS, SweepPreset
from lab.sweeps.space import SWEEPABLE
from lab.sweeps.spec import METHOD_TITLES, SweepSpec, read_spec
from lab.sweeps.usual_ranges import usual_range
from pages.cache.lab import get_lab
from pages.markdown import plain, with_code
from pages.state.asking import ASKING, asking_owner
from pages.state.keys import element
from pages.state.sweeps import SWEEPS
from pages.state.train import TRAIN, form_values
from pages.sweeps.ladder import count_trials, estimate, ladder, seconds_of
from pages.widgets.asking import asking_inputs, asking_label
from pages.widgets.confirm import start_unless_long
from pages.widgets.executors import executor_input
from pages.widgets.frame import show_errors
from pages.widgets.runs import present_datasets

_FORM = "form"  # the current values of the Train form
_NOT_VARIED = frozenset({"arch_options", "init_from"})  # they have no list of values that a form could offer
_NUMBERS = (int, float)
_MIN_EPOCHS = 8  # of a new form: fewer leave no room for rungs


def create_form() -> None:
    """Draw the form; its button creates the sweep and shows it."""
    present = [spec.id for spec in present_datasets(get_lab().settings)]
    with st.container(border=True):
        base = _base(present)
    with st.container(border=True):
        space = _space()
    left, right = st.columns([3, 2], gap="large")
    with left, st.container(border=True):
        effort = _effort()
    with right, show_errors():
        spec = _read(base, space, effort)
        if spec is not None:
            ladder(spec)
            estimate(spec)
        pressed = st.button(
            "Start the sweep",
            type="primary",
            icon=":material/play_arrow:",
            key=element("sweep-start"),
            width="stretch",
            disabled=spec is None or get_lab().settings.read_only,
        )
        if spec is not None:
            start_unless_long(
                "sweep",
                pressed=pressed,
                seconds=partial(seconds_of, spec),
                act=partial(_create, spec),
                runs=count_trials(spec) or 1,
            )


def _create(spec: SweepSpec) -> None:
    lab = get_lab()
    sweep = lab.sweeps.create(spec, owner=asking_owner(), priority=ASKING.read().priority).sweep
    lab.workers.ensure()
    SWEEPS.change(sweep=sweep.id)
    SWEEPS.show("sweep")
    st.rerun()


def _read(base: Mapping[str, Any], space: Mapping[str, Any], effort: Mapping[str, Any]) -> SweepSpec | None:
    """Return the sweep that the form describes, or show the error in it and return None."""
    try:
        return read_spec({"name": SWEEPS.read().name, "base": base, "space": space, **effort})
    except ConfigError as error:
        st.error(with_code(str(error)), icon=":material/error:")
        return None


def _starts() -> dict[str, str]:
    titles = {_FORM: "The Train form" if TRAIN.read().ready else "The default settings"}
    titles |= {study.id: f"Study of report {study.report} · {study.title}" for study in SWEEP_PRESETS.values()}
    return titles | {preset.id: preset.full_title for preset in list_presets()}


def _base(present: list[str]) -> dict[str, Any]:
    """Draw the settings that all trials share, and return them."""
    starts = _starts()
    if SWEEPS.read().taken != _key(SWEEPS.read().start):
        _take_start(present)
    with st.grid(4, min_column_width=170):
        st.selectbox(
            "Settings from",
            list(starts),
            format_func=starts.__getitem__,
            help="Where the settings that are not varied come from. The Train form is used with its current values.",
            **SWEEPS.widget("start", then=lambda: _take_start(present)),
        )
        titles = {arch.id: arch.title for arch in list_architectures()}
        st.selectbox("Network", list(titles), format_func=titles.__getitem__, **SWEEPS.widget("arch"))
        known = {spec.id: spec.title for spec in present_datasets(get_lab().settings)}
        st.selectbox("Data set", list(known), format_func=known.__getitem__, **SWEEPS.widget("dataset"))
        st.number_input("Epochs", step=1, **SWEEPS.widget("epochs"))
    page = SWEEPS.read()
    settings = _settings_of(page.start)
    options = settings["arch_options"] if settings["arch"] == page.arch else {}  # another network has others
    return settings | {"arch": page.arch, "arch_options": options, "dataset": page.dataset, "epochs": page.epochs}


def _settings_of(start: str) -> dict[str, Any]:
    if start in SWEEP_PRESETS:
        return RunConfig.from_dict(SWEEP_PRESETS[start].spec()["base"]).as_dict()
    if start != _FORM:
        return get_preset(start).config().as_dict()
    return {**RunConfig().as_dict(), **form_values()} if TRAIN.read().ready else RunConfig().as_dict()


def _key(start: str) -> tuple[str, ...]:
    """Return a key of the form's starting point; when it changes, the form starts again from there."""
    settings = _settings_of(start)
    return (start, settings["arch"], settings["dataset"], str(settings["epochs"]))


def _take_start(present: list[str]) -> None:
    """Copy network, data set and epochs from the starting point, and from a study also what it varies."""
    start = SWEEPS.read().start
    settings = _settings_of(start)
    dataset = settings["dataset"] if settings["dataset"] in present else choose_dataset(present).id
    least = 1 if start in SWEEP_PRESETS else _MIN_EPOCHS
    SWEEPS.change(arch=settings["arch"], dataset=dataset, epochs=max(least, int(settings["epochs"])), taken=_key(start))
    if start in SWEEP_PRESETS:
        _take_study(SWEEP_PRESETS[start])


def _take_study(study: SweepPreset) -> None:
    spec = read_spec(study.spec())
    page = SWEEPS.read()
    listed = {parameter.name: _as_text(parameter.values) for parameter in spec.space}
    SWEEPS.change(
        name=spec.name,
        vary=tuple(listed),
        kind={**page.kind, **dict.fromkeys(listed, "values")},
        values={**page.values, **listed},
        method=spec.method.value,
        halving=spec.halving is not None,
    )


def _as_text(values: Sequence[Any]) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def _space() -> dict[str, Any]:
    """Draw the settings to vary, and return them in the form that `read_spec` takes."""
    offered = [name for name in SWEEPABLE if name not in _NOT_VARIED]
    st.multiselect(
        "Settings to vary",
        offered,
        format_func=lambda name: FIELDS[name].label,
        placeholder="Choose at least one",
        **SWEEPS.widget("vary"),
    )
    return {name: _parameter(name) for name in SWEEPS.read().vary}


def _parameter(name: str) -> dict[str, Any]:
    """Draw one setting's range or values, and return them in the form that `read_spec` takes."""
    spec, usual, page = FIELDS[name], usual_range(name), SWEEPS.read()
    with st.container(horizontal=True, vertical_alignment="bottom", key=element("sweep-vary", name)):
        st.markdown(f"**{plain(spec.label)}**", width=150)
        ranged = spec.kind in _NUMBERS and not spec.choices
        kind = "values"
        if ranged:
            kind = st.segmented_control(
                f"How {spec.label.lower()} varies",
                ["range", "values"],
                required=True,
                width="content",
                label_visibility="collapsed",
                **SWEEPS.widget("kind", item=name, default="values" if usual.values else "range"),
            )
        if kind == "values":
            return {"values": _values(name)}
        low, high = (usual.low, usual.high) if not usual.values else (min(usual.values), max(usual.values))
        number = int if spec.kind is int else float
        form: dict[str, Any] = {"step": 1} if number is int else {"format": "%.6g", "step": _step(low)}
        st.number_input("Lowest", width=140, **form, **SWEEPS.widget("low", item=name, default=number(low or 0)))
        st.number_input("Highest", width=140, **form, **SWEEPS.widget("high", item=name, default=number(high or 0)))
        st.toggle("Logarithmic", **SWEEPS.widget("log", item=name, default=usual.log))
    page = SWEEPS.read()
    log = page.log.get(name, usual.log)
    found: dict[str, Any] = {
        "low": number(page.low.get(name, low)),
        "high": number(page.high.get(name, high)),
    }
    return {**found, "log": True} if log else found


def _step(low: float | None) -> float:
    return abs(low) if low else 0.01


def _values(name: str) -> list[Any]:
    spec, usual = FIELDS[name], usual_range(name)
    if spec.choices:
        st.multiselect(
            "Values",
            spec.choices,
            format_func=spec.choice_title,
            **SWEEPS.widget("values", item=name, default=tuple(usual.values)),
        )
        return list(SWEEPS.read().values.get(name, usual.values))
    if spec.kind is bool:
        st.caption("No and yes")
        return [False, True]
    text = _as_text(usual.values)
    st.text_input("Values, separated by commas", **SWEEPS.widget("values", item=name, default=text))
    return [_number(part, spec.kind) for part in str(SWEEPS.read().values.get(name, text)).split(",") if part.strip()]


def _number(text: str, kind: type) -> Any:
    """Return the number that a text contains; any other text is returned as it is, for `read_spec` to report."""
    try:
        return kind(text.strip())
    except ValueError:
        return text.strip()


def _effort() -> dict[str, Any]:
    """Draw method, budget and halving, and return them in the form that `read_spec` takes."""
    st.text_input("Name", placeholder="What it varies, and where", **SWEEPS.widget("name"))
    titles = {method.value: title for method, title in METHOD_TITLES.items()}
    st.selectbox("Method", list(titles), format_func=titles.__getitem__, help=_METHOD_HELP, **SWEEPS.widget("method"))
    with st.grid(2, min_column_width=150):
        st.number_input("Trials", step=1, **SWEEPS.widget("trials"))
        st.number_input(
            "Minutes of computing",
            step=1.0,
            format="%g",
            help="0: no limit. Only training time counts, not the time while the lab is stopped.",
            **SWEEPS.widget("minutes"),
        )
    st.toggle("Pause weak trials early", help=_HALVING_HELP, **SWEEPS.widget("halving"))
    page = SWEEPS.read()
    if page.halving:
        with st.grid(2, min_column_width=150):
            st.number_input("First rung after epoch", step=1, help=_RUNG_HELP, **SWEEPS.widget("first_epochs"))
            st.number_input("Reduction factor", step=1, help=_FACTOR_HELP, **SWEEPS.widget("factor"))
    with st.expander(asking_label(), icon=":material/low_priority:", key=element("sweep-asking")):
        asking_inputs()
    executor = executor_input(SWEEPS)
    page = SWEEPS.read()
    return {
        **({} if executor is None else {"on": executor}),
        "method": page.method,
        "trials": None if page.method == "grid" else page.trials,
        "minutes": page.minutes or None,
        "halving": {"factor": page.factor, "first_epochs": page.first_epochs} if page.halving else None,
    }


_METHOD_HELP = (
    "Random draws from the ranges. TPE and the Gaussian process use earlier results to choose the next trial. A grid "
    "tries every combination of values."
)
_RUNG_HELP = "A rung is an epoch after which trials are evaluated and compared; the weak ones are paused there."
_FACTOR_HELP = "One in this many trials of a rung continues, and the next rung has this many times as many epochs."
_HALVING_HELP = (
    "Asynchronous successive halving: every trial is evaluated on the validation set after a few epochs and paused. "
    "The best ones continue from there, bit for bit as if they had never been paused."
)
