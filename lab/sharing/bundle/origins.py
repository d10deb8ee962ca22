"""Origins among the runs of one bundle: a fork or fine-tuned run and the run that it came from are imported together.

A record names its origin by the id that this had where it was exported, and the manifest lists those ids. On import,
the settings of each run are changed to name the copies, which have new ids. An origin outside the bundle stays named as
it is: nothing proves that a run of this lab is the same one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.config import RunConfig
from lab.sharing.bundle.strict_reading import refuse

_ID = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """What a manifest states of one run: its id where it was exported, and the id of the run that it continues."""

    run: str
    parent: str | None


def read_exported(listed: Any) -> tuple[ExportedRun, ...]:
    """Return the manifest's list of exported runs, empty if it is not one: a bundle can be imported without it."""
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        return ()
    ids = [(one.get("run"), one.get("parent")) for one in listed]
    if not all(_is_id(run) and (parent is None or _is_id(parent)) for run, parent in ids):
        return ()
    return tuple(ExportedRun(run, parent) for run, parent in ids) if len({run for run, _ in ids}) == len(ids) else ()


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def copies_of(
    exported: Sequence[ExportedRun], configs: Sequence[RunConfig], ids: Sequence[str]
) -> tuple[tuple[RunConfig, str | None], ...]:
    """Return each run's settings, and the run that it continues, with the new ids of runs in the same bundle.

    ids: the new ones, in the order of the runs. Raises `InputError` if a run would be its own ancestor.
    """
    if len(exported) != len(configs):
        return tuple((config, None) for config in configs)
    new = {one.run: id for one, id in zip(exported, ids, strict=True)}
    found = []
    above: dict[str, set[str]] = {}
    for one, config in zip(exported, configs, strict=True):
        named = {name: new[of] for name in ("fork_of", "init_from") if (of := getattr(config, name)) in new}
        parent = new.get(one.parent) if one.parent else None
        above[new[one.run]] = {*named.values(), *([parent] if parent else [])}
        found.append((config.replace(**named), parent))
    _refuse_circles(above)
    return tuple(found)


def _refuse_circles(above: Mapping[str, set[str]]) -> None:
    """Raise `InputError` if a run comes from itself. above: the origins of each run."""
    left = dict(above)
    while left:
        roots = {run for run, origins in left.items() if not origins & left.keys()}
        if not roots:
            refuse("its runs come from each other in a circle")
        left = {run: origins for run, origins in left.items() if run not in roots}
