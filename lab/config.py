"""What one run is asked to do: a frozen, self-checking, JSON-safe record.

The fields below are the only list of hyperparameters: the form, the shell's flags, the differences between runs and the
docs table are all made from them. Names of networks and data sets are checked by `lab.experiment`, which knows those
registries; everything else is checked here.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from lab.errors import ConfigError, near_miss

SCHEMA = 1  # raised when the meaning of a field changes; a newer one is refused
ENGINE = 1  # raised when the same configuration gives other numbers; part of every fingerprint

LOSSES = ("cross-entropy", "nll", "mse")
OUTPUTS = ("logits", "log-softmax", "softmax")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "muon")
SCHEDULES = ("constant", "step", "cosine", "one-cycle")
NORMALIZATIONS = ("none", "dataset", "half")
INPUT_SIZES = ("auto", "native", "32", "64", "224")
PRECISIONS = ("float32", "bfloat16", "float16")
AUGMENTS = ("none", "light", "sketch")
GROUPS = ("network", "data", "training", "optimizer", "loss", "early stopping", "engine")

Option: TypeAlias = str | int | float | bool | list[int]


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What a form, a flag and a check need to know of one setting.

    low/high: inclusive bounds unless `open_low` (then low itself is refused). relevant: whether the setting has an
    effect beside the others; where it has none it is put back to its default before the fingerprint is taken.
    result: False for settings that change where or how fast a run is computed but not what it is.
    """

    name: str
    kind: type
    default: Any
    label: str
    help: str
    group: str
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    choices: tuple[str, ...] = ()
    relevant: Callable[["RunConfig"], bool] = lambda _config: True
    result: bool = True

    @property
    def flag(self) -> str:
        """The shell's spelling, such as `--batch-size`; options are given one by one, so theirs is `--arch-option`."""
        name = self.name.removesuffix("s") if self.kind is dict else self.name
        return "--" + name.replace("_", "-")

    def check(self, value: object) -> Any:
        """Return the value in the field's type, or raise `ConfigError` with value, rule and way out."""
        checked = self._typed(value)
        if self.choices and checked not in self.choices:
            raise ConfigError(
                f"{self.name} is {checked!r}, which is not one of its values. {near_miss(str(checked), self.choices)}",
                field=self.name,
            )
        if self.kind in (int, float):
            self._check_range(checked)
        return checked

    def _typed(self, value: object) -> Any:
        if self.kind is dict and isinstance(value, Mapping):
            return dict(value)
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(max(-_LARGEST_FLOAT, min(_LARGEST_FLOAT, value)))
        if self.kind is int and isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, self.kind) and not (self.kind is int and isinstance(value, bool)):
            return value
        raise ConfigError(
            f"{self.name} is {_shown(value)}, but it must be {_KIND_WORDS[self.kind]}. The default is {self.default!r}.",
            field=self.name,
        )

    def _check_range(self, value: int | float) -> None:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        # Written as "not inside", so that NaN fails too.
        inside = (low < value <= high) if self.open_low else (low <= value <= high)
        if inside and (isinstance(value, int) or math.isfinite(value)):
            return
        raise ConfigError(
            f"{self.name} is {_shown(value)}, but it must be {self.range_words()}. The default is {self.default}.",
            field=self.name,
        )

    def range_words(self) -> str:
        """Say the allowed range in words, such as "above 0 and at most 10"."""
        parts = []
        if self.low is not None:
            parts.append(f"above {_number(self.low)}" if self.open_low else f"at least {_number(self.low)}")
        if self.high is not None:
            parts.append(f"at most {_number(self.high)}")
        return " and ".join(parts) or "a finite number"


