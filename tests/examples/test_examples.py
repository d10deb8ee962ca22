"""The example runs that ship with the lab: their content, and their separation from the user's own runs."""

import errno
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lab.config import RunConfig
from lab.data.load import is_present, load_dataset
from lab.errors import LabError, ReadOnlyError, RunNotFoundError
from lab.examples import unpack
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


def test_all_shipped_files_together_are_below_two_megabytes() -> None:
    files = [*(example.file for example in EXAMPLES), READER_FILE, SAMPLE_FILE]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    assert {path for path in HERE.iterdir() if path.suffix in (".zip", ".onnx", ".npz")} == set(files)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_each_example_passes_every_check_of_an_ordinary_import(lab: Lab, example: Example) -> None:
    """Unpacking skips the comparison of the weights with their networks; this import does not."""
    with example.file.open("rb") as stream:
        (run,) = import_bundle(lab, stream)
    assert run.name == example.name
    assert run.config == lab.validation.resolve(RunConfig.from_dict(example.changes)).config
    assert {file.epoch for file in lab.weights.list(run.id)} == {*example.epochs, run.headline.epoch}


def test_a_new_lab_lists_the_examples_in_order_and_has_no_runs(lab: Lab) -> None:
    runs = lab.list_examples()
    assert [run.id for run in runs] == [example.id for example in EXAMPLES]
    assert {run.origin for run in runs} == {ORIGIN}
    assert all(run.state is RunState.FINISHED and run.note for run in runs)
    assert lab.store.runs.count() == 0
    assert lab.store.runs.list(problems=True) == ()
    assert not (lab.settings.home / "artifacts").exists()


def test_the_examples_have_their_described_outcomes(lab: Lab) -> None:
    drawings, overfit, diverged = lab.list_examples()
    assert drawings.headline.test_accuracy is not None
    assert drawings.headline.test_accuracy > 0.98
    assert drawings.outcome is None
    assert any(finding.code == "overfitting" for finding in overfit.findings), overfit.findings
    assert diverged.outcome is Outcome.DIVERGED


def test_an_example_is_never_returned_as_a_cached_result(lab: Lab) -> None:
    store = lab.store
    for run in lab.list_examples():
        assert store.runs.find_answer(run.fingerprint) is None
        assert store.runs.find_settings([run.config]) == dict.fromkeys(store.runs.find_settings([run.config]), ())
        assert lab.examples.store.runs.find_answer(run.fingerprint) is None


def test_one_switch_hides_the_examples_but_their_addresses_still_open(lab: Lab) -> None:
    lab.hide_examples(True)
    again = Lab(lab.settings)
    assert again.list_examples() == ()
    assert again.holding(READER.id).store.runs.get(READER.id).id == READER.id
    again.hide_examples(False)
    assert len(lab.list_examples()) == len(EXAMPLES)


def test_a_read_only_lab_has_the_examples_and_cannot_hide_them(lab: Lab) -> None:
    assert lab.store.runs.count() == 0
    read_only = Lab(replace(lab.settings, read_only=True))
    assert len(read_only.list_examples()) == len(EXAMPLES)
    with pytest.raises(ReadOnlyError, match="read-only"):
        read_only.hide_examples(True)


def test_examples_cannot_be_changed_or_deleted(lab: Lab) -> None:
    with pytest.raises(RunNotFoundError, match="no run"):
        lab.store.edits.rename(READER.id, "mine")
    with pytest.raises(RunNotFoundError, match="no run"):
        lab.store.removal.delete(READER.id)
    with pytest.raises(ReadOnlyError, match="read-only"):
        lab.examples.store.edits.rename(READER.id, "mine")
    assert lab.examples.store.runs.get(READER.id).name == READER.name


def test_the_id_of_a_run_is_never_mistaken_for_an_example() -> None:
    assert not any(is_example(new_id()) for _ in range(100))
    assert all(is_example(example.id) for example in EXAMPLES)


