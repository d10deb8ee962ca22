"""A new hyperparameter is its declaration and its consumer: added to a copy of the lab, it is everywhere else by itself.

The declaration is three lines in `lab/config/run_config.py`, the consumer two in `lab/training/losses.py`; nothing else of
the copy is changed, and it is asked through the command line, the form's page and the documentation's writer only.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import end_workers

ROOT = Path(__file__).resolve().parent.parent
DECLARATION = """
    temperature: float = setting(
        1.0, "Temperature", "What the logits are divided by before the loss.", "loss", low=0.0, high=100.0, open_low=True
    )

    patience: int = setting("""
CONSUMER = {
    "return F.cross_entropy(logits_BK, y_B,": "return F.cross_entropy(logits_BK / config.temperature, y_B,",
    "return cross_entropy if smoothing else F.cross_entropy": "return cross_entropy",
}
# Opens the Train page in the copy and prints the labels and values of its number inputs.
FORM = """
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("pages/entry.py", default_timeout=60).run()
app.switch_page("train/page.py").run()
assert not app.exception, [error.value for error in app.exception]
import json
print("FORM", json.dumps({field.key: field.label for field in app.number_input}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The lab with one more hyperparameter."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("lab", "pages", ".streamlit"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests").mkdir()
    for name in ("tests/__init__.py", "tests/reference_docs.py", "app.py"):
        shutil.copy(ROOT / name, root / name)
    _change(root / "lab/config/run_config.py", {"\n    patience: int = setting(": DECLARATION})
    _change(root / "lab/training/losses.py", CONSUMER)
    yield root
    end_workers(root / "home")


def _change(path: Path, changes: dict[str, str]) -> None:
    source = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    path.write_text(source, encoding="utf-8")


def _python(root: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=root,
        env=environment | {"LAB_HOME": str(root / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _train(root: Path, *words: str) -> dict[str, object]:
    settings = ["--arch", "basic-cnn", "--dataset", "digits", "--train-limit", "200", "--epochs", "1", "--json"]
    found: dict[str, object] = json.loads(_python(root, "-m", "lab", "train", *settings, *words))
    return found


def test_a_new_hyperparameter_is_in_form_command_line_documentation_search_and_export(copy: Path) -> None:
    assert "--temperature X" in _python(copy, "-m", "lab", "train", "--help")
    docs = _python(copy, "-c", "from tests.reference_docs import render; print(render())")
    assert (
        "| `--temperature` | 1.0 | above 0 and at most 100 | What the logits are divided by before the loss. |" in docs
    )
    (form,) = [line for line in _python(copy, "-c", FORM).splitlines() if line.startswith("FORM ")]
    assert json.loads(form.removeprefix("FORM "))["train.temperature"] == "Temperature"

    plain, warm = _train(copy), _train(copy, "--temperature", "4")
    assert plain["test_loss"] != warm["test_loss"]
    search = json.loads(_python(copy, "-m", "lab", "runs", "--filter", "temperature:4", "--json"))
    assert [run["run"] for run in search["runs"]] == [warm["run"]]
    compared = json.loads(_python(copy, "-m", "lab", "compare", str(plain["run"]), str(warm["run"]), "--json"))
    assert compared["differences"] == {"temperature": [1.0, 4.0]}

    _python(copy, "-m", "lab", "export", str(warm["run"]), "--format", "code", "--out", "exported/train.py")
    assert "    temperature=4.0,\n" in (copy / "exported/train.py").read_text(encoding="utf-8")
    assert "They are the run's, to the last bit." in _python(copy / "exported", "train.py")


def test_what_was_stored_before_the_hyperparameter_is_what_it_was(copy: Path) -> None:
    """Neither the fingerprint of a run nor the reading of its configuration changes."""
    code = (
        "from lab.config import RunConfig\n"
        "old = {name: value for name, value in RunConfig(lr=0.01).as_dict().items() if name != 'temperature'}\n"
        "print(RunConfig.from_dict(old).digest(data_checksum='x'))"
    )
    assert _python(copy, "-c", code) == _python(ROOT, "-c", code)
