"""A corrupted byte of the store: what is shown is correct, or marked, or refused in one sentence; never silently wrong.

A store with runs of every kind is written once. Then one byte of its file is changed at a time, and everything that
shows runs is compared with the original: lists, searches, each run, its curves and files, drawings, and the command
line. `make test-slow` changes 1,000 bytes.
"""

import json
import os
import random
import re
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from lab.cli.app import main
from lab.config import RunConfig
from lab.errors import LabError, StoreError
from lab.runs import row_changes, rows
from lab.runs.checksums import NOT_COVERED, RAW, row_checksum
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState, SavedFile, Series
from lab.runs.store import RunStore
from lab.runs.tables import runs as runs_table
from lab.runs.tables import trials

RUNS = 12
SEED = 20261126


def _fill(store: RunStore) -> None:
    """Write finished, failed, running and queued runs with curves and files, and two drawings."""
    owner = Owner("elsewhere", 1, "x")
    step = np.arange(1, 40)
    for number in range(RUNS):
        config = RunConfig(dataset="digits", lr=0.001 * (number + 1), seed=number)
        store.queue.submit(
            config, fingerprint=f"f{number}", family="family", name=f"run {number}", tags=("a", f"t{number}")
        )
    for number in range(RUNS - 2):
        run = store.leases.claim(slot=f"cpu:{number}", owner=owner)
        assert run is not None
        value = np.sin(step + number)
        curves = {name: Series(name, step, value, step * 0.1) for name in ("batch/loss", "val/loss", "lr")}
        store.points.append(run.id, run.lease, curves, progress={"step": 39, "seconds": 3.9, "total_steps": 100})
        store.files.add(run.id, run.lease, SavedFile(run.id, "weights", 39, 1, f"{run.id}/w", "ab" * 32, 5, 1.5))
        store.leases.set_environment(
            run.id, run.lease, environment={"torch": "2.15", "machine": "m" * 200}, device="cpu"
        )
        store.leases.add_notice(run.id, run.lease, "The loss is not falling.")
        if number < RUNS - 4:
            state = RunState.FINISHED if number % 3 else RunState.FAILED
            summary = {"test_accuracy": 0.9 + number / 1000, "val_accuracy": 0.91, "best_epoch": 1, "params": 61_706}
            store.leases.finish(run.id, run.lease, state=state, reason=f"reason {number}", summary=summary, seconds=4.0)
            store.edits.set_note(run.id, f"a note on run {number}")
    store.sketches.save(b"png" * 100, label="3", dataset="mnist")
    store.sketches.save(b"gnp" * 100, label="7", dataset="mnist")


class _Changed:
    """A row with one column replaced by another value."""

    def __init__(self, row: Any, column: str) -> None:
        self._row, self._column = row, column

    def __getattr__(self, name: str) -> Any:
        return "damaged" if name == self._column else getattr(self._row, name)


@dataclass
class Truth:
    """What an undamaged store shows."""

    records: dict[str, RunRecord]
    curves: dict[str, dict[str, Series]]
    files: dict[str, tuple[SavedFile, ...]]
    sketches: tuple[Any, ...]
    cli: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Truth":
        store = RunStore.open(f"sqlite:///{path}")
        records = {run.id: run for run in store.runs.list(limit=None)}
        return cls(
            records,
            {run: store.points.read(run) for run in records},
            {run: store.files.list(run) for run in records},
            store.sketches.list(),
            {run["run"]: run for run in json.loads(_cli(path, "runs", "--limit", "100", "--json")[1])["runs"]},
        )


@dataclass
class Outcome:
    """What reading a damaged store gave. silent: wrong values shown unmarked. bugs: errors other than `LabError`."""

    number: int
    silent: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    refused: int = 0
    marked: int = 0

    def chosen(self, truth: Truth) -> tuple[str, str]:
        """Return two of the runs, different ones at each flip."""
        known = list(truth.records)
        return known[self.number % len(known)], known[-1 - self.number % len(known)]

    def read(self, what: str, look: Callable[[], Any]) -> Any:
        try:
            return look()
        except LabError as error:
            self.refused += 1
            if len(str(error)) > 300 or "\n" in str(error):
                self.bugs.append(f"{what}: not one sentence: {error}")
        except Exception:
            self.bugs.append(f"{what}: {traceback.format_exc()}")
        return None


