"""Inside's view "Training step": taking steps, the address, long and diverging sequences, and the shared cache."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from lab.errors import InputError
from lab.examples.catalogue import EXAMPLES
from lab.network_counts import count_from_config
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.service.training_steps import LayerUpdate, StepPoint, StepsTaken
from lab.service.update_rules import NEXT_BATCH, OWN, PLAIN, PLAIN_LR, SAME_BATCH
from pages.cache import inspection, training_steps
from pages.cache.datasets import INITIAL
from pages.cache.training_steps import StepsKey, steps_ahead, take_steps
from pages.inside import step, step_parts
from pages.state.inside import INSIDE, MAX_STEPS
from pages.widgets import waiting
from tests.golden.opening import unpack_home
from tests.web import test_web_inside
from tests.web.addresses import labelled, open_page, set_state
from tests.web.test_web_inside import component, texts, tiles
from tests.web.web_data import Bench

home, lab, run, env_home = test_web_inside.home, test_web_inside.lab, test_web_inside.run, test_web_inside.env_home
LOSS = re.compile(r"Batch \*\*([\d.]+)\*\*, (\d+) of (\d+) correct\s+(\d+) test images \*\*([\d.]+)\*\*")


@pytest.fixture(autouse=True)
def no_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without sequences of other tests, whose runs can have the same weights."""
    monkeypatch.setattr(training_steps, "_sequences", training_steps._Sequences())


def _open(run: RunRecord, epoch: str = "0", **query: str) -> AppTest:
    return open_page("inside", run=run.id, view="step", epoch=epoch, **query)


def _press(app: AppTest, label: str) -> AppTest:
    labelled(app.button, label).click().run()
    assert not app.exception
    return app


def _losses(app: AppTest) -> tuple[float, float]:
    found = LOSS.search(texts(app))
    assert found is not None, texts(app)
    return float(found[1]), float(found[5])


def _key(
    run: RunRecord, *, lr: float = 0.1, rule: str = PLAIN, digest: str = INITIAL, batches: str = SAME_BATCH
) -> StepsKey:
    return StepsKey(run.id, digest, rule, lr, 8, 20, batches, sample=False)


# -- the page ----------------------------------------------------------------------------------------------------------


def test_steps_lower_the_loss_and_are_in_the_address_until_they_are_undone(env_home: None, run: RunRecord) -> None:
    app = _open(run)
    assert "**0 steps** taken" in texts(app)
    assert "No step has been taken yet" in texts(app)
    assert labelled(app.button, "Start over").disabled
    start = _losses(app)
    first = _losses(_press(app, "Take one step"))
    assert first[0] < start[0]
    assert app.query_params["steps"] == "1"
    assert "This step lowered the loss of the batch" in texts(app)
    tenth = _losses(_press(app, "Take 10 steps"))
    assert tenth[0] < first[0]
    assert (app.query_params["steps"], "**11 steps** taken" in texts(app)) == ("11", True)
    figure = component(app, "figure")
    assert figure["words"].startswith("Loss over 11 steps: the 8 images of the batch from")
    assert _losses(_open(run, steps="11")) == tenth  # a link or a reload opens the same
    assert _losses(_press(app, "Start over")) == start
    assert "steps" not in app.query_params


def test_another_epoch_takes_the_same_number_of_steps_from_its_own_weights(env_home: None, run: RunRecord) -> None:
    before, after = (_losses(_open(run, epoch=epoch, steps="2"))[0] for epoch in ("0", "2"))
    assert after < before


def test_the_arithmetic_of_one_weight_matches_the_networks_value(env_home: None, run: RunRecord) -> None:
    app = _open(run, steps="3", rate="0.5")
    text = next(each.value for each in app.markdown if "One weight" in each.value).replace("\\", "").replace("−", "-")
    before, rate, gradient, after = re.findall(r"(-?[\d.e-]+) - ([\d.]+) × \(?(-?[\d.e-]+)\)? = \*\*(-?[\d.]+)", text)[
        0
    ]
    assert rate == "0.5"
    assert float(before) - 0.5 * float(gradient) == pytest.approx(float(after), abs=2e-6)
    assert f"The network's weight is {after}" in text
    set_state(app, INSIDE, stepped_filter=4)
    app.run()
    assert "(filter 4, channel 0, row" in texts(app)
    assert len(tiles(app, "Filters of features.conv1 before and after the step")) == 6


