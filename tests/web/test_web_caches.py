"""The cached results that pages share: data sets, designs, curves, costs, and what networks compute."""

import base64
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lab.charts.spark import sparkline
from lab.data.registry import get_dataset_spec
from lab.errors import DataError, StoreBusyError
from lab.inspection.attribution import attribute
from lab.inspection.observe import feature_maps, list_layers, to_input
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sweeps.records import TrialRecord
from lab.sweeps.spec import read_spec
from lab.training.samples import sample_images
from pages.cache import inspection
from pages.cache.datasets import dataset_of, dataset_picture, is_sample, run_samples
from pages.cache.design import DESIGN_DATA, Design, design_of
from pages.cache.photos import photo_of
from pages.cache.runs import estimate_cost, run_points, run_spark
from pages.cache.sweeps import epoch_curves
from tests.sketch.photo_pictures import file_of, pushed_together
from tests.web import test_web_inside
from tests.web.web_data import DIGITS_CONFIG, Bench, series

home, lab, run, env_home = test_web_inside.home, test_web_inside.lab, test_web_inside.run, test_web_inside.env_home


# -- data sets ---------------------------------------------------------------------------------------------------------


def test_a_data_set_is_loaded_once_and_one_that_is_not_downloaded_is_replaced_by_its_sample(bench: Bench) -> None:
    digits = dataset_of("digits")
    assert dataset_of("digits") is digits
    assert (is_sample("digits"), is_sample("mnist")) == (False, True)
    sample = dataset_of("mnist")
    assert sample.spec.id == "mnist"
    assert len(sample.test_images) < 10_000


def test_the_sample_images_are_those_whose_answers_a_run_records(bench: Bench) -> None:
    samples, digits = run_samples("digits"), dataset_of("digits")
    assert samples is not None
    chosen = list(sample_images(digits.test_labels))
    assert samples.labels == tuple(digits.test_labels[chosen].tolist())
    assert samples.class_names == tuple("0123456789")
    for picture, index in zip(samples.pictures, chosen, strict=True):
        shown = np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
        np.testing.assert_array_equal(shown, digits.test_images[index])
    assert run_samples("mnist") is None


def test_the_picture_of_a_data_set_has_two_rows_of_five_images_if_it_is_downloaded(bench: Bench) -> None:
    png, digits = dataset_picture("digits"), dataset_of("digits")
    assert png is not None
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    assert picture.shape[1] > 2 * picture.shape[0]
    side = digits.spec.image_size
    np.testing.assert_array_equal(picture[:side, :side], digits.test_images[sample_images(digits.test_labels)[0]])
    assert dataset_picture("mnist") is None


def test_a_data_set_that_was_damaged_is_shown_once_it_is_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DataError("The file is cut short.")

    with monkeypatch.context() as patched:
        patched.setattr("pages.cache.datasets._shared_dataset", refuse)
        assert (run_samples("digits"), dataset_picture("digits")) == (None, None)
    assert run_samples("digits") is not None
    assert dataset_picture("digits") is not None


# -- networks without weights ------------------------------------------------------------------------------------------


def test_a_design_is_the_same_whatever_the_order_of_its_options() -> None:
    spec = get_dataset_spec("emnist-letters")
    one = design_of("lenet-bn", "32", {"widths": [3, 4], "dropout": 0.5}, spec)
    other = design_of("lenet-bn", "32", {"dropout": 0.5, "widths": [3, 4]}, spec)
    assert one == other == Design("lenet-bn", "32", (("dropout", 0.5), ("widths", (3, 4))), 26, (1, 28, 28))
    assert hash(one) == hash(other)
    assert one.arguments() == {
        "input_size": "32",
        "classes": 26,
        "image_size": 28,
        "channels": 1,
        "options": {"dropout": 0.5, "widths": [3, 4]},
    }
    assert design_of("lenet-bn", "auto", {}) == design_of("lenet-bn", "auto", {}, DESIGN_DATA)


def test_the_summary_of_a_design_counts_a_batch() -> None:
    design = design_of("lenet5", "auto", {})
    assert inspection.summary_of(design, 1).total_params == 61_706
    assert inspection.summary_of(design, 8).total_mult_adds == 8 * inspection.summary_of(design, 1).total_mult_adds


# -- runs --------------------------------------------------------------------------------------------------------------


def _spark_of(address: str) -> str:
    return base64.b64decode(address.removeprefix("data:image/svg+xml;base64,")).decode()


