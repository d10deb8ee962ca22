"""The estimated cost of a training, with the counts of the reports, and the smaller input that is offered on a CPU."""

import json
import math
import os
import platform
from dataclasses import replace
from typing import Any

import pytest

from lab.config import RunConfig
from lab.data.local import write_drawings_dataset
from lab.errors import DeviceError, ShapeError
from lab.formatting import format_range
from lab.presets import get_preset
from lab.runs.imports import IMPORTED
from lab.runs.owner import Owner, process_start, this_host
from lab.runs.records import RunState
from lab.runs.workers import WorkerRecord
from lab.service.costs import Estimate, estimate, smaller_input
from pages.cache.runs import estimate_cost
from pages.cache.torch_import import require_torch
from tests.web.addresses import open_page
from tests.web.plain_text import PLAIN
from tests.web.web_data import DIGITS_CONFIG, Bench


def test_parameters_and_mult_adds_of_lenet5_are_the_known_ones(bench: Bench) -> None:
    cost = estimate(bench.lab, bench.lab.validation.resolve(RunConfig(arch="lenet5", dataset="digits")))
    assert (cost.params, cost.mult_adds, cost.side, cost.epochs) == (61_706, 423_038, 32, 5)


def test_memory_is_four_copies_of_the_weights_for_adam_three_for_sgd_and_a_batch_of_activations(
    bench: Bench,
) -> None:
    def memory(**changes: Any) -> int:
        config = RunConfig(arch="lenet5", dataset="digits", batch_size=1, eval_batch_size=1).replace(**changes)
        return estimate(bench.lab, bench.lab.validation.resolve(config)).memory_bytes

    adam, sgd = memory(), memory(optimizer="sgd")
    assert adam - sgd == 61_706 * 4
    assert memory(batch_size=2) - adam == adam - 4 * 61_706 * 4


@pytest.mark.parametrize(("chunk", "images"), [(0, 250), (40, 40), (5_000, 359)])
def test_an_evaluation_may_need_more_memory_than_a_batch(bench: Bench, chunk: int, images: int) -> None:
    """The first activation has 6×28×28 numbers before and after; the image and the enlarged one exist beside them."""
    config = RunConfig(arch="lenet5", dataset="digits", batch_size=1, eval_batch_size=chunk)
    cost = estimate(bench.lab, bench.lab.validation.resolve(config))
    assert cost.memory_bytes == 4 * 61_706 * 4 + images * (28 * 28 + 32 * 32 + 2 * 6 * 28 * 28) * 4


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators return freed blocks")
def test_an_evaluation_on_the_cpu_also_occupies_the_small_blocks_that_were_freed(bench: Bench) -> None:
    """250 maps of the first convolution of `conv3-bn` take 24 MB, those of the second 48 MB. Measured: 142 to 149 MB."""
    config = RunConfig(arch="conv3-bn", dataset="mnist", batch_size=64, device="cpu")
    counted = estimate(bench.lab, bench.lab.validation.resolve(config))
    weights, first, second = 4 * 4 * counted.params, 4 * 32 * 28 * 28, 4 * 64 * 28 * 28
    assert counted.memory_bytes == weights + 250 * (4 * 28 * 28 + 2 * first + 2 * second)


def test_the_time_of_an_epoch_comes_from_the_last_run_of_the_same_network(bench: Bench) -> None:
    assert not estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG)).measured
    run = bench.start()
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, seconds=1.0, summary={"images_per_second": 1000.0}
    )
    cost = estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG))
    assert cost.measured
    assert cost.seconds_per_epoch == pytest.approx(1437 * 0.9 / 1000, rel=0.01)
    assert not estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG.replace(batch_size=8))).measured