def test_the_runs_optimizer_starts_with_its_own_rate_and_another_rule_forgets_the_chosen_rate(
    env_home: None, run: RunRecord
) -> None:
    app = _open(run, rate="0.2")
    assert app.select_slider(key="inside.rate").value == 0.2
    app.segmented_control(key="inside.rule").set_value(OWN).run()
    assert app.select_slider(key="inside.rate").value == run.config.lr
    assert (app.query_params["rule"], "rate" in app.query_params) == (OWN, False)
    _press(app, "Take one step")
    assert "the optimizer turns it into the step of" in texts(app)
    app.segmented_control(key="inside.rule").set_value(PLAIN).run()
    assert app.select_slider(key="inside.rate").value == PLAIN_LR
    app.select_slider(key="inside.rate").set_value(0.5).run()
    assert app.query_params["rate"] == "0.5"
    assert not {"rule"} & set(app.query_params)


def test_the_runs_own_batch_size_is_offered_and_its_first_step_is_named(env_home: None, run: RunRecord) -> None:
    app = _open(run, batch="32", rule="own")
    assert [str(each) for each in app.segmented_control(key="inside.batch").options] == ["8", "16", "32", "64"]
    assert "With these settings, the first step is that of the run itself." in texts(app)
    assert "the first step is that of the run itself" not in texts(_open(run, batch="32"))
    assert "the first step is that of the run itself" not in texts(_open(run, epoch="1", batch="32", rule="own"))


def test_each_step_can_take_the_next_batch_and_the_first_one_stays_the_same(env_home: None, run: RunRecord) -> None:
    app = _open(run, batch="32", rule="own")
    same = _losses(_press(app, "Take one step"))
    app.segmented_control(key="inside.batches").set_value(NEXT_BATCH).run()
    assert not app.exception
    assert (app.query_params["batches"], app.query_params["steps"]) == ("next", "1")
    assert _losses(app) == same
    assert "Batch 1 in the run's own order of the training images, 32 images." in texts(app)
    assert "With these settings, the steps are those of the run itself." in texts(app)
    _press(app, "Take one step")
    assert _losses(app)[0] != _losses(_open(run, batch="32", rule="own", steps="2"))[0]
    assert "Batch 2 in the run's own order" in texts(app)
    assert "the loss of its own batch by" in texts(app)
    assert component(app, "figure")["words"].startswith("Loss over 2 steps: each step's batch, before and after it, in")
    assert _losses(_open(run, batch="32", rule="own", steps="2", batches="next")) == _losses(app)


def test_a_rate_that_is_too_large_ends_the_sequence_with_one_sentence(env_home: None, run: RunRecord) -> None:
    app = _open(run, rate="100.0", steps="40")
    (error,) = [each.value.replace("\\", "") for each in app.error]
    steps = re.findall(r"After step (\d+) the loss is not finite: a learning rate of 100 is too large here", error)
    assert 0 < int(steps[0]) < 40
    assert labelled(app.button, "Take one step").disabled
    assert not labelled(app.button, "Start over").disabled
    app.select_slider(key="inside.rate").set_value(0.02).run()  # the same steps at a rate that works
    assert not app.error
    assert "**40 steps** taken" in texts(app)


def test_every_rate_with_which_a_run_can_train_is_kept_by_the_address(env_home: None, run: RunRecord) -> None:
    for rate in (1e-12, 1e-6, 100.0):
        app = _open(run, rate=str(rate))
        assert app.select_slider(key="inside.rate").value == rate
        assert app.query_params["rate"] == str(rate)


def test_no_sequence_is_longer_than_the_largest_number_of_steps(env_home: None, run: RunRecord) -> None:
    app = _open(run, steps=str(MAX_STEPS - 3))
    _press(app, "Take 10 steps")
    assert f"**{MAX_STEPS} steps** taken, the most of one sequence" in texts(app)
    assert labelled(app.button, "Take one step").disabled


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("steps", "999", f"a whole number from 0 to {MAX_STEPS}"),
        ("rate", "nan", "a number above 0 and at most 100"),
        ("rate", "fast", "a number above 0 and at most 100"),
        ("rate", "0", "a number above 0 and at most 100"),
        ("batch", "9", "one of 8, 16, 32, 64"),
        ("rule", "adam", "one of plain, own"),
        ("stepped", "conv9", "one of features.conv1, features.conv2"),
    ],
)
def test_an_invalid_choice_in_the_address_is_reported(
    env_home: None, run: RunRecord, name: str, text: str, rule: str
) -> None:
    app = _open(run, **{name: text})
    (error,) = [each.value.replace("\\", "") for each in app.error]
    assert f"The address has {name}='{text}', but it must be {rule}" in error


