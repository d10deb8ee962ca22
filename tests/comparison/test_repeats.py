"""Which seeds are requested next, and which runs count as repeats of a setting."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from lab.config.run_config import MAX_FOLDS
from lab.errors import InputError
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.service.repeats import free_seeds
from lab.settings import Settings
from tests.comparison.compared_runs import BASE, LOW, ended_run, folded


def test_free_seeds_are_those_of_the_other_side_first_then_the_lowest() -> None:
    assert free_seeds((0, 2), 3) == (1, 3, 4)
    assert free_seeds((7,), 4) == (0, 1, 2, 3)
    assert free_seeds((0,), 3, like=(9, 0, 4)) == (4, 9, 1)
    assert free_seeds((0,), 1, like=(9, 4)) == (4,)
    assert free_seeds((0,), 3, like=(1,)) == (1, 2, 3)
    assert free_seeds((0, 1), 0) == free_seeds((0, 1), -3, like=(5,)) == ()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


def test_fill_counts_finished_and_queued_runs_and_submits_the_missing_ones(lab: Lab) -> None:
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


def test_submitted_repeats_have_the_owner_priority_executor_and_tags(lab: Lab) -> None:
    (lab.settings.home / "executors.toml").write_text("[slurm]\n")
    run = ended_run(lab.store, lab.validation.resolve(BASE).config, 0.9)
    lab.store.edits.set_tags(run.id, ("mine",))
    run = lab.store.runs.get(run.id)
    filled = lab.repeating.fill(run, seeds=2, owner="ann", priority=3, executor="slurm")
    (one,) = filled.queued
    assert (one.owner, one.priority, one.executor, one.tags) == ("ann", 3, "slurm", ("mine",))
    ((other,),) = (each.queued for each in lab.repeating.fill_all([run], seeds=3, owner="bob"))
    assert (other.owner, other.priority, other.executor) == ("bob", 0, "")
    (plan,) = lab.repeating.plan([run], seeds=5, like=(7,))
    assert [config.seed for config in plan.missing] == [7, 3]
    (usual,) = lab.repeating.plan([run])
    assert [config.seed for config in usual.missing] == [3, 4]


@pytest.mark.parametrize(
    ("seeds", "folds", "fits"),
    [
        (1, None, True),
        (50, None, True),
        (0, None, False),
        (51, None, False),
        (1, 0, False),
        (1, 2, True),
        (1, 1, False),
        (1, MAX_FOLDS, True),
        (1, MAX_FOLDS + 1, False),
    ],
)
def test_the_number_of_seeds_is_from_1_to_50_and_that_of_folds_from_2_to_the_maximum(
    lab: Lab, seeds: int, folds: int | None, fits: bool
) -> None:
    with (
        nullcontext()
        if fits
        else pytest.raises(InputError, match=r"The number of (seeds|folds) is -?\d+, but it must be from")
    ):
        lab.repeating.plan((), seeds=seeds, folds=folds)


def test_folds_use_the_runs_seed_and_a_run_without_folds_is_not_one_of_them(lab: Lab) -> None:
    run = ended_run(lab.store, lab.validation.resolve(BASE).config.replace(seed=3), 0.9)
    lab.store.edits.rename(run.id, "mine, seed 3")
    filled = lab.repeating.fill(lab.store.runs.get(run.id), folds=3)
    assert [(one.config.seed, one.config.fold, one.name) for one in filled.queued] == [
        (3, 1, "mine, fold 1 of 3, seed 3"),
        (3, 2, "mine, fold 2 of 3, seed 3"),
        (3, 3, "mine, fold 3 of 3, seed 3"),
    ]
    assert filled.runs == filled.queued
    again = lab.repeating.fill(filled.queued[1], folds=3)
    assert (again.queued, len(again.runs)) == ((), 3)
    more = lab.repeating.fill(filled.queued[1], seeds=2)
    assert [(one.config.seed, one.config.fold, one.name) for one in more.queued] == [
        (0, 1, "mine, fold 1 of 3, seed 0"),
        (0, 2, "mine, fold 2 of 3, seed 0"),
        (0, 3, "mine, fold 3 of 3, seed 0"),
    ]
    for number in (1, 21):
        with pytest.raises(InputError, match=f"The number of folds is {number}, but it must be from 2 to 20"):
            lab.repeating.fill(run, folds=number)


def test_folds_of_several_settings_have_the_same_seeds(lab: Lab) -> None:
    config = lab.validation.resolve(BASE).config
    a, b = ended_run(lab.store, config.replace(seed=1), 0.9), ended_run(lab.store, config.replace(seed=2, lr=0.5), 0.2)
    plans = lab.repeating.plan([a, b], folds=2)
    assert [[(c.lr, c.seed, c.fold) for c in plan.missing] for plan in plans] == [
        [(config.lr, 1, 1), (config.lr, 1, 2)],
        [(0.5, 1, 1), (0.5, 1, 2)],
    ]
    # An existing fold of another seed is completed on both sides.
    existing = folded(lab.store, LOW[:1], base=config, folds=2, seed=7)
    plans = lab.repeating.plan([existing[0], b], folds=2)
    assert [[(c.lr, c.seed, c.fold) for c in plan.missing] for plan in plans] == [
        [(config.lr, 7, 2)],
        [(0.5, 7, 1), (0.5, 7, 2)],
    ]
