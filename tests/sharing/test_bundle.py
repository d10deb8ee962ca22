"""Bundles: an import restores the exported runs exactly; damaged and malicious ones are refused with one sentence."""

import copy
import dataclasses
import hashlib
import io
import json
import random
import sys
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import safetensors.numpy
import torch

from benchmarks.imports import bundle_of, training_beside
from lab.config import RunConfig
from lab.errors import ArtifactError, InputError, ReadOnlyError, StoreError
from lab.runs.ids import new_id
from lab.runs.imports import EndedRun
from lab.runs.records import RunRecord, RunRequest, RunState, SavedFile, Series
from lab.runs.run_facts import RunEnvironment, RunSummary
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.sharing.bundle import read, write
from lab.sharing.bundle.archive import open_archive
from lab.sharing.bundle.curves import MAX_SERIES, check_curves, curve_parts
from lab.sharing.bundle.layout import MANIFEST, MAX_ENTRIES, VOLATILE, weights_name
from lab.sharing.bundle.read import import_bundle
from lab.sharing.bundle.record import MAX_NOTICES, read_record
from lab.sharing.bundle.write import write_bundle
from tests.runs.runs_data import write_past_checks
from tests.sharing.hostile_bundles import CANARY, POINTS, RUN, every_case, pack, sealed, unpack
from tests.sharing.sharing_runs import SMALL, open_lab

FLOATS = (0.0, 5e-324, 1e308, -1e308, float("nan"), float("inf"), float("-inf"), 0.1, -1 / 3)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Lab]:
    lab = open_lab(tmp_path / "other")
    yield lab
    lab.store.close()


@pytest.fixture(scope="module")
def bundle(lab: Lab, run: RunRecord) -> bytes:
    return write_bundle(lab, [run])


def without_volatile(bundle: bytes) -> tuple[list[str], dict[str, bytes]]:
    """Return the names in order and the contents without the volatile fields."""
    files = unpack(bundle)
    manifest = json.loads(files[MANIFEST])
    manifest[VOLATILE] = {}
    return list(files), {**files, MANIFEST: json.dumps(manifest).encode()}


def same_points(first: dict[str, Series], second: dict[str, Series]) -> bool:
    return first.keys() == second.keys() and all(
        getattr(first[name], column).tobytes() == getattr(second[name], column).tobytes()
        for name in first
        for column in ("step", "value", "time_s")
    )


def test_a_bundle_that_is_imported_and_exported_again_has_the_same_bytes(
    lab: Lab, pair: tuple[RunRecord, RunRecord], other: Lab
) -> None:
    sent = write_bundle(lab, pair)
    arrived = import_bundle(other, io.BytesIO(sent))
    assert without_volatile(write_bundle(other, arrived)) == without_volatile(sent)


def test_the_same_runs_give_the_same_bytes_except_for_the_volatile_fields(
    lab: Lab, pair: tuple[RunRecord, RunRecord]
) -> None:
    assert without_volatile(write_bundle(lab, pair)) == without_volatile(write_bundle(lab, pair))
    with zipfile.ZipFile(io.BytesIO(write_bundle(lab, pair))) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_run_with_more_notices_than_a_bundle_holds_is_exported_with_the_first_ones(
    bundle: bytes, other: Lab, tmp_path: Path
) -> None:
    (arrived,) = import_bundle(other, io.BytesIO(bundle))
    notices = [f"Notice {number}." for number in range(MAX_NOTICES + 50)]
    write_past_checks(other.store, arrived.id, notices=notices)
    sent = write_bundle(other, [other.store.runs.get(arrived.id)])
    (again,) = import_bundle(open_lab(tmp_path / "third"), io.BytesIO(sent))
    assert list(again.notices) == notices[:MAX_NOTICES]


def test_an_imported_run_is_a_run_like_any_other(lab: Lab, run: RunRecord, bundle: bytes, other: Lab) -> None:
    (arrived,) = import_bundle(other, io.BytesIO(bundle))
    assert arrived.origin == "imported"
    assert arrived.id != run.id
    same = ("name", "config", "state", "summary", "environment", "tags", "seconds", "created_at", "notices")
    assert {name: getattr(arrived, name) for name in same} == {name: getattr(run, name) for name in same}
    assert same_points(other.store.points.read(arrived.id), lab.store.points.read(run.id))
    assert other.store.integrity.verify(arrived.id) == ()
    x_BCHW = torch.rand(3, 1, 28, 28)
    with torch.no_grad():
        before, after = lab.weights.load(run.id), other.weights.load(arrived.id)
        assert torch.equal(before.network(x_BCHW), after.network(x_BCHW))
    assert other.store.edits.rename(arrived.id, "mine").name == "mine"
    assert other.store.runs.list(where="origin:imported")[0].id == arrived.id


