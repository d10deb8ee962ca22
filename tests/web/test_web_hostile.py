"""Hostile runs: what an import accepts, and whatever is stored, is shown by every page, export and command."""

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
from tests.web.everywhere import Everywhere, parts
from tests.web.web_data import Bench

IN_ONE_BUNDLE = 50
# An overflow in a chart's arithmetic is a warning on the server's terminal and breaks nothing.
pytestmark = [pytest.mark.filterwarnings("ignore::RuntimeWarning"), pytest.mark.long]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bundle of a run that was really trained."""
    lab = open_lab(tmp_path_factory.mktemp("honest"))
    bundle = write_bundle(lab, [train_run(lab, epochs=1)])
    lab.store.close()
    return bundle


class Mutants:
    """Makes mutants of one honest bundle, and imports those that are accepted, many at a time."""

    def __init__(self, bench: Bench, honest: bytes, chance: random.Random) -> None:
        self.lab, self.chance = bench.lab, chance
        self.files = unpack(honest)
        self.record = json.loads(self.files[run_name(0)])
        self.accepted = self.refused = 0

    def imported(self, count: int) -> list[str]:
        """Make so many mutants and return the ids of those that were imported."""
        found: list[str] = []
        waiting: list[tuple[bytes, bytes]] = []
        for _ in range(count):
            mutant = mutate_record(self.record, self.chance), mutate_curves(self.chance)
            try:
                read_record(mutant[0], run_name(0))
            except InputError as error:
                assert len(str(error)) < 300, error
                self.refused += 1
                continue
            waiting.append(mutant)
        for group in parts(waiting, IN_ONE_BUNDLE):
            found += self.imported_group(list(group))
        return found

    def imported_group(self, group: list[tuple[bytes, bytes]]) -> list[str]:
        """Import a group in one bundle; where that is refused, each by itself."""
        try:
            arrived = import_bundle(self.lab, io.BytesIO(self._bundle(group)))
        except LabError:
            if len(group) == 1:
                self.refused += 1
                return []
            half = len(group) // 2
            return self.imported_group(group[:half]) + self.imported_group(group[half:])
        self.accepted += len(arrived)
        return [run.id for run in arrived]

    def _bundle(self, group: Sequence[tuple[bytes, bytes]]) -> bytes:
        files: Files = {MANIFEST: self.files[MANIFEST]}
        for index, (record, curves) in enumerate(group):
            files |= {run_name(index): record, points_name(index): curves}
            for entry in json.loads(record)["weights"]:
                files[weights_name(index, entry["step"])] = self.files[weights_name(0, entry["step"])]
        return pack(sealed(files))


def check_mutants(bench: Bench, honest: bytes, count: int, *, group: int, deep: int, seed: int) -> tuple[int, int]:
    """Open the accepted ones of so many mutants everywhere; return how many were accepted, and how many places opened."""
    chance = random.Random(seed)
    mutants = Mutants(bench, honest, chance)
    everywhere = Everywhere(bench.lab, chance)
    made = 0
    while made < count:
        ids = mutants.imported(min(group, count - made))
        made += group
        broken = everywhere.open(ids, deep=deep)
        assert broken == [], f"seed {seed}, after {made} mutants: " + "\n".join(broken[:20])
        for id in ids:
            bench.lab.store.removal.delete(id)
    said = f"{count} mutants, {mutants.accepted} accepted, {mutants.refused} refused, {everywhere.opened} places opened"
    logging.getLogger(__name__).info(said)
    return mutants.accepted, everywhere.opened


def test_accepted_mutants_of_a_bundle_break_no_page_and_no_export(bench: Bench, honest: bytes) -> None:
    accepted, opened = check_mutants(bench, honest, 30, group=30, deep=1, seed=7)
    assert accepted >= 5
    assert opened >= 25


@pytest.mark.slow
def test_ten_thousand_mutants_of_a_bundle_break_no_page_and_no_export(bench: Bench, honest: bytes) -> None:
    accepted, _ = check_mutants(bench, honest, 10_000, group=200, deep=1, seed=2)
    assert accepted >= 2_000


def check_stored(bench: Bench, honest: bytes, count: int, *, deep: int, seed: int) -> None:
    """Write odd values over the stored rows of imported runs, past every check, and open them everywhere."""
    chance = random.Random(seed)
    mutants = Mutants(bench, honest, chance)
    everywhere = Everywhere(bench.lab, chance)
    same = [(json.dumps(mutants.record).encode(), mutants.files[points_name(0)])] * IN_ONE_BUNDLE
    done = 0
    while done < count:
        ids = mutants.imported_group(same[: count - done])
        done += len(ids)
        for id in ids:
            _write_over(bench, id, chance)
        broken = everywhere.open(ids, deep=deep)
        assert broken == [], f"seed {seed}, after {done} rows: " + "\n".join(broken[:20])
        for id in ids:
            bench.lab.store.removal.delete(id)


def _write_over(bench: Bench, id: str, chance: random.Random) -> None:
    with bench.lab.store.database.write() as connection:
        number = sound_row(connection, id).number
        wild = chance.choice([1e300, 2.0**60, -1.0, None, float("inf"), 5e-324])
        some = points.c.step % chance.choice([1, 2, 7]) == 0
        connection.execute(points.update().where(points.c.run == number, some).values(value=wild))
        if chance.random() < 0.3:
            late = chance.choice([1e300, -5.0, float("inf")])
            connection.execute(points.update().where(points.c.run == number, some).values(time_s=late))
    write_past_checks(bench.lab.store, id, **dict(stored_values(chance)))


def test_whatever_is_stored_breaks_no_page_and_no_export(bench: Bench, honest: bytes) -> None:
    check_stored(bench, honest, 8, deep=0, seed=3)


@pytest.mark.slow
def test_a_thousand_rows_of_odd_values_break_no_page_and_no_export(bench: Bench, honest: bytes) -> None:
    check_stored(bench, honest, 1_000, deep=2, seed=4)