def test_a_long_sequence_starts_only_on_request(
    env_home: None, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LeNet-5 makes 423,038 mult-adds an image: 208 images are measured at first, and 232 passes made in each step."""
    monkeypatch.setattr(waiting, "_AT_ONCE", 250 * 423_038)
    app = _open(run)
    _losses(app)
    _losses(_press(app, "Take one step"))
    _press(app, "Take 10 steps")
    assert "Taking 10 steps takes 981.45 M mult-adds" in texts(app)
    assert LOSS.search(texts(app)) is None
    assert labelled(app.button, "Take one step").disabled
    _losses(_press(app, "Do it anyway"))
    assert "**11 steps** taken" in texts(app)


def test_large_networks_get_fewer_test_images_and_no_batch_that_does_not_fit_into_memory(
    env_home: None, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_image = count_from_config(run.config).activations.stored
    monkeypatch.setattr(step, "_ACTIVATION_BYTES", 20 * per_image)
    monkeypatch.setattr(step, "_OTHERS_WORK", 30 * 423_038)
    app = _open(run)
    assert [str(each) for each in app.segmented_control(key="inside.batch").options] == ["8", "16"]
    assert "30 test images **" in texts(app)
    monkeypatch.setattr(step, "_OTHERS_WORK", 0)
    assert "16 test images **" in texts(_open(run))


def test_an_example_uses_the_training_images_of_the_sample_if_its_data_set_is_missing(bench: Bench) -> None:
    app = open_page("inside", run=EXAMPLES[0].id, view="step", epoch="0", steps="1")
    assert "8 training images that ship with the examples, since the run's own are not on this machine." in texts(app)
    _losses(app)


def test_a_diverged_epoch_is_refused(bench: Bench) -> None:
    """A network whose loss is not finite cannot take a step."""
    key = StepsKey("run", INITIAL, PLAIN, 0.1, 8, 20, SAME_BATCH, sample=False)

    def begin(_key: StepsKey) -> Any:
        raise InputError("The loss of these images is not finite.")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training_steps, "_begin", begin)
        with pytest.raises(InputError, match="not finite"):
            take_steps(key, 0)
    assert steps_ahead(key, 3) is None


def test_a_run_of_an_earlier_release_takes_steps(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_HOME", str(unpack_home("0.2.0", tmp_path / "golden")))
    app = open_page("inside", run="b6fc3ebc9a33", view="step", epoch="1", steps="2")
    assert not app.error
    _losses(app)


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_the_network_that_all_sessions_share_is_not_changed(env_home: None, lab: Lab, run: RunRecord) -> None:
    digest = lab.weights.list(run.id)[0].sha256
    shared = inspection.network_of(run.id, digest).network
    before = {name: tensor.clone() for name, tensor in shared.state_dict().items()}
    take_steps(_key(run, digest=digest), 3)
    assert inspection.network_of(run.id, digest).network is shared
    assert all(torch.equal(before[name], tensor) for name, tensor in shared.state_dict().items())
    assert not shared.training
    assert not any(p.requires_grad or p.grad is not None for p in shared.parameters())


def test_a_sequence_is_continued_and_begins_again_for_fewer_steps(
    env_home: None, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    begin = training_steps._begin
    monkeypatch.setattr(training_steps, "_begin", lambda key: begun.append(key) or begin(key))
    key = _key(run)
    assert steps_ahead(key, 4) is None
    first, fourth = take_steps(key, 1), take_steps(key, 4)
    assert (steps_ahead(key, 4), steps_ahead(key, 9), steps_ahead(key, 2)) == (0, 5, None)
    assert [point.loss for point in fourth.points[:2]] == [point.loss for point in first.points]
    assert begun == [key]
    again = take_steps(key, 2)
    assert [point.loss for point in again.points] == [point.loss for point in fourth.points[:3]]
    assert begun == [key, key]


def test_sequences_stay_within_their_budget_and_the_latest_one_remains(
    env_home: None, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [_key(run, lr=lr) for lr in (0.1, 0.2, 0.3)]
    monkeypatch.setattr(training_steps, "_BYTES", 2 * 2 * 4 * 61_706)
    for key in keys:
        take_steps(key, 1)
    assert [steps_ahead(key, 1) for key in keys] == [None, 0, 0]
    monkeypatch.setattr(training_steps, "_BYTES", 0)
    take_steps(keys[1], 1)
    assert [steps_ahead(key, 1) for key in keys] == [None, 0, None]


# -- texts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([(2.3, 2.3)], "No step has been taken yet"),
        ([(2.3, 2.3), (2.2, 2.3)], "lowered the loss of the batch by 0.1000."),
        ([(2.3, 2.3), (2.5, 2.3)], "raised the loss of the batch by 0.2000: it went too far"),
        ([(2.3, 2.3), (1.0, 2.4)], "that of the 200 test images is higher than at the start"),
        ([(2.3, 2.3), (1.0, 2.2)], "lowered the loss of the batch by 1.3000."),
        ([(2.3, 2.3), (1.0, 2.4), (1.1, 2.4)], "raised the loss of the batch by 0.1000"),
    ],
)
def test_the_last_step_is_judged_by_both_losses(losses: list[tuple[float, float]], words: str) -> None:
    assert words in step_parts.verdict_words(losses, others=200)


@pytest.mark.parametrize(
    ("own", "others", "words"),
    [
        ((2.3, 2.4), (2.3, 2.2), "raised the loss of its own batch by 0.1000: it went too far"),
        ((2.3, 2.2), (2.3, 2.2), "lowered the loss of its own batch by 0.1000, and that of the 200 test images by 0.1"),
        (
            (2.3, 2.2),
            (2.3, 2.5),
            "and raised that of the 200 test images by 0.2000: the gradient of one batch is a noisy",
        ),
    ],
)
def test_a_step_on_the_next_batch_is_judged_by_its_own_batch_and_by_the_other_images(
    own: tuple[float, float], others: tuple[float, float], words: str
) -> None:
    earlier, last = (StepPoint(own[0], own[1], other, 0.5, *[np.zeros(1)] * 3, 1) for other in others)
    assert words in step_parts.next_batch_words(earlier, last, others=200)


@pytest.mark.parametrize(
    ("relative", "length", "words"),
    [
        (0.0, 0.0, "0 %"),
        (1e-7, 0.0, "1e-05 %"),
        (1e-6, 0.0, "1e-04 %"),
        (1e-3, 0.5, "0.1 %"),
        (0.0123, 0.682, "1.2 %"),
        (0.999, 1.0, "100 %"),
        (1.0, 1.0, "100 %"),
        (50.0, 1.0, "5,000 %"),
        (np.inf, 1.0, "∞"),
        (np.nan, 0.0, "NaN"),
    ],
)
def test_an_update_is_a_bar_on_a_logarithmic_axis_with_its_share(relative: float, length: float, words: str) -> None:
    assert step_parts._length(relative) == pytest.approx(length, abs=1e-3)
    assert step_parts._share(relative) == words


def test_the_bars_escape_the_names_of_layers_and_are_empty_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[str] = []
    said: list[str] = []
    monkeypatch.setattr(step_parts, "st", SimpleNamespace(html=drawn.append, header=_nothing, caption=said.append))
    for steps in (0, 1):
        taken = SimpleNamespace(steps=steps, updates=(LayerUpdate("<a>", 1e-3 * steps),))
        step_parts.show_updates(cast(StepsTaken, taken))
    assert "<a>" not in drawn[0]
    assert "&lt;a&gt;" in drawn[0]
    assert ("<span class='n'>–</span>" in drawn[0], "<span class='n'>0.1 %</span>" in drawn[1]) == (True, True)
    assert "width:50.0%" in drawn[1]
    assert ["No gradient" in each for each in said] == [False, False]
    step_parts.show_updates(cast(StepsTaken, SimpleNamespace(steps=3, updates=(LayerUpdate("a", 0.0),))))
    assert said[2].startswith("No gradient reaches the layers' weights")


def _nothing(*_: Any, **__: Any) -> None:
    """Draw nothing."""


def test_the_card_of_an_image_says_without_colours_whether_it_is_read_correctly() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    right, wrong, none = (step_parts._card(picture, "<3>", answer, 0.25, 0.5) for answer in ("<3>", "8", ""))
    assert "&lt;3&gt; ✓" in right
    assert "&lt;3&gt; → 8" in wrong
    assert "&lt;3&gt; → no number" in none
    assert ("class='right'" in right, "class='wrong'" in wrong) == (True, True)
    assert "25 % → 50 %" in right
    assert "width:50.0%" in right
    assert "left:calc(25.0% - 1px)" in right
    assert "NaN → NaN" in step_parts._card(picture, "3", "", float("nan"), float("nan"))


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0.000000"), (-0.5, "−0.500000"), (1e-5, "1.000e−05"), (123456.0, "1.235e+05"), (1e-4, "0.000100")],
)
def test_numbers_of_the_arithmetic_have_six_digits_or_an_exponent(value: float, words: str) -> None:
    assert step_parts._number(value) == words
    assert step_parts._bracketed(value) == (f"({words})" if value < 0 else words)
