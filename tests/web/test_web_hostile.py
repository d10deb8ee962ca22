"""Hostile runs: every page, export and command can show whatever an import accepts and whatever is stored."""

import io
import json
import logging
import random
from collections.abc import Sequence

import pytest

from lab.errors import InputError, LabError
from lab.runs.row_changes import sound_row
from lab.runs.tables import points
from lab.sharing.bundle.layout import MANIFEST, points_name, run_name, weights_name
from lab.sharing.bundle.read import import_bundle
from lab.sharing.bundle.record import read_record
from lab.sharing.bundle.write import write_bundle
from tests.runs.runs_data import write_past_checks
from tests.sharing.hostile_bundles import Files, pack, sealed, unpack
from tests.sharing.mutants import mutate_curves, mutate_record, stored_values
from tests.sharing.sharing_runs import open_lab, train_run
from tests.web.everywhere import Everywhere, groups
from tests.web.web_data import Bench

BUNDLE_SIZE = 50
# An overflow in a chart's arithmetic is a warning on the server's terminal and breaks nothing.
pytestmark = [pytest.mark.filterwarnings("ignore::RuntimeWarning"), pytest.mark.long]


@pytest.fixture(scope="module")
def valid_bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bundle of a run that was trained."""
    lab = open_lab(tmp_path_factory.mktemp("honest"))
    bundle = write_bundle(lab, [train_run(lab, epochs=1)])
    lab.store.close()
    return bundle


class Mutants:
    """Makes mutants of one valid bundle, and imports those that are accepted in groups."""

    def __init__(self, bench: Bench, valid_bundle: bytes, rng: random.Random) -> None:
        self.lab, self.rng = bench.lab, rng
        self.files = unpack(valid_bundle)
        self.record = json.loads(self.files[run_name(0)])
        self.accepted = self.refused = self.stored = 0

    def imported(self, count: int, *, most: int) -> list[str]:
        """Make `count` mutants, import up to `most` of those whose record is accepted, and return their ids."""
        found: list[str] = []
        waiting: list[tuple[bytes, bytes]] = []
        for _ in range(count):
            mutant = mutate_record(self.record, self.rng), mutate_curves(self.rng)
            try:
                read_record(mutant[0], run_name(0))
            except InputError as error:
                assert len(str(error)) < 300, error
                self.refused += 1
                continue
            self.accepted += 1
            waiting.append(mutant)
        for group in groups(self.rng.sample(waiting, min(most, len(waiting))), BUNDLE_SIZE):
            found += self.imported_group(list(group))
        return found

    def imported_group(self, group: list[tuple[bytes, bytes]]) -> list[str]:
        """Import a group in one bundle; if it is refused, import its halves separately, down to single runs."""
        try:
            imported_runs = import_bundle(self.lab, io.BytesIO(self._bundle(group)))
        except LabError:
            if len(group) == 1:
                return []
            half = len(group) // 2
            return self.imported_group(group[:half]) + self.imported_group(group[half:])
        self.stored += len(imported_runs)
        return [run.id for run in imported_runs]

    def _bundle(self, group: Sequence[tuple[bytes, bytes]]) -> bytes:
        files: Files = {MANIFEST: self.files[MANIFEST]}
        for index, (record, curves) in enumerate(group):
            files |= {run_name(index): record, points_name(index): curves}
            for entry in json.loads(record)["weights"]:
                files[weights_name(index, entry["step"])] = self.files[weights_name(0, entry["step"])]
        return pack(sealed(files))


def check_mutants(
    bench: Bench, valid_bundle: bytes, count: int, *, group: int, most: int, alone: float, seed: int
) -> tuple[int, int]:
    """Make `count` mutants and open `most` of each group everywhere; return how many were stored, and opened places.

    alone: the share of them that is opened alone; all are opened together, with every column of every table.
    """
    rng = random.Random(seed)
    mutants = Mutants(bench, valid_bundle, rng)
    everywhere = Everywhere(bench.lab, rng)
    made = 0
    while made < count:
        ids = mutants.imported(min(group, count - made), most=most)
        made += group
        failures = everywhere.open(ids, alone=alone)
        assert failures == [], f"seed {seed}, after {made} mutants: " + "\n".join(failures[:20])
        for id in ids:
            bench.lab.store.removal.delete(id)
    summary = (
        f"{count} mutants, {mutants.accepted} accepted, {mutants.refused} refused, {mutants.stored} stored, "
        f"{everywhere.opened} places opened"
    )
    logging.getLogger(__name__).info(summary)
    return mutants.stored, everywhere.opened


def test_accepted_mutants_of_a_bundle_break_no_page_and_no_export(bench: Bench, valid_bundle: bytes) -> None:
    stored, opened = check_mutants(bench, valid_bundle, 30, group=30, most=30, alone=1.0, seed=7)
    assert stored >= 5
    assert opened >= 25


@pytest.mark.slow
def test_ten_thousand_mutants_of_a_bundle_break_no_page_and_no_export(bench: Bench, valid_bundle: bytes) -> None:
    stored, _ = check_mutants(bench, valid_bundle, 10_000, group=1_000, most=35, alone=0.25, seed=2)
    assert stored >= 200


def check_stored(bench: Bench, valid_bundle: bytes, count: int, *, deep: int, alone: float, seed: int) -> None:
    """Overwrite stored rows of imported runs with odd values, bypassing every check, and open the runs everywhere."""
    rng = random.Random(seed)
    mutants = Mutants(bench, valid_bundle, rng)
    everywhere = Everywhere(bench.lab, rng)
    copies = [(json.dumps(mutants.record).encode(), mutants.files[points_name(0)])] * BUNDLE_SIZE
    done = 0
    while done < count:
        ids = mutants.imported_group(copies[: count - done])
        done += len(ids)
        for id in ids:
            _write_over(bench, id, rng)
        failures = everywhere.open(ids, deep=deep, alone=alone)
        assert failures == [], f"seed {seed}, after {done} rows: " + "\n".join(failures[:20])
        for id in ids:
            bench.lab.store.removal.delete(id)


def _write_over(bench: Bench, id: str, rng: random.Random) -> None:
    with bench.lab.store.database.write() as connection:
        number = sound_row(connection, id).number
        wild = rng.choice([1e300, 2.0**60, -1.0, None, float("inf"), 5e-324])
        some = points.c.step % rng.choice([1, 2, 7]) == 0
        connection.execute(points.update().where(points.c.run == number, some).values(value=wild))
        if rng.random() < 0.3:
            late = rng.choice([1e300, -5.0, float("inf")])
            connection.execute(points.update().where(points.c.run == number, some).values(time_s=late))
    write_past_checks(bench.lab.store, id, **dict(stored_values(rng)))


def test_odd_stored_values_break_no_page_and_no_export(bench: Bench, valid_bundle: bytes) -> None:
    check_stored(bench, valid_bundle, 8, deep=0, alone=1.0, seed=3)


@pytest.mark.slow
def test_hundreds_of_rows_of_odd_values_break_no_page_and_no_export(bench: Bench, valid_bundle: bytes) -> None:
    check_stored(bench, valid_bundle, 400, deep=1, alone=0.25, seed=4)