def _cli(path: Path, *words: str) -> tuple[int, str, str]:
    runner = CliRunner()
    with runner.isolation(env={"LAB_HOME": str(path.parent), "LAB_DATABASE": f"sqlite:///{path}"}) as streams:
        code: Any = 0
        try:
            main(list(words))
        except SystemExit as leave:
            code = leave.code
        return int(code or 0), streams[0].getvalue().decode(), streams[1].getvalue().decode()


def _same(one: Series, other: Series) -> bool:
    return all(
        np.array_equal(getattr(one, part), getattr(other, part), equal_nan=True) for part in ("step", "value", "time_s")
    )


def _look(path: Path, truth: Truth, number: int) -> Outcome:
    """Read everything that a store shows and compare it with the truth."""
    outcome = Outcome(number)
    store = outcome.read("opening", lambda: RunStore.open(f"sqlite:///{path}"))
    if store is None:
        return outcome
    warned = bool(outcome.read("the quick check", store.integrity.warnings))
    outcome.marked += warned
    for order, where in (("-created", ""), ("-lr", ""), ("name", "lr>0.0001"), ("-test", "state:finished tag:a")):
        found = outcome.read("a list", partial(store.runs.list, limit=None, order=order, where=where, problems=True))
        for run in found or ():
            outcome.marked += bool(run.problem)
            if not run.problem and run != truth.records.get(run.id):
                outcome.silent.append(f"a list shows {run}")
        whole = not where and found is not None
        if whole and not warned and len(found) != len(truth.records):
            outcome.silent.append(f"the list has {len(found)} of {len(truth.records)} runs")
        count = outcome.read("the count", store.runs.count)
        if count is not None and count != len(truth.records) and not warned:
            outcome.silent.append(f"the count is {count}")
    for run, record in truth.records.items():
        seen = outcome.read("a run", partial(store.runs.get, run))
        if seen is not None and seen != record:
            outcome.silent.append(f"a run is {seen}")
        curves = outcome.read("curves", partial(store.points.read, run))
        if curves is not None:
            known = truth.curves[run]
            if curves.keys() != known.keys() or not all(_same(curves[name], known[name]) for name in known):
                outcome.silent.append(f"the curves of {run}")
        files = outcome.read("files", partial(store.files.list, run))
        if files is not None and files != truth.files[run]:
            outcome.silent.append(f"the files of {run}: {files}")
    drawings = outcome.read("drawings", store.sketches.list)
    lost = outcome.read("damaged drawings", store.sketches.count_damaged)
    if drawings is not None and not set(drawings) <= set(truth.sketches):
        outcome.silent.append(f"a drawing {drawings}")
    if drawings is not None and lost is not None and not warned and len(drawings) + lost != len(truth.sketches):
        outcome.silent.append("a drawing is missing")
    _look_at_cli(path, truth, outcome)
    return outcome


def _look_at_cli(path: Path, truth: Truth, outcome: Outcome) -> None:
    code, out, err = outcome.read("lab runs", lambda: _cli(path, "runs", "--limit", "100", "--json")) or (1, "", "")
    answer = json.loads(out) if out else {}
    for run in answer.get("runs", ()):
        if "problem" not in run and run != truth.cli.get(run["run"]):
            outcome.silent.append(f"the CLI lists {run}")
    if code == 0 and not err and answer["total"] != len(truth.cli):
        outcome.silent.append(f"the CLI counts {answer['total']}")
    for run in outcome.chosen(truth):
        look = partial(_cli, path, "show", run, "--metrics", "--json")
        code, out, err = outcome.read("lab show", look) or (1, "", "")
        shown = json.loads(out) if code == 0 else truth.cli[run]
        if {key: shown[key] for key in truth.cli[run]} != truth.cli[run]:
            outcome.silent.append(f"the CLI shows {out}")


def _flip(count: int, folder: Path) -> dict[str, Any]:
    whole = folder / "whole" / "lab.db"
    store = RunStore.open(f"sqlite:///{whole}", clock=lambda: 1_700_000_000.0)
    _fill(store)
    truth = Truth.read(whole)
    data = whole.read_bytes()
    rng = random.Random(SEED)
    totals = {"flips": count, "bytes": len(data), "silent": [], "bugs": [], "refused": 0, "marked": 0, "harmless": 0}
    for number in range(count):
        place = folder / "damaged" / "lab.db"
        place.parent.mkdir(exist_ok=True)
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        place.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
        outcome = _look(place, truth, number)
        name = f"flip {number}, byte {at} xor {bit}"
        totals["silent"] += [f"{name}: {one[:300]}" for one in outcome.silent]
        totals["bugs"] += [f"{name}: {one}" for one in outcome.bugs]
        totals["refused"] += bool(outcome.refused)
        totals["marked"] += bool(outcome.marked)
        totals["harmless"] += not (outcome.refused or outcome.marked or outcome.silent or outcome.bugs)
        shutil.rmtree(place.parent)
    return totals


