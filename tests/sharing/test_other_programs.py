"""Exports in other programs: onnxruntime computes PyTorch's logits, TensorBoard reads the curves and the settings."""

import io
import json
import math
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.errors import LabError
from lab.onnx_runtime import load_onnxruntime
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sharing import onnx_file
from lab.sharing.formats import export_runs
from tests.sharing.sharing_runs import train_run


def onnx_logits(data: bytes, x_BCHW: torch.Tensor) -> np.ndarray:
    session = load_onnxruntime().InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": x_BCHW.numpy()})[0]


def check_onnx(lab: Lab, run: RunRecord) -> None:
    data = export_runs(lab, [run], format="onnx")[""]
    loaded = lab.weights.load(run.id)
    for batch in (1, 7):
        x_BCHW = torch.randn(batch, 1, 28, 28)
        with torch.no_grad():
            expected = loaded.network(x_BCHW).numpy()
        assert np.abs(onnx_logits(data, x_BCHW) - expected).max() < 1e-4


@pytest.mark.long
def test_onnx_gives_pytorchs_logits_for_any_batch_size_and_has_usage_metadata(lab: Lab, run: RunRecord) -> None:
    import onnx

    check_onnx(lab, run)
    files = export_runs(lab, [run], format="onnx")
    model = onnx.load_from_string(files[""])
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", onnx_file.OPSET)]
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["mean"]) == lab.weights.normalization(run)[0]
    assert json.loads(facts["classes"]) == list("0123456789")
    assert ".card.md" in files


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["lenet-bn", "speedrun-cnn", "resnet-small", "vgg-small", "resnet18-tv"])
def test_onnx_gives_pytorchs_logits_for_every_kind_of_layer(lab: Lab, arch: str) -> None:
    check_onnx(lab, train_run(lab, arch=arch, train_limit=64, max_steps=2, epochs=1))


@pytest.mark.long
def test_an_onnx_file_with_different_logits_is_not_exported(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "TOLERANCE", -1.0)
    with pytest.raises(LabError, match=r"differ from PyTorch's by .* so it was not written"):
        export_runs(lab, [run], format="onnx")


class _DifferingRuntime:
    """An ONNX runtime whose last logit differs from the network's by a given number."""

    def __init__(self, network: torch.nn.Module, by: float) -> None:
        self._network, self._by = network, by

    def run(self, _outputs: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        with torch.inference_mode():
            logits: np.ndarray = self._network(torch.from_numpy(given["images"])).numpy()
        wrong = logits.copy()
        wrong[-1, -1] += self._by
        return [wrong]


@pytest.mark.parametrize(("by", "fits"), [(9e-5, True), (1.2e-4, False), (-5e-3, False), (math.nan, False)])
def test_logits_of_an_onnx_file_may_differ_by_at_most_one_ten_thousandth(
    lab: Lab, run: RunRecord, by: float, fits: bool
) -> None:
    loaded = lab.weights.load(run.id)
    with nullcontext() if fits else pytest.raises(LabError, match=r"differ from PyTorch's by .*, more than 0\.0001"):
        onnx_file._compare(loaded, _DifferingRuntime(loaded.network, by))


@pytest.mark.parametrize(
    ("format", "package"), [("onnx", "onnxruntime"), ("tensorboard", "tensorboard.summary.writer.record_writer")]
)
def test_a_missing_package_is_reported_with_the_command_that_installs_it(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch, format: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LabError, match="which is not installed: `pip install"):
        export_runs(lab, [run], format=format)


def test_the_exported_program_gives_the_same_logits(lab: Lab, run: RunRecord) -> None:
    program = torch.export.load(io.BytesIO(export_runs(lab, [run], format="torch-export")[""]))
    x_BCHW = torch.randn(5, 1, 28, 28)
    with torch.no_grad():
        assert torch.allclose(program.module()(x_BCHW), lab.weights.load(run.id).network(x_BCHW), atol=1e-6)


def test_tensorboard_reads_back_every_point(lab: Lab, pair: tuple[RunRecord, RunRecord], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    files = export_runs(lab, pair, format="tensorboard")
    assert len(files) == 2
    for (name, data), run in zip(files.items(), pair, strict=True):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        found = EventAccumulator(str(path.parent), size_guidance={"scalars": 0})
        found.Reload()
        points = lab.store.points.read(run.id)
        assert set(found.Tags()["scalars"]) == set(points)
        for tag, series in points.items():
            scalars = found.Scalars(tag)
            assert [scalar.step for scalar in scalars] == series.step.tolist()
            assert [scalar.value for scalar in scalars] == series.value.astype(np.float32).tolist()
            moments = [scalar.wall_time - run.started_at for scalar in scalars]
            assert moments == pytest.approx(series.time_s.tolist(), abs=1e-3)


def test_tensorboard_reads_the_settings_as_hyperparameters(lab: Lab, run: RunRecord, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams import metadata

    ((_, data),) = export_runs(lab, [run], format="tensorboard").items()
    path = tmp_path / "events"
    path.write_bytes(data)
    contents = [
        metadata.parse_session_start_info_plugin_data(value.metadata.plugin_data.content)
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag == metadata.SESSION_START_INFO_TAG
    ]
    settings = contents[0].hparams
    assert settings["lr"].number_value == run.config.lr
    assert settings["optimizer"].string_value == "adam"
    assert settings["shuffle"].bool_value is True
    assert len(settings) == len(run.config.as_dict()) - 1
