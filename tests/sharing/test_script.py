"""The exported train.py, run in a separate process without the lab, reproduces weights and metrics bit for bit."""

import ast
import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lab as lab_package
from lab.architectures.build import build_network
from lab.architectures.registry import list_architectures
from lab.cli.commands.sharing import write_files
from lab.data.load import is_present
from lab.data.local import write_drawings_dataset
from lab.data.registry import list_datasets
from lab.data.spec import DatasetSpec
from lab.runs.records import RunRecord, RunState
from lab.service.lab import Lab
from lab.sharing.formats import FORMATS, Files, export_runs, get_format
from lab.sharing.script.layers import describe, same_weights
from lab.sharing.script.package import collect_modules, package_files, rename, required_distributions
from lab.sharing.script.program import write_script
from lab.sharing.weights import portable_state
from lab.training.checkpoint import weights_digest
from pages.widgets.export_panel import downloads
from tests.sharing.sharing_runs import DATA, open_lab, train_run

pytestmark = pytest.mark.long

QUICK: dict[str, Any] = {"train_limit": 160, "epochs": 2, "batch_size": 32}
CONFIGS: dict[str, dict[str, Any]] = {
    "plain adam": {},
    "dropout, cosine, warm-up, sgd, clipping": {
        "arch": "lenet-bn",
        "schedule": "cosine",
        "warmup_epochs": 0.5,
        "optimizer": "sgd",
        "lr": 0.1,
        "nesterov": True,
        "weight_decay": 1e-4,
        "grad_clip": 1.0,
        "seed": 7,
    },
    "one-cycle, label smoothing, augmentation, best restored, third of four folds": {
        "arch": "basic-cnn",
        "schedule": "one-cycle",
        "optimizer": "adamw",
        "lr": 0.01,
        "label_smoothing": 0.1,
        "augment": "sketch",
        "restore_best": True,
        "weight_decay": 0.01,
        "folds": 4,
        "fold": 3,
    },
    "muon on the speedrun network": {
        "arch": "speedrun-cnn",
        "arch_options": {"random_crop": True},
        "optimizer": "muon",
        "lr": 0.01,
        "grad_clip": 0.5,
        "augment": "light",
        "batch_size": 50,
    },
    "copied builder": {"arch": "vgg-small", "arch_options": {"widths": [4, 4, 8, 8]}, "max_steps": 3, "epochs": 1},
    "mean squared error, no validation, step limit inside an epoch": {
        "loss": "mse",
        "output": "softmax",
        "val_fraction": 0.0,
        "max_steps": 7,
        "channels_last": False,
        "optimizer": "rmsprop",
        "schedule": "step",
        "step_epochs": 1,
        "gamma": 0.5,
        "shuffle": False,
        "normalization": "half",
    },
    "nll on logits, early stopping, validation inside": {
        "loss": "nll",
        "epochs": 4,
        "patience": 1,
        "min_delta": 10.0,
        "eval_every": 2,
        "normalization": "none",
    },
    "bfloat16": {"precision": "bfloat16", "arch": "conv3-bn", "arch_options": {"widths": [8, 8, 8]}},
}

LARGE: dict[str, dict[str, Any]] = {
    "auxiliary classifiers, muon": {
        "arch": "googlenet",
        "input_size": "32",
        "arch_options": {"aux": True},
        "max_steps": 2,
        "epochs": 1,
        "optimizer": "muon",
    },
    "torchvision": {"arch": "resnet18-tv", "max_steps": 2, "epochs": 1, "train_limit": 80},
    "depthwise": {"arch": "mobilenet", "input_size": "32", "max_steps": 2, "epochs": 1, "train_limit": 80},
}
FINE_TUNED, DRAWN, MNIST = "fine-tuned from exported weights", "fine-tuned on drawings", "real MNIST"

# Runs scripts of one folder one after the other, so that torch is imported once; the lab is not on the path.
DRIVER = """
import json, runpy, sys
folder, scripts = json.loads(sys.argv[1])
sys.path.insert(0, folder)
for script, out, *more in scripts:
    sys.argv = [script, "--out", out, *more]
    runpy.run_path(script, run_name="__main__")
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"lab", "pages", "streamlit", "sqlalchemy", "plotly"}, loaded
assert sys.modules["convlab"].__file__.startswith(folder)
"""


@dataclass(frozen=True)
class Repeated:
    run: RunRecord
    folder: Path
    metrics: dict[str, Any]


