"""Which seeds are asked for next, and which runs stand for a setting."""

from pathlib import Path

import pytest

from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.service.repeats import free_seeds
from lab.settings import Settings
from tests.comparison.compared_runs import BASE, ended_run


def test_the_lowest_free_seeds_come_next_and_those_of_the_other_side_before_them() -> None:
    assert free_seeds((0, 2), 3) == (1, 3, 4)
    assert free_seeds((7,), 4) == (0, 1, 2, 3)
    assert free_seeds((0,), 3, like=(9, 0, 4)) == (4, 9, 1)
    assert free_seeds((0,), 1, like=(9, 4)) == (4,)
    assert free_seeds((0,), 3, like=(1,)) == (1, 2, 3)
    assert free_seeds((0, 1), 0) == free_seeds((0, 1), -3, like=(5,)) == ()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


def test_filling_counts_what_is_finished_or_on_its_way_and_adds_the_rest(lab: Lab) -> None:
    config = lab.validation.resolve(BASE).config
    stopped = ended_run(lab.store, config.replace(seed=3), 0.9, state=RunState.STOPPED)
    run = ended_run(lab.store, config.replace(seed=1), 0.9)
    again = ended_run(lab.store, config.replace(seed=1), 0.9, fresh=True)
    ended_run(lab.store, config.replace(seed=2, lr=0.5), 0.2)
    assert [one.id for one in lab.repeating.find(again).runs] == [run.id]
    filled = lab.repeating.fill(run, seeds=4, like=(8,))
    assert filled.seeds == (0, 1, 2, 8)
    assert [one.config.seed for one in filled.queued] == [8, 0, 2]
    assert {one.state for one in filled.queued} == {RunState.QUEUED}
    assert lab.repeating.fill(run, seeds=4).queued == ()
    assert stopped.id not in {one.id for one in filled.runs}
