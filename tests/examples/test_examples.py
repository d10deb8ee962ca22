"""The example runs that ship with the lab: what they are, and that nothing of one's own ever meets them."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lab.config import RunConfig
from lab.data.load import is_present, load_dataset
from lab.errors import ReadOnlyError, RunNotFoundError
from lab.examples.catalogue import (
    EXAMPLES,
    HERE,
    ORIGIN,
    READER,
    READER_FILE,
    SAMPLE_FILE,
    SAMPLE_TEST,
    SAMPLE_TRAIN,
    Example,
    is_example,
)
from lab.examples.make import remove_traces
from lab.examples.reader import MAPS, drawing_reader
from lab.examples.sample import load_sample
from lab.findings import Outcome
from lab.runs.ids import new_id
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.sharing.bundle.read import import_bundle
from lab.sketch.normalise import normalise
from lab.sketch.reading import compute_probabilities
from lab.sketch.render import POLYLINES, draw_digit, random_hand
from tests.sharing.sharing_runs import DATA, open_lab

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 2_000_000


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Return a lab without runs and without a data set."""
    return open_lab(tmp_path / "home")


def test_all_that_ships_is_below_two_megabytes_together() -> None:
    files = [*(example.file for example in EXAMPLES), READER_FILE, SAMPLE_FILE]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    assert {path for path in HERE.iterdir() if path.suffix in (".zip", ".onnx", ".npz")} == set(files)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_each_example_passes_every_check_of_an_ordinary_import(lab: Lab, example: Example) -> None:
    """The unpacking leaves out the comparison of the weights with their networks; here nothing is left out."""
    with example.file.open("rb") as stream:
        (run,) = import_bundle(lab, stream)
    assert run.name == example.name
    assert run.config == lab.validation.resolve(RunConfig.from_dict(example.changes)).config
    assert {file.epoch for file in lab.weights.list(run.id)} == {*example.epochs, run.headline.epoch}


def test_a_fresh_lab_lists_them_in_their_order_and_has_no_run_of_its_own(lab: Lab) -> None:
    runs = lab.list_examples()
    assert [run.id for run in runs] == [example.id for example in EXAMPLES]
    assert {run.origin for run in runs} == {ORIGIN}
    assert all(run.state is RunState.FINISHED and run.note for run in runs)
    assert lab.store.runs.count() == 0
    assert lab.store.runs.list(problems=True) == ()
    assert not (lab.settings.home / "artifacts").exists()


def test_they_show_what_they_are_said_to_show(lab: Lab) -> None:
    drawings, overfit, diverged = lab.list_examples()
    assert drawings.headline.test_accuracy is not None
    assert drawings.headline.test_accuracy > 0.98
    assert drawings.outcome is None
    assert any(finding.code == "overfitting" for finding in overfit.findings), overfit.findings
    assert diverged.outcome is Outcome.DIVERGED


def test_an_example_answers_no_request_for_a_training(lab: Lab) -> None:
    store = lab.store
    for run in lab.list_examples():
        assert store.runs.find_answer(run.fingerprint) is None
        assert store.runs.find_settings([run.config]) == dict.fromkeys(store.runs.find_settings([run.config]), ())
        assert lab.examples.store.runs.find_answer(run.fingerprint) is None


def test_one_switch_hides_them_and_their_addresses_still_open(lab: Lab) -> None:
    lab.hide_examples(True)
    again = Lab(lab.settings)
    assert again.list_examples() == ()
    assert again.holding(READER.id).store.runs.get(READER.id).id == READER.id
    again.hide_examples(False)
    assert len(lab.list_examples()) == len(EXAMPLES)


def test_a_read_only_lab_has_them_too_and_cannot_switch(lab: Lab) -> None:
    assert lab.store.runs.count() == 0
    looked_at = Lab(replace(lab.settings, read_only=True))
    assert len(looked_at.list_examples()) == len(EXAMPLES)
    with pytest.raises(ReadOnlyError, match="read-only"):
        looked_at.hide_examples(True)


def test_nothing_can_change_or_remove_one(lab: Lab) -> None:
    with pytest.raises(RunNotFoundError, match="no run"):
        lab.store.edits.rename(READER.id, "mine")
    with pytest.raises(RunNotFoundError, match="no run"):
        lab.store.removal.delete(READER.id)
    with pytest.raises(ReadOnlyError, match="read-only"):
        lab.examples.store.edits.rename(READER.id, "mine")
    assert lab.examples.store.runs.get(READER.id).name == READER.name


