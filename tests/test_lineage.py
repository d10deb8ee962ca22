"""The lineage of runs, without training: origins, children, trees, and the texts that describe what was changed."""

from pathlib import Path
from typing import Any

import pytest

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState
from lab.service.lab import Lab
from lab.service.lineage import Origin, Relation, change_words, difference_words, origin_of, origin_words
from lab.settings import Settings

BASE = RunConfig(dataset="digits", arch="lenet-bn", arch_options={"dropout": 0.5}, epochs=5)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


def _run(lab: Lab, name: str, *, test: float, parent: str | None = None, best: int = 5, **changes: Any) -> RunRecord:
    """Store a finished run with this test accuracy."""
    config = BASE.replace(**changes)
    lab.store.queue.submit(config, fingerprint=name, family="", name=name, parent=parent)
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    summary = {"test_accuracy": test, "final_epoch": best, "best_epoch": best}
    lab.store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary=summary)
    return lab.store.runs.get(run.id)


def test_a_tree_lists_the_changes_of_every_run_and_their_effect_on_the_accuracy(lab: Lab) -> None:
    root = _run(lab, "root", test=0.95)
    fork = _run(lab, "fork", test=0.9625, fork_of=root.id, fork_epoch=3, lr=0.01)
    tuned = _run(lab, "tuned", test=0.94, init_from=fork.id, epochs=2)
    longer = _run(lab, "longer", test=0.95, parent=root.id, epochs=9)
    alone = _run(lab, "alone", test=0.5)
    rows = lab.lineage.tree([tuned, alone])
    assert [(row.run.name, row.depth, row.change, row.difference) for row in rows] == [
        ("root", 0, "", ""),
        ("fork", 1, "after epoch 3: lr 0.001 → 0.01", "+1.25 points"),
        ("tuned", 2, "fine-tuned: epochs 5 → 2, lr 0.01 → 0.001", "\u22122.25 points"),
        ("longer", 1, "continued: epochs 5 → 9", "±0 points"),
        ("alone", 0, "", ""),
    ]
    assert lab.lineage.tree([root, longer, fork]) == rows[:4]
    assert [child.name for child in lab.lineage.children(root.id)] == ["fork", "longer"]
    assert lab.lineage.parent(tuned) == fork
    assert lab.lineage.parent(root) is None


def test_a_tree_whose_first_run_was_deleted_begins_with_the_child_of_that_run(lab: Lab) -> None:
    root = _run(lab, "root", test=0.95)
    fork = _run(lab, "fork", test=0.96, fork_of=root.id, fork_epoch=3)
    again = _run(lab, "again", test=0.97, fork_of=fork.id, fork_epoch=4, batch_size=32)
    lab.store.removal.delete(root.id)
    rows = lab.lineage.tree([again])
    assert [(row.run.name, row.depth, row.change) for row in rows] == [
        ("fork", 0, ""),
        ("again", 1, "after epoch 4: batch 64 → 32"),
    ]


def test_a_long_chain_and_many_children_are_one_tree(lab: Lab) -> None:
    above = root = _run(lab, "root", test=0.9)
    for depth in range(12):
        above = _run(lab, f"deep {depth}", test=0.9, fork_of=above.id, fork_epoch=1 + depth % 4)
    for number in range(8):
        _run(lab, f"wide {number}", test=0.9, fork_of=root.id, fork_epoch=2, lr=0.01 * (1 + number))
    rows = lab.lineage.tree([above])
    assert (len(rows), max(row.depth for row in rows)) == (21, 12)
    assert [row.run.name for row in rows[-8:]] == [f"wide {number}" for number in range(8)]


def test_changes_are_named_by_setting_and_option(lab: Lab) -> None:
    after = BASE.replace(lr=0.01, arch_options={"dropout": 0.1}, schedule="cosine", shuffle=False, device="cpu")
    assert (
        change_words(BASE, after) == "dropout 0.5 → 0.1, shuffle yes → no, lr 0.001 → 0.01, schedule constant → cosine"
    )
    assert change_words(BASE, BASE.replace(fork_of="ab12", fork_epoch=2)) == "nothing changed"
    bare, wide = (RunConfig(arch="lenet-bn", arch_options=options) for options in ({}, {"dropout": 0.25}))
    assert (change_words(bare, wide), change_words(wide, bare)) == ("dropout 0.5 → 0.25", "dropout 0.25 → 0.5")


def test_a_fork_whose_best_epoch_is_before_the_fork_claims_no_effect(lab: Lab) -> None:
    root = _run(lab, "root", test=0.95, best=2)
    fork = _run(lab, "fork", test=0.95, best=2, fork_of=root.id, fork_epoch=3, lr=10.0)
    assert difference_words(fork, root) == "no epoch after the fork is better than epoch 2"


def test_an_origin_is_described_in_words(lab: Lab) -> None:
    root = _run(lab, "root", test=0.95)
    fork = _run(lab, "fork", test=0.95, fork_of=root.id, fork_epoch=3)
    longer = _run(lab, "longer", test=0.95, fork_of=root.id, fork_epoch=3, epochs=9, parent=fork.id)
    assert origin_of(fork) == Origin(root.id, Relation.FORK, 3)
    assert origin_of(longer) == Origin(fork.id, Relation.CONTINUED)
    assert origin_words(Origin(root.id, Relation.FORK, 3), name="root") == "forked from root at epoch 3"


def test_the_initial_weights_of_a_fork_are_those_of_the_first_run_even_if_it_was_deleted(lab: Lab) -> None:
    root = _run(lab, "root", test=0.95, seed=5)
    fork = _run(lab, "fork", test=0.96, fork_of=root.id, fork_epoch=3, seed=6)
    again = _run(lab, "again", test=0.97, fork_of=fork.id, fork_epoch=4, seed=7)
    assert [lab.weights._first_seed(run.config) for run in (root, fork, again)] == [5, 5, 5]
    for run in (root, fork):
        lab.store.removal.delete(run.id)
    assert lab.weights._first_seed(again.config) == 5
    lab.store.removal.purge(lab.artifacts.delete, older_than_s=0)
    assert lab.weights._first_seed(again.config) == 7  # nothing is known of the purged runs


def test_a_tree_has_no_more_runs_than_the_limit(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _run(lab, "root", test=0.9)
    names = ["root", "one", "two"]
    for name in names[1:]:
        _run(lab, name, test=0.9, fork_of=root.id, fork_epoch=2)
    for limit in (3, 2, 1):
        monkeypatch.setattr("lab.service.lineage.MAX_RUNS", limit)
        assert [row.run.name for row in lab.lineage.tree([root])] == names[:limit]
