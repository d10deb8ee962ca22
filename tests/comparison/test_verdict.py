"""Tests and intervals against textbook values, SciPy and the theory of typical values; minimum numbers of runs."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lab.comparison import randomization
from lab.comparison.randomization import confidence_interval, independent_groups, pairs
from lab.comparison.verdict import (
    Answer,
    Design,
    Verdict,
    compare_answers,
    compare_values,
    correct,
    least_p,
    sampling_error,
)

# Darwin's maize: height of crossed minus self-fertilised plants, in eighths of an inch (Fisher, The Design of
# Experiments, §21).
MAIZE = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)


def _welch(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(stats.ttest_ind(a, b, equal_var=False, axis=axis).statistic)


def test_fishers_test_of_darwins_maize() -> None:
    """1,726 of the 32,768 ways to assign signs to the differences are at least as far from 0 as the observed one."""
    design = pairs(np.zeros(15), MAIZE)
    assert design.exact
    assert design.tails(0.0).p == 1726 / 32_768


@pytest.mark.parametrize(("n_a", "n_b"), [(5, 5), (5, 8), (7, 4)])
def test_the_permutation_test_is_scipys_and_welchs_t_must_agree_for_unequal_sizes(n_a: int, n_b: int) -> None:
    random = np.random.default_rng(n_a)
    a, b = random.normal(size=n_a), random.normal(0.8, 2.0, size=n_b)
    theirs = stats.permutation_test((b, a), _welch, n_resamples=np.inf, vectorized=True)
    welch = stats.ttest_ind(a, b, equal_var=False).pvalue if n_a != n_b else 0.0
    assert independent_groups(a, b).tails(0.0).p == pytest.approx(max(theirs.pvalue, welch), abs=1e-12)


def test_the_false_positive_rate_holds_if_the_smaller_group_varies_more() -> None:
    """Equal means, deviations 3 and 1, 5 and 10 runs: the permutation test alone says yes in 11 to 12 % of cases."""
    random = np.random.default_rng(1)
    drawn = [(random.normal(0, 3, size=5), random.normal(size=10)) for _ in range(600)]
    found = np.mean([independent_groups(a, b).tails(0.0).p <= 0.05 for a, b in drawn])
    assert 0.03 < found < 0.08


@pytest.mark.long
def test_sampled_reassignments_approximate_all_of_them() -> None:
    random = np.random.default_rng(3)
    a, b = random.normal(size=10), random.normal(0.9, size=10)
    sampled = independent_groups(a, b)
    theirs = stats.permutation_test((b, a), _welch, n_resamples=np.inf, vectorized=True)
    assert not sampled.exact
    assert sampled.tails(0.0).p == pytest.approx(theirs.pvalue, abs=0.006)
    assert compare_values(a.tolist(), b.tolist()) == compare_values(a.tolist(), b.tolist())


def test_the_interval_of_pairs_ends_at_typical_values() -> None:
    """The means of all subsets cut the line into equally likely parts (Hartigan 1969)."""
    differences = MAIZE[:7]
    means = sorted(np.mean(c) for k in range(1, 8) for c in itertools.combinations(differences, k))
    low, high = confidence_interval(pairs(np.zeros(7), differences), scale=100.0)
    assert (low, high) == pytest.approx((means[2], means[-3]), abs=1e-4)  # 3 of 128 parts are left out at either end


def test_the_interval_of_equal_groups_ends_at_differences_of_subset_means() -> None:
    a, b = np.array([3.1, 2.7, 4.0, 3.3, 2.2]), np.array([4.4, 5.1, 3.9, 4.2, 6.0])
    means = sorted(
        np.mean(right) - np.mean(left)
        for k in range(1, 6)
        for left in itertools.combinations(a, k)
        for right in itertools.combinations(b, k)
    )
    low, high = confidence_interval(independent_groups(a, b), scale=4.0)
    assert len(means) == 251
    assert (low, high) == pytest.approx((means[5], means[-6]), abs=1e-6)  # 6 of 252 parts at either end


@pytest.mark.parametrize("paired", [False, True])
def test_the_interval_excludes_zero_exactly_if_the_answer_is_yes(paired: bool) -> None:
    random = np.random.default_rng(7)
    answers = []
    for _ in range(60):
        found = compare_values(
            random.normal(size=6).tolist(), random.normal(1.2, size=6 + 2 * (not paired)).tolist(), paired=paired
        )
        assert found.low is not None
        assert found.high is not None
        assert found.difference is not None
        assert found.low <= found.difference <= found.high
        assert (found.verdict is Answer.YES) == (found.low > 0 or found.high < 0)
        answers.append(found.verdict)
    assert {Answer.YES, Answer.NO} == set(answers)


def test_exchanging_the_sides_reverses_the_difference_and_its_interval() -> None:
    a, b = [0.98, 0.981, 0.979, 0.983, 0.98], [0.985, 0.986, 0.984, 0.981, 0.99, 0.987]
    one, other = compare_values(a, b), compare_values(b, a)
    assert one.difference == pytest.approx(0.005, abs=1e-4)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low), abs=1e-9)
    assert (one.p, one.n_a, one.n_b) == (other.p, other.n_b, other.n_a)


@pytest.mark.parametrize(
    ("n_a", "n_b", "paired", "chance"),
    [(1, 1, False, 1.0), (2, 2, False, 1 / 3), (3, 3, False, 0.1), (4, 4, False, 2 / 70), (5, 5, True, 1 / 16)],
)
def test_too_few_runs_have_the_probability_of_chance_alone(n_a: int, n_b: int, paired: bool, chance: float) -> None:
    found = compare_values([0.1 * k for k in range(n_a)], [9 + 0.1 * k for k in range(n_b)], paired=paired)
    assert (found.verdict, found.p, found.low, found.high) == (Answer.FEW, None, None, None)
    assert found.chance == pytest.approx(chance)
    assert found.difference == pytest.approx(9.0)


def test_the_minimum_numbers_of_runs_for_a_verdict() -> None:
    assert (least_p(5, 5), least_p(6, 6, paired=True)) == (2 / 252, 2 / 64)
    assert compare_values([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]).p == 2 / 252
    assert compare_values([1, 2, 3, 4, 5, 6], [2, 4, 6, 8, 10, 12], paired=True).p == 2 / 64
    assert compare_values([1] * 4, [9] * 40).verdict is Answer.FEW
    assert compare_values([], [1.0]).difference is None


def test_equal_values_show_no_difference_and_two_different_constants_do() -> None:
    same = compare_values([0.9] * 5, [0.9] * 5)
    assert (same.verdict, same.p, same.difference) == (Answer.NO, 1.0, 0.0)
    assert (same.low, same.high) == pytest.approx((0.0, 0.0), abs=1e-9)
    apart = compare_values([0.9] * 5, [0.91] * 5)
    assert (apart.verdict, apart.p) == (Answer.YES, 2 / 252)
    assert (apart.low, apart.high) == pytest.approx((0.01, 0.01), abs=1e-9)
    half = compare_values([0.9] * 5, [0.9, 0.9, 0.9, 0.9, 0.91])
    assert (half.verdict, half.p) == (Answer.NO, 1.0)


def test_one_diverged_run_does_not_make_the_others_better() -> None:
    """Its accuracy counts, so the difference is large, but not significant: it could be in either group by chance."""
    found = compare_values([0.98, 0.981, 0.979, 0.982, 0.098], [0.98, 0.982, 0.981, 0.979, 0.983])
    assert (found.verdict, round(found.difference or 0, 3)) == (Answer.NO, 0.177)
    assert found.low is not None
    assert found.low < 0 < (found.high or 0)


@pytest.mark.parametrize(("most", "exact"), [(20, True), (19, False)])
def test_all_reassignments_are_enumerated_up_to_a_limit_and_sampled_beyond_it(
    monkeypatch: pytest.MonkeyPatch, most: int, exact: bool
) -> None:
    monkeypatch.setattr("lab.comparison.randomization.EXACT_UP_TO", most)
    randomization._choices.cache_clear()
    values = np.arange(6.0)
    assert independent_groups(values[:3], values[3:]).exact is exact  # C(6, 3) = 20
    monkeypatch.setattr("lab.comparison.randomization.EXACT_UP_TO", most + 12)
    assert pairs(values[:5], values[1:]).exact is exact  # 2 ** 5 = 32
    randomization._choices.cache_clear()


def test_hundreds_of_runs_are_compared_by_sampling() -> None:
    random = np.random.default_rng(0)
    found = compare_values(random.normal(0.98, 0.001, 300).tolist(), random.normal(0.981, 0.001, 250).tolist())
    assert (found.verdict, found.test) == (Answer.YES, "permutation test (sampled) and Welch's t test")
    assert (found.low, found.high) == pytest.approx((0.00083, 0.00117), abs=0.0001)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_non_finite_values_and_pairs_of_unequal_length_are_refused(wrong: float) -> None:
    for a, b in (([1, 2, 3, 4, wrong], [1, 2, 3, 4, 5]), ([1, 2, 3, 4, 5], [wrong, 2, 3, 4, 5])):
        with pytest.raises(ValueError, match="not finite"):
            compare_values(a, b)
    with pytest.raises(ValueError, match="pairs of 5 and 6"):
        compare_values([1] * 5, [1] * 6, paired=True)


def _answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = [True] * both + [True] * only_a + [False] * only_b + [False] * neither
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


def test_mcnemars_test_of_a_textbook_table() -> None:
    """Table [[101, 121], [59, 33]] of statsmodels' tests, which R's exact2x2 agrees with: p = 4.434e-06."""
    found = compare_answers(*_answers(101, 121, 59, 33))
    assert found.p == pytest.approx(4.434e-06, rel=1e-3)
    assert found.p == pytest.approx(stats.binomtest(59, 180).pvalue, rel=1e-9)
    assert (found.verdict, found.difference) == (Answer.YES, pytest.approx(-62 / 314))
    # Bonett and Price: (60 - 122) / 316 ± 1.95996 × sqrt((182 / 316 - 0.196203²) / 316).
    assert (found.low, found.high) == (pytest.approx(-0.277034, abs=1e-5), pytest.approx(-0.115372, abs=1e-5))
    assert (found.n_a, found.n_b) == (1, 1)


def test_mcnemars_interval_never_contradicts_the_test() -> None:
    for only_b in range(0, 90, 3):
        for only_a in range(0, only_b + 1, 2):
            found = compare_answers(*_answers(400 - only_a - only_b, only_a, only_b, 3))
            assert found.low is not None
            assert (found.verdict is Answer.YES) == (found.low > 0), (only_a, only_b)


def test_networks_that_answer_alike_do_not_differ() -> None:
    right = np.array([True, False, True])
    found = compare_answers(right, right)
    assert (found.p, found.difference, found.verdict) == (1.0, 0.0, Answer.NO)
    with pytest.raises(ValueError, match="answers of shapes"):
        compare_answers(right, right[:2])
    with pytest.raises(ValueError, match="answers of shapes"):
        compare_answers(right[:0], right[:0])
    every = np.ones(4, dtype=bool)
    found = compare_answers(every, ~every)
    assert (found.low, found.high) == (-1.0, 0.0)  # clipped to the possible range; p is 0.125
    found = compare_answers(~every, every)
    assert (found.low, found.high) == (0.0, 1.0)


def test_holms_correction_of_a_textbook_example() -> None:
    """Of p = 0.01, 0.04, 0.03 and 0.005 the second and third are no longer below 5 %."""
    made = [Verdict(Answer.YES, 0.1, 0.05, 0.15, 5, 5, p, "permutation test") for p in (0.01, 0.04, 0.03, 0.005)]
    few = Verdict(Answer.FEW, 0.1, None, None, 2, 2, None, "permutation test", Design.GROUPS, 1 / 3)
    found = correct([*made, few])
    assert [one.adjusted for one in found[:4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [one.verdict for one in found] == [Answer.YES, Answer.NO, Answer.NO, Answer.YES, Answer.FEW]
    assert correct([]) == ()
    surely_not = [Verdict(Answer.NO, 0.1, -0.1, 0.3, 5, 5, p, "permutation test") for p in (0.6, 0.7)]
    assert [one.adjusted for one in correct(surely_not)] == [1.0, 1.0]


def test_the_sampling_error_of_ten_thousand_images_near_99_percent_is_a_tenth_of_a_point() -> None:
    assert sampling_error(0.99, 10_000) == pytest.approx(0.000995, abs=1e-6)
    assert sampling_error(1.0, 10) == 0.0