def _check(totals: dict[str, Any]) -> None:
    problems = [*totals["silent"], *totals["bugs"]]
    assert not problems, f"{len(totals['silent'])} silent, {len(totals['bugs'])} bugs:\n" + "\n".join(problems[:12])


@pytest.mark.long
def test_a_flipped_byte_never_shows_a_wrong_value_silently(tmp_path: Path) -> None:
    _check(_flip(int(os.environ.get("LAB_FLIPS", "50")), tmp_path))


@pytest.mark.slow
def test_a_thousand_flipped_bytes_never_show_a_wrong_value_silently(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    totals = _flip(1_000, tmp_path)
    with capsys.disabled():
        counts = {key: len(value) if isinstance(value, list) else value for key, value in totals.items()}
        sys.stdout.write(f"\n{counts}\n")
    _check(totals)


@pytest.mark.parametrize("name", [b"CREATE TABLE runs", b"CREATE INDEX runs_family", b"lab_schema"])
def test_a_schema_name_that_is_no_longer_utf8_is_reported_in_one_sentence(tmp_path: Path, name: bytes) -> None:
    file = tmp_path / "lab.db"
    RunStore.open(f"sqlite:///{file}")
    data = file.read_bytes()
    file.write_bytes(data.replace(name, name[:-1] + b"\xce"))
    with pytest.raises(StoreError, match=r"damaged|answered"):
        RunStore.open(f"sqlite:///{file}").runs.list()


@pytest.mark.parametrize("with_checksum", [True, False])
def test_the_harness_detects_wrong_values_that_a_store_without_checksums_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_checksum: bool
) -> None:
    file = tmp_path / "lab.db"
    _fill(RunStore.open(f"sqlite:///{file}", clock=lambda: 1_700_000_000.0))
    truth = Truth.read(file)
    data = file.read_bytes()
    file.write_bytes(data.replace(b"a note on run 3", b"a note on run 8", 1))
    if not with_checksum:  # the control: a store that does not compare checksums
        monkeypatch.setattr(row_changes, "is_intact", lambda _row: True)
        monkeypatch.setattr(rows, "is_intact", lambda _row: True)
    outcome = _look(file, truth, 0)
    assert outcome.bugs == []
    assert bool(outcome.silent) is not with_checksum
    assert bool(outcome.marked) is with_checksum


def test_every_column_of_a_run_is_covered_by_its_checksum(tmp_path: Path) -> None:
    """Change each column in turn, also those of later releases: every change but of the checksum itself is detected."""
    store = RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}")
    _fill(store)
    run = store.runs.list(where="state:finished", limit=1)[0].id
    assert store.runs.get(run)
    unnoticed = set()
    for column in runs_table.columns:
        with store.database.write() as connection:
            stored = connection.execute(select(*RAW).where(runs_table.c.id == run)).one()
            if row_checksum(_Changed(stored, column.name)) == row_checksum(stored):
                unnoticed.add(column.name)
    assert unnoticed == set(NOT_COVERED) == {"seal"}


def test_rows_of_runs_are_updated_only_in_modules_that_compute_their_checksum() -> None:
    folder = Path(row_changes.__file__).parent
    changing = {
        path.name for path in folder.glob("*.py") if re.search(r"update\(runs\)|runs\.update\(", path.read_text())
    }
    assert changing == {
        "row_changes.py",
        "older_rows.py",
        "schema.py",
    }  # changes; rows of older releases; old migrations


def _filled(folder: Path) -> tuple[Path, str]:
    """Return a store's file, large enough that a quick check skips its points, and one of its finished runs."""
    file = folder / "lab.db"
    store = RunStore.open(f"sqlite:///{file}", clock=lambda: 1_700_000_000.0)
    _fill(store)
    run = store.leases.claim(slot="cpu:99", owner=Owner("elsewhere", 2, "x"))
    assert run is not None
    step = np.arange(20_000)
    store.points.append(run.id, run.lease, {"batch/loss": Series("batch/loss", step, step * 0.5, step * 0.1)})
    return file, store.runs.list(where="state:finished", limit=1)[0].id