def test_the_speed_comes_from_a_long_enough_run_of_the_same_work_on_this_machine(bench: Bench) -> None:
    def finish(speed: float, *, seconds: float, origin: str = "local", fork_epoch: int = 0, **changes: Any) -> None:
        config = bench.lab.validation.resolve(DIGITS_CONFIG.replace(seed=round(speed), **changes)).config
        config = config.replace(fork_of="a" * 12 if fork_epoch else "", fork_epoch=fork_epoch)
        bench.lab.store.queue.submit(config, fingerprint=f"f{speed}", family="", origin=origin)
        run = bench.lab.store.leases.claim(slot="cpu", owner=bench.owner)
        assert run is not None
        bench.lab.store.leases.set_environment(run.id, run.lease, environment={}, device="cpu")
        bench.lab.store.leases.finish(
            run.id, run.lease, state=RunState.FINISHED, seconds=seconds, summary={"images_per_second": speed}
        )

    def speed() -> float:
        return round(1438 * 0.9) / estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG)).seconds_per_epoch

    finish(900.0, seconds=30.0)
    finish(70.0, seconds=40.0, compile=True)
    finish(8000.0, seconds=30.0, origin=IMPORTED)
    finish(5000.0, seconds=30.0, fork_epoch=1)  # at the speed of the run that it continues
    finish(200.0, seconds=2.0)
    assert speed() == pytest.approx(900.0)
    finish(1000.0, seconds=12.0)
    assert speed() == pytest.approx(1000.0)


def test_a_step_limit_limits_the_estimated_time(bench: Bench) -> None:
    run = bench.start()
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, seconds=1.0, summary={"images_per_second": 1000.0}
    )
    cost = estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG.replace(max_steps=10)))
    assert cost.limited
    assert cost.seconds == pytest.approx(10 * 32 / 1000)
    assert cost.seconds_per_epoch == estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG)).seconds_per_epoch
    unreached = estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG.replace(max_steps=1_000_000)))
    assert not unreached.limited
    assert unreached.seconds == 3 * unreached.seconds_per_epoch


def test_the_estimate_is_a_range_that_includes_the_evaluations_and_the_start(bench: Bench) -> None:
    cost = estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG))
    shortest, longest = cost.range_s
    assert shortest > cost.seconds + cost.epochs * cost.evaluation_s
    assert longest >= 2 * (shortest - 1)  # nothing was measured
    run = bench.start()
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, seconds=12.0, summary={"images_per_second": 1000.0}
    )
    known = estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG))
    images = 144 + 359  # held back for validation, and the test set
    assert known.evaluation_s == pytest.approx(images / 1000 / 3, rel=0.01)
    assert known.slowdown == 1.5


def test_the_estimated_range_is_narrower_if_a_worker_waits_and_grows_with_the_load(bench: Bench) -> None:
    config = DIGITS_CONFIG.replace(arch="conv3-bn")
    before = replace(estimate(bench.lab, bench.lab.validation.resolve(config)), slowdown=2.0)
    assert not before.waits
    assert before.threads == os.cpu_count()  # its steps are large
    assert before.range_s[0] == pytest.approx(1 + before.seconds / before.threads + 3 * before.evaluation_s)
    owner = Owner(this_host(), os.getpid(), process_start(os.getpid()) or 0.0)
    bench.lab.store.workers.announce(WorkerRecord(owner, "cpu", "cpu", engine=1, slots=1))
    after = replace(estimate(bench.lab, bench.lab.validation.resolve(config)), slowdown=2.0)
    assert after.waits
    assert replace(after, seconds_per_epoch=0.0, evaluation_s=0.0).range_s == (1.0, 2.0)
    assert replace(before, seconds_per_epoch=0.0, evaluation_s=0.0).range_s == (1.0, 12.0)
    quick, busy = after.range_s[0] - 1.0, replace(after, slowdown=8.0).range_s
    assert busy == pytest.approx((1.0 + 2 * quick, 4 * after.range_s[1]))


@pytest.mark.parametrize(
    ("per_epoch", "epochs", "limit_s", "evaluations"),
    [
        (0.003, 3, math.inf, 3),  # 3 * 0.003 / 0.003 is more than 3
        (0.005, 7, math.inf, 7),
        (10.0, 3, 30.0, 3),
        (10.0, 3, 29.9, 3),
        (10.0, 3, 20.0, 2),
        (10.0, 3, 0.1, 1),
    ],
)
def test_an_evaluation_is_counted_for_every_epoch_that_begins(
    per_epoch: float, epochs: int, limit_s: float, evaluations: int
) -> None:
    cost = Estimate(1, 1, 1, per_epoch, limit_s, False, "cpu", 28, epochs, evaluation_s=100.0)
    shortest, longest = cost.range_s
    assert shortest == pytest.approx(1.0 + cost.seconds + 100.0 * evaluations)
    assert longest == pytest.approx(6.0 + cost.seconds + 100.0 * evaluations)