def test_the_sparkline_of_a_run_shows_its_validation_accuracy_once_there_is_any(bench: Bench) -> None:
    run = bench.start()
    assert run_spark(run) == ""
    bench.write(run, series("val/accuracy", np.array([0.1, 0.5]), first=10, every=10))
    bench.write(run, series("val/loss", np.array([9.0]), first=10))
    first = run_spark(bench.lab.store.runs.get(run.id))
    assert _spark_of(first).startswith("<svg")
    assert "#123456" in _spark_of(run_spark(bench.lab.store.runs.get(run.id), colour="#123456"))
    bench.finish(run)
    assert _spark_of(run_spark(bench.lab.store.runs.get(run.id))) == _spark_of(first)


def test_the_sparkline_of_a_run_without_validation_shows_its_test_accuracy(bench: Bench) -> None:
    run = bench.start()
    bench.write(run, series("test/accuracy", np.array([0.9, 0.2]), first=10, every=10))
    tested = bench.lab.store.runs.get(run.id)
    assert _spark_of(run_spark(tested)) == sparkline([0.9, 0.2])
    bench.finish(run)
    both = bench.start(DIGITS_CONFIG.replace(seed=9))
    bench.write(both, series("test/accuracy", np.array([0.9, 0.2]), first=10, every=10))
    bench.write(both, series("val/accuracy", np.array([0.1, 0.5]), first=10, every=10))
    assert _spark_of(run_spark(bench.lab.store.runs.get(both.id))) == sparkline([0.1, 0.5])


def test_a_curve_that_could_not_be_read_is_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.start()
    bench.write(run, series("val/accuracy", np.array([0.1, 0.5]), first=10, every=10))

    def refuse(*_: object, **__: object) -> None:
        raise StoreBusyError("The disk is busy.")

    with monkeypatch.context() as patched:
        patched.setattr("lab.runs.points.Points.read", refuse)
        assert run_spark(run) == ""
    assert _spark_of(run_spark(run)).startswith("<svg")


def test_the_points_of_a_run_include_every_recorded_series(bench: Bench) -> None:
    one = bench.start()
    bench.write(one, series("batch/loss", np.arange(2.0)))
    assert set(run_points(bench.lab.store.runs.get(one.id))) == {"batch/loss"}


def test_a_cost_ignores_settings_that_do_not_change_it_and_follows_the_number_of_epochs(bench: Bench) -> None:
    resolve = bench.lab.validation.resolve
    cost, smaller = estimate_cost(resolve(DIGITS_CONFIG))
    assert smaller is None  # digits are small
    again, _ = estimate_cost(resolve(DIGITS_CONFIG.replace(lr=0.5, seed=9, epochs=6)))
    assert (cost.epochs, again.epochs) == (3, 6)
    assert again.seconds == pytest.approx(2 * cost.seconds, rel=0.2)
    half, _ = estimate_cost(resolve(DIGITS_CONFIG.replace(train_limit=200)))
    assert half.seconds < cost.seconds
    large, offered = estimate_cost(resolve(DIGITS_CONFIG.replace(arch="vgg11", input_size="224", epochs=2)))
    assert offered is not None
    assert (large.epochs, offered[1].epochs, large.side) == (2, 2, 224)
    assert offered[1].seconds < large.seconds


# -- sweeps ------------------------------------------------------------------------------------------------------------


def _trials(*runs: RunRecord, seconds: float = 1.0) -> list[TrialRecord]:
    return [TrialRecord(number=at, run=one.id, seconds=seconds) for at, one in enumerate(runs, start=1)]


def _spec(space: dict[str, Any], **base: Any) -> Any:
    return read_spec({"base": {"dataset": "digits", **base}, "space": space, "trials": 2})


def test_a_trials_curve_has_a_point_per_epoch_and_shows_the_error_if_accuracies_are_compared(
    bench: Bench,
) -> None:
    run = bench.start()
    bench.write(run, series("val/loss", np.array([9.0, 0.5, 0.25]), first=0, every=10))
    bench.write(run, series("val/accuracy", np.array([0.0, 0.5, 0.75]), first=0, every=10))
    by_loss, by_accuracy = _spec({"lr": {"values": [0.1]}}), _spec({"label_smoothing": {"values": [0.0, 0.1]}})
    nothing = TrialRecord(number=9, run="")
    assert epoch_curves(by_loss, [*_trials(run), nothing]) == {run.id: [(1.0, 0.5), (2.0, 0.25)]}
    assert epoch_curves(by_accuracy, _trials(run)) == {run.id: [(1.0, 0.5), (2.0, 0.25)]}
    bench.write(run, series("val/loss", np.array([0.125]), first=30))
    assert epoch_curves(by_loss, _trials(run, seconds=2.0))[run.id][-1] == (3.0, 0.125)
    assert epoch_curves(_spec({"lr": {"values": [0.1]}}, eval_every=5), _trials(run)) == {}
    assert epoch_curves(_spec({"eval_every": {"values": [5, 10]}}), _trials(run)) == {}


