"""An exported train.py, which uses torchvision, reads exactly the pixels and labels that the lab trains on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from lab.data.load import load_dataset
from lab.data.registry import list_datasets
from lab.data.spec import DatasetSpec
from tests.data.data_files import idx_bytes, usps_bytes


def _write_published(spec: DatasetSpec, root: Path) -> None:
    """Write small files with random pixels under the names of a published data set's files."""
    random = np.random.default_rng(5)
    first = 1 if spec.classes[0] == "a" else 0
    labels = first + np.arange(2 * len(spec.classes)) % len(spec.classes)
    for file in spec.files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        if file.endswith(".bz2"):
            content = usps_bytes(random.uniform(-1, 1, (len(labels), 16, 16)), labels)
        elif "images" in file:
            content = idx_bytes(random.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8))
        elif file.endswith("idx2-int"):
            content = idx_bytes(np.stack([labels, *random.integers(0, 99, (7, len(labels)))], axis=1).astype(np.int32))
        else:
            content = idx_bytes(labels.astype(np.uint8))
        (root / file).write_bytes(content)


@pytest.mark.parametrize("spec", list_datasets(), ids=lambda spec: spec.id)
def test_exported_code_reads_the_images_that_the_lab_reads(spec: DatasetSpec, tmp_path: Path) -> None:
    _write_published(spec, tmp_path)
    assert spec.exported is not None
    names: dict[str, Any] = {"np": np, "torchvision": torchvision}
    body = "".join(f"    {line}\n" for line in spec.exported.body.splitlines())
    exec("\n".join([*spec.exported.imports, f"def load_images(root):\n{body}"]), names)
    data = load_dataset(spec.id, root=tmp_path)
    ours = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    for read, expected in zip(names["load_images"](tmp_path), ours, strict=True):
        assert read.dtype == expected.dtype
        np.testing.assert_array_equal(read, expected)
