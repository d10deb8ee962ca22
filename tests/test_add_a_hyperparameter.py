"""A new hyperparameter is its declaration and its consumer: added to a copy of the lab, it is available everywhere.

The declaration is three lines in `lab/config/run_config.py`, the consumer two in `lab/training/losses.py`. Nothing else
in the copy is changed, and it is used only through the CLI, the page with the form and the documentation generator.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.config import RunConfig
from tests.lab_copy import change, copy_lab, run_commands, run_python, train_command
from tests.processes import end_workers

pytestmark = pytest.mark.long
DECLARATION = """
    temperature: float = setting(
        1.0, "Temperature", "What the logits are divided by before the loss.", "loss", low=0.0, high=100.0, open_low=True
    )

    patience: int = setting("""
CONSUMER = {
    "return F.cross_entropy(logits_BK, y_B,": "return F.cross_entropy(logits_BK / config.temperature, y_B,",
    "return cross_entropy if smoothing else F.cross_entropy": "return cross_entropy",
}
# Prints the documentation of the copy, and the labels of the number inputs of its Train page.
PAGES = """
import json
from streamlit.testing.v1 import AppTest
from tests.reference_docs import render
print(render())
app = AppTest.from_file("pages/entry.py", default_timeout=300).run()
app.switch_page("train/page.py").run()
assert not app.exception, [error.value for error in app.exception]
print("FORM", json.dumps({field.key: field.label for field in app.number_input}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a copy of the lab with one more hyperparameter."""
    root = copy_lab(tmp_path_factory.mktemp("copy"))
    change(root / "lab/config/run_config.py", {"\n    patience: int = setting(": DECLARATION})
    change(root / "lab/training/losses.py", CONSUMER)
    yield root
    end_workers(root / "home")


def test_a_new_hyperparameter_is_in_the_form_and_in_the_documentation(copy: Path) -> None:
    printed = run_python(copy, "-c", PAGES).splitlines()
    described = "What the logits are divided by before the loss."
    assert f"| `--temperature` | 1.0 | above 0 and at most 100 | {described} |" in printed
    (form,) = [line for line in printed if line.startswith("FORM ")]
    assert json.loads(form.removeprefix("FORM "))["train.temperature"] == "Temperature"


def test_a_new_hyperparameter_is_in_the_cli_in_searches_and_in_exported_code(copy: Path) -> None:
    help_text, *answers, _ = run_commands(
        copy,
        ["train", "--help"],
        train_command(),
        train_command("--temperature", "4"),
        ["runs", "--filter", "temperature:4", "--json"],
        ["compare", "{0}", "{1}", "--json"],
        ["export", "{1}", "--format", "code", "--out", "exported/train.py"],
    )
    assert "--temperature X" in help_text
    plain, warm, search, compared = map(json.loads, answers)
    assert plain["test_loss"] != warm["test_loss"]
    assert [run["run"] for run in search["runs"]] == [warm["run"]]
    assert compared["differences"] == {"temperature": [1.0, 4.0]}
    assert "    temperature=4.0,\n" in (copy / "exported/train.py").read_text(encoding="utf-8")
    assert "They are identical to the run's weights, bit for bit." in run_python(copy / "exported", "train.py")


def test_a_new_hyperparameter_does_not_change_stored_configurations_and_fingerprints(copy: Path) -> None:
    """A configuration without the hyperparameter is read as before, and its fingerprint is the same."""
    code = (
        "from lab.config import RunConfig\n"
        "old = {name: value for name, value in RunConfig(lr=0.01).as_dict().items() if name != 'temperature'}\n"
        "print(RunConfig.from_dict(old).digest(data_checksum='x'))"
    )
    assert run_python(copy, "-c", code).strip() == RunConfig(lr=0.01).digest(data_checksum="x")