@pytest.mark.parametrize(
    ("load", "cores", "slowdown"),
    [(0.0, 2, 2.0), (3.0, 2, 2.0), (4.0, 2, 2.5), (9.0, 2, 5.0), (15.0, 2, 8.0), (31.0, 2, 8.0), (31.0, 16, 2.0)],
)
def test_a_counted_time_grows_with_the_load_per_core_up_to_eight_times(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, load: float, cores: int, slowdown: float
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG)).slowdown == slowdown


def test_a_run_on_two_devices_takes_at_least_half_and_at_most_all_of_the_time_on_one(bench: Bench) -> None:
    one, two = (
        estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG.replace(devices=devices))) for devices in (1, 2)
    )
    assert (one.devices, two.devices) == (1, 2)
    evaluations = two.epochs * two.evaluation_s
    assert replace(two, slowdown=2.0).range_s[0] - 1.0 == pytest.approx(two.seconds / 2 + evaluations)
    assert two.range_s[1] >= 2 * (two.seconds + evaluations)  # two devices may gain nothing
    half = DIGITS_CONFIG.batch_size // 2
    halved = estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG.replace(batch_size=half)))
    assert two.memory_bytes == halved.memory_bytes  # of each device: all weights, and half of a batch


def test_augmentation_is_part_of_the_estimated_time(bench: Bench) -> None:
    plain, drawn = (
        estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG.replace(augment=name)))
        for name in ("none", "sketch")
    )
    assert drawn.seconds_per_epoch > plain.seconds_per_epoch
    run = bench.start()  # without augmentation, so its speed does not apply to a training with it
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, seconds=12.0, summary={"images_per_second": 1000.0}
    )
    assert not estimate(bench.lab, bench.lab.validation.resolve(DIGITS_CONFIG.replace(augment="sketch"))).measured


def test_the_draw_page_shows_the_same_estimate_as_the_cost_card(bench: Bench) -> None:
    require_torch()
    bench.lab.hide_examples(True)
    app = open_page("draw")
    captions = "".join(caption.value for caption in app.caption).translate(PLAIN)
    cost, _ = estimate_cost(bench.lab.validation.resolve(get_preset("lenet5-digits").config()))  # cached for a minute
    assert f"Takes {format_range(*cost.range_s)} on this machine (CPU, " in captions
    assert "estimated from the mult-adds." in captions


def test_the_images_of_a_drawings_data_set_are_counted_since_no_published_number_exists(bench: Bench) -> None:
    digits = bench.lab.datasets.load("digits")
    drawn = write_drawings_dataset(
        digits.test_images[:50], digits.test_labels[:50], beside=digits, root=bench.lab.settings.data
    )
    config = RunConfig(arch="lenet5", dataset="digits", device="cpu", val_fraction=0.0)
    images = 20 * 50 + 1_438  # the drawings are repeated to about a thousand
    ratio = (
        estimate(bench.lab, bench.lab.validation.resolve(config.replace(dataset=drawn))).seconds
        / estimate(bench.lab, bench.lab.validation.resolve(config)).seconds
    )
    assert ratio == pytest.approx(images / 1_438)


def test_for_a_large_input_the_smallest_size_that_the_network_accepts_is_offered(bench: Bench) -> None:
    config = RunConfig(arch="vgg11", dataset="digits", device="cpu")
    found = smaller_input(bench.lab, bench.lab.validation.resolve(config))
    assert found is not None
    assert (found[0], found[1].side) == ("32", 32)
    assert found[1].seconds_per_epoch < estimate(bench.lab, bench.lab.validation.resolve(config)).seconds_per_epoch / 10
    assert smaller_input(bench.lab, bench.lab.validation.resolve(RunConfig(arch="basic-cnn", dataset="digits"))) is None


def test_the_cost_of_a_configuration_that_cannot_run_is_an_error(bench: Bench) -> None:
    with pytest.raises(ShapeError, match="smallest size that works is 32"):
        estimate(
            bench.lab, bench.lab.validation.resolve(RunConfig(arch="vgg11", dataset="digits", input_size="native"))
        )
    with pytest.raises(DeviceError, match="not on this machine"):
        estimate(bench.lab, bench.lab.validation.resolve(RunConfig(dataset="digits", device="cuda:77")))


