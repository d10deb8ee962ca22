"""Presets for every experiment of the five lab reports, and the lab's own quick starts.

A preset is a set of changes to the default `RunConfig`, together with the results in the report. If a report omits
settings, `ours` names those whose values the lab chose. Mistakes in the experiments are reproduced; `lab.diagnosis`
points them out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.config import RunConfig
from lab.errors import UnknownNameError, near_miss


@dataclass(frozen=True, slots=True)
class Preset:
    """One experiment: `changes` to the default configuration and the results `reported` for it.

    reported: `test_accuracy` (share), `test_accuracy_by_epoch` (shares), `seconds` (on the report's GPU), `last_loss`,
    `params`, `stopped_epoch`, `note` (text). ours: the settings that the report does not specify.
    """

    id: str
    report: str
    title: str
    changes: Mapping[str, Any]
    reported: Mapping[str, Any] = field(default_factory=dict)
    mistake: str = ""
    ours: str = ""

    @property
    def full_title(self) -> str:
        """The title after its report, as in lists of all reports: "Report B · The same at lr 0.01"."""
        return self.title if self.report == "lab" else f"Report {self.report} · {self.title}"

    def config(self, **changes: Any) -> RunConfig:
        """Return the preset's configuration with these settings changed."""
        return RunConfig.from_dict({**self.changes, **changes})


REPORTS = {
    "A": "A first network, and the road to batch normalisation",
    "B": "A wide network, every epoch tested",
    "C": "Batch size, epochs and learning rate of a basic network",
    "D": "Seven networks from LeNet to GoogLeNet",
    "E": "TensorBoard runs, four losses and some honest mistakes",
    "lab": "The lab's own",
}

_NLL_ON_LOGITS = (
    "NLL expects log-probabilities but gets raw logits, so the loss has no lower bound and diverges: "
    "use cross-entropy, or output log-softmax."
)


def _share(percents: str) -> tuple[float, ...]:
    return tuple(round(float(p) / 100, 6) for p in percents.split())


def _quick_starts() -> list[Preset]:
    speedrun = {
        "arch": "speedrun-cnn",
        "dataset": "mnist",
        "val_fraction": 0.0,
        "epochs": 1,
        "max_steps": 235,
        "batch_size": 128,
        "optimizer": "muon",
        "lr": 0.05,
        "schedule": "one-cycle",
        "label_smoothing": 0.1,
    }
    return [
        Preset("lenet5", "lab", "LeNet-5, five epochs", {"arch": "lenet5", "epochs": 5}),
        Preset(
            "lenet5-digits",
            "lab",
            "LeNet-5 with batch norm and wider layers, on the built-in digits, for drawings",
            {
                "arch": "lenet-bn",
                "arch_options": {"dropout": 0.0, "widths": [16, 48]},
                "dataset": "digits",
                "augment": "sketch",
                "epochs": 14,
                "batch_size": 16,
                "lr": 3e-3,
                "schedule": "one-cycle",
            },
        ),
        Preset("speedrun", "lab", "99 % on MNIST in seconds", speedrun),
        Preset(
            "draw",
            "lab",
            "A network that reads drawings",
            {"arch": "conv3-bn", "epochs": 10, "batch_size": 128, "augment": "sketch", "schedule": "one-cycle"},
        ),
    ]


def _report_a() -> list[Preset]:
    return [
        Preset(
            "a-conv2-fc2",
            "A",
            "First try: two convolutions, two linear layers",
            {"arch": "conv2-fc2", "epochs": 10, "val_fraction": 0.0},
            {"test_accuracy": 0.951},
            ours="optimizer, epochs, batch size, kernel and hidden size",
        ),
        Preset(
            "a-conv3-bn",
            "A",
            "Final: three convolutions with batch norm",
            {"arch": "conv3-bn", "epochs": 20, "batch_size": 128, "lr": 1e-3, "val_fraction": 0.0},
            {"test_accuracy": 0.988, "seconds": 30.0},
        ),
        Preset(
            "a-conv2-bn",
            "A",
            "Notebook: the learning rate that never arrived",
            {"arch": "conv2-bn", "train_limit": 50_000, "batch_size": 100, "lr": 1e-5, "val_fraction": 0.0},
            {"note": "evaluating 10,000 images at once with gradients on ended in CUDA out of memory on 8 GB"},
            mistake="The optimizer was built before the learning rate was changed, so it trained at 1e-5: "
            "set lr to 0.001.",
            ours="epochs",
        ),
    ]


def _report_b() -> list[Preset]:
    base = {"arch": "wide-cnn", "epochs": 20, "batch_size": 64, "val_fraction": 0.0}
    by_epoch = _share(
        "98.19 98.32 98.63 98.57 98.95 99.20 98.78 99.10 99.03 99.18 "
        "99.26 99.18 99.03 99.27 99.35 99.23 99.13 99.25 99.09 99.21"
    )
    high = _share("95.98 97.62 98.12 97.67 97.27 98.76 98.56 98.93 99.21")
    return [
        Preset(
            "b-wide-cnn",
            "B",
            "Wide network, lr 0.001, every epoch tested",
            {**base, "lr": 1e-3},
            {
                "test_accuracy": 0.9935,
                "test_accuracy_by_epoch": by_epoch,
                "note": "about 20 s an epoch; the report says about 10^6 parameters, there are 26,585,098",
            },
        ),
        Preset(
            "b-wide-cnn-lr-0.01",
            "B",
            "The same at lr 0.01",
            {**base, "lr": 0.01, "epochs": 9},
            {"test_accuracy": 0.9921, "test_accuracy_by_epoch": high},
        ),
        Preset(
            "b-small-lr-0.01",
            "B",
            "A smaller network at lr 0.01",
            {**base, "lr": 0.01, "epochs": 9, "arch_options": {"widths": [8, 16, 32]}},
            {"test_accuracy": 0.30, "note": "got stuck at 30 %"},
            ours="the widths",
        ),
        Preset("b-wide-cnn-lr-0.0005", "B", "The same at lr 0.0005", {**base, "lr": 5e-4}, {"note": "slower, no gain"}),
        Preset("b-wide-cnn-lr-0.0001", "B", "The same at lr 0.0001", {**base, "lr": 1e-4}, {"note": "slower, no gain"}),
    ]


def _report_c() -> list[Preset]:
    base = {
        "arch": "basic-cnn",
        "optimizer": "sgd",
        "lr": 0.01,
        "momentum": 0.5,
        "batch_size": 100,
        "epochs": 10,
        "loss": "nll",
        "output": "log-softmax",
        "val_fraction": 0.0,
        "eval_batch_size": 1000,
        "seed": 1,
    }
    ours = "momentum, seed, and the settings that are not being varied"
    presets = [
        Preset("c-basic-cnn", "C", "Basic network, 10 epochs", base, {"test_accuracy": 0.98}, ours=ours),
        Preset(
            "c-epochs-40",
            "C",
            "Basic network, 40 epochs",
            {**base, "epochs": 40},
            {"test_accuracy": 0.99},
            ours=ours + ", and the number of epochs",
        ),
    ]
    studies: dict[str, tuple[str, str, dict[float, float]]] = {
        "batch": ("batch_size", "Batch size", {50: 0.091, 100: 0.191, 200: 0.278}),
        "epochs": ("epochs", "Epochs", {10: 0.316, 20: 0.154, 100: 0.037}),
        "lr": ("lr", "Learning rate", {0.001: 0.507, 0.01: 0.191, 0.05: 0.191}),
    }
    for word, (name, title, losses) in studies.items():
        for value, loss in losses.items():
            presets.append(
                Preset(
                    f"c-{word}-{value}", "C", f"{title} {value}", {**base, name: value}, {"last_loss": loss}, ours=ours
                )
            )
    return presets


def _report_d() -> list[Preset]:
    base = {
        "optimizer": "adam",
        "lr": 1e-4,
        "weight_decay": 1e-3,
        "batch_size": 64,
        "epochs": 5,
        "val_fraction": 0.2,
        "normalization": "dataset",
        "patience": 3,
    }
    reported = {
        "lenet-bn": ("LeNet", 40.72, 0.9748),
        "alexnet": ("AlexNet", 64.39, 0.9922),
        "vgg11": ("VGG-11", 321.26, 0.9923),
        "vgg19": ("VGG-19", 661.17, 0.9914),
        "resnet18": ("ResNet-18", 139.1, 0.9937),
        "mobilenet": ("MobileNet", 176.96, 0.9881),
        "googlenet": ("GoogLeNet", 193.44, 0.9907),
    }
    presets = [
        Preset(
            f"d-{arch}",
            "D",
            f"{title}, 5 epochs",
            {**base, "arch": arch},
            {"test_accuracy": accuracy, "seconds": seconds, "note": "seconds on an A100-40GB"},
        )
        for arch, (title, seconds, accuracy) in reported.items()
    ]
    presets.append(
        Preset(
            "d-googlenet-aux",
            "D",
            "GoogLeNet with its auxiliary classifiers",
            {**base, "arch": "googlenet", "arch_options": {"aux": True}},
            {"note": "the report could not make them work"},
        )
    )
    long = {**base, "arch": "lenet-bn", "epochs": 30}
    presets.append(Preset("d-lenet-30", "D", "LeNet, up to 30 epochs with early stopping", long, {"stopped_epoch": 21}))
    for lr in (0.001, 0.01):
        presets.append(
            Preset(
                f"d-lenet-30-lr-{lr}",
                "D",
                f"LeNet at lr {lr}",
                {**long, "lr": lr},
                {"test_accuracy": 0.11, "last_loss": 2.30, "note": "stuck at loss 2.30"},
            )
        )
    return presets


def _report_e() -> list[Preset]:
    base = {"optimizer": "sgd", "lr": 0.01, "momentum": 0.0, "batch_size": 64, "epochs": 10, "val_fraction": 0.0}
    runaway = {"loss": "nll", "output": "logits"}
    ours = "momentum, and the settings the report does not print"
    return [
        Preset(
            "e-basic-cnn",
            "E",
            "Basic network, unshuffled and unnormalised",
            {**base, "arch": "basic-cnn", "shuffle": False, "normalization": "none"},
            {"test_accuracy": 0.9672},
            ours="momentum",
        ),
        Preset(
            "e-vgg16-64",
            "E",
            "VGG-16 at 64 pixels with NLL on raw logits",
            {**base, **runaway, "arch": "vgg16-64", "lr": 1e-6},
            {"test_accuracy": 0.0743, "note": "NaN at larger learning rates"},
            mistake=_NLL_ON_LOGITS,
            ours=ours,
        ),
        Preset(
            "e-vgg-small",
            "E",
            "A small VGG, mean 0.5 and deviation 0.5",
            {**base, "arch": "vgg-small", "normalization": "half", "momentum": 0.9},
            {"test_accuracy": 0.9906},
            ours=ours,
        ),
        Preset(
            "e-resnet18-tv",
            "E",
            "torchvision's ResNet-18 with NLL on raw logits",
            {**base, **runaway, "arch": "resnet18-tv", "lr": 1e-3},
            {"test_accuracy": 0.6975, "last_loss": -10_650_395.0},
            mistake=_NLL_ON_LOGITS,
            ours=ours,
        ),
        Preset(
            "e-resnet-small",
            "E",
            "A small residual network",
            {**base, "arch": "resnet-small", "loss": "nll", "output": "log-softmax"},
            {"test_accuracy": 0.9810},
            ours=ours,
        ),
        Preset(
            "e-lenet5-softmax",
            "E",
            "LeNet-5 with softmax and NLL",
            {**base, "arch": "lenet5", "loss": "nll", "output": "softmax", "epochs": 40},
            {"test_accuracy": 0.6972},
            mistake="NLL expects log-probabilities but gets probabilities, so its "
            "gradient vanishes for wrong predictions: use log-softmax output.",
            ours=ours,
        ),
    ]


_ALL = [*_quick_starts(), *_report_a(), *_report_b(), *_report_c(), *_report_d(), *_report_e()]
PRESETS: dict[str, Preset] = {preset.id: preset for preset in _ALL}
if len(PRESETS) != len(_ALL):
    raise ValueError("two presets share an id")


def list_presets(report: str | None = None) -> tuple[Preset, ...]:
    """Return all presets, or those of one report, in the order of the reports."""
    return tuple(p for p in PRESETS.values() if report is None or p.report == report)


def get_preset(preset_id: str) -> Preset:
    """Return the preset with this id. Raises `UnknownNameError`, which suggests the closest id."""
    if preset_id not in PRESETS:
        raise UnknownNameError(f"There is no preset {preset_id!r}. {near_miss(preset_id, PRESETS)}", field="preset")
    return PRESETS[preset_id]
