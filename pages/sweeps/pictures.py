"""The charts of a sweep, one at a time; the address says which one."""

from collections.abc import Sequence

import streamlit as st

from lab.charts.sweeps.curves import curve_info, curves_figure, curves_words
from lab.charts.sweeps.importance import importance_figure
from lab.charts.sweeps.parallel import parallel_axes, trials_figure
from lab.charts.sweeps.progress import progress_figure, progress_info, progress_words
from lab.charts.sweeps.scores import Score, objective_title, scores_at
from lab.charts.sweeps.slices import slice_figure
from lab.config import FIELDS
from lab.formatting import format_percent, plural
from lab.lazy import load
from lab.sweeps.records import MIN_TRIALS, TrialRecord
from lab.sweeps.spec import SweepSpec
from pages.cache.sweeps import epoch_curves
from pages.components.plot import plot
from pages.markdown import plain
from pages.state.codec import one_of, whole
from pages.state.keys import element
from pages.state.sweeps import LOOKS, SWEEPS
from pages.widgets.parallel_plot import parallel_plot
from pages.widgets.segments import choose_segment
from pages.widgets.theme import dark


def pictures(spec: SweepSpec, trials: Sequence[TrialRecord]) -> None:
    """Draw the choice of a chart, and the chosen chart."""
    look = choose_segment(SWEEPS, "look", LOOKS, label="Chart")
    with st.container(border=True):
        if look == "curves":
            _curves(spec, trials)
        elif look == "best":
            _best(spec, trials)
        else:
            scores = _scores(spec, trials)
            if not any(score.finite for score in scores):
                st.caption("No trial has been evaluated there yet.")
            elif look == "parallel":
                _parallel(spec, scores)
            elif look == "importance":
                _importance(spec, trials)
            elif look == "slices":
                _slices(spec, scores)
            else:
                _surface(spec, scores)


def _curves(spec: SweepSpec, trials: Sequence[TrialRecord]) -> None:
    curves = curve_info(spec, trials, epoch_curves(spec, trials))
    if not curves:
        st.caption("The first point appears at the end of the first epoch.")
        return
    figure = curves_figure(curves, spec, dark=dark())
    plot("sweeps.curves", figure, words=curves_words(curves, spec), name="sweep-curves")
    st.caption(
        "Stronger blue means a better trial; orange trials are in training. A line that ends at a rung is paused there."
    )


def _best(spec: SweepSpec, trials: Sequence[TrialRecord]) -> None:
    steps = progress_info(spec, trials)
    if not steps:
        st.caption("No trial has been evaluated yet.")
        return
    plot("sweeps.best", progress_figure(steps, spec, dark=dark()), words=progress_words(steps, spec), name="sweep-best")


def _scores(spec: SweepSpec, trials: Sequence[TrialRecord]) -> tuple[Score, ...]:
    """Draw the choice of the rung at which trials are compared, and return their scores there."""
    rungs = spec.rungs({})
    if len(rungs) == 1:
        return scores_at(spec, trials, 0)
    SWEEPS.take("rung", read=whole(1, len(rungs)))
    numbers = list(range(1, len(rungs) + 1))
    if SWEEPS.read().rung not in numbers:
        SWEEPS.change(rung=1)
    st.segmented_control(
        "Evaluated after epoch",
        numbers,
        format_func=lambda number: str(rungs[number - 1]),
        required=True,
        help="Trials are compared after the same epoch. The first rung has every trial, the last one only the few that "
        "continued.",
        **SWEEPS.widget("rung"),
    )
    SWEEPS.show("rung")
    scores = scores_at(spec, trials, SWEEPS.read().rung - 1)
    st.caption(f"n = {plural(len(scores), 'trial')}")
    return scores


def _parallel(spec: SweepSpec, scores: Sequence[Score]) -> None:
    axes = parallel_axes(scores, spec)
    words = f"{plural(len(scores), 'trial')} over {len(axes) - 1} settings and the {objective_title(spec).lower()}"
    figure = trials_figure(scores, axes, dark=dark())
    parallel_plot("sweeps.parallel", figure, axes, words=words, name="sweep-parallel")
    st.caption("Each line is a trial; stronger blue is better.")


def _importance(spec: SweepSpec, trials: Sequence[TrialRecord]) -> None:
    rung = SWEEPS.read().rung - 1 if len(spec.rungs({})) > 1 else 0
    found = load("lab.sweeps.importance:importances")(spec, trials, rung)
    if not found:
        st.caption(f"Needs at least {MIN_TRIALS} trials that were evaluated there.")
        return
    words = ", ".join(f"{FIELDS[one.name].label} {format_percent(one.share, digits=0)}" for one in found)
    plot("sweeps.importance", importance_figure(found, dark=dark()), words=words, name="sweep-importance")
    st.caption("Share of the difference between good and bad trials explained by each setting (PED-ANOVA).")


def _slices(spec: SweepSpec, scores: Sequence[Score]) -> None:
    with st.grid(min_column_width=320):
        for parameter in spec.space:
            figure = slice_figure(scores, parameter, spec, dark=dark())
            words = f"{objective_title(spec)} of {len(scores)} trials against {parameter.spec.label.lower()}"
            plot(f"sweeps.slice.{parameter.name}", figure, words=words, name=f"sweep-{parameter.name}")


def _surface(spec: SweepSpec, scores: Sequence[Score]) -> None:
    known = {parameter.name: parameter for parameter in spec.space}
    if len(known) < 2:
        st.caption("This sweep varies only one setting.")
        return
    x, y = _axes(sorted(known, key=lambda name: bool(known[name].values)))  # ranges first
    surface = load("lab.charts.sweeps.surface:surface_info")(scores, (known[x], known[y]))
    words = (
        f"{objective_title(spec)} of {len(surface.scores)} trials over {known[x].spec.label} and {known[y].spec.label}"
    )
    plot(
        "sweeps.surface",
        load("lab.charts.sweeps.surface:surface_figure")(surface, spec, dark=dark()),
        words=words,
        name=f"sweep-{x}-{y}",
        revision=f"{x} {y}",
    )
    if surface.grid is None:
        st.caption("A surface needs four trials that do not lie on one line.")
    else:
        st.caption(plain("Points are trials; the surface between them is interpolated."))


def _axes(names: Sequence[str]) -> tuple[str, str]:
    SWEEPS.take("x", read=one_of(names))
    if SWEEPS.read().x not in names:
        SWEEPS.change(x=names[0])
    others = [name for name in names if name != SWEEPS.read().x]
    SWEEPS.take("y", read=one_of(others))
    if SWEEPS.read().y not in others:
        SWEEPS.change(y=others[0])
    with st.container(horizontal=True, key=element("sweep-axes")):
        for field, label in (("x", "X axis"), ("y", "Y axis")):
            st.selectbox(label, names, format_func=lambda name: FIELDS[name].label, width=240, **SWEEPS.widget(field))
            SWEEPS.show(field)
    page = SWEEPS.read()
    return page.x, page.y