def test_points_and_files_of_the_examples_match_their_checksums(lab: Lab) -> None:
    store = lab.examples.store
    for run in lab.list_examples():
        points = store.points.read(run.id)  # verifies their checksums
        assert points
        for file in lab.examples.weights.list(run.id):
            lab.examples.artifacts.read(file)  # verifies its SHA-256


def test_an_example_can_be_inspected_without_its_data_set(lab: Lab) -> None:
    assert not is_present("mnist", root=lab.settings.data)
    examples = lab.holding(READER.id)
    data = examples.datasets.load("mnist")
    loaded = examples.weights.load(READER.id)
    right = compute_probabilities(loaded, data.test_images).argmax(1) == data.test_labels
    assert len(right) == SAMPLE_TEST
    assert right.mean() > 0.97
    assert examples.weights.load_initial(READER.id).epoch == 0


@pytest.mark.mnist
@pytest.mark.skipif(not is_present("mnist", root=DATA), reason="needs the real MNIST")
def test_the_sample_holds_the_first_images_of_both_splits() -> None:
    whole, sample = load_dataset("mnist", root=DATA), load_sample()
    assert (sample.test_images == whole.test_images[:SAMPLE_TEST]).all()
    assert (sample.test_labels == whole.test_labels[:SAMPLE_TEST]).all()
    assert (sample.train_images == whole.train_images[:SAMPLE_TRAIN]).all()
    assert (sample.train_labels == whole.train_labels[:SAMPLE_TRAIN]).all()


def test_the_reader_computes_the_probabilities_of_the_runs_own_network(lab: Lab) -> None:
    reader, loaded = drawing_reader(), lab.examples.weights.load(READER.id)
    random = np.random.default_rng(0)
    for digit in POLYLINES:
        sketch = draw_digit(digit, random_hand(random))
        reading = reader.read(sketch)
        image = normalise(sketch, recipe=reader.recipe)
        assert (reading.image == image).all()
        assert reading.probabilities == pytest.approx(compute_probabilities(loaded, image[None])[0], abs=1e-4)
        assert [maps.shape for maps in reading.maps] == [shape for _, shape in reader.layers]


def test_the_reader_recognises_digits_in_many_handwritings() -> None:
    reader, random = drawing_reader(), np.random.default_rng(1)
    drawn = [digit for digit in POLYLINES for _ in range(20)]
    right = [reader.read(draw_digit(digit, random_hand(random))).label == digit for digit in drawn]
    assert sum(right) >= 0.92 * len(drawn)  # of all sizes, slants and pens; 94.5 % when it was exported


def test_the_examples_and_the_reader_do_not_import_torch() -> None:
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


def test_a_shipped_model_has_no_traces_of_the_machine_that_exported_it() -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"], doc_string="/home/somebody/lab.py")
    node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/somebody/lab.py")
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "one", [], []))
    model.metadata_props.add(key=MAPS, value="[]")
    assert b"somebody" in model.SerializeToString()
    remove_traces(model)
    assert b"somebody" not in model.SerializeToString()
    assert [(one.op_type, model.metadata_props[0].key) for one in model.graph.node] == [("Relu", MAPS)]


def test_the_folder_of_unpacked_examples_is_deleted_when_the_process_exits(tmp_path: Path) -> None:
    """Its name may have characters that separate the parts of a URL, such as that of the database."""
    place = tmp_path / "a %41?b#c"
    place.mkdir()
    code = (
        "from pathlib import Path\nfrom lab.examples.unpack import unpack_examples\n"
        "one, two = unpack_examples(data=Path('.')), unpack_examples(data=Path('.'))\n"
        "assert one == two\nassert (one.home / 'lab.db').stat().st_size > 0\nprint(one.home)"
    )
    environment = {**os.environ, "TMPDIR": str(place)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("convlab-examples-")
    assert (folder.parent, list(place.iterdir())) == (place, [])


def test_without_a_temporary_folder_the_examples_name_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    with pytest.raises(
        LabError, match=r"No usable temporary directory .* set TMPDIR, the folder of temporary files, to a writable one"
    ):
        unpack._unpacked.__wrapped__()
