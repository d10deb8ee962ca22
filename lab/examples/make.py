"""Make the example runs: train them in a temporary lab and write the files that ship with the lab.

    LAB_DATA=… python -m lab.examples.make

It needs MNIST and takes some minutes on two cores. Run it again after a change that affects the files; a new schema of
configurations does not, as they are upgraded on opening. The weights depend on torch and the number of threads.
"""

import argparse
import io
import json
import os
import sys
import tempfile
import threading
import zipfile
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx

from lab.config import RunConfig
from lab.data.load import Dataset
from lab.errors import LabError
from lab.examples.catalogue import (
    EXAMPLES,
    READER,
    READER_FILE,
    SAMPLE_DATASET,
    SAMPLE_FILE,
    SAMPLE_TEST,
    SAMPLE_TRAIN,
    Example,
)
from lab.examples.reader import MAPS, RULE
from lab.loaded_network import EpochChoice, LoadedNetwork
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, SavedFile
from lab.service.lab import Lab
from lab.settings import Settings, sqlite_url
from lab.sharing.bundle.write import write_bundle
from lab.sharing.onnx_file import onnx_bytes
from lab.sketch.reading import RULE_IMAGES, compute_probabilities
from lab.sketch.unsure import learn_rule
from lab.worker.execution import execute

_TITLES = {"Relu": "Convolution", "MaxPool": "Pooling"}  # titles of layers with shown maps, by their last operator
_TIMES = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can store


def main() -> None:
    """Train the requested examples and write their files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[example.id for example in EXAMPLES], help="make one example")
    only = parser.parse_args().only
    data = Settings.from_env(os.environ).data
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        database = sqlite_url(home / "lab.db")
        lab = Lab(Settings(home=home, data=data, database=database, artifacts=str(home / "artifacts"), device="cpu"))
        for example in EXAMPLES:
            if only in (None, example.id):
                make_example(lab, example)
    write_sample(Lab(Settings.from_env(os.environ)).datasets.load(SAMPLE_DATASET))


def make_example(lab: Lab, example: Example) -> None:
    """Train one example and write its bundle; for `READER` also the ONNX file of its best weights."""
    run = train_example(lab, example)
    answering = lab.weights.find(run.id).epoch
    example.file.write_bytes(packed(write_bundle(_Chosen(lab, {*example.epochs, answering}), [run])))
    _say(example.file, f"{run.headline_text or run.status}")
    if example is READER:
        loaded = lab.weights.load(run.id)
        READER_FILE.write_bytes(reader_bytes(loaded, lab.datasets.load(run.config.dataset)))
        _say(READER_FILE, f"epoch {loaded.epoch}")


def train_example(lab: Lab, example: Example) -> RunRecord:
    """Train an example in this process, as a worker does, and return its run."""
    resolved = lab.validation.resolve(RunConfig.from_dict(example.changes))
    asked = lab.submissions.submit(resolved, name=example.name, fresh=True).run
    claimed = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    if claimed is None:
        raise LabError(f"{example.id} could not be claimed in its temporary lab: run the command again.")
    execute(lab, claimed, ending=threading.Event())
    lab.store.edits.set_note(asked.id, example.note)
    return lab.store.runs.get(asked.id)


def packed(bundle: bytes) -> bytes:
    """Return the same bundle with its files compressed, which the format allows."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in source.infolist():
            smaller = zipfile.ZipInfo(entry.filename, _TIMES)
            smaller.create_system, smaller.external_attr = entry.create_system, entry.external_attr
            archive.writestr(smaller, source.read(entry), zipfile.ZIP_DEFLATED, compresslevel=9)
    return target.getvalue()


def reader_bytes(loaded: LoadedNetwork, dataset: Dataset) -> bytes:
    """Return a network as ONNX whose outputs are its logits and the feature maps after each activation and pooling.

    The metadata contain the maps' names, titles and shapes, and the rule for unsure answers, learned as on Draw.
    """
    model = onnx.load_from_string(onnx_bytes(loaded))
    known = {info.name: info for info in model.graph.value_info}
    shapes = {name: [size.dim_value for size in info.type.tensor_type.shape.dim][1:] for name, info in known.items()}
    nodes = [node for node in model.graph.node if node.op_type in _TITLES and len(shapes.get(node.output[0], ())) == 3]
    maps = [(node.output[0], _TITLES[node.op_type], shapes[node.output[0]]) for node in nodes]
    for name, _, _ in maps:
        model.graph.output.append(known[name])
    images, labels = dataset.test_images[:RULE_IMAGES], dataset.test_labels[:RULE_IMAGES]
    rule = learn_rule(compute_probabilities(loaded, images), labels, images)
    facts = asdict(rule)
    facts.pop("familiar")  # the features of thousands of pictures
    for key, value in ((MAPS, maps), (RULE, facts)):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value, allow_nan=False)
    del model.graph.value_info[:]
    remove_traces(model)
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString()
    return written


def remove_traces(model: onnx.ModelProto) -> None:
    """Remove the exporter's stack traces, which contain this machine's paths, from the nodes of a model."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""


def write_sample(dataset: Dataset) -> None:
    """Write the first images of both parts, so that an example can be inspected without its data set."""
    np.savez_compressed(
        SAMPLE_FILE,
        train_images=dataset.train_images[:SAMPLE_TRAIN],
        train_labels=dataset.train_labels[:SAMPLE_TRAIN].astype(np.uint8),
        test_images=dataset.test_images[:SAMPLE_TEST],
        test_labels=dataset.test_labels[:SAMPLE_TEST].astype(np.uint8),
    )
    _say(SAMPLE_FILE, f"{SAMPLE_TRAIN} and {SAMPLE_TEST} pictures")


def _say(path: Path, words: str) -> None:
    sys.stdout.write(f"{path.name}: {path.stat().st_size / 1024:,.0f} KB, {words}\n")


class _Chosen:
    """A lab that exposes only some saved epochs, for `write_bundle`."""

    def __init__(self, lab: Lab, epochs: Collection[int]) -> None:
        self.store, self.artifacts, self.datasets, self.weights = lab.store, lab.artifacts, lab.datasets, self
        self._weights, self._epochs = lab.weights, epochs

    def list(self, run_id: str) -> tuple[SavedFile, ...]:
        return tuple(file for file in self._weights.list(run_id) if file.epoch in self._epochs)

    def find(self, run_id: str, *, epoch: EpochChoice = "best") -> SavedFile:
        return self._weights.find(run_id, epoch=epoch)

    def load(self, run_id: str, *, epoch: EpochChoice = "best") -> LoadedNetwork:
        return self._weights.load(run_id, epoch=epoch)

    def normalization(self, run: RunRecord) -> tuple[float, float]:
        return self._weights.normalization(run)


if __name__ == "__main__":
    main()