_LARGEST_FLOAT = 10**300  # a larger whole number may be no float at all, and no setting goes so far
_LARGEST_INT = 2**31 - 1  # of every whole number without a bound of its own: databases and torch take it
_KIND_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a set of options"}


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def _shown(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _setting(default: Any, label: str, help: str, group: str, **rest: Any) -> Any:
    """Declare one field; `rest` are `FieldSpec` fields."""
    metadata = {"label": label, "help": help, "group": group, **rest}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """One training, from data to result. Building it checks it; see `fields()` for ranges and help."""

    arch: str = _setting("lenet5", "Network", "Id of the architecture.", "network")
    arch_options: dict[str, Option] = _setting(
        {}, "Network options", "Options of the architecture, such as widths or dropout.", "network"
    )
    input_size: str = _setting(
        "auto", "Input size", "Side of the square the images are resized to; auto is the network's own setting.",
        "network", choices=INPUT_SIZES,
    )  # fmt: skip

    dataset: str = _setting("mnist", "Data set", "Id of the data set.", "data")
    train_limit: int = _setting(
        0, "Training images", "Use only the first N training images, for quick tries; 0 uses all.", "data", low=0
    )
    val_fraction: float = _setting(
        0.1, "Validation share", "Share of the training images held back to choose by, stratified by class.",
        "data", low=0.0, high=0.9,
    )  # fmt: skip
    normalization: str = _setting(
        "dataset", "Normalisation", "none keeps [0, 1]; dataset subtracts the mean and divides by the standard "
        "deviation of the training set; half uses 0.5 and 0.5.", "data", choices=NORMALIZATIONS,
    )  # fmt: skip
    augment: str = _setting(
        "none", "Augmentation", "Random changes to the training images: light shifts and turns a little, sketch imitates "
        "drawings.", "data", choices=AUGMENTS,
    )  # fmt: skip
    shuffle: bool = _setting(True, "Shuffle", "Draw the training images in a new order every epoch.", "data")

    epochs: int = _setting(5, "Epochs", "Passes over the training images.", "training", low=1, high=10_000)
    max_steps: int = _setting(
        0, "Step limit", "Stop after this many steps even inside an epoch; 0 is no limit.", "training", low=0
    )
    batch_size: int = _setting(64, "Batch size", "Images per step.", "training", low=1, high=65_536)
    seed: int = _setting(
        0, "Seed", "Decides initial weights, the split, the order of the images and dropout.", "training",
        low=0, high=2**31 - 1,
    )  # fmt: skip
    init_from: str = _setting(
        "", "Start from", "Id of a run whose best kept weights are the initial ones (fine-tuning); empty draws new ones.",
        "training",
    )  # fmt: skip
    eval_every: int = _setting(
        0, "Validate every N steps", "Also validate inside the epochs; 0 validates after each epoch only.",
        "training", low=0,
    )  # fmt: skip

    optimizer: str = _setting("adam", "Optimizer", "Rule that turns gradients into steps.", "optimizer",
                              choices=OPTIMIZERS)  # fmt: skip
    lr: float = _setting(
        1e-3, "Learning rate", "Size of a step; the highest one where a schedule changes it.", "optimizer",
        low=0.0, high=100.0, open_low=True,
    )  # fmt: skip
    momentum: float = _setting(
        0.9, "Momentum", "Share of the last step that is kept (SGD, RMSprop, Muon).", "optimizer", low=0.0, high=0.9999,
        relevant=lambda c: c.optimizer in ("sgd", "rmsprop", "muon"),
    )  # fmt: skip
    nesterov: bool = _setting(
        False, "Nesterov", "Look ahead along the momentum before taking the gradient.", "optimizer",
        relevant=lambda c: c.optimizer == "sgd" and c.momentum > 0,
    )  # fmt: skip
    beta1: float = _setting(
        0.9, "Beta 1", "Memory of Adam's mean of gradients.", "optimizer", low=0.0, high=0.9999,
        relevant=lambda c: c.optimizer in ("adam", "adamw", "muon"),
    )  # fmt: skip
    beta2: float = _setting(
        0.999, "Beta 2", "Memory of Adam's mean of squared gradients.", "optimizer", low=0.0, high=0.99999,
        relevant=lambda c: c.optimizer in ("adam", "adamw", "muon"),
    )  # fmt: skip
    weight_decay: float = _setting(
        0.0, "Weight decay", "Pull of every weight towards zero.", "optimizer", low=0.0, high=10.0
    )
    grad_clip: float = _setting(
        0.0, "Gradient clipping", "Longest gradient (2-norm over all weights) that is used as it is; 0 is off.",
        "optimizer", low=0.0,
    )  # fmt: skip
    schedule: str = _setting("constant", "Schedule", "How the learning rate changes over the run.", "optimizer",
                             choices=SCHEDULES)  # fmt: skip
    warmup_epochs: float = _setting(
        0.0, "Warm-up epochs", "The learning rate rises linearly from 0 over this time.", "optimizer", low=0.0,
        relevant=lambda c: c.schedule != "one-cycle",
    )  # fmt: skip
    step_epochs: int = _setting(
        10, "Step every N epochs", "The step schedule multiplies the learning rate this often.", "optimizer", low=1,
        relevant=lambda c: c.schedule == "step",
    )  # fmt: skip
    gamma: float = _setting(
        0.1, "Step factor", "What the step schedule multiplies the learning rate by.", "optimizer", low=0.0, high=1.0,
        open_low=True, relevant=lambda c: c.schedule == "step",
    )  # fmt: skip

    loss: str = _setting("cross-entropy", "Loss", "What is made small.", "loss", choices=LOSSES)
    output: str = _setting(
        "logits", "Output", "What the loss is given: cross-entropy wants logits, NLL wants log-softmax, MSE softmax.",
        "loss", choices=OUTPUTS,
    )  # fmt: skip
    label_smoothing: float = _setting(
        0.0, "Label smoothing", "Share of the target spread evenly over all classes (cross-entropy).", "loss",
        low=0.0, high=0.9, relevant=lambda c: c.loss == "cross-entropy",
    )  # fmt: skip

    patience: int = _setting(
        0, "Patience", "Stop early after this many epochs without a lower validation loss; 0 is off.",
        "early stopping", low=0,
    )  # fmt: skip
    min_delta: float = _setting(
        0.0, "Minimum change", "How much lower the validation loss must be to count.", "early stopping", low=0.0,
        relevant=lambda c: c.patience > 0,
    )  # fmt: skip
    restore_best: bool = _setting(
        False, "Restore best", "End with the weights of the lowest validation loss.", "early stopping",
        relevant=lambda c: c.val_fraction > 0,
    )  # fmt: skip

    device: str = _setting(
        "auto", "Device", "auto takes a GPU where there is one; else cpu, cuda, cuda:1, mps.", "engine", result=False
    )
    precision: str = _setting(
        "float32", "Precision", "Number format of the forward and backward pass (mixed precision below float32).",
        "engine", choices=PRECISIONS,
    )  # fmt: skip
    channels_last: bool = _setting(
        True, "Channels last", "Memory layout NHWC: faster pooling and convolutions on most devices.", "engine",
        result=False,
    )  # fmt: skip
    compile: bool = _setting(
        False, "torch.compile", "Compile the step: pays on a GPU in long runs, loses on a CPU.", "engine", result=False
    )
    deterministic: bool = _setting(
        False, "Deterministic GPU", "Same bits every time on a GPU as well, at some cost; a CPU always is.", "engine",
        result=False,
    )  # fmt: skip
    eval_batch_size: int = _setting(
        0, "Evaluation batch", "Images per evaluation chunk; 0 chooses by device.", "engine", low=0, high=65_536,
        result=False,
    )  # fmt: skip
    keep_mb: int = _setting(
        2048, "Disk budget (MB)", "Room for the weights of every epoch; beyond it best and latest stay.", "engine",
        low=1, result=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        for spec in FIELDS.values():
            object.__setattr__(self, spec.name, spec.check(getattr(self, spec.name)))
        if self.patience > 0 and self.val_fraction == 0:
            raise ConfigError(
                f"patience is {self.patience}, but early stopping needs a validation set: "
                "set val_fraction above 0, or patience to 0.",
                field="patience",
            )

    def as_dict(self) -> dict[str, Any]:
        """Return every field, JSON-safe, with the schema number."""
        return {"schema": SCHEMA, **{name: getattr(self, name) for name in FIELDS}}

    def changed(self) -> dict[str, Any]:
        """Return only the fields that differ from the defaults."""
        return {n: getattr(self, n) for n, s in FIELDS.items() if getattr(self, n) != s.default}

    def replace(self, **changes: Any) -> "RunConfig":
        """Return a checked copy with some fields changed."""
        return RunConfig.from_dict({**self.as_dict(), **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunConfig":
        """Build from JSON values; unknown fields and newer schemas raise `ConfigError`."""
        given = dict(values)
        schema = given.pop("schema", SCHEMA)
        if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
            raise ConfigError(
                f"The configuration has schema {_shown(schema)}, but this release reads 1 to {SCHEMA}: "
                "update ConvLab to open it.",
                field="schema",
            )
        for name in given:
            if name not in FIELDS:
                raise ConfigError(f"There is no setting {name!r}. {near_miss(str(name), FIELDS)}", field=str(name))
        return cls(**given)

    def normalised(self) -> "RunConfig":
        """Put settings that have no effect beside the others back to their defaults.

        Two configurations that must give the same result are then equal, and so are their fingerprints.
        """
        idle = {s.name: s.default for s in FIELDS.values() if not s.relevant(self)}
        return self.replace(**idle)

    def digest(self, *, data_checksum: str, without: tuple[str, ...] = ()) -> str:
        """Return the SHA-256 of what decides the result: settings, data set checksum and engine version.

        `without` leaves fields out, such as "epochs" to find the shorter runs that this one continues.
        """
        plain = self.normalised()
        decisive = {n: getattr(plain, n) for n, s in FIELDS.items() if s.result and n not in without}
        text = json.dumps(
            {"config": decisive, "data": data_checksum, "engine": ENGINE, "schema": SCHEMA},
            sort_keys=True, allow_nan=False,
        )  # fmt: skip
        return hashlib.sha256(text.encode()).hexdigest()


def _specs() -> dict[str, FieldSpec]:
    specs = {}
    for item in dataclasses.fields(RunConfig):
        factory = item.default_factory
        default = factory() if factory is not dataclasses.MISSING else item.default
        kind = cast(type, type(default))
        bounds = {"high": _LARGEST_INT} if kind is int else {}
        specs[item.name] = FieldSpec(name=item.name, kind=kind, default=default, **{**bounds, **item.metadata})
    return specs


FIELDS: dict[str, FieldSpec] = _specs()
