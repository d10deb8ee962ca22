"""k-fold cross-validation: the corrected test, which folds are compared, and the notes on the verdict."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lab.comparison.folds import corrected_t_test
from lab.comparison.runs import compare_runs, compare_settings
from lab.comparison.verdict import Answer, Design, compare_folds
from lab.comparison.words import notes_of, verdict_text
from lab.config.repeats import repeat_text
from lab.errors import InputError
from lab.runs.repeated import are_folds, count_repeats
from lab.runs.store import RunStore
from lab.sharing.comparison import settings_table
from lab.spread import format_result
from tests.comparison.compared_runs import BASE, HIGH, LOW, ended_run, folded, seeded


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}")


@pytest.mark.parametrize(("folds", "seeds"), [(5, 1), (10, 1), (3, 2), (2, 5)])
def test_the_corrected_t_is_the_paired_t_shrunk_by_the_share_of_common_images(folds: int, seeds: int) -> None:
    """Nadeau and Bengio 2003: J + J / (k - 1) instead of J, which gives two thirds of the paired t with five folds."""
    count = folds * seeds
    random = np.random.default_rng(folds)
    a = random.normal(0.9, 0.01, size=count)
    b = a + random.normal(0.008, 0.008, size=count)
    plain = stats.ttest_rel(b, a)
    shrunk = plain.statistic / np.sqrt(1 + count / (folds - 1))
    found = corrected_t_test(b - a, folds=folds)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(shrunk), count - 1), rel=1e-9)
    assert found.p > plain.pvalue
    low, high = plain.confidence_interval(0.95)
    assert (found.high - found.low) / (high - low) == pytest.approx(np.sqrt(1 + count / (folds - 1)))
    assert found.low + found.high == pytest.approx(low + high)


def test_the_corrected_test_of_five_differences_agrees_with_hand_calculation() -> None:
    """Mean 0.02, variance 5e-5, (1/5 + 1/4) of it 2.25e-5: t = 4.216 with 4 degrees of freedom.

    For those, p is 1 - sin(h) (1 + cos(h)^2 / 2) with tan(h) = t / 2.
    """
    found = corrected_t_test(np.array([0.01, 0.02, 0.03, 0.02, 0.02]), folds=5)
    assert found.p == pytest.approx(0.013517, abs=1e-6)
    assert (found.low, found.high) == pytest.approx(
        (0.02 - 2.77645 * 0.00474342, 0.02 + 2.77645 * 0.00474342), abs=1e-6
    )


def test_equal_differences_have_an_interval_of_zero_width() -> None:
    assert corrected_t_test(np.zeros(5), folds=5) == (1.0, 0.0, 0.0)
    assert corrected_t_test(np.full(5, -0.1), folds=5) == pytest.approx((0.0, -0.1, -0.1))


def test_the_answer_is_yes_exactly_if_the_interval_excludes_zero() -> None:
    random = np.random.default_rng(5)
    answers = set()
    for _ in range(60):
        a = random.normal(size=5)
        found = compare_folds(a.tolist(), (a + random.normal(1.0, 0.7, size=5)).tolist(), folds=5)
        assert found.low is not None
        assert found.high is not None
        assert (found.verdict is Answer.YES) == (found.low > 0 or found.high < 0)
        answers.add(found.verdict)
    assert answers == {Answer.YES, Answer.NO}
    with pytest.raises(ValueError, match="folds of 5 and 4 values"):
        compare_folds([0.0] * 5, [0.0] * 4, folds=5)
    for a, b in ((0.0, float("nan")), (float("inf"), 0.0)):
        with pytest.raises(ValueError, match="not finite"):
            compare_folds([a] * 5, [b] * 5, folds=5)


def test_the_same_folds_are_compared_by_validation_accuracy(store: RunStore) -> None:
    found = compare_runs(folded(store, LOW), folded(store, HIGH, lr=0.01))
    assert (found.verdict.verdict, found.verdict.design) == (Answer.YES, Design.FOLDS)
    assert found.a.values == LOW
    assert verdict_text(found.verdict, a="A", b="B") == (
        "Significant: B is better than A by 1.64 points (95 % interval 1.30 to 1.98; p = 0.00018; corrected resampled t-test, "
        "5 folds)."
    )
    assert [note.partition(",")[0] for note in notes_of(found)] == [
        "Folds compare the validation accuracy after the last epoch"
    ]
    assert format_result(found.a.measure.result_key, found.a.spread) == "91.36 ± 0.34 % (5 folds)"
    assert found.verdict.difference == pytest.approx(0.0164)
    table = settings_table([*found.a.runs, *found.b.runs])
    assert [row[table.columns.index("validation accuracy")] for row in table.rows] == [
        "91.36 ± 0.34 % (5 folds)",
        "93.00 ± 0.29 % (5 folds)",
    ]


def test_only_folds_that_both_sides_have_are_compared(store: RunStore) -> None:
    a, b = folded(store, LOW), folded(store, HIGH, lr=0.01)
    found = compare_runs(a[1:], b[:4])
    assert (found.verdict.verdict, found.verdict.n_a, found.verdict.n_b) == (Answer.FEW, 3, 3)
    assert verdict_text(found.verdict, a="A", b="B") == (
        "Not enough folds (both sides have 3 in common): at least 5 are needed."
    )
    assert found.notes[0] == "Left out, as only one side has it: fold 1 of seed 0, fold 5 of seed 0."
    queued = [store.queue.submit(run.config.replace(seed=9), fingerprint=str(run.id), family="")[0] for run in a]
    named = ", ".join(f"{run.id} (queued)" for run in queued[:3])
    assert compare_runs([*a, *queued], b[:1]).notes == (
        f"Left out of A, not finished: {named} and 2 more.",
        "Left out, as only one side has it: fold 2 of seed 0, fold 3 of seed 0, fold 4 of seed 0 and 1 more.",
    )
    assert f"Left out of B, not finished: {named}." in compare_runs(a, [*b[:1], *queued[:3]]).notes
    more = folded(store, HIGH, seed=1, lr=0.01)
    assert compare_runs(a, more).verdict.difference is None  # another seed divides the images differently


def test_folds_of_different_images_are_refused(store: RunStore) -> None:
    a = folded(store, LOW[:1])
    with pytest.raises(InputError, match="runs with no folds and 5 folds"):
        compare_runs(a, seeded(store, HIGH[:1], lr=0.01))
    with pytest.raises(InputError, match="runs with 5 folds and 6 folds"):
        compare_runs(a, folded(store, HIGH[:1], folds=6))
    with pytest.raises(InputError, match=r"different images \(train_limit all and 100\)"):
        compare_runs(a, folded(store, HIGH[:1], train_limit=100))
    with pytest.raises(InputError, match="The folds of B have 2 settings"):
        compare_runs(a, [*folded(store, HIGH[:1], lr=0.01), *folded(store, HIGH[:1], lr=0.02)])
    with pytest.raises(InputError, match="omit --independent"):
        compare_runs(a, folded(store, HIGH[:1], lr=0.03), paired=False)


def test_folds_of_several_settings_are_corrected_and_early_stopping_is_noted(store: RunStore) -> None:
    runs = [*folded(store, LOW), *folded(store, HIGH, lr=0.01), *folded(store, HIGH, lr=0.02, patience=2)]
    found = compare_settings(runs)
    assert [one.verdict.adjusted for one in found] == pytest.approx([3 * 0.0001764, 3 * 0.0001764, 1.0], abs=1e-6)
    assert "Early stopping chose the last epoch" in found[1].notes[0]
    assert found[0].notes == ()


def test_repeats_are_named_and_counted_as_folds_seeds_or_runs(store: RunStore) -> None:
    folds, seeds = folded(store, LOW), seeded(store, LOW)
    assert [repeat_text(run.config) for run in (folds[1], seeds[3])] == ["fold 2 of 5, seed 0", "seed 3"]
    again = ended_run(store, BASE.replace(folds=5, fold=1, seed=1), 0.9)
    assert [count_repeats(runs) for runs in (folds, folds[:1], seeds, [*folds, again])] == [
        "5 folds",
        "1 fold",
        "5 seeds",
        "6 runs",
    ]
    assert not are_folds([folds[0], folds[0]])
    assert not are_folds([])
