"""Runs that diverged or are no better than guessing, with every loss, one cause and a matching remedy."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from lab.config import RunConfig
from lab.diagnosis.causes import decays_everything, falls
from lab.diagnosis.curves import CurveView, DataFacts, Points, guessing_level
from lab.findings import AT_CHANCE
from lab.metrics import Split
from lab.training.losses import build_loss
from tests.diagnosis.synthetic_curves import FACTS, LOG_10, PER_EPOCH, batches, codes, diagnose, epochs, flat

SGD = {"optimizer": "sgd", "lr": 0.01}
EVERY_LOSS = [
    ("cross-entropy", "logits", 0.0),
    ("cross-entropy", "logits", 0.2),
    ("cross-entropy", "log-softmax", 0.0),
    ("cross-entropy", "softmax", 0.0),
    ("nll", "log-softmax", 0.0),
    ("nll", "softmax", 0.0),
    ("mse", "softmax", 0.0),
    ("mse", "log-softmax", 0.0),
]


def _config(loss: str, output: str, smoothing: float = 0.0, **more: Any) -> RunConfig:
    return RunConfig(loss=loss, output=output, label_smoothing=smoothing, **more)


@pytest.mark.parametrize(("loss", "output", "smoothing"), EVERY_LOSS)
@pytest.mark.parametrize("classes", [10, 47])
def test_the_guessing_level_is_the_loss_of_equal_logits(loss: str, output: str, smoothing: float, classes: int) -> None:
    config = _config(loss, output, smoothing)
    equal, labels = torch.zeros(classes, classes), torch.arange(classes)
    assert guessing_level(config, classes) == pytest.approx(build_loss(config)(equal, labels).item(), rel=1e-5)


@pytest.mark.parametrize(("loss", "output", "smoothing"), EVERY_LOSS)
def test_a_learning_rate_that_is_too_low_is_named_with_every_loss(loss: str, output: str, smoothing: float) -> None:
    config = _config(loss, output, smoothing, optimizer="sgd", lr=1e-5)
    finding, *others = diagnose(config, flat(guessing_level(config, 10)))
    assert finding.code == "at-chance"
    assert "too low" in finding.message
    assert finding.remedy == {"lr": 0.1 if loss == "mse" else 0.01}
    assert {other.code for other in others} <= {"softmax-twice", "nll-on-softmax"}


@pytest.mark.parametrize(("loss", "output", "smoothing"), EVERY_LOSS)
def test_a_learning_rate_that_is_too_high_is_named_with_every_loss(loss: str, output: str, smoothing: float) -> None:
    config = _config(loss, output, smoothing, optimizer="rmsprop", lr=0.5, momentum=0.0)
    level = guessing_level(config, 10)
    finding, *others = diagnose(config, flat(level, jump=level + 2 * abs(level)))
    assert finding.code == "at-chance"
    assert "too high" in finding.message
    assert finding.remedy == {"lr": 0.001}
    assert {other.code for other in others} <= {"softmax-twice", "nll-on-softmax"}


def test_rmsprop_stuck_at_the_largest_class_is_at_chance_although_its_rate_is_in_range() -> None:
    (finding,) = diagnose(
        RunConfig(optimizer="rmsprop", lr=0.03, momentum=0.0), flat(2.43, accuracy=0.1135, jump=155_698.8)
    )
    assert (finding.code, finding.remedy) == ("at-chance", {"lr": 0.001})
    assert "11.35 % of the validation images are right after epoch 6" in finding.message
    assert "the largest class gets 11.25 %" in finding.message
    assert "jumped from 2.4300 to 155,699" in finding.message


def test_a_network_that_always_predicts_the_largest_class_of_an_unbalanced_set_is_at_chance() -> None:
    unbalanced = DataFacts(10, {"train": 3_200, "val": 400, "test": 1_000}, {"train": 0.7, "val": 0.7, "test": 0.7})
    assert codes(RunConfig(), flat(1.2, accuracy=0.7), data=unbalanced) == ["at-chance"]
    assert codes(RunConfig(), flat(1.2, accuracy=0.7)) == []


def test_a_validation_set_of_one_image_does_not_hide_a_run_at_chance() -> None:
    facts = DataFacts(10, {"train": 20, "val": 1, "test": 1}, {"train": 0.15, "val": 1.0, "test": 1.0})
    curves = epochs(train_loss=[0.1] * 6, train_accuracy=[1.0] * 6, val_accuracy=[1.0] * 6, test_accuracy=[1.0] * 6)
    assert codes(RunConfig(), curves, data=facts) == []
    assert codes(RunConfig(), flat(LOG_10, accuracy=0.0), data=facts) == ["at-chance"]


def test_two_classes_are_guessed_half_the_time() -> None:
    facts = DataFacts(2, {"train": 3_200, "val": 400, "test": 1_000}, dict.fromkeys(("train", "val", "test"), 0.5))
    (finding,) = diagnose(RunConfig(**SGD, batch_size=32), flat(math.log(2), accuracy=0.52), data=facts)
    assert (finding.code, "(0.6931)" in finding.message) == ("at-chance", True)
    assert codes(RunConfig(**SGD), flat(0.5, accuracy=0.8), data=facts) == []


def test_a_nan_loss_is_a_divergence_with_step_and_epoch() -> None:
    loss = np.full(4 * PER_EPOCH, 2.3)
    loss[60:] = math.nan
    (finding,) = diagnose(RunConfig(lr=1.0), batches(loss) | epochs(train_loss=[2.3, math.nan, math.nan, math.nan]))
    assert (finding.code, finding.severity, finding.remedy) == ("diverged", "mistake", {"lr": 0.001})
    assert "the loss is NaN from step 61 (epoch 2) on" in finding.message


def test_a_single_infinite_batch_from_which_training_recovered_is_no_divergence() -> None:
    loss = np.full(4 * PER_EPOCH, 0.3)
    loss[60] = math.inf
    good = epochs(train_loss=[0.5, math.inf, 0.3, 0.3], val_accuracy=[0.9] * 4)
    assert codes(RunConfig(precision="float16"), batches(loss) | good) == []


def test_a_loss_far_above_guessing_is_a_divergence() -> None:
    (finding,) = diagnose(RunConfig(loss="mse", lr=1.0), flat(7.8679, jump=4.4e15))
    assert (finding.code, finding.remedy) == ("diverged", {"lr": 0.001})
    assert "the training loss is 7.8679 after epoch 6, and guessing gives 0.0900" in finding.message


def test_a_run_that_lost_what_it_had_learned_diverged_and_both_epochs_are_named() -> None:
    accuracy = [0.8, 0.95, 0.9653, 0.0972, 0.0972, 0.0972]
    curves = flat(2.3) | epochs(val_accuracy=accuracy, test_accuracy=accuracy)
    (finding,) = diagnose(RunConfig(optimizer="sgd", lr=0.5), curves)
    assert (finding.code, finding.remedy) == ("diverged", {"lr": 0.01})
    assert "fell from 96.53 % (epoch 3) to 9.72 % after epoch 6" in finding.message


def test_nll_of_raw_logits_is_one_finding_whether_it_learned_or_not() -> None:
    falling = -np.geomspace(0.1, 1e10, 6 * PER_EPOCH)
    at_ends = falling[PER_EPOCH - 1 :: PER_EPOCH]
    for accuracy, expected in ((0.1, "diverged"), (0.95, "nll-on-logits")):
        curves = batches(falling) | epochs(
            train_loss=at_ends, val_loss=at_ends, train_accuracy=[accuracy] * 6, val_accuracy=[accuracy] * 6
        )
        (finding,) = diagnose(RunConfig(loss="nll"), curves)
        assert (finding.code, finding.remedy) == (expected, {"loss": "cross-entropy", "output": "logits"})
        words = "no lower bound (now -1e+10)" if expected == "diverged" else "The loss is -1e+10 and falls"
        assert words in finding.message


def test_nll_of_raw_logits_whose_loss_is_nan_has_no_current_value() -> None:
    (finding,) = diagnose(RunConfig(loss="nll"), batches([-2.0] * 50 + [math.nan] * 50))
    assert finding.remedy == {"loss": "cross-entropy", "output": "logits"}
    assert "the loss is NaN from step 51 on" in finding.message
    assert "no lower bound: use cross-entropy" in finding.message


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd", "lr": 0.05, "weight_decay": 1.0},
        {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.5},
        {"optimizer": "adamw", "lr": 1e-2, "weight_decay": 10.0},
    ],
)
def test_a_weight_decay_that_shrinks_all_weights_to_zero_is_the_cause(changes: dict[str, Any]) -> None:
    (finding,) = diagnose(RunConfig(**changes), flat(LOG_10))
    assert (finding.code, finding.remedy) == ("at-chance", {"weight_decay": 1e-4})


def test_float16_that_overflows_at_the_usual_rate_is_the_cause() -> None:
    (finding,) = diagnose(RunConfig(precision="float16"), batches([2.3] * 300 + [math.nan] * 50))
    assert (finding.code, finding.remedy) == ("diverged", {"precision": "bfloat16"})


def test_a_deep_network_whose_loss_does_not_move_is_offered_batch_norm() -> None:
    (finding,) = diagnose(RunConfig(arch="vgg11", **SGD), flat(LOG_10))
    assert (finding.code, finding.remedy) == ("at-chance", {"arch_options": {"batch_norm": True}})


def test_a_run_of_a_few_steps_is_advised_to_train_longer_or_without_its_step_limit() -> None:
    short = {name: type(p)(p.step[:1] // 10, p.value[:1]) for name, p in flat(2.3).items() if name != "batch/loss"}
    (finding,) = diagnose(RunConfig(epochs=1), short)
    assert (finding.code, finding.remedy) == ("at-chance", {"epochs": 200})
    (finding,) = diagnose(RunConfig(epochs=1, max_steps=5), short)
    assert finding.remedy == {"max_steps": 0}


def test_memorised_training_images_are_not_blamed_on_the_learning_rate() -> None:
    curves = flat(3.0) | epochs(train_loss=np.geomspace(2, 0.01, 6), train_accuracy=np.linspace(0.2, 1.0, 6))
    (finding,) = diagnose(RunConfig(), curves)
    assert (finding.code, finding.remedy) == ("at-chance", {})
    assert "100.00 % of the training images are right: the network only memorised them" in finding.message


def test_a_run_that_ended_in_its_warm_up_is_not_blamed_on_a_low_learning_rate() -> None:
    warmed = RunConfig(epochs=6, warmup_epochs=600)
    (finding,) = diagnose(warmed, flat(LOG_10))
    assert (finding.code, finding.remedy) == (AT_CHANCE, {"warmup_epochs": 0.6})
    assert "was still warming up, over 600 epochs. Try 0.6." in finding.message
    falling = batches(np.linspace(2.3, 2.0, 300)) | epochs(
        train_loss=[2.2, 2.1, 2.0], train_accuracy=[0.5] * 3, val_accuracy=[0.5] * 3, test_accuracy=[0.5] * 3
    )
    assert codes(RunConfig(lr=1e-4, epochs=3), falling) == ["lr-low"]
    assert codes(RunConfig(lr=1e-4, epochs=3, warmup_epochs=30), falling) == ["warmup-long"]


def test_a_live_run_is_at_chance_only_after_enough_steps_and_its_warm_up() -> None:
    assert codes(RunConfig(**SGD), flat(LOG_10, count=3), ended=False) == []
    assert codes(RunConfig(**SGD), flat(LOG_10, count=6), ended=False) == ["at-chance"]
    assert codes(RunConfig(**SGD, warmup_epochs=8, epochs=20), flat(LOG_10, count=6), ended=False) == []
    stuck = batches([LOG_10] * 300) | {"batch/accuracy": batches([0.1] * 300)["batch/loss"]}
    assert codes(RunConfig(**SGD), stuck, ended=False) == ["at-chance"]
    assert codes(RunConfig(**SGD), batches([LOG_10] * 50), ended=False) == []


def test_findings_on_the_learning_rate_are_dropped_once_the_curves_show_learning() -> None:
    learned = epochs(train_loss=[0.9, 0.4, 0.3], train_accuracy=[0.7, 0.9, 0.92], val_accuracy=[0.8, 0.92, 0.93])
    for lr in (1e-5, 0.5):
        assert codes(RunConfig(lr=lr), {}, ended=False) == ["lr-low" if lr < 1 / 10 else "lr-high"]
        assert codes(RunConfig(lr=lr), learned, ended=False) == []


def test_a_rate_below_the_usual_that_left_the_loss_high_is_reported_with_its_numbers() -> None:
    loss = [2.3, 2.2, 2.0, 1.8, 1.5421]
    curves = epochs(train_loss=loss, val_loss=loss, train_accuracy=[0.6] * 5, val_accuracy=[0.7] * 5)
    slow, *_ = diagnose(RunConfig(lr=2e-5), curves)
    assert (slow.code, slow.remedy) == ("lr-low", {"lr": 0.001})
    assert "After epoch 5 the training loss is 1.5421" in slow.message
    assert "lr-low" not in codes(RunConfig(lr=1e-3), curves)
    assert "lr-low" in codes(RunConfig(optimizer="sgd", lr=1e-3), curves)  # in range, but a tenth of the usual rate


def test_no_curves_give_no_findings() -> None:
    assert codes(RunConfig(), {}) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -1e300, 5e-324, 0.0])
def test_curves_of_any_value_are_diagnosed_without_an_error(value: float) -> None:
    for config in (RunConfig(), RunConfig(loss="nll"), RunConfig(loss="mse", output="softmax")):
        diagnose(config, flat(value, accuracy=value, jump=-value))
        diagnose(config, flat(value, accuracy=0.9, count=40), ended=False)
        diagnose(config, epochs(val_loss=[value] * 20), data=DataFacts(1))


def test_momentum_counts_in_the_effect_of_weight_decay() -> None:
    """Over 300 steps: 0.003 x 0.5 x 300 = 0.45 e-foldings without momentum, and 4.5 with a momentum of 0.9."""
    decay = {"optimizer": "sgd", "lr": 0.003, "weight_decay": 0.5}
    (with_momentum,) = diagnose(RunConfig(**decay, momentum=0.9), flat(LOG_10))
    assert with_momentum.remedy == {"weight_decay": 1e-4}
    (without,) = diagnose(RunConfig(**decay, momentum=0.0), flat(LOG_10))
    assert "weight_decay" not in without.remedy


def test_a_float16_run_above_the_usual_rate_is_advised_to_lower_it() -> None:
    (finding,) = diagnose(RunConfig(precision="float16", lr=0.02), batches([2.3] * 300 + [math.nan] * 50))
    assert (finding.code, finding.remedy) == ("diverged", {"lr": 0.001})


def test_a_one_cycle_run_is_not_at_chance_while_its_rate_still_rises() -> None:
    """The rate rises in the first nine of 30 epochs."""
    cycle = RunConfig(**SGD, schedule="one-cycle", epochs=30)
    assert codes(cycle, flat(LOG_10, count=8), ended=False) == []
    assert codes(cycle, flat(LOG_10, count=9), ended=False) == ["at-chance"]
    limited = cycle.replace(max_steps=15 * PER_EPOCH)  # the rate rises in the first four and a half epochs
    assert codes(limited, flat(LOG_10, count=4), ended=False) == []
    assert codes(limited, flat(LOG_10, count=5), ended=False) == ["at-chance"]


def test_a_run_that_ended_at_its_step_limit_is_advised_to_remove_it() -> None:
    short = {name: type(p)(p.step[:1] // 10, p.value[:1]) for name, p in flat(2.3).items() if name != "batch/loss"}
    for limit, remedy in ((5, "max_steps"), (6, "epochs")):  # five steps were taken
        (finding,) = diagnose(RunConfig(epochs=1, max_steps=limit), short)
        assert list(finding.remedy) == [remedy]


def test_a_loss_that_becomes_nan_at_the_last_step_of_an_epoch_is_of_that_epoch() -> None:
    for step, epoch in ((50, 1), (51, 2), (100, 2), (101, 3)):
        loss = np.full(4 * PER_EPOCH, 2.3)
        loss[step - 1 :] = math.nan
        (finding,) = diagnose(RunConfig(lr=1.0), batches(loss) | epochs(train_loss=[math.nan] * 4))
        assert f"from step {step} (epoch {epoch}) on" in finding.message


def test_a_high_loss_with_a_high_accuracy_is_no_divergence() -> None:
    right = epochs(train_loss=[9.0] * 6, train_accuracy=[0.8] * 6, val_loss=[9.0] * 6, val_accuracy=[0.8] * 6)
    assert "diverged" not in codes(RunConfig(), right)
    wrong = epochs(train_loss=[9.0] * 6, train_accuracy=[0.4] * 6, val_loss=[9.0] * 6, val_accuracy=[0.4] * 6)
    assert codes(RunConfig(), wrong) == ["diverged"]


@pytest.mark.parametrize(("decay", "named"), [(0.05, True), (0.049, False)])
def test_a_weight_decay_of_0_05_or_more_is_the_cause_with_adam(decay: float, named: bool) -> None:
    (finding,) = diagnose(RunConfig(optimizer="adam", weight_decay=decay), flat(LOG_10))
    assert ("weight_decay" in finding.remedy) == named


@pytest.mark.parametrize(("last", "slow"), [(2.05, True), (2.15, False)])
def test_only_a_loss_that_still_falls_is_slow(last: float, slow: bool) -> None:
    loss = [2.3, 2.2, 2.15, 2.1, last]
    curves = epochs(train_loss=loss, val_loss=loss, train_accuracy=[0.5] * 5, val_accuracy=[0.5] * 5)
    assert codes(RunConfig(optimizer="adam", lr=1e-4), curves) == (["lr-low"] if slow else [])


@pytest.mark.parametrize(
    ("optimizer", "lr", "steps", "decayed"),
    [
        ("adam", 1e-5, 10, True),  # coupled decay is rescaled with the gradients, whatever the rate
        ("rmsprop", 1e-5, 10, True),
        ("adamw", 0.01, 6_001, True),  # 0.01 x 0.05 x 6,001 = 3.0005 e-foldings
        ("adamw", 0.01, 6_000, False),
        ("muon", 0.01, 6_001, True),
        ("sgd", 0.001, 6_001, True),  # ten times as many with a momentum of 0.9
        ("sgd", 0.001, 5_999, False),
    ],
)
def test_weights_vanish_after_three_e_foldings_or_at_once_if_decay_is_rescaled(
    optimizer: str, lr: float, steps: int, decayed: bool
) -> None:
    def view(decay: float) -> CurveView:
        config = RunConfig(optimizer=optimizer, lr=lr, weight_decay=decay)
        return CurveView(config, batches(np.full(steps, 2.3)), FACTS, ended=True)

    assert decays_everything(view(0.05)) is decayed
    assert not decays_everything(view(0.0499))


@pytest.mark.parametrize(("optimizer", "high"), [("adam", 0.03), ("rmsprop", 0.03), ("muon", 1.0), ("sgd", 1.0)])
def test_a_rate_at_the_upper_limit_is_not_blamed_and_one_above_it_is(optimizer: str, high: float) -> None:
    messages = [
        diagnose(RunConfig(optimizer=optimizer, lr=lr, momentum=0.0), flat(LOG_10))[0].message
        for lr in (high, high * 1.01)
    ]
    assert ["The first steps saturated it" in message for message in messages] == [False, True]


@pytest.mark.parametrize(
    ("epochs_requested", "epochs_done", "expected"),
    [(1, 1, 20), (3, 3, 20), (19, 3, 20), (20, 3, 21), (100, 3, 101), (10_000, 3, None)],
)
def test_a_run_that_was_too_short_is_advised_to_train_for_more_epochs_than_before(
    epochs_requested: int, epochs_done: int, expected: int | None
) -> None:
    """With 50 steps per epoch, 20 epochs have the thousand steps of a run that learns."""
    (finding,) = diagnose(RunConfig(epochs=epochs_requested), flat(2.3, count=epochs_done))
    assert finding.code == "at-chance"
    assert finding.remedy == {"epochs": expected or 10_000}


def test_the_initial_loss_is_the_higher_one_of_step_0_and_the_first_batch_else_the_guessing_level() -> None:
    def start(**first: tuple[int, float]) -> float:
        curves = {
            name.replace("_", "/"): Points(np.array([at]), np.array([value])) for name, (at, value) in first.items()
        }
        return CurveView(RunConfig(), curves, FACTS, ended=True).start

    assert start(val_loss=(0, 2.5), test_loss=(0, 2.6), batch_loss=(1, 2.4)) == 2.5
    assert start(val_loss=(0, 2.5), test_loss=(0, 2.6), batch_loss=(1, 2.7)) == 2.7
    assert start(val_loss=(50, 2.5), test_loss=(0, 2.6), batch_loss=(1, 2.4)) == 2.6
    assert start(val_loss=(0, math.nan), test_loss=(50, 2.6), batch_loss=(1, 2.7)) == 2.7
    assert start(batch_loss=(2, 2.7)) == LOG_10
    assert start() == LOG_10


def test_the_current_loss_is_that_of_the_last_epoch_or_of_the_last_hundred_batches() -> None:
    loss = np.concatenate([np.full(200, 9.0), np.full(100, 2.0)])

    def now(curves: dict[str, Points]) -> float:
        return CurveView(RunConfig(), curves, FACTS, ended=False).now

    assert now(batches(loss)) == 2.0
    assert now(batches([*loss[:-1], math.nan])) == 2.0
    assert now(batches(loss) | epochs(train_loss=[5.0, 4.0])) == 4.0
    assert now(batches(loss) | epochs(train_loss=[5.0, math.nan])) == 2.0
    assert math.isnan(now({}))


@pytest.mark.parametrize(
    ("images", "share", "limit"),
    [(400, 0.1, 0.145), (100, 0.5, 0.65), (4, 0.1, 0.55), (1, 0.5, 0.75), (10_000, 0.2, 0.212)],
)
def test_chance_is_at_most_three_standard_errors_above_the_largest_class_or_halfway_to_one(
    images: int, share: float, limit: float
) -> None:
    facts = DataFacts(2, {"val": images}, {"val": share, "train": share})
    assert facts.chance(Split.VAL) == pytest.approx(limit)
    assert DataFacts(2, {}, {"val": share}).chance(Split.VAL, images=images) == pytest.approx(limit)


@pytest.mark.parametrize(("fall", "detected"), [(0.40, False), (0.45, True)])
def test_a_loss_falls_if_its_first_and_last_tenth_differ_by_three_standard_errors(fall: float, detected: bool) -> None:
    """The loss of 1,000 batches alternates 1 above and below its mean: each tenth has an error of 0.1, both 0.1414."""
    loss = 2.0 + np.where(np.arange(1000) % 2, 1.0, -1.0)
    loss[-100:] -= fall
    assert falls(CurveView(RunConfig(), batches(loss), FACTS, ended=True)) is detected
    assert not falls(CurveView(RunConfig(), batches(loss[:90]), FACTS, ended=True))  # a tenth of 90 batches is too few
    steep = np.linspace(9.0, 1.0, 100)
    assert falls(CurveView(RunConfig(), batches(steep), FACTS, ended=True))  # a tenth of 100 batches is enough
    assert not falls(CurveView(RunConfig(), batches(steep[:99]), FACTS, ended=True))


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (LOG_10, "After 300 steps the loss is 2.3026, still what guessing gives (2.3026)"),
        (LOG_10 * 1.029, "After 300 steps the loss is 2.3694, still what guessing gives (2.3026)"),
        (LOG_10 * 1.031, "The loss hardly moved: 2.3740 at first, 2.3740 after 300 steps"),
    ],
)
def test_a_loss_that_did_not_move_is_compared_with_guessing_if_it_is_close_to_it(level: float, words: str) -> None:
    (finding,) = diagnose(RunConfig(lr=1e-6), flat(level))
    assert words in finding.message


def test_a_run_without_held_out_images_is_diagnosed_from_its_training_images() -> None:
    shares, constant = np.full(6, 0.1), np.full(6, LOG_10)
    curves = batches(np.full(6 * PER_EPOCH, LOG_10)) | epochs(train_loss=constant, train_accuracy=shares)
    finding = diagnose(RunConfig(optimizer="sgd", lr=1e-5, val_fraction=0.0), curves)[0]
    assert finding.code == "at-chance"
    assert finding.message.startswith("No better than guessing: 10.00 % of the training images are right after epoch 6")
