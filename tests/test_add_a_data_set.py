"""A new data set is one record: colour images of another size are then listed, trained on, shown and exported."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from lab.charts.tiles import image_tiles
from lab.cli.app import main
from lab.data.load import read_parts
from lab.data.recipes import MNIST
from lab.data.registry import get_dataset_spec, list_datasets, register_dataset, unregister_dataset
from lab.data.spec import Arrays, DatasetSpec, ExportedReader, Files, Reader
from lab.errors import DataError, InputError, UnknownNameError
from lab.inspection.attribution import METHODS, attribute
from lab.inspection.observe import to_input
from lab.runs.records import RunRecord
from lab.service.costs import estimate
from lab.service.lab import Lab
from lab.sharing.formats import export_runs
from lab.sharing.script.program import write_script
from lab.training.augment import build_augment
from pages.state.inside import VIEWS
from tests.reference_docs import render
from tests.sharing.sharing_runs import open_lab, train_run
from tests.web.addresses import go_to

ENTRY = Path(__file__).resolve().parents[1] / "pages" / "entry.py"
CLASSES = ("red", "green", "blue")


def _read(files: Files) -> Arrays:
    with np.load(files[0]) as arrays:
        return arrays["train_x"], arrays["train_y"], arrays["test_x"], arrays["test_y"]


COLOURS = DatasetSpec(
    "colours",
    "Colours",
    "Noisy images of 32×32 pixels in which one of three channels is bright.",
    CLASSES,
    "drawn at random",
    Reader(_read),
    ("Colours/colours.npz",),
    train_images=90,
    test_images=30,
    image_size=32,
    channels=3,
)


def _part(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(seed).integers(0, 120, (count, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    images[np.arange(count), labels] += 120
    return images, labels


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return a lab whose data folder contains the new data set."""
    register_dataset(COLOURS)
    lab = open_lab(tmp_path_factory.mktemp("lab"))
    folder = lab.settings.data / "Colours"
    folder.mkdir(parents=True)
    (train_x, train_y), (test_x, test_y) = _part(90, seed=1), _part(30, seed=2)
    np.savez(folder / "colours.npz", train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)
    yield lab
    unregister_dataset(COLOURS.id)


@pytest.fixture(scope="module")
def run(lab: Lab) -> RunRecord:
    return train_run(lab, name="coloured", dataset=COLOURS.id, epochs=4, lr=3e-3, train_limit=0, augment="light")