def test_no_id_of_a_run_is_taken_for_an_example() -> None:
    assert not any(is_example(new_id()) for _ in range(100))
    assert all(is_example(example.id) for example in EXAMPLES)


def test_their_store_is_sound(lab: Lab) -> None:
    store = lab.examples.store
    for run in lab.list_examples():
        points = store.points.read(run.id)  # held to their checksums
        assert points
        for file in lab.examples.weights.list(run.id):
            lab.examples.artifacts.read(file)  # held to its SHA-256


def test_an_example_can_be_looked_into_without_its_data_set(lab: Lab) -> None:
    assert not is_present("mnist", root=lab.settings.data)
    there = lab.holding(READER.id)
    data = there.datasets.load("mnist")
    loaded = there.weights.load(READER.id)
    right = compute_probabilities(loaded, data.test_images).argmax(1) == data.test_labels
    assert len(right) == SAMPLE_TEST
    assert right.mean() > 0.97
    assert there.weights.load_initial(READER.id).epoch == 0


@pytest.mark.mnist
@pytest.mark.skipif(not is_present("mnist", root=DATA), reason="needs the real MNIST")
def test_the_sample_holds_the_first_pictures_of_both_parts() -> None:
    whole, sample = load_dataset("mnist", root=DATA), load_sample()
    assert (sample.test_images == whole.test_images[:SAMPLE_TEST]).all()
    assert (sample.test_labels == whole.test_labels[:SAMPLE_TEST]).all()
    assert (sample.train_images == whole.train_images[:SAMPLE_TRAIN]).all()
    assert (sample.train_labels == whole.train_labels[:SAMPLE_TRAIN]).all()


def test_the_reader_answers_as_the_run_s_own_network_does(lab: Lab) -> None:
    reader, loaded = drawing_reader(), lab.examples.weights.load(READER.id)
    random = np.random.default_rng(0)
    for digit in POLYLINES:
        sketch = draw_digit(digit, random_hand(random))
        reading = reader.read(sketch)
        image = normalise(sketch, recipe=reader.recipe)
        assert (reading.image == image).all()
        assert reading.probabilities == pytest.approx(compute_probabilities(loaded, image[None])[0], abs=1e-4)
        assert [maps.shape for maps in reading.maps] == [shape for _, shape in reader.layers]


def test_the_reader_reads_digits_of_many_hands() -> None:
    reader, random = drawing_reader(), np.random.default_rng(1)
    drawn = [digit for digit in POLYLINES for _ in range(20)]
    right = [reader.read(draw_digit(digit, random_hand(random))).label == digit for digit in drawn]
    assert sum(right) >= 0.92 * len(drawn)  # hands of all sizes, slants and pens: 94.5 % when it was made


def test_the_examples_and_the_reader_need_no_torch() -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom lab.examples.reader import drawing_reader\n"
        "from lab.service.lab import Lab\nfrom lab.settings import Settings\nfrom lab.sketch.render import draw_digit\n"
        f"home = Path({str(ROOT)!r}) / 'nowhere'\n"
        "lab = Lab(Settings(home=home, data=home, database='sqlite:///nowhere.db', artifacts=str(home)))\n"
        "assert len(lab.list_examples()) == 3\nassert drawing_reader().read(draw_digit('7')).label == '7'\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_model_that_ships_has_no_traces_of_the_machine_that_made_it() -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"], doc_string="/home/somebody/lab.py")
    node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/somebody/lab.py")
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "one", [], []))
    model.metadata_props.add(key=MAPS, value="[]")
    assert b"somebody" in model.SerializeToString()
    remove_traces(model)
    assert b"somebody" not in model.SerializeToString()
    assert [(kept.op_type, model.metadata_props[0].key) for kept in model.graph.node] == [("Relu", MAPS)]


def test_the_folder_they_are_unpacked_into_goes_with_the_process() -> None:
    code = (
        "from pathlib import Path\nfrom lab.examples.unpack import unpack_examples\n"
        "one, two = unpack_examples(data=Path('.')), unpack_examples(data=Path('.'))\nassert one == two\nprint(one.home)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("convlab-examples-")
    assert not folder.exists()