def test_an_imported_run_is_never_returned_as_a_cached_result(run: RunRecord, bundle: bytes, other: Lab) -> None:
    import_bundle(other, io.BytesIO(bundle))
    submission = other.submissions.submit(other.validation.resolve(RunConfig.from_dict(SMALL)))
    assert not submission.cached
    assert submission.run.state is RunState.QUEUED


def test_an_imported_run_that_never_trained_passes_the_integrity_check(other: Lab) -> None:
    failed = dataclasses.replace(random_run(random.Random(1)), seconds=0.0, state=RunState.FAILED)
    (record,) = other.store.imports.insert([failed])
    assert other.store.integrity.verify(record.id) == ()


def test_owner_and_priority_of_a_run_are_not_exported(tmp_path: Path, other: Lab) -> None:
    lab = open_lab(tmp_path / "sender")
    asked = lab.validation.resolve(RunConfig(dataset="digits", seed=77))
    run = lab.submissions.submit(asked, owner="ann the secret", priority=7).run
    lab.submissions.control(run.id, RunRequest.STOP)
    sent = write_bundle(lab, [lab.store.runs.get(run.id)])
    assert not any(b"ann the secret" in content or b"priority" in content for content in unpack(sent).values())
    (arrived,) = import_bundle(other, io.BytesIO(sent))
    assert (arrived.owner, arrived.priority) == ("", 0)


def test_if_not_all_saved_epochs_fit_a_bundle_has_the_best_and_the_newest(other: Lab) -> None:
    id, epochs = new_id(), MAX_ENTRIES
    other.artifacts.write(f"{id}/7", b"weights")
    sha256, size = other.artifacts.write(f"{id}/{epochs}", b"weights")
    saved = tuple(SavedFile(id, "weights", n, n, f"{id}/{n}", sha256, size, 0.0) for n in range(1, epochs + 1))
    loss = Series("val/loss", np.array([7, epochs]), np.array([0.1, 0.2]), np.array([1.0, 2.0]))
    long = dataclasses.replace(random_run(random.Random(0)), id=id, files=saved, points={"val/loss": loss})
    files = unpack(write_bundle(other, other.store.imports.insert([long])))
    assert [name for name in files if "weights" in name] == [weights_name(0, 7), weights_name(0, epochs)]
    assert json.loads(files[MANIFEST])[VOLATILE]["weights_left_out"] == epochs - 2


def random_run(rng: random.Random) -> EndedRun:
    """Return a run with random unusual numbers and texts that a store can hold."""

    def number() -> float:
        return rng.choice([*FLOATS, rng.uniform(-1e6, 1e6), rng.random()])

    def text(size: int) -> str:
        return "".join(rng.choice("aé語🙂=<>&\"'\\ {[_$/") for _ in range(rng.randrange(size))).strip()

    points = {}
    for name in ("batch/loss", "val/accuracy", "lr")[: rng.randrange(4)]:
        steps = np.cumsum(np.array([rng.randrange(1, 9) for _ in range(rng.randrange(1, 30))], dtype=np.int64))
        shares = name.endswith("accuracy")
        values = np.array([rng.choice([0.0, 1.0, rng.random(), float("nan")]) if shares else number() for _ in steps])
        points[name] = Series(name, steps, values, np.sort(np.abs(np.array([rng.uniform(0, 1e5) for _ in steps]))))
    config = RunConfig(
        arch=rng.choice(["lenet5", "basic-cnn"]),
        lr=rng.uniform(1e-6, 1),
        seed=rng.randrange(2**31 - 1),
        epochs=rng.randrange(1, 100),
        val_fraction=rng.uniform(0, 0.9),
    )
    started = rng.choice([None, rng.uniform(1e9, 2e9)])
    return EndedRun(
        id=new_id(),
        name=text(40) or "run",
        config=config,
        fingerprint=f"{rng.getrandbits(256):064x}",
        state=rng.choice([RunState.FINISHED, RunState.STOPPED, RunState.FAILED, RunState.PAUSED]),
        reason=text(80),
        created_at=rng.uniform(1e9, 2e9),
        started_at=started,
        finished_at=started,
        seconds=rng.uniform(0, 1e5),
        device=rng.choice(["cpu", "cuda:0"]),
        note=text(300),
        tags=tuple(sorted({text(20) for _ in range(3)} - {""})),
        summary=RunSummary.from_dict({"test_loss": number(), "outcome": "finished"}),
        environment=RunEnvironment.from_dict({"torch": "2.15", "threads": 2, "normalization": [0.1, 0.3]}),
        notices=(text(60),),
        points=points,
        files=(),
    )