@pytest.fixture
def run_cli(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs a CLI command in the lab and returns its output."""
    monkeypatch.setenv("LAB_HOME", str(lab.settings.home))

    def run_command(*words: str) -> str:
        main(list(words))
        return capsys.readouterr().out

    return run_command


def test_a_new_data_set_is_in_the_list_the_reference_and_the_cli(lab: Lab, run_cli) -> None:
    assert COLOURS in list_datasets()
    assert COLOURS.description in render()
    (entry,) = [one for one in json.loads(run_cli("datasets", "--json"))["datasets"] if one["id"] == COLOURS.id]
    assert (entry["state"], entry["classes"]) == ("present", list(CLASSES))


def test_a_run_learns_a_new_data_set(run: RunRecord) -> None:
    assert run.headline.test_accuracy is not None
    assert run.headline.test_accuracy > 0.9


def test_layers_and_parameters_are_counted_for_the_image_size_of_a_new_data_set(
    lab: Lab, run: RunRecord, run_cli
) -> None:
    table = json.loads(run_cli("summary", "lenet5", "--dataset", COLOURS.id, "--input-size", "native", "--json"))
    first = next(layer for layer in table["layers"] if layer["type"] == "Conv2d")
    assert (first["output_shape"], first["params"]) == ([64, 6, 28, 28], 6 * (3 * 25 + 1))
    assert estimate(lab, lab.validation.resolve(run.config)).params == sum(
        p.numel() for p in lab.weights.load(run.id).network.parameters()
    )
    assert estimate(lab, lab.validation.resolve(run.config)).measured
    digits = lab.validation.resolve(run.config.replace(dataset="digits"))  # smaller images, so other work
    assert not estimate(lab, digits).measured


def test_the_cli_evaluates_a_run_of_a_new_data_set_and_draws_feature_maps(
    lab: Lab, run: RunRecord, run_cli, tmp_path: Path
) -> None:
    report = json.loads(run_cli("evaluate", run.id, "--json"))
    assert report["accuracy"] == run.headline.test_accuracy
    target = tmp_path / "maps.png"
    seen = json.loads(run_cli("inspect", run.id, "--layer", "features.conv1", "--out", str(target), "--json"))
    assert seen["label"] == "red"
    assert target.read_bytes().startswith(b"\x89PNG")


def test_a_colour_image_file_is_classified_and_a_drawing_is_refused_in_one_sentence(
    lab: Lab, run: RunRecord, run_cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = lab.datasets.load(COLOURS.id).test_images[1]
    path = tmp_path / "green.png"
    Image.fromarray(image_tiles(image[None])[0]).save(path)
    (answer,) = json.loads(run_cli("predict", run.id, str(path), "--json"))["predictions"]
    assert answer["label"] == "green"
    with pytest.raises(SystemExit):
        run_cli("predict", run.id, str(path), "--sketch")
    assert (
        "Colours has colour images, so drawings and photos cannot be converted to match it" in capsys.readouterr().err
    )


@pytest.mark.parametrize("method", METHODS)
def test_pixels_of_a_colour_image_are_attributed(lab: Lab, run: RunRecord, method: str) -> None:
    loaded = lab.weights.load(run.id)
    x_1CHW = to_input(lab.datasets.load(COLOURS.id).test_images[:1], mean=loaded.mean, std=loaded.std)
    found = attribute(loaded.network, x_1CHW, target=0, method=method, black=-loaded.mean / loaded.std)
    assert found.values.shape == (32, 32)
    assert np.isfinite(found.values).all()
    assert found.values.any()


def test_occlusion_counts_the_drop_of_the_logit_once_and_not_once_per_channel() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 1, bias=False))
    torch.nn.init.ones_(network[1].weight)
    found = attribute(network, torch.ones(1, 3, 4, 4), target=0, method="occlusion", black=0.0)
    assert found.values == pytest.approx(np.full((4, 4), 12.0))  # a square of 2×2 pixels in three channels


@pytest.mark.parametrize(
    "format", ["safetensors", pytest.param("onnx", marks=pytest.mark.long), "torch-export", "html"]
)
def test_a_run_of_a_new_data_set_is_exported(lab: Lab, run: RunRecord, format: str) -> None:
    if format == "onnx":
        if find_spec("onnxruntime") is None:  # importing it here would start its telemetry
            pytest.skip("onnxruntime is not installed")
        pytest.importorskip("onnxscript")
    content = export_runs(lab, [run], format=format)
    assert all(content.values())
    if format == "onnx":
        import onnx

        (given,) = onnx.load_model_from_string(content[""]).graph.input
        assert [size.dim_value for size in given.type.tensor_type.shape.dim][1:] == [3, 32, 32]
    if format == "safetensors":
        assert any(b"float32 (B, 3, 32, 32)" in part for part in content.values())


def test_exporting_code_is_refused_until_the_record_has_a_reader_for_exported_code(lab: Lab, run: RunRecord) -> None:
    with pytest.raises(InputError, match="Colours has no reader for exported code: export another format"):
        write_script(lab, run)
    unregister_dataset(COLOURS.id)
    exported = ExportedReader('with np.load(root / "Colours" / "colours.npz") as a:\n    return tuple(a.values())')
    register_dataset(replace(COLOURS, exported=exported))
    try:
        script = write_script(lab, run)[""].decode()
    finally:
        unregister_dataset(COLOURS.id)
        register_dataset(COLOURS)
    compile(script, "train.py", "exec")
    assert 'root / "Colours"' in script
    assert "images (B, 3, 32, 32) to" in script


@pytest.mark.parametrize("name", ["light", "sketch"])
def test_augmentation_changes_all_channels_of_a_colour_image_alike(name: str) -> None:
    augment = build_augment(name)
    assert augment is not None
    grey_BCHW = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1)).repeat(1, 3, 1, 1)
    found_BCHW = augment(grey_BCHW, torch.Generator().manual_seed(2))
    assert not torch.equal(found_BCHW, grey_BCHW)
    assert torch.equal(found_BCHW, found_BCHW[:, :1].expand(4, 3, 32, 32))


def _open(page: str, lab: Lab, monkeypatch: pytest.MonkeyPatch, **query: str) -> AppTest:
    monkeypatch.setenv("LAB_HOME", str(lab.settings.home))
    app = AppTest.from_file(str(ENTRY), default_timeout=120)
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    go_to(app, page).run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def test_the_train_page_offers_a_new_data_set(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    app = _open("train", lab, monkeypatch)
    assert COLOURS.title in next(box for box in app.selectbox if box.label == "Data set").options


def test_for_colour_images_the_inside_page_says_that_drawings_cannot_be_shown(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = _open("inside", lab, monkeypatch, run=run.id, view="maps", source="drawing")
    said = [each.value for each in app.caption if each.value.startswith("Colours has colour images, so drawings")]
    assert said == [
        "Colours has colour images, so drawings cannot be prepared for it: choose a test image, or upload a picture."
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_the_inside_page_opens_with_a_run_of_a_new_data_set(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    app = _open("inside", lab, monkeypatch, run=run.id, view=view)
    assert not app.error, [error.value for error in app.error]


def test_a_data_set_of_colour_images_is_not_drawable(lab: Lab, run: RunRecord) -> None:
    assert not COLOURS.drawable
    with pytest.raises(InputError, match=r"choose an image of the data set, or a picture file of 32×32 pixels"):
        get_dataset_spec(COLOURS.id).require_recipe()


def test_images_with_another_shape_than_that_of_the_record_are_refused(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "Colours"
    folder.mkdir()
    images, labels = np.zeros((4, 3, 28, 28), np.uint8), np.arange(4) % 2
    np.savez(folder / "colours.npz", train_x=images, train_y=labels, test_x=images, test_y=labels)
    with pytest.raises(DataError, match="are 3×28×28 instead of 3×32×32"):
        read_parts(COLOURS.id, root=tmp_path)


def test_missing_files_without_a_download_address_are_reported_with_where_to_put_them(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"colours.npz is missing\): put its files there"):
        read_parts(COLOURS.id, root=tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "is already registered: choose another id"),
        ({"id": "Colours 2"}, "use lower-case letters, digits and hyphens"),
        ({"id": "drawings-mnist-0123456789ab"}, "use lower-case letters, digits and hyphens"),
        ({"id": "x", "description": ""}, "needs a description and a source"),
        ({"id": "x", "classes": ("one",)}, "has 1 classes, but needs at least two"),
        ({"id": "x", "channels": 0}, "every number must be at least 1"),
        ({"id": "x", "recipe": MNIST}, r"its recipe makes drawings of \(1, 28, 28\)"),
    ],
)
def test_an_inconsistent_record_is_refused(lab: Lab, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        register_dataset(replace(COLOURS, **changes))


def test_only_a_registered_data_set_can_be_unregistered() -> None:
    with pytest.raises(UnknownNameError, match="There is no data set 'nothing'"):
        unregister_dataset("nothing")


def test_a_colour_image_is_written_to_png_with_its_colours() -> None:
    image = np.zeros((1, 3, 2, 2), np.uint8)
    image[0, 2] = 255
    out = io.BytesIO()
    Image.fromarray(image_tiles(image)[0]).save(out, format="PNG")
    assert np.asarray(Image.open(out))[0, 0].tolist() == [0, 0, 255]
