"""The largest number of trials that a sweep trains to each rung, drawn as a ladder, and the estimated time."""

import html

import streamlit as st

from lab.errors import ConfigError
from lab.formatting import format_duration, format_percent, plural, unbroken
from lab.sweeps.spec import Method, SweepSpec
from pages.cache.runs import estimate_seconds
from pages.cache.torch_import import warm_torch
from pages.markdown import with_code

_STYLE = """<style>
.ladder { display: grid; grid-template-columns: auto 1fr auto; gap: 4px 10px; align-items: center;
  font-size: 0.875rem; }
.ladder i { display: block; height: 14px; border-radius: 3px; background: #2f86cf; min-width: 3px; }
</style>"""


def rung_counts(spec: SweepSpec, trials: int) -> tuple[tuple[int, int], ...]:
    """Return (epoch, trials that reach it) of each rung; at least one trial reaches the last."""
    rungs = spec.rungs({})
    counts = [trials]
    for _ in rungs[1:]:
        factor = spec.halving.factor if spec.halving else 1
        counts.append(max(1, counts[-1] // factor))
    return tuple(zip(rungs, counts, strict=True))


def epochs_needed(counts: tuple[tuple[int, int], ...]) -> int:
    """Return the epochs that are trained for these counts: each trial continues from its last rung."""
    before = (0, *(epoch for epoch, _ in counts[:-1]))
    return sum((epoch - last) * trials for last, (epoch, trials) in zip(before, counts, strict=True))


def count_trials(spec: SweepSpec) -> int | None:
    """Return the largest number of trials, None if only the minutes limit the sweep."""
    whole = len(spec.space.grid(spec.base)) if spec.method == Method.GRID else None
    return spec.trials if whole is None else min(whole, spec.trials or whole)


def seconds_of(spec: SweepSpec) -> float:
    """Return an estimate of the sweep's computing time, if every trial costs as much as its base. Imports torch."""
    trials = count_trials(spec)
    if trials is None:
        return spec.seconds
    share = epochs_needed(rung_counts(spec, trials)) / spec.base.epochs
    return min(spec.seconds, share * estimate_seconds(spec.base))


def estimate(spec: SweepSpec) -> None:
    """Show the estimated time on this machine, once torch is imported."""
    if not warm_torch():
        return
    try:
        st.caption(unbroken(f"About {format_duration(seconds_of(spec))} of training on this machine."))
    except ConfigError as error:
        st.caption(with_code(str(error)))


def ladder(spec: SweepSpec) -> None:
    """Draw the ladder and the number of epochs, compared with training every trial to its end."""
    trials = count_trials(spec)
    if trials is None:
        st.caption("As many trials as the minutes allow.")
        return
    counts = rung_counts(spec, trials)
    rows = "".join(
        f"<span>epoch {epoch}</span><i style='width:{100 * count / trials:.1f}%'></i>"
        f"<span>{plural(count, 'trial')}</span>"
        for epoch, count in counts
    )
    st.html(f"{_STYLE}<div class='ladder' role='img' aria-label='{html.escape(_words(counts))}'>{rows}</div>")
    need, full = epochs_needed(counts), trials * counts[-1][0]
    if need < full:
        share = unbroken(format_percent(need / full, digits=0))
        st.caption(f"About {need:,} epochs instead of {full:,} ({share}).")
    else:
        st.caption(f"{full:,} epochs.")


def _words(counts: tuple[tuple[int, int], ...]) -> str:
    return "; ".join(f"{plural(count, 'trial')} to epoch {epoch}" for epoch, count in counts)
