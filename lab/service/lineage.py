"""The origin of runs and what changed since: forks, fine-tuned runs, and longer runs that continue shorter ones.

Every run has at most one origin, so related runs form a tree. It is derived from the runs' records and not stored
anywhere else. No torch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from lab.architectures.registry import find_option
from lab.config import FIELDS, RunConfig
from lab.errors import RunNotFoundError, UnreadableRunError
from lab.formatting import format_points
from lab.runs.records import RunRecord
from lab.runs.run_facts import ForkState
from lab.runs.store import RunStore
from lab.sharing.comparison import setting_words

MAX_RUNS = 400  # per tree; more are not shown
_NAMES = ("fork_of", "fork_epoch", "init_from")  # settings that name the origin and do not count as changes


FORK_STATES: Mapping[str, str] = {
    ForkState.CHECKPOINT: "It began with the checkpoint saved there.",
    ForkState.RECOMPUTED: "The epochs before were recomputed; their weights are the saved ones, bit for bit.",
    ForkState.WEIGHTS: "It began with the saved weights and a fresh optimizer.",
}


class Relation(StrEnum):
    """How a run originates from another."""

    FORK = "fork"
    CONTINUED = "continued"
    TUNED = "fine-tuned"


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a run. epoch: for a fork, the epoch of the other run after which it continues, else None."""

    run: str
    relation: Relation
    epoch: int | None = None


class TreeRow(NamedTuple):
    """One run of a tree, in reading order: each run is followed by its descendants. depth: 0 for the root.

    change: its relation to the run above it, and the settings that differ. difference: of their test accuracies.
    """

    run: RunRecord
    depth: int
    change: str = ""
    difference: str = ""


def origin_of(run: RunRecord) -> Origin | None:
    """Return the origin of a run, or None if it has none."""
    config = run.config
    if run.parent and run.parent != config.init_from:
        return Origin(run.parent, Relation.CONTINUED)
    if config.fork_of:
        return Origin(config.fork_of, Relation.FORK, config.fork_epoch)
    return Origin(config.init_from, Relation.TUNED) if config.init_from else None


def changed_settings(before: RunConfig, after: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Return (value before, value after) of every setting that differs and affects the result, in the form's order."""
    names = [spec.name for spec in FIELDS.values() if spec.result and spec.name not in _NAMES]
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def change_words(before: RunConfig, after: RunConfig) -> str:
    """Return the changes as text, such as "lr 0.001 → 0.01, batch 64 → 32"."""
    words = []
    for name, (old, new) in changed_settings(before, after).items():
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            words += [_option_change(key, before, after) for key in _differing(old, new)]
        else:
            spec = FIELDS[name]
            shown = (setting_words(name, value) or "none" for value in (old, new))
            words.append(f"{spec.short_label} {' → '.join(shown)}")
    return ", ".join(words) or "nothing changed"


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def _option_change(name: str, before: RunConfig, after: RunConfig) -> str:
    option = find_option(after.arch, name) or find_option(before.arch, name)
    return f"{option.label if option else name} {_option_value(before, name)} → {_option_value(after, name)}"


def _option_value(config: RunConfig, name: str) -> str:
    """Return an option of a configuration's network as display text: its default if it is not set, else "none"."""
    option = find_option(config.arch, name)
    value = config.arch_options.get(name, option.default if option else None)
    if option is None:
        return "none" if value is None else str(value)
    return option.value_words(value)


def origin_words(origin: Origin, *, name: str) -> str:
    """Return the origin as text, such as "forked from lenet5 at epoch 3". name: of the other run."""
    return {
        Relation.FORK: f"forked from {name} at epoch {origin.epoch}",
        Relation.CONTINUED: f"continues {name}",
        Relation.TUNED: f"fine-tuned from {name}",
    }[origin.relation]


class Lineage:
    """Finds origins, children and trees in one store."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def parent(self, run: RunRecord) -> RunRecord | None:
        """Return the run that a run originates from, or None if there is none or it is not in this lab any more."""
        origin = origin_of(run)
        if origin is None:
            return None
        try:
            return self._store.runs.get(origin.run)
        except (RunNotFoundError, UnreadableRunError):
            return None

    def children(self, run: str) -> tuple[RunRecord, ...]:
        """Return the runs that originate directly from a run, oldest first."""
        return tuple(child for child in self._store.runs.find_children((run,)) if _came_from(child, run))

    def tree(self, runs: Sequence[RunRecord]) -> tuple[TreeRow, ...]:
        """Return the complete trees of these runs, one after the other; a run without relatives forms its own tree.

        At most `MAX_RUNS` runs are visited.
        """
        known = {root.id: root for root in map(self._root, runs)}
        roots = list(known.values())
        level: Iterable[str] = list(known)
        while level and len(known) < MAX_RUNS:
            found = self._store.runs.find_children(level)
            fresh = {child.id: child for child in found if child.id not in known}
            known |= dict(list(fresh.items())[: MAX_RUNS - len(known)])
            level = list(fresh)
        children: dict[str, list[RunRecord]] = {}
        for run in sorted(known.values(), key=lambda one: one.number):
            origin = origin_of(run)
            if origin is not None and origin.run in known:
                children.setdefault(origin.run, []).append(run)
        return tuple(row for root in roots for row in _walk(root, children))

    def _root(self, run: RunRecord) -> RunRecord:
        seen = {run.id}
        while (above := self.parent(run)) is not None and above.id not in seen:
            run = above
            seen.add(run.id)
        return run


def _came_from(child: RunRecord, run: str) -> bool:
    origin = origin_of(child)
    return origin is not None and origin.run == run


def _walk(root: RunRecord, children: Mapping[str, Sequence[RunRecord]]) -> Iterator[TreeRow]:
    """Yield a run and all its descendants, without recursion, because a chain may be long."""
    waiting: list[tuple[RunRecord, RunRecord | None, int]] = [(root, None, 0)]
    while waiting:
        run, parent, depth = waiting.pop()
        yield _row(run, parent, depth)
        waiting += [(child, run, depth + 1) for child in reversed(children.get(run.id, ()))]


def _row(run: RunRecord, parent: RunRecord | None, depth: int) -> TreeRow:
    origin = origin_of(run)
    if parent is None or origin is None:
        return TreeRow(run, depth)
    how = f"after epoch {origin.epoch}" if origin.relation is Relation.FORK else origin.relation.value
    return TreeRow(run, depth, f"{how}: {change_words(parent.config, run.config)}", difference_words(run, parent))


def difference_words(run: RunRecord, parent: RunRecord) -> str:
    """Return by how much a run's test accuracy differs from its origin's, such as "+0.31 points"; "" if unknown."""
    now, before = run.headline.test_accuracy, parent.headline.test_accuracy
    if now is None or before is None:
        return ""
    epoch = run.headline.epoch
    if run.config.fork_of == parent.id and epoch is not None and epoch <= run.config.fork_epoch:
        return f"no epoch after the fork is better than epoch {epoch}"
    return format_points(now - before)
