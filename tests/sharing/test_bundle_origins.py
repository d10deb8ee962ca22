"""Runs that are imported with the run that they came from name its copy, in bundles of every release."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.config import RunConfig
from lab.errors import InputError
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.service.lineage import Origin, Relation, origin_of
from lab.sharing.bundle.layout import MANIFEST
from lab.sharing.bundle.read import import_bundle
from lab.sharing.bundle.write import write_bundle
from tests.runs.runs_data import ended
from tests.sharing.hostile_bundles import pack, sealed, unpack
from tests.sharing.sharing_runs import open_lab

BASE = RunConfig(dataset="digits", epochs=5)
Labs = Callable[[str], Lab]


@pytest.fixture
def labs(tmp_path: Path) -> Iterator[Labs]:
    opened: dict[str, Lab] = {}
    yield lambda name: opened.setdefault(name, open_lab(tmp_path / name))
    for lab in opened.values():
        lab.store.close()


def _run(lab: Lab, name: str, *, parent: str | None = None, **changes: Any) -> RunRecord:
    config, fingerprint = BASE.replace(**changes), f"{len(name):064x}"
    run = replace(ended({}), name=name, config=config, fingerprint=fingerprint, parent=parent)
    return lab.store.imports.insert([run])[0]


def _family(lab: Lab) -> list[RunRecord]:
    root = _run(lab, "root", seed=5)
    fork = _run(lab, "fork", fork_of=root.id, fork_epoch=3, lr=0.01)
    tuned = _run(lab, "tuned", init_from=fork.id, epochs=2)
    longer = _run(lab, "longer", parent=fork.id, fork_of=root.id, fork_epoch=3, lr=0.01, epochs=9)
    return [longer, tuned, fork, root]


def _tree(lab: Lab, runs: list[RunRecord]) -> list[tuple[str, int, str]]:
    return [(row.run.name, row.depth, row.change) for row in lab.lineage.tree(runs)]


TREE = [
    ("root", 0, ""),
    ("fork", 1, "after epoch 3: seed 5 → 0, lr 0.001 → 0.01"),
    ("tuned", 2, "fine-tuned: epochs 5 → 2, lr 0.01 → 0.001"),
    ("longer", 2, "continued: epochs 5 → 9"),
]


def test_runs_that_are_imported_together_have_their_origins_in_the_new_lab(labs: Labs) -> None:
    sender, receiver = labs("sender"), labs("receiver")
    sent = _family(sender)
    arrived = {run.name: run for run in import_bundle(receiver, io.BytesIO(write_bundle(sender, sent)))}
    assert {name: origin_of(run) for name, run in arrived.items()} == {
        "root": None,
        "fork": Origin(arrived["root"].id, Relation.FORK, 3),
        "tuned": Origin(arrived["fork"].id, Relation.TUNED),
        "longer": Origin(arrived["fork"].id, Relation.CONTINUED),
    }
    assert not {run.id for run in sent} & {run.id for run in arrived.values()}
    assert sorted(_tree(receiver, [arrived["tuned"]])) == sorted(TREE)
    assert {run.name: run.fingerprint for run in sent} == {name: run.fingerprint for name, run in arrived.items()}
    assert receiver.weights._first_seed(arrived["longer"].config) == 5


def test_copies_that_are_exported_again_keep_their_origins(labs: Labs) -> None:
    sent = write_bundle(labs("first"), _family(labs("first")))
    second = import_bundle(labs("second"), io.BytesIO(sent))
    third = import_bundle(labs("third"), io.BytesIO(write_bundle(labs("second"), second)))
    assert sorted(_tree(labs("third"), list(third))) == sorted(TREE)


def test_a_bundle_imported_into_its_own_lab_is_a_family_of_its_own(labs: Labs) -> None:
    lab = labs("one")
    sent = _family(lab)
    arrived = import_bundle(lab, io.BytesIO(write_bundle(lab, sent)))
    assert sorted(_tree(lab, list(arrived))) == sorted(TREE)
    assert {row.run.id for row in lab.lineage.tree(arrived)} == {run.id for run in arrived}


def test_an_origin_outside_the_bundle_stays_named_as_it_was(labs: Labs) -> None:
    longer, tuned, fork, _root = _family(labs("sender"))
    arrived = import_bundle(labs("receiver"), io.BytesIO(write_bundle(labs("sender"), [longer, tuned, fork])))
    assert [origin_of(run) for run in arrived] == [
        Origin(arrived[2].id, Relation.CONTINUED),
        Origin(arrived[2].id, Relation.TUNED),
        Origin(fork.config.fork_of, Relation.FORK, 3),
    ]
    (alone,) = import_bundle(labs("receiver"), io.BytesIO(write_bundle(labs("sender"), [longer])))
    assert origin_of(alone) == Origin(longer.config.fork_of, Relation.FORK, 3)


def _with_ids(bundle: bytes, change: Callable[[list[dict[str, Any]]], Any]) -> bytes:
    files = unpack(bundle)
    manifest = json.loads(files[MANIFEST])
    manifest["volatile"]["runs"] = change(manifest["volatile"]["runs"])
    return pack(sealed({**files, MANIFEST: json.dumps(manifest).encode()}))


@pytest.mark.parametrize(
    "change",
    [
        lambda _runs: None,
        lambda _runs: "0123",
        lambda runs: runs[:-1],
        lambda runs: [*runs[:-1], 7],
        lambda runs: [*runs[:-1], {"run": ["a"]}],
        lambda runs: [*runs[:-1], {"run": runs[-1]["run"], "parent": "../../x"}],
        lambda runs: [runs[0]] * len(runs),
    ],
)
def test_a_manifest_without_a_usable_list_of_ids_proves_nothing_and_is_imported_all_the_same(
    labs: Labs, change: Callable[[list[dict[str, Any]]], Any]
) -> None:
    sent = _family(labs("sender"))
    arrived = import_bundle(labs("receiver"), io.BytesIO(_with_ids(write_bundle(labs("sender"), sent), change)))
    assert [run.config for run in arrived] == [run.config for run in sent]
    assert [labs("receiver").lineage.parent(run) for run in arrived] == [None] * 4


def test_runs_that_come_from_each_other_are_refused(labs: Labs) -> None:
    ids = ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]
    runs = [_run(labs("sender"), of, fork_of=of, fork_epoch=2) for of in reversed(ids)]
    circle = _with_ids(write_bundle(labs("sender"), runs), lambda _runs: [{"run": id, "parent": None} for id in ids])
    with pytest.raises(InputError, match=r"its runs come from each other in a circle\): export it again"):
        import_bundle(labs("receiver"), io.BytesIO(circle))
    assert labs("receiver").store.runs.count() == 0