def test_the_page_shows_the_cost_and_one_click_chooses_the_smaller_input(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.train.cost._LONG_S", 1.0)  # a fast machine trains VGG-11 on the digits within minutes
    require_torch()
    app = open_page("train")
    assert {m.label: m.value for m in app.metric}["Mult-adds per image"] == "423,038"
    app.selectbox(key="train.arch").set_value("vgg11").run()
    app.selectbox(key="train.device").set_value("cpu").run()
    assert "At 224×224 pixels, an epoch takes about" in "".join(w.value for w in app.warning).replace("\\", "")
    app.number_input(key="train.max_steps").set_value(1).run()
    assert "Up to the step limit on cpu" in "".join(c.value for c in app.caption)
    app.number_input(key="train.max_steps").set_value(0).run()
    app.button(key="smaller-input").click().run()
    assert app.selectbox(key="train.input_size").value == "32"
    app.selectbox(key="train.input_size").set_value("native").run()
    assert "smallest size that works is 32×32" in "".join(e.value for e in app.error).replace("\\", "")
    assert not app.exception, json.dumps([e.value for e in app.exception])


def test_a_cached_cost_is_adjusted_to_the_requested_number_of_epochs(bench: Bench) -> None:
    require_torch()
    resolved = [
        bench.lab.validation.resolve(RunConfig(arch="vgg11", dataset="digits", device="cpu", epochs=epochs))
        for epochs in (2, 7)
    ]
    for one in resolved:
        cost, smaller = estimate_cost(one)
        assert smaller is not None
        assert (cost.epochs, smaller[1].epochs) == (one.config.epochs, one.config.epochs)
        assert cost.seconds == pytest.approx(cost.seconds_per_epoch * one.config.epochs)


@pytest.mark.parametrize(
    ("limit", "share", "trained", "evaluated"),
    [(0, 0.1, 1_294, 144 + 359), (500, 0.2, 400, 100 + 359), (500, 0.0, 500, 359), (9_999, 0.0, 1_438, 359)],
)
def test_an_epoch_counts_the_training_images_and_an_evaluation_the_other_images(
    bench: Bench, limit: int, share: float, trained: int, evaluated: int
) -> None:
    run = bench.start()
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, seconds=12.0, summary={"images_per_second": 1000.0}
    )
    config = DIGITS_CONFIG.replace(train_limit=limit, val_fraction=share)
    cost = estimate(bench.lab, bench.lab.validation.resolve(config))
    assert cost.seconds_per_epoch == pytest.approx(trained / 1000)
    assert cost.evaluation_s == pytest.approx(evaluated / 1000 / 3)


@pytest.mark.parametrize(
    ("changes", "applies"),
    [
        ({"seed": 9, "lr": 0.01, "epochs": 1, "optimizer": "sgd", "loss": "nll", "output": "log-softmax"}, True),
        ({"arch": "lenet5"}, False),
        ({"arch_options": {"widths": [8, 16]}}, False),
        ({"input_size": "64"}, False),
        ({"batch_size": 64}, False),
        ({"precision": "bfloat16"}, False),
        ({"compile": True}, False),
        ({"deterministic": True}, False),
        ({"augment": "light"}, False),
        ({"devices": 2}, False),
    ],
)
def test_the_speed_of_a_run_applies_to_another_unless_the_work_of_a_step_differs(
    bench: Bench, changes: dict[str, Any], applies: bool
) -> None:
    config = DIGITS_CONFIG.replace(arch="lenet-bn")
    run = bench.start(config.replace(**changes))
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, seconds=20.0, summary={"images_per_second": 123.0}
    )
    assert estimate(bench.lab, bench.lab.validation.resolve(config)).measured is applies


def test_a_run_that_needs_more_memory_than_the_machine_has_is_marked_before_it_starts(bench: Bench) -> None:
    def warnings(layers: str) -> list[str]:
        app = open_page("train", arch="custom", dataset="digits", **{"option.layers": layers})
        return [each.value.translate(PLAIN) for each in app.warning if "memory" in each.value]

    assert warnings("linear 8") == []
    (sentence,) = warnings(", ".join(["conv 4096 31 padding 15"] * 20))
    assert sentence.startswith("The run needs about ")
    assert sentence.endswith(": choose a smaller network, batch or input size.")
