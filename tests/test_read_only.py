"""A read-only lab refuses every write before it checks anything else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.errors import ReadOnlyError
from lab.runs.records import RunRequest
from lab.service.lab import Lab
from lab.service.resolved import ResolvedConfig
from tests.sweeps.sweep_runs import small_spec
from tests.worker.worker_runs import open_lab

CONFIG = RunConfig(arch="lenet5", dataset="digits", device="cpu")


def _resolved(lab: Lab) -> ResolvedConfig:
    return lab.validation.resolve(CONFIG.replace(seed=9))


WRITES: dict[str, Callable[[Lab, str, str], object]] = {
    "submit": lambda lab, run, sweep: lab.submissions.submit(_resolved(lab)),
    "submit an existing run": lambda lab, run, sweep: lab.submissions.submit(lab.validation.resolve(CONFIG)),
    "control": lambda lab, run, sweep: lab.submissions.control(run, RunRequest.STOP),
    "fill": lambda lab, run, sweep: lab.repeating.fill(lab.store.runs.get(run), seeds=2),
    "create": lambda lab, run, sweep: lab.sweeps.create(small_spec(name="another")),
    "pause": lambda lab, run, sweep: lab.sweeps.pause(sweep),
    "stop": lambda lab, run, sweep: lab.sweeps.stop(sweep),
    "resume": lambda lab, run, sweep: lab.sweeps.resume(sweep),
    "extend": lambda lab, run, sweep: lab.sweeps.extend(sweep, trials=1),
    "adopt": lambda lab, run, sweep: lab.sweeps.adopt(sweep),
    "advance": lambda lab, run, sweep: lab.sweeps.advance(sweep),
    "set_slots": lambda lab, run, sweep: lab.machines.set_slots(2),
    "make_token": lambda lab, run, sweep: lab.machines.make_token(),
    "drain": lambda lab, run, sweep: lab.machines.drain("nobody"),
    "undrain": lambda lab, run, sweep: lab.machines.undrain("nobody"),
    "remove": lambda lab, run, sweep: lab.machines.remove("nobody"),
    "hide": lambda lab, run, sweep: lab.hide_examples(True),
    "show": lambda lab, run, sweep: lab.hide_examples(False),
    "ensure": lambda lab, run, sweep: lab.workers.ensure(),
    "rename": lambda lab, run, sweep: lab.store.edits.rename(run, "x"),
    "delete": lambda lab, run, sweep: lab.store.removal.delete(run),
    "save a drawing": lambda lab, run, sweep: lab.store.sketches.save(b"x", label="1", dataset="digits"),
    "write a file": lambda lab, run, sweep: lab.artifacts.write("x/y", b""),
}


def test_a_read_only_lab_refuses_every_write_and_changes_nothing(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    run = lab.submissions.submit(lab.validation.resolve(CONFIG)).run.id
    sweep = lab.sweeps.create(small_spec()).sweep.id
    lab.store.close()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    read_only = Lab(replace(lab.settings, read_only=True))
    assert read_only.store.runs.get(run).id == run
    for name, write in WRITES.items():
        try:
            write(read_only, run, sweep)
        except ReadOnlyError:
            continue
        pytest.fail(f"{name} was not refused")
    read_only.workers.warm_up()
    read_only.store.close()
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in after} - {path.name for path in before} <= {"lab.db-wal", "lab.db-shm"}
    assert {path: after[path] for path in before} == before


def test_opening_a_read_only_lab_without_a_home_does_not_create_one(tmp_path: Path) -> None:
    lab = open_lab(tmp_path / "nowhere", LAB_READ_ONLY="1")
    assert not lab.examples_hidden
    assert not (tmp_path / "nowhere").exists()


def test_examples_are_hidden_and_shown_again(tmp_path: Path) -> None:
    lab = open_lab(tmp_path / "home")
    for hidden in (True, True, False, False):
        lab.hide_examples(hidden)
        assert lab.examples_hidden is hidden
        assert (lab.list_examples() == ()) is hidden