# -- what a network answers --------------------------------------------------------------------------------------------


def _digest(lab: Lab, run: RunRecord) -> str:
    return lab.weights.list(run.id)[0].sha256


def test_the_next_mistake_is_the_first_wrong_image_after_a_number_and_wraps_around(
    env_home: None, lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "_SEARCH_S", 600.0)  # however busy the machine is
    key = run.id, _digest(lab, run)
    answers = inspection.answers_of(*key, "digits")
    wrong = np.flatnonzero(~answers.right)
    numbers = np.arange(len(answers.labels))
    assert len(wrong) > 2
    assert inspection.next_mistake(*key, "digits", numbers, after=-1).number == wrong[0]
    assert inspection.next_mistake(*key, "digits", numbers, after=int(wrong[0])).number == wrong[1]
    assert inspection.next_mistake(*key, "digits", numbers, after=int(wrong[-1])).number == wrong[0]
    found = inspection.next_mistake(*key, "digits", numbers, after=int(wrong[0]) - 1)
    assert (found.number, found.asked) == (wrong[0], 1)
    right = np.flatnonzero(answers.right)[:5]
    assert inspection.next_mistake(*key, "digits", right, after=-1) == inspection.Mistake(None, 5)
    assert inspection.next_mistake(*key, "digits", right[:0], after=3) == inspection.Mistake(None, 0)
    monkeypatch.setattr(inspection, "_SEARCH_S", 0.0)
    assert inspection.next_mistake(*key, "digits", right, after=-1) == inspection.Mistake(None, 1)  # out of time


def test_the_answer_to_one_image_is_the_same_as_in_the_test_set(env_home: None, lab: Lab, run: RunRecord) -> None:
    key = run.id, _digest(lab, run)
    data, answers = dataset_of("digits"), inspection.answers_of(run.id, _digest(lab, run), "digits")
    shares = inspection.probabilities_of(*key, data.test_images[3])
    assert shares.sum() == pytest.approx(1.0)
    assert (shares.argmax(), shares.max()) == (answers.predicted[3], pytest.approx(answers.confidence[3], abs=1e-5))
    loaded = inspection.network_of(*key)
    given = inspection.input_of(*key, "features.conv1", data.test_images[3])
    assert given.shape[0] == loaded.channels
    points = inspection.points_of(*key, "digits", 10_000, "pca")
    assert points is not None
    assert points.shape == (len(data.test_images), 2)
    assert inspection.points_of(*key, "digits", 20, "pca").shape == (20, 2)  # type: ignore[union-attr]
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())
    assert not any(getattr(module, "inplace", False) for module in loaded.network.modules())


def test_cached_results_of_a_network_equal_those_computed_directly(env_home: None, lab: Lab, run: RunRecord) -> None:
    key, image = (run.id, _digest(lab, run)), dataset_of("digits").test_images[3]
    loaded = inspection.network_of(*key)
    x = to_input(image[None], mean=loaded.mean, std=loaded.std)
    layers = inspection.layers_of(*key)
    assert [layer.name for layer in layers] == [
        layer.name for layer in list_layers(loaded.network, image_size=loaded.image_size, channels=loaded.channels)
    ]
    name = layers[0].name
    np.testing.assert_array_equal(
        inspection.maps_of(*key, name, image).mean, feature_maps(loaded.network, x, layer=name).mean
    )
    traced = inspection.traced_of(*key)
    last = traced.nodes[-1].id
    with torch.no_grad():
        logits = loaded.network(x)[0].numpy()
    np.testing.assert_allclose(inspection.outputs_of(*key, (last,), image)[last], logits, rtol=1e-5)
    shown = inspection.attribution_of(*key, image, 3, "occlusion")
    expected = attribute(loaded.network, x, target=3, method="occlusion", black=(0 - loaded.mean) / loaded.std)
    assert (shown.method, shown.target) == ("occlusion", 3)
    np.testing.assert_allclose(shown.values, expected.values, rtol=1e-5)


def test_touching_digits_of_a_photo_are_split_only_on_request() -> None:
    row = np.concatenate([pushed_together("3"), pushed_together("5")], axis=1)
    data = file_of(255 - row)
    assert (len(photo_of(data, "a.png", split=True).digits), len(photo_of(data, "a.png", split=False).digits)) == (2, 1)
