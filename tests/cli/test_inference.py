"""`evaluate`, `robustness`, `inspect` and `summary` report what the network computes, whatever the number of epochs."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lab.cli.app import main
from lab.inspection.distort import distort
from lab.inspection.distortions import DISTORTIONS
from lab.inspection.observe import compute_logits, feature_maps, to_input
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from tests.worker.worker_runs import SMALL, open_lab, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, RunRecord]:
    """Return a lab with one run of one epoch."""
    lab = open_lab(tmp_path_factory.mktemp("inference"))
    return lab, train(lab, SMALL)


@pytest.fixture
def lab(trained: tuple[Lab, RunRecord], monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAB_HOME", str(trained[0].settings.home))
    return trained[0]


def _answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    main([*words, "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_evaluate_of_all_epochs_returns_a_list_even_for_one_epoch(
    lab: Lab, trained: tuple[Lab, RunRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained[1]
    listed = _answer(capsys, "evaluate", run.id, "--all-epochs")
    assert [report["epoch"] for report in listed["epochs"]] == [1]
    alone = _answer(capsys, "evaluate", run.id)
    assert alone == {"run": run.id, **listed["epochs"][0]}
    assert (alone["which"], alone["step"]) == ("best", run.headline.step)
    assert alone["accuracy"] == pytest.approx(run.headline.test_accuracy)


def test_robustness_reports_the_accuracy_on_distorted_images(
    lab: Lab, trained: tuple[Lab, RunRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained[1]
    answer = _answer(capsys, "robustness", run.id, "--images", "9999")
    assert list(answer["distortions"]) == list(DISTORTIONS)
    loaded, data = lab.weights.load(run.id), lab.datasets.load("digits")
    assert (answer["run"], answer["epoch"], answer["images"]) == (run.id, 1, len(data.test_labels))
    for name, levels in answer["distortions"].items():
        assert [each["level"] for each in levels] == list(DISTORTIONS[name].levels)
        for each in levels:
            images = distort(data.test_images, name, each["level"])
            logits = compute_logits(loaded.network, images, mean=loaded.mean, std=loaded.std)
            assert each["accuracy"] == pytest.approx((logits.argmax(axis=1) == data.test_labels).mean())
            if each["level"] == DISTORTIONS[name].neutral:
                assert each["accuracy"] == pytest.approx(run.headline.test_accuracy)


def test_robustness_prints_a_table_and_a_sentence_per_distortion(
    lab: Lab, trained: tuple[Lab, RunRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["robustness", trained[1].id, "--distortion", "size", "--distortion", "noise", "--images", "50"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if "accuracy" in line and "without" not in line] == [
        ["Size", "accuracy"],
        ["Noise", "accuracy"],
    ]
    assert [line.split("%")[0].strip() for line in lines[1:8]] == ["40", "60", "80", "100", "120", "140", "160"]
    assert sum("without distortion" in line for line in lines) == 2


def test_inspect_reports_the_probabilities_and_feature_maps_of_the_network(
    lab: Lab, trained: tuple[Lab, RunRecord], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out, run = tmp_path / "maps.png", trained[1]
    words = ("inspect", run.id, "--layer", "features.conv1", "--image", "test:3", "--out", str(out))
    answer = _answer(capsys, *words)
    loaded, data = lab.weights.load(run.id), lab.datasets.load("digits")
    image = data.test_images[3:4]
    logits = compute_logits(loaded.network, image, mean=loaded.mean, std=loaded.std)[0]
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert answer["probabilities"] == pytest.approx(shares.tolist(), abs=1e-6)
    assert answer["label"] == str(int(logits.argmax()))
    assert answer["truth"] == int(data.test_labels[3])
    x_1CHW = to_input(image, mean=loaded.mean, std=loaded.std)
    maps = feature_maps(loaded.network, x_1CHW, layer="features.conv1").values
    means = [channel["mean"] for channel in answer["channels"]]
    assert means == pytest.approx(maps.mean(axis=(1, 2)).tolist(), abs=1e-6)
    with Image.open(out) as shared:
        whole = shared.tobytes()
    _answer(capsys, *words, "--per-channel")
    with Image.open(out) as own:
        assert own.tobytes() != whole


def test_summary_counts_mult_adds_per_image_and_per_batch(capsys: pytest.CaptureFixture[str]) -> None:
    found = _answer(capsys, "summary", "lenet5", "--batch-size", "64")
    assert found["batch_size"] == 64
    assert found["total_mult_adds"] == 64 * found["mult_adds_per_image"]
    assert round(found["mult_adds_per_image"] / 1e3) == 423


def test_a_disk_that_holds_home_and_artifacts_is_reported_once(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(lab.settings.home).free
    monkeypatch.setattr("lab.cli.disks.LOW_BYTES", 2 * free)
    with pytest.raises(SystemExit, match=r"^1$"):
        main(["doctor", "--json"])
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem.startswith("Only ")
    assert f"free at {lab.settings.home}, but training needs at least" in problem
