"""`datasets` checks the files it lists, and imports a file as a data set."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.cli.conftest import CommandLine
from tests.data.data_files import idx_bytes


def _states(command_line: CommandLine, root: Path) -> dict[str, Any]:
    code, out, err = command_line("--data", str(root), "datasets", "--json")
    assert (code, err) == (0, "")
    return {entry["id"]: entry["state"] for entry in json.loads(out)["datasets"]}


def test_datasets_distinguishes_present_damaged_wrong_and_incomplete_files(
    command_line: CommandLine, tmp_path: Path
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images, labels = np.arange(20 * 784).reshape(20, 28, 28).astype(np.uint8), (np.arange(20) % 10).astype(np.uint8)
    assert _states(command_line, tmp_path) == {
        "digits": "present",
        **dict.fromkeys(("mnist", "fashion-mnist", "kmnist", "qmnist", "usps"), "not downloaded"),
        "emnist-letters": "not downloaded",
        "emnist-balanced": "not downloaded",
    }
    for part in ("train", "t10k"):
        (raw / f"{part}-images.idx3-ubyte").write_bytes(idx_bytes(images))
        (raw / f"{part}-labels.idx1-ubyte").write_bytes(idx_bytes(labels))
    assert _states(command_line, tmp_path)["mnist"] == "present"
    (raw / "train-images.idx3-ubyte").write_bytes(idx_bytes(images)[:-1])
    assert _states(command_line, tmp_path)["mnist"] == "damaged"
    (raw / "train-images.idx3-ubyte").write_bytes(b"<html>")
    assert _states(command_line, tmp_path)["mnist"] == "wrong content"
    code, out, _ = command_line("--data", str(tmp_path), "datasets")
    assert code == 0
    assert "mnist, wrong content: " in out
    assert "is a web page" in out
    code, out, _ = command_line("--data", str(tmp_path), "doctor")
    assert (code, "MNIST, wrong content: " in out) == (1, True)
    (raw / "train-images.idx3-ubyte").unlink()
    assert _states(command_line, tmp_path)["mnist"] == "incomplete"


def test_a_csv_table_is_found_imported_and_trained_on(command_line: CommandLine, tmp_path: Path) -> None:
    rows = ["label," + ",".join(f"pixel{n}" for n in range(784))]
    rows += [",".join(map(str, [n % 10, *([0] * 28), *[(n % 10) * 20 + 10] * 728, *([0] * 28)])) for n in range(60)]
    (tmp_path / "train.csv").write_text("\n".join(rows), encoding="utf-8")
    code, out, _ = command_line("--data", str(tmp_path), "datasets")
    assert (code, "train.csv is a table of a label and 784 pixels" in out) == (0, True)
    code, out, _ = command_line("--data", str(tmp_path), "datasets", "--import", str(tmp_path / "train.csv"), "--json")
    made = json.loads(out)
    assert (code, made["train_images"], made["test_images"]) == (0, 51, 9)
    code, out, err = command_line("--data", str(tmp_path), "train", "--dataset", made["id"], "--detach", "--json")
    assert (code, err) == (0, "")
    command_line("--data", str(tmp_path), "stop", json.loads(out)["run"])
    code, _, err = command_line("--data", str(tmp_path), "datasets", "--import", str(tmp_path / "none.csv"))
    assert (code, "none.csv cannot be read" in err) == (2, True)
    code, _, err = command_line(
        "--data", str(tmp_path), "--read-only", "datasets", "--import", str(tmp_path / "train.csv")
    )
    assert (code, "read-only" in err) == (1, True)