def repeat(folder: Path, jobs: dict[str, tuple[RunRecord, Files, list[str]]]) -> dict[str, Repeated]:
    """Run scripts in a new process in which warnings are errors, and return the metrics they wrote."""
    scripts = []
    for number, (_, files, more) in enumerate(jobs.values()):
        script = folder / f"train{number}.py"
        write_files(files, get_format("code"), script)
        scripts.append([str(script), str(folder / str(number)), *more])
    command = [sys.executable, "-W", "error", "-P", "-c", DRIVER, json.dumps([str(folder), scripts])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("They are identical to the run's weights, bit for bit.") == len(jobs), done.stdout
    return {
        name: Repeated(run, folder, json.loads((folder / str(number) / "metrics.json").read_text()))
        for number, (name, (run, _, _)) in enumerate(jobs.items())
    }


@pytest.fixture(scope="module")
def repeated(lab: Lab, run: RunRecord, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Repeated]:
    """All runs, reproduced by one process: those of `CONFIGS`, two fine-tuned ones, and one on MNIST if available."""
    folder = tmp_path_factory.mktemp("scripts")
    initial = folder / "initial.safetensors"
    initial.write_bytes(export_runs(lab, [run], format="safetensors")[""])
    runs = {name: train_run(lab, **{**QUICK, **changes}) for name, changes in CONFIGS.items()}
    jobs = {name: (run, write_script(lab, run), []) for name, run in runs.items()}
    tuned = train_run(lab, **QUICK, init_from=run.id, lr=1e-4)
    jobs[FINE_TUNED] = (tuned, write_script(lab, tuned), ["--initial", str(initial)])
    drawings = lab.datasets.load("digits").test_images[:20]
    drawn = write_drawings_dataset(
        drawings, np.arange(20) % 10, beside=lab.datasets.load("digits"), root=lab.settings.data
    )
    tuned = train_run(lab, **QUICK, dataset=drawn, init_from=run.id)
    jobs[DRAWN] = (tuned, write_script(lab, tuned), ["--initial", str(initial), "--data", str(lab.settings.data)])
    if is_present("mnist", root=DATA):
        on_mnist = open_lab(lab.settings.home, data=DATA)
        real = train_run(on_mnist, dataset="mnist", train_limit=640, epochs=1, batch_size=64)
        jobs[MNIST] = (real, write_script(on_mnist, real), ["--data", str(DATA)])
    return repeat(folder, jobs)


def assert_same(lab: Lab, found: Repeated) -> None:
    final = lab.weights.load(found.run.id, epoch=found.run.summary.final_epoch)
    assert found.metrics["weights_sha256"] == weights_digest(portable_state(final.network))
    points = lab.store.points.read(found.run.id)
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy"):
        recorded = [] if name not in points else points[name].value.tolist()
        repeated = [row[name] for row in found.metrics["epochs"] if name in row]
        if name.startswith("train") or not found.run.config.eval_every:
            assert recorded[len(recorded) - len(repeated) :] == repeated, name
        assert set(repeated) <= set(recorded), name
    assert len(found.metrics["epochs"]) == found.run.summary.epochs


@pytest.mark.parametrize("name", [*CONFIGS, FINE_TUNED, DRAWN])
def test_the_script_reproduces_the_run_bit_for_bit(lab: Lab, repeated: dict[str, Repeated], name: str) -> None:
    assert_same(lab, repeated[name])


@pytest.mark.mnist
def test_a_run_on_mnist_is_reproduced_bit_for_bit(lab: Lab, repeated: dict[str, Repeated]) -> None:
    if MNIST not in repeated:
        pytest.skip(f"MNIST is not at {DATA}")
    assert_same(open_lab(lab.settings.home, data=DATA), repeated[MNIST])


def test_a_run_whose_weights_are_damaged_can_still_be_exported_as_code(lab: Lab) -> None:
    damaged = train_run(lab, **QUICK, lr=3e-3)
    assert b"EXPECTED =" in write_script(lab, damaged)[""]
    for saved in lab.weights.list(damaged.id):
        (Path(lab.settings.artifacts) / saved.path).write_bytes(b"torn")
    assert b"EXPECTED =" not in write_script(lab, damaged)[""]


@pytest.mark.slow
def test_scripts_of_large_networks_reproduce_their_runs(lab: Lab, tmp_path: Path) -> None:
    runs = {name: train_run(lab, **{**QUICK, **changes}) for name, changes in LARGE.items()}
    for found in repeat(tmp_path, {name: (run, write_script(lab, run), []) for name, run in runs.items()}).values():
        assert_same(lab, found)


def test_exported_code_passes_the_linter_and_never_imports_the_lab(repeated: dict[str, Repeated]) -> None:
    folder = repeated["plain adam"].folder
    assert [name for path in folder.rglob("*.py") for name in imported(path) if name in ("lab", "pages")] == []
    command = ["-m", "ruff", "check", "--isolated", "--select", "E,F,W,I", "--ignore", "E501", "--line-length", "120"]
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def imported(path: Path) -> set[str]:
    """Return the top-level names that a file imports anywhere, except for the standard library's."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names = plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names


def test_exported_training_code_needs_only_torch_and_numpy(lab: Lab, run: RunRecord, tmp_path: Path) -> None:
    """Only the module that reads the data set needs more: scikit-learn for the built-in digits."""
    write_files(write_script(lab, run), get_format("code"), tmp_path / "train.py")
    modules = sorted((tmp_path / "convlab").rglob("*.py"))
    needs = {str(path.relative_to(tmp_path)): imported(path) - {"convlab"} for path in modules}
    assert {name for names in needs.values() for name in names} == {"torch", "numpy", "sklearn"}
    assert [name for name, names in needs.items() if "sklearn" in names] == ["convlab/data/digits.py"]
    assert {path.parts[len(tmp_path.parts) + 1] for path in modules} <= {
        *("architectures", "config", "data", "training"),
        *("__init__.py", "devices.py", "errors.py", "formatting.py", "metrics.py", "seeding.py", "text.py"),
    }
    assert "torch, numpy and scikit-learn." in (tmp_path / "train.py").read_text(encoding="utf-8")


def test_the_zip_that_the_page_offers_runs_without_changes(lab: Lab, run: RunRecord, tmp_path: Path) -> None:
    files = export_runs(lab, [run], format="code")
    ((name, data),) = downloads(files, FORMATS["code"], "first").items()
    assert name == "first-code.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "They are identical to the run's weights, bit for bit." in done.stdout, done.stderr[-3000:]
    assert (tmp_path / "weights.pt").exists()


@pytest.mark.parametrize("arch", [a.id for a in list_architectures() if a.default_input_size in ("native", "32")])
def test_a_plain_network_is_written_layer_by_layer_with_the_same_initial_weights(lab: Lab, arch: str) -> None:
    copied = {"resnet18-tv", "vgg-small"}  # these initialise their weights in another order
    torch.manual_seed(3)
    network = build_network(arch)
    call = describe(network)
    assert (call is not None and same_weights(call, network, seed=3)) == (arch not in copied)


def test_the_script_names_the_settings_that_have_an_effect_and_no_others(lab: Lab) -> None:
    run = train_run(lab, **QUICK, optimizer="sgd", channels_last=False, keep_mb=77, momentum=0.0, nesterov=True)
    source = write_script(lab, run)[""].decode()
    shown = dict(re.findall(r"^    (\w+)=(.+),$", source[source.index("CONFIG =") : source.index("CLASSES =")], re.M))
    assert (shown["optimizer"], shown["lr"], shown["momentum"], shown["train_limit"]) == (
        '"sgd"',
        "0.001",
        "0.0",
        "160",
    )
    assert shown["channels_last"] == "False"
    for name in (
        "beta1",
        "gamma",
        "step_epochs",
        "min_delta",
        "nesterov",
        "init_from",
        "arch_options",
        "keep_mb",
        "device",
    ):
        assert name not in shown
    for name in ("compile", "deterministic", "eval_batch_size"):  # settings of the engine at their defaults
        assert name not in shown


def test_the_packages_that_a_script_needs_are_read_from_its_imports() -> None:
    sources = (
        "import torch\nimport json",
        "from sklearn.datasets import load_digits\nimport numpy as np",
        "import lab.x",
    )
    assert required_distributions(*sources) == ("torch", "numpy", "scikit-learn")
    assert required_distributions("import os") == ()


def test_modules_are_copied_with_all_they_import_under_another_package_name() -> None:
    found = collect_modules("from lab.training import split")
    assert {"lab", "lab.training", "lab.training.split", "lab.errors", "lab.text"} == set(found)
    files = package_files(found)
    assert set(files) == {
        "convlab/__init__.py",
        "convlab/training/__init__.py",
        *(f"convlab/{name}.py" for name in ("training/split", "errors", "text")),
    }
    ours = Path(lab_package.__file__).with_name("training") / "split.py"
    renamed = ours.read_text(encoding="utf-8").replace("from lab.errors", "from convlab.errors")
    assert files["convlab/training/split.py"].decode() == renamed


def test_only_the_name_of_the_package_is_replaced() -> None:
    source = "from lab.data import idx  # of the lab. `lab.data.idx`, a.lab.x, /lab.db\nfrom lab import y\n"
    assert rename(source) == (
        "from convlab.data import idx  # of the lab. `convlab.data.idx`, a.lab.x, /lab.db\nfrom convlab import y\n"
    )


@pytest.mark.parametrize("spec", list_datasets(), ids=lambda spec: spec.id)
def test_every_data_set_has_a_reader_in_exported_code(spec: DatasetSpec) -> None:
    reader = spec.exported
    assert reader is not None
    body = "".join(f"    {line}\n" for line in reader.body.splitlines())
    assert "return" in ast.unparse(ast.parse(f"def load_images(root):\n{body}"))
    ast.parse("\n".join(reader.imports))


def test_code_of_a_run_that_may_not_be_reproducible_expects_no_weights_and_states_why(lab: Lab, run: RunRecord) -> None:
    finished = write_script(lab, run)[""].decode()
    assert "EXPECTED =" in finished
    assert "this script trains its configuration to the end" not in finished
    stopped = write_script(lab, replace(run, state=RunState.STOPPED))[""].decode()
    assert "EXPECTED =" not in stopped
    assert "The run is stopped; this script trains its configuration to the end." in stopped
    elsewhere = write_script(lab, replace(run, device="cuda:0"))[""].decode()
    assert "The run was trained on cuda:0, where bitwise equal results are not guaranteed." in elsewhere