@pytest.mark.parametrize("place", ["table", "index"])
def test_a_damaged_curve_name_is_found_before_a_quick_check_runs_out_of_time(tmp_path: Path, place: str) -> None:
    """One damaged name loses that curve of every run; without its index entry, the runs' results are lost as well."""
    file, run = _filled(tmp_path)
    data = file.read_bytes()
    known = RunStore.open(f"sqlite:///{file}").results.saved_epochs(run)
    assert known[0].val_loss is not None
    places = [found.start() for found in re.finditer(rb"(?<!/)val/loss", data)]
    at = places[{"table": 0, "index": 1}[place]]
    file.write_bytes(data[:at] + b"val/lost" + data[at + 8 :])
    store = RunStore.open(f"sqlite:///{file}")
    (found,) = store.integrity.check_file(within_s=0.0)
    assert "sqlite_autoindex_series_names_1" in found
    assert bool(store.results.saved_epochs(run) != known) is (place == "index")
    assert store.integrity.warnings() == (found,)


def test_a_quick_check_covers_every_small_table(tmp_path: Path) -> None:
    file, _ = _filled(tmp_path)
    store = RunStore.open(f"sqlite:///{file}")
    trial = {"sweep": 1, "number": 0, "run": "of-a-trial", "params": {}, "rung": 0, "measured": []}
    with store.database.write() as connection:
        connection.execute(trials.insert().values(**trial, settled="", source="suggested"))
    data = file.read_bytes()
    assert data.count(b"of-a-trial") == 2  # in the table and in its index
    file.write_bytes(data.replace(b"of-a-trial", b"of-another", 1))
    (found,) = RunStore.open(f"sqlite:///{file}").integrity.check_file(within_s=0.0)
    assert "trials_run" in found


def test_a_quick_check_skips_the_points_and_a_full_check_does_not(tmp_path: Path) -> None:
    file, _ = _filled(tmp_path)
    store = RunStore.open(f"sqlite:///{file}")
    assert store.integrity.check_file() == ()
    data = file.read_bytes()
    page = 4096 * (len(data) // 4096 - 3)  # of the points, which were written last
    file.write_bytes(data[:page] + bytes(4096) + data[page + 4096 :])
    assert store.integrity.check_file(within_s=0.0) == ()
    assert store.integrity.check_file() != ()


def test_a_curve_name_changed_in_both_table_and_index_is_reported_as_missing_from_its_runs(tmp_path: Path) -> None:
    file, run = _filled(tmp_path)
    store = RunStore.open(f"sqlite:///{file}")
    assert store.integrity.check_names() == ()
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE series_names SET name = 'val/lost' WHERE name = 'val/loss'")
    assert store.integrity.check_file() == ()
    (found,) = store.integrity.check_names()
    assert found.startswith(
        f"The name of the curve 'val/loss', which {RUNS - 2} runs wrote, is not in the database any more"
    )
    assert store.integrity.verify(run) != ()
    code, out, _ = _cli(file, "doctor", "--json")
    assert (code, found in json.loads(out)["problems"]) == (1, True)


def test_the_journal_of_another_store_next_to_the_file_is_detected(tmp_path: Path) -> None:
    """SQLite takes it for an interrupted transaction of this store and rolls the other store's pages back into it."""
    files = [tmp_path / name / "lab.db" for name in ("ours", "theirs")]
    for file in files:
        RunStore.open(f"sqlite:///{file}").queue.submit(
            RunConfig(dataset="digits"), fingerprint="f", family="family", name=file.parent.name
        )
    ours, theirs = files
    other = sqlite3.connect(theirs, isolation_level=None)
    other.executescript("PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=OFF; BEGIN IMMEDIATE")
    other.execute("UPDATE runs SET note = ?", ("x",))
    ours.with_name("lab.db-journal").write_bytes(theirs.with_name("lab.db-journal").read_bytes())
    other.close()
    store = RunStore.open(f"sqlite:///{ours}")
    assert [run.name for run in store.runs.list()] == ["theirs"]
    (warning,) = store.integrity.warnings()
    assert "is damaged" in warning
    assert "its lists may lack runs, or show those of another store" in warning