def check_round_trips(lab: Lab, other: Lab, count: int) -> None:
    for seed in range(count):
        records = lab.store.imports.insert([random_run(random.Random(seed))])
        sent = write_bundle(lab, records)
        arrived = import_bundle(other, io.BytesIO(sent))
        assert without_volatile(write_bundle(other, arrived)) == without_volatile(sent), f"seed {seed}"
        assert same_points(other.store.points.read(arrived[0].id), lab.store.points.read(records[0].id)), f"seed {seed}"


@pytest.mark.long
def test_odd_numbers_and_odd_text_survive_the_round_trip(tmp_path: Path, other: Lab) -> None:
    check_round_trips(open_lab(tmp_path / "first"), other, 40)


@pytest.mark.slow
def test_a_thousand_random_runs_survive_the_round_trip(tmp_path: Path, other: Lab) -> None:
    check_round_trips(open_lab(tmp_path / "first"), other, 1_000)


FORBIDDEN = (
    "os.mkdir",
    "os.symlink",
    "os.link",
    "os.rename",
    "os.system",
    "os.exec",
    "os.spawn",
    "subprocess",
    "socket.connect",
    "exec",
    "pickle",
)


class Watcher:
    """Records every file opened for writing, folder created, command run and connection opened while `on`."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._record)

    def _record(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 0b11
        if writes or event.startswith(FORBIDDEN):
            self.seen.append(f"{event} {arguments[:1]}")


WATCHER = Watcher()


@pytest.mark.long
def test_two_hundred_hostile_bundles_are_refused_with_one_sentence_and_nothing_is_written(
    bundle: bytes, other: Lab
) -> None:
    import_bundle(other, io.BytesIO(bundle))  # imports all modules and opens the database before events are recorded
    before = (other.store.runs.count(), sorted(Path(other.settings.artifacts).rglob("*")))
    count = 0
    for name, data in every_case(bundle):
        WATCHER.seen.clear()
        WATCHER.on = True
        try:
            with pytest.raises(InputError, match=r"^This is not a bundle that ConvLab can import \(.*\.$") as caught:
                import_bundle(other, io.BytesIO(data))
        finally:
            WATCHER.on = False
        count += 1
        assert "\n" not in str(caught.value), name
        assert len(str(caught.value)) < 300, name
        assert WATCHER.seen == [], name
    assert count >= 200
    assert (other.store.runs.count(), sorted(Path(other.settings.artifacts).rglob("*"))) == before
    assert not Path("/tmp", CANARY).exists()


def test_points_are_counted_before_anything_is_written(
    bundle: bytes, other: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "MAX_ALL_POINTS", 20)
    assert other.store.runs.count() == 0
    WATCHER.seen.clear()
    WATCHER.on = True
    try:
        with pytest.raises(
            InputError,
            match=r"runs/0/.* has more than the remaining 20 points of the limit\): export fewer runs at a time\.$",
        ):
            import_bundle(other, io.BytesIO(bundle))
    finally:
        WATCHER.on = False
    assert WATCHER.seen == []
    assert other.store.runs.count() == 0


def test_records_too_large_for_one_transaction_are_refused(
    bundle: bytes, other: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "MAX_ALL_JSON", 100)
    with pytest.raises(InputError, match=r"records have [\d,]+ bytes, more than 100\): export fewer runs at a time\.$"):
        import_bundle(other, io.BytesIO(bundle))


def test_an_export_refuses_what_an_import_would_refuse(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "MAX_ALL_POINTS", 20)
    with pytest.raises(InputError, match=r"but a bundle holds at most 20 points .*: export fewer runs at a time\.$"):
        write_bundle(lab, [run])


def test_curves_and_weights_are_read_as_streams(bundle: bytes, other: Lab) -> None:
    step = np.arange(1, 1_000_001)
    columns = {"step": step, "value": step / 7, "time_s": step / 9}
    curves = safetensors.numpy.save({f"batch/loss:{name}": column for name, column in columns.items()})
    data = pack(sealed({**unpack(bundle), POINTS: curves}))
    digest = hashlib.sha256(curves).hexdigest()
    count, total = 0, 0.0
    tracemalloc.start()
    try:
        with open_archive(io.BytesIO(data)) as archive:
            before = tracemalloc.get_traced_memory()[0]
            found = check_curves(archive, POINTS, digest, most=1_000_000)
            for part in curve_parts(archive, POINTS, digest, found):
                count += part.step.size
                total += float(part.value.sum())
            grown = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert (count, round(total)) == (1_000_000, round(float((step / 7).sum())))
    assert grown < len(curves) / 2
    parts = [b"x" * 1_000] * 3
    assert other.artifacts.write_parts("run/whole", iter(parts)) == other.artifacts.write("run/same", b"".join(parts))


def test_a_training_run_loses_no_write_during_an_import(other: Lab) -> None:
    data = bundle_of(60_000, 1)
    with training_beside(other) as seen:
        (arrived,) = import_bundle(other, io.BytesIO(data))
    assert (seen.refused, seen.lost) == (0, 0)
    assert seen.waits
    assert sum(one.step.size for one in other.store.points.read(arrived.id).values()) == 60_000


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "summary",
            {"test_accuracy": 2**60},
            r"test_accuracy = '1152921504606846976', but it must be from 0 to 1, or NaN",
        ),
        ("summary", {"params": None}, r"params = 'None', but it must be a whole number from 0 to 2\^53"),
        (
            "summary",
            {"images_per_second": 1e300},
            r"images_per_second = '1e\+300', but it must be from 0 to 1,000,000,000,000",
        ),
        ("created_at", 253_402_300_800, r"is '253402300800', but it must be a time between the years 1970 and 9999"),
        ("device", "toaster", r"is 'toaster', but it must be the name of a device, such as cpu or cuda:0"),
    ],
)
def test_an_impossible_fact_is_refused_with_its_value_and_its_rule(
    bundle: bytes, other: Lab, field: str, value: object, message: str
) -> None:
    files = unpack(bundle)
    record = json.loads(files[RUN])
    record[field] = {**record[field], **value} if isinstance(value, dict) else value
    changed = pack(sealed({**files, RUN: json.dumps(record).encode()}))
    with pytest.raises(InputError, match=message + r".*: export it again from the lab it came from\.$"):
        import_bundle(other, io.BytesIO(changed))


def test_a_lone_surrogate_is_refused_in_every_field(bundle: bytes) -> None:
    record = json.loads(unpack(bundle)[RUN])
    for path in _paths(record):
        for value in ("\ud800", ["\ud800"], {"\ud800": 1}):
            changed = copy.deepcopy(record)
            holder = changed
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = value
            with pytest.raises(InputError, match="is not strict JSON"):
                read_record(json.dumps(changed).encode(), RUN)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from _paths(item, (*path, key))


@pytest.mark.parametrize("device", ["toaster", "cuda:99999", "CPU"])
def test_a_configuration_with_an_invalid_device_is_refused(bundle: bytes, device: str) -> None:
    record = json.loads(unpack(bundle)[RUN])
    record["config"]["device"] = device
    with pytest.raises(InputError, match=f"is '{device}', but it must be the name of a device"):
        read_record(json.dumps(record).encode(), RUN)


def test_a_newer_bundle_is_refused_with_the_advice_to_update(bundle: bytes, other: Lab) -> None:
    newer = next(data for name, data in every_case(bundle, only="manifests") if name == "manifests: a newer version")
    with pytest.raises(InputError, match=r"it has version 2, and this release reads up to 1\): update ConvLab\.$"):
        import_bundle(other, io.BytesIO(newer))


def test_a_zip_bomb_is_refused_quickly_and_with_little_memory(bundle: bytes, other: Lab) -> None:
    bombs = [data for _, data in every_case(bundle, only="bombs")]
    before = psutil.Process().memory_info().rss
    for data in bombs:
        start = time.process_time()
        with pytest.raises(InputError, match=r"grows from|is damaged|not have the size|headers"):
            import_bundle(other, io.BytesIO(data))
        assert time.process_time() - start < 2
    assert psutil.Process().memory_info().rss - before < 128 << 20


@pytest.mark.slow
def test_five_thousand_mutated_bundles_are_refused_or_imported_unchanged(bundle: bytes, other: Lab) -> None:
    original = without_volatile(bundle)[1]
    rng = random.Random(1)
    for _ in range(5_000):
        data = bytearray(bundle)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            arrived = import_bundle(other, io.BytesIO(bytes(data)))
        except InputError:
            continue
        assert without_volatile(write_bundle(other, arrived))[1] == original


def test_a_bundle_repacked_by_another_program_can_be_imported(bundle: bytes, other: Lab) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in unpack(bundle).items():
            archive.writestr(name, data)
    (arrived,) = import_bundle(other, target)
    assert arrived.origin == "imported"


def test_an_import_whose_files_cannot_be_saved_leaves_nothing_behind(
    bundle: bytes, other: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = other.artifacts
    write, written = type(artifacts).write_parts, []

    def full_disk(self: Any, path: str, parts: Iterable[bytes]) -> tuple[str, int]:
        if written:
            raise ArtifactError(f"{path} could not be saved.")
        written.append(path)
        return write(self, path, parts)

    monkeypatch.setattr(type(artifacts), "write_parts", full_disk)
    with pytest.raises(ArtifactError, match="could not be saved"):
        import_bundle(other, io.BytesIO(bundle))
    assert other.store.runs.count() == 0
    assert [path for path in Path(other.settings.artifacts).rglob("*") if path.is_file()] == []


def test_a_run_that_has_not_ended_cannot_be_bundled(other: Lab) -> None:
    queued = other.submissions.submit(other.validation.resolve(RunConfig.from_dict(SMALL))).run
    with pytest.raises(InputError, match=r"is queued: wait until it has ended, or stop it\."):
        write_bundle(other, [queued])


def test_a_read_only_lab_refuses_imports(bundle: bytes, other: Lab) -> None:
    assert other.store.runs.count() == 0
    closed = Lab(dataclasses.replace(other.settings, read_only=True))
    with pytest.raises(ReadOnlyError, match="start it without LAB_READ_ONLY"):
        import_bundle(closed, io.BytesIO(bundle))


def test_an_import_inserts_all_runs_or_none(tmp_path: Path) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}")
    good = random_run(random.Random(1))
    with pytest.raises(StoreError, match=r"UNIQUE|duplicate"):
        store.imports.insert([good, good])
    assert store.runs.count() == 0
    store.close()


def test_the_limit_of_points_applies_to_all_runs_of_a_bundle_together(
    lab: Lab, run: RunRecord, other: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = sum(one.step.size for one in lab.store.points.read(run.id).values())
    twice = write_bundle(lab, [run, run])
    monkeypatch.setattr(read, "MAX_ALL_POINTS", 2 * points - 1)
    with pytest.raises(InputError, match="export fewer runs at a time"):
        import_bundle(other, io.BytesIO(twice))
    monkeypatch.setattr(read, "MAX_ALL_POINTS", 2 * points)
    assert len(import_bundle(other, io.BytesIO(twice))) == 2


def test_an_imported_run_has_every_value_of_the_exported_run(bundle: bytes, run: RunRecord, other: Lab) -> None:
    (arrived,) = import_bundle(other, io.BytesIO(bundle))
    for name in (
        "name",
        "config",
        "fingerprint",
        "state",
        "reason",
        "created_at",
        "started_at",
        "finished_at",
        "seconds",
    ):
        assert getattr(arrived, name) == getattr(run, name), name
    for name in ("device", "note", "tags", "summary", "environment", "notices", "findings"):
        assert getattr(arrived, name) == getattr(run, name), name
    assert len({arrived.created_at, arrived.started_at, arrived.finished_at}) == 3
    assert arrived.headline.as_dict() == run.headline.as_dict()
    for where in ("test>0", "val>0", "best_epoch>0"):
        assert [found.id for found in other.store.runs.list(where=where)] == [arrived.id]


def _with_curves(bundle: bytes, step: np.ndarray, *, count: int = 1) -> bytes:
    columns = {"step": step, "value": np.ones(len(step)), "time_s": np.ones(len(step))}
    arrays = {f"s{n:02d}:{name}": column for n in range(count) for name, column in columns.items()}
    return pack(sealed({**unpack(bundle), POINTS: safetensors.numpy.save(arrays)}))


@pytest.mark.long
@pytest.mark.parametrize("place", [1, 8_191, 8_192, 8_193, 19_999])
@pytest.mark.parametrize("back", [1, 2])
def test_steps_must_increase_across_the_parts_in_which_a_long_curve_is_read(
    bundle: bytes, other: Lab, place: int, back: int
) -> None:
    step = np.arange(1, 20_001)
    assert len(import_bundle(other, io.BytesIO(_with_curves(bundle, step)))) == 1
    step[place:] -= back
    with pytest.raises(InputError, match=r"the steps of s00 in runs/0/points\.safetensors do not increase"):
        import_bundle(other, io.BytesIO(_with_curves(bundle, step)))


def test_a_run_of_a_bundle_has_at_most_sixty_four_curves(bundle: bytes, other: Lab) -> None:
    step = np.arange(1, 4)
    (arrived,) = import_bundle(other, io.BytesIO(_with_curves(bundle, step, count=MAX_SERIES)))
    assert len(other.store.points.read(arrived.id)) == MAX_SERIES
    with pytest.raises(InputError, match="is not a valid curve name"):
        import_bundle(other, io.BytesIO(_with_curves(bundle, step, count=MAX_SERIES + 1)))


def test_runs_cannot_be_bundled_while_one_of_them_has_not_ended(other: Lab, bundle: bytes) -> None:
    (ended,) = import_bundle(other, io.BytesIO(bundle))
    queued = other.submissions.submit(other.validation.resolve(RunConfig.from_dict(SMALL)), name="later").run
    for runs in ([ended, queued], [queued, ended]):
        with pytest.raises(InputError, match="Run later is queued: wait until it has ended"):
            write_bundle(other, runs)


def test_stored_values_that_an_import_would_refuse_are_corrected_on_export(
    bundle: bytes, other: Lab, tmp_path: Path
) -> None:
    (run,) = import_bundle(other, io.BytesIO(bundle))
    write_past_checks(other.store, run.id, created_at=float("inf"), seconds=float("inf"), tags="\nb\na\n a \n")
    third = open_lab(tmp_path / "third")
    (arrived,) = import_bundle(third, io.BytesIO(write_bundle(other, [other.store.runs.get(run.id)])))
    assert (arrived.created_at, arrived.seconds, arrived.tags) == (0.0, 0.0, ("a", "b"))
    third.store.close()


def _change_without_changing_crc32(data: memoryview, place: int) -> None:
    """XOR the data at `place` with CRC-32's generator polynomial, which leaves the checksum unchanged."""
    before = zlib.crc32(data)
    for bit, flip in enumerate(f"{0x104C11DB7:b}"):
        data[place + bit // 8] ^= int(flip) << bit % 8
    assert zlib.crc32(data) == before


def test_weights_that_change_after_they_were_checked_are_not_imported(
    bundle: bytes, other: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, files = io.BytesIO(bundle), unpack(bundle)
    weights = next(data for name, data in files.items() if "weights-" in name)
    place = bundle.index(weights) + len(weights) // 2
    write = type(other.artifacts).write_parts
    changes = [place]

    def write_after_change(self: Any, path: str, parts: Iterable[bytes]) -> tuple[str, int]:
        if changes:
            _change_without_changing_crc32(stream.getbuffer(), changes.pop())
        return write(self, path, parts)

    monkeypatch.setattr(type(other.artifacts), "write_parts", write_after_change)
    with pytest.raises(InputError, match="changed while it was read"):
        import_bundle(other, stream)
    assert other.store.runs.count() == 0
    assert [path for path in Path(other.settings.artifacts).rglob("*") if path.is_file()] == []


def test_a_bundle_holds_at_least_one_run(bundle: bytes, other: Lab) -> None:
    empty = sealed({MANIFEST: unpack(bundle)[MANIFEST]})
    with pytest.raises(InputError, match="it contains 0 runs, but must contain 1 to"):
        import_bundle(other, io.BytesIO(pack(empty)))


def test_weights_are_listed_in_step_order_and_each_once(bundle: bytes) -> None:
    record = json.loads(unpack(bundle)[RUN])
    listed = record["weights"]
    assert len(listed) == 2
    assert len(read_record(json.dumps(record).encode(), RUN).weights) == 2
    for wrong in ([*listed, listed[-1]], listed[::-1]):
        with pytest.raises(InputError, match="are not in step order"):
            read_record(json.dumps({**record, "weights": wrong}).encode(), RUN)
