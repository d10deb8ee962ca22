"""Which runs of a group count, which cannot be compared, and when equal seeds are pairs."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab.comparison.runs import compare_runs, compare_settings
from lab.comparison.verdict import Answer, compare_values
from lab.comparison.words import notes_of, verdict_text
from lab.errors import InputError
from lab.runs.imports import IMPORTED
from lab.runs.records import RunState
from lab.runs.store import RunStore
from tests.comparison.compared_runs import BASE, HIGH, LOW, ended_run, seeded


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}")


def test_five_clearly_better_runs_are_better(store: RunStore) -> None:
    a, b = seeded(store, LOW), seeded(store, HIGH, lr=0.01)
    found = compare_runs(a, b)
    assert (found.verdict.verdict, found.verdict.p) == (Answer.YES, 2 / 252)
    assert found.verdict.difference == pytest.approx(0.0164)
    assert verdict_text(found.verdict, a="A", b="B") == (
        "Significant: B is better than A by 1.64 points (95 % interval 1.15 to 2.10; p = 0.0079; permutation test, "
        "5 and 5 runs)."
    )
    assert verdict_text(compare_runs(b, a).verdict, a="A", b="B").startswith(
        "Significant: A is better than B by 1.64 points (95 % interval 1.15"
    )
    assert found.sampling_error == pytest.approx(0.01347, abs=1e-5)
    assert notes_of(found) == ()


def test_a_difference_below_the_sampling_error_of_the_test_set_is_noted(store: RunStore) -> None:
    a, b = seeded(store, LOW), seeded(store, [x + 0.008 for x in LOW], lr=0.01)
    found = compare_runs(a, b)
    assert found.verdict.verdict is Answer.YES
    assert notes_of(found) == (
        "The difference is smaller than the sampling error of one accuracy on 359 test images (± 1.42 points): other "
        "images of the same kind may give another result.",
    )


def test_too_few_runs_are_reported_with_what_chance_alone_would_do(store: RunStore) -> None:
    found = compare_runs(seeded(store, LOW[:3]), seeded(store, HIGH[:3], lr=0.01))
    assert found.verdict.verdict is Answer.FEW
    assert verdict_text(found.verdict, a="A", b="B") == (
        "Not enough runs (3 and 3): at least 5 of each are needed. Even if every run of one side were better than "
        "every run of the other, chance alone would do that 1 time in 10."
    )
    many = compare_values([0.9] * 4, [0.91, 0.92] * 30)
    assert verdict_text(many, a="A", b="B") == (
        "Not enough runs (4 and 60): at least 5 of each are needed. So few runs do not show how much the results of "
        "their setting vary."
    )
    single = compare_runs(seeded(store, [0.9], batch_size=8), seeded(store, [0.92], lr=0.1))
    assert "One run each shows nothing" in verdict_text(single.verdict, a="A", b="B")


def test_unfinished_and_untested_runs_are_left_out_and_named(store: RunStore) -> None:
    stopped = ended_run(store, BASE.replace(seed=7), 0.99, state=RunState.STOPPED)
    untested = ended_run(store, BASE.replace(seed=8), None)
    a, b = seeded(store, LOW), seeded(store, HIGH, lr=0.01)
    queued, _ = store.queue.submit(BASE.replace(seed=9), fingerprint="q", family="")
    found = compare_runs([*a, stopped, untested, queued], b)
    assert found.verdict.n_a == 5
    assert found.notes == (
        f"Left out of A, not finished: {stopped.id} (stopped), {queued.id} (queued).",
        f"Left out of A, without a test accuracy: {untested.id} (finished).",
    )
    nothing = compare_runs([queued], b)
    assert (nothing.verdict.verdict, nothing.verdict.difference, nothing.verdict.n_a) == (Answer.FEW, None, 0)


def test_the_same_training_twice_counts_once(store: RunStore) -> None:
    a = seeded(store, LOW)
    again = ended_run(store, a[0].config, LOW[0], fresh=True)
    assert again.id != a[0].id
    found = compare_runs([*a, again, a[1]], seeded(store, HIGH, lr=0.01))
    assert (found.verdict.n_a, found.a.repeats) == (5, ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0)))
    assert found.notes == ("Left out of A, as another has the same settings and seed: 1 run.",)


def test_a_run_on_both_sides_and_different_test_sets_are_refused(store: RunStore) -> None:
    a, b = seeded(store, LOW), seeded(store, HIGH, lr=0.01)
    with pytest.raises(InputError, match=rf"Run {a[2].id} .* is on both sides"):
        compare_runs(a, [*b, a[2]])
    again = ended_run(store, a[0].config, LOW[0], fresh=True)
    with pytest.raises(InputError, match=rf"Run {a[0].id} \(or one with its settings and seed\) is on both sides"):
        compare_runs(a, [*b, again])
    with pytest.raises(InputError, match=r"different data sets \(digits, mnist\)"):
        compare_runs(a, [ended_run(store, BASE.replace(dataset="mnist"), 0.99)])
    with pytest.raises(InputError, match="different test sets, of 100 and 359 images"):
        compare_runs(a, [ended_run(store, BASE.replace(seed=5), 0.9, images=100)])
    with pytest.raises(InputError, match="Side B has no run"):
        compare_runs(a, [])


def test_runs_are_distinguished_by_their_settings_and_not_by_a_bundles_fingerprint(store: RunStore) -> None:
    a, b = seeded(store, LOW), seeded(store, HIGH, lr=0.01)
    claimed = [replace(run, origin=IMPORTED, fingerprint=a[0].fingerprint) for run in b]
    found = compare_runs(a, claimed)
    assert (found.verdict.n_a, found.verdict.n_b) == (5, 5)


def test_equal_seeds_are_paired_from_eight_runs_on(store: RunStore) -> None:
    low, high = [*LOW, 0.913, 0.916, 0.911], [*HIGH, 0.928, 0.925, 0.932]
    a, b = seeded(store, low), seeded(store, high, lr=0.01)
    assert compare_runs(a, b).verdict.test == "sign-flip test of pairs"
    assert compare_runs(a[:7], b[:7]).verdict.test == "permutation test"
    assert compare_runs(a[:6], b[:6], paired=True).verdict.p == 2 / 64
    assert compare_runs(a, b, paired=False).verdict.test == "permutation test"
    assert compare_runs(a[:5], b[:5], paired=True).verdict.chance == 1 / 16
    with pytest.raises(InputError, match="one run per seed on both sides"):
        compare_runs(a, b[1:], paired=True)


def test_mixed_settings_and_equal_settings_are_noted(store: RunStore) -> None:
    a = [*seeded(store, LOW[:3]), *seeded(store, LOW[3:], epochs=2)]
    found = compare_runs(a, seeded(store, HIGH, lr=0.01))
    assert found.notes == ("The runs of A have 2 settings: the verdict is on their mixture.",)
    same = compare_runs(seeded(store, LOW, first=10), seeded(store, LOW, first=20))
    assert same.notes == ("Both sides have the same settings.",)
    assert (same.verdict.verdict, same.verdict.p) == (Answer.NO, 1.0)


def test_several_settings_are_compared_in_pairs_with_holms_correction(store: RunStore) -> None:
    middle = [0.921, 0.917, 0.92, 0.924, 0.9155]  # two of LOW lie among them
    runs = [*seeded(store, LOW), *seeded(store, middle, lr=0.005), *seeded(store, HIGH, lr=0.01)]
    found = compare_settings(runs)
    assert [one.verdict.p for one in found] == pytest.approx([8 / 252, 2 / 252, 2 / 252])
    assert [one.verdict.adjusted for one in found] == pytest.approx([8 / 252, 6 / 252, 6 / 252])
    assert "(95 % interval of this comparison alone 0.12 to 1.10; p after Holm's correction = 0.032;" in verdict_text(
        found[0].verdict, a="A", b="B"
    )
    two = compare_settings(runs[:10])
    assert [one.verdict.adjusted for one in two] == [None]
    with pytest.raises(InputError, match="the same settings except for seeds and folds"):
        compare_settings(runs[:5])
