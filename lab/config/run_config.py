"""The configuration of one run: the only list of hyperparameters.

The form, the flags of the command line, the differences between runs and the table in the docs are derived from the
fields below. Names of networks and data sets are checked by `lab.service.resolved`, which knows their registries;
everything else is checked here.
"""

from dataclasses import dataclass

from lab.config.base import ConfigBase
from lab.config.fields import FieldSpec, Option, setting
from lab.errors import ConfigError

LOSSES = ("cross-entropy", "nll", "mse")
OUTPUTS = ("logits", "log-softmax", "softmax")
OBJECTIVE = ("loss", "output", "label_smoothing")  # the settings that define the loss: others give comparable losses
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "muon")
SCHEDULES = ("constant", "step", "cosine", "one-cycle")
NORMALIZATIONS = ("none", "dataset", "half")
INPUT_SIZES = ("auto", "native", "32", "64", "224")
PRECISIONS = ("float32", "bfloat16", "float16")
MAX_FOLDS = 20
AUGMENTS = ("none", "light", "sketch")
GROUPS = ("network", "data", "training", "optimizer", "loss", "early stopping", "engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig(ConfigBase):
    """The settings of one run, checked at construction; see `specs()` for ranges and help."""

    arch: str = setting("lenet5", "Network", "Id of the architecture.", "network")
    arch_options: dict[str, Option] = setting(
        {}, "Network options", "Options of the architecture, such as widths or dropout.", "network"
    )
    input_size: str = setting(
        "auto",
        "Input size",
        "Side of the square the images are resized to; auto is the network's own setting.",
        "network",
        choices=INPUT_SIZES,
        short="input",
    )

    dataset: str = setting("mnist", "Data set", "Id of the data set.", "data")
    train_limit: int = setting(
        0,
        "Training images",
        "Use only the first N training images, for quick tries; 0 uses all.",
        "data",
        low=0,
        short="images",
        choice_titles={"0": "all"},
        unlimited=True,
    )
    val_fraction: float = setting(
        0.1,
        "Validation share",
        "Share of the training images held out for validation, stratified by class.",
        "data",
        low=0.0,
        high=0.9,
        relevant=lambda c: c.folds == 0,
    )
    folds: int = setting(
        0,
        "Folds",
        "k-fold cross-validation: the training images are divided by the seed into this many folds, stratified by "
        "class, and one of them is held out for validation; 0 holds out the validation share.",
        "data",
        low=0,
        high=MAX_FOLDS,
        step=5,
        choice_titles={"0": "off"},
    )
    fold: int = setting(
        1,
        "Fold",
        "Which of the folds is held out, from 1.",
        "data",
        low=1,
        high=MAX_FOLDS,
        relevant=lambda c: c.folds > 0,
    )
    normalization: str = setting(
        "dataset",
        "Normalisation",
        "none keeps [0, 1]; dataset subtracts the mean and divides by the standard "
        "deviation of the training set; half uses 0.5 and 0.5.",
        "data",
        choices=NORMALIZATIONS,
    )
    augment: str = setting(
        "none",
        "Augmentation",
        "Random changes to the training images: light shifts and rotates slightly, sketch imitates drawings.",
        "data",
        choices=AUGMENTS,
    )
    shuffle: bool = setting(True, "Shuffle", "Draw the training images in a new order every epoch.", "data")

    epochs: int = setting(5, "Epochs", "Passes over the training images.", "training", low=1, high=10_000)
    max_steps: int = setting(
        0,
        "Step limit",
        "Stop after this many steps even inside an epoch; 0 is no limit.",
        "training",
        low=0,
        choice_titles={"0": "none"},
        unlimited=True,
    )
    batch_size: int = setting(64, "Batch size", "Images per step.", "training", low=1, high=65_536, short="batch")
    seed: int = setting(
        0, "Seed", "Decides initial weights, the split, the order of the images and dropout.", "training", low=0
    )
    init_from: str = setting(
        "",
        "Start from",
        "Id of a run whose best saved weights are the initial ones (fine-tuning); empty draws new ones.",
        "training",
    )
    fork_of: str = setting(
        "",
        "Fork of",
        "Id of the run that this one continues after one of its saved epochs; empty starts from initial weights.",
        "training",
        relevant=lambda c: c.fork_epoch > 0,
    )
    fork_epoch: int = setting(
        0,
        "Fork after epoch",
        "Saved epoch of the other run after which this one continues, with its own settings.",
        "training",
        low=0,
        high=10_000,
        short="fork epoch",
        relevant=lambda c: c.fork_of != "",
    )
    eval_every: int = setting(
        0,
        "Validate every N steps",
        "Also validate inside the epochs; 0 validates after each epoch only.",
        "training",
        low=0,
        choice_titles={"0": "off"},
        unlimited=True,
    )

    optimizer: str = setting(
        "adam",
        "Optimizer",
        "Optimization algorithm.",
        "optimizer",
        choices=OPTIMIZERS,
        choice_titles={"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "muon": "Muon"},
    )
    lr: float = setting(
        1e-3,
        "Learning rate",
        "Learning rate; the highest one if a schedule changes it.",
        "optimizer",
        low=0.0,
        high=100.0,
        open_low=True,
        short="lr",
        step=1e-4,
    )
    momentum: float = setting(
        0.9,
        "Momentum",
        "Momentum factor: share of the previous update that goes into the next (SGD, RMSprop, Muon).",
        "optimizer",
        low=0.0,
        high=0.9999,
        relevant=lambda c: c.optimizer in ("sgd", "rmsprop", "muon"),
    )
    nesterov: bool = setting(
        False,
        "Nesterov",
        "Nesterov momentum: the gradient is taken after the momentum step.",
        "optimizer",
        relevant=lambda c: c.optimizer == "sgd" and c.momentum > 0,
    )
    beta1: float = setting(
        0.9,
        "Beta 1",
        "Decay rate of Adam's first-moment estimate (mean of gradients).",
        "optimizer",
        low=0.0,
        high=0.9999,
        relevant=lambda c: c.optimizer in ("adam", "adamw", "muon"),
    )
    beta2: float = setting(
        0.999,
        "Beta 2",
        "Decay rate of Adam's second-moment estimate (mean of squared gradients).",
        "optimizer",
        low=0.0,
        high=0.99999,
        relevant=lambda c: c.optimizer in ("adam", "adamw", "muon"),
    )
    weight_decay: float = setting(
        0.0,
        "Weight decay",
        "Weight decay coefficient (L2 penalty; decoupled with AdamW and Muon).",
        "optimizer",
        low=0.0,
        high=10.0,
    )
    grad_clip: float = setting(
        0.0,
        "Gradient clipping",
        "Largest gradient norm (2-norm over all weights); a longer gradient is scaled down to it. 0 is off.",
        "optimizer",
        low=0.0,
        choice_titles={"0": "off"},
        unlimited=True,
    )
    schedule: str = setting(
        "constant", "Schedule", "How the learning rate changes over the run.", "optimizer", choices=SCHEDULES
    )
    warmup_epochs: float = setting(
        0.0,
        "Warm-up epochs",
        "Linear warm-up of the learning rate from 0 over this time.",
        "optimizer",
        low=0.0,
        relevant=lambda c: c.schedule != "one-cycle",
    )
    step_epochs: int = setting(
        10,
        "Step every N epochs",
        "The step schedule multiplies the learning rate this often.",
        "optimizer",
        low=1,
        relevant=lambda c: c.schedule == "step",
    )
    gamma: float = setting(
        0.1,
        "Step factor",
        "Factor by which the step schedule multiplies the learning rate.",
        "optimizer",
        low=0.0,
        high=1.0,
        open_low=True,
        relevant=lambda c: c.schedule == "step",
    )

    loss: str = setting(
        "cross-entropy",
        "Loss",
        "Training objective: what the optimizer minimises.",
        "loss",
        choices=LOSSES,
        choice_titles={"nll": "NLL", "mse": "MSE"},
    )
    output: str = setting(
        "logits",
        "Output",
        "Input of the loss: cross-entropy expects logits, NLL log-softmax, MSE softmax.",
        "loss",
        choices=OUTPUTS,
    )
    label_smoothing: float = setting(
        0.0,
        "Label smoothing",
        "Label smoothing: share of the target spread evenly over all classes (cross-entropy).",
        "loss",
        low=0.0,
        high=0.9,
        relevant=lambda c: c.loss == "cross-entropy",
    )

    patience: int = setting(
        0,
        "Patience",
        "Stop early after this many epochs without a lower validation loss; 0 is off.",
        "early stopping",
        low=0,
        choice_titles={"0": "off"},
        unlimited=True,
    )
    min_delta: float = setting(
        0.0,
        "Minimum change",
        "Smallest decrease of the validation loss that counts as an improvement.",
        "early stopping",
        low=0.0,
        relevant=lambda c: c.patience > 0,
    )
    restore_best: bool = setting(
        False,
        "Restore best",
        "End with the weights of the lowest validation loss.",
        "early stopping",
        relevant=lambda c: c.held_out > 0,
    )

    device: str = setting(
        "auto", "Device", "auto (a GPU if there is one), cpu, cuda, cuda:1 or mps.", "engine", result=False
    )
    devices: int = setting(
        1,
        "Devices",
        "GPUs of one machine that share every batch, or processes on a CPU; results differ within rounding.",
        "engine",
        low=1,
        high=16,
        result=False,
    )
    precision: str = setting(
        "float32",
        "Precision",
        "Number format of the forward and backward pass (mixed precision below float32).",
        "engine",
        choices=PRECISIONS,
    )
    channels_last: bool = setting(
        True,
        "Channels last",
        "Memory layout NHWC: faster pooling and convolutions on most devices.",
        "engine",
        result=False,
    )
    compile: bool = setting(
        False,
        "torch.compile",
        "Compile the training step: pays off on a GPU in long runs, slower on a CPU.",
        "engine",
        result=False,
    )
    deterministic: bool = setting(
        False,
        "Deterministic GPU",
        "Deterministic algorithms on a GPU, slower there; a CPU is always deterministic.",
        "engine",
        result=False,
    )
    eval_batch_size: int = setting(
        0,
        "Evaluation batch",
        "Images per evaluation chunk; 0 chooses by device.",
        "engine",
        low=0,
        choice_titles={"0": "auto"},
        high=65_536,
        result=False,
    )
    keep_mb: int = setting(
        2048,
        "Disk budget (MB)",
        "Disk space for the weights of every epoch; beyond it only the best and the latest are kept.",
        "engine",
        low=1,
        result=False,
    )

    @property
    def held_out(self) -> float:
        """The share of the training images held out for validation."""
        return 1 / self.folds if self.folds else self.val_fraction

    def check_together(self) -> None:
        """Raise `ConfigError` for values that are valid individually but not together."""
        if self.folds == 1:
            raise ConfigError(
                "folds is 1, which leaves no images to train on: "
                "choose 2 or more, or 0 to hold out the validation share.",
                field="folds",
            )
        if 0 < self.folds < self.fold:
            raise ConfigError(
                f"fold is {self.fold}, but there are {self.folds} folds: choose one of them.", field="fold"
            )
        if self.patience > 0 and self.held_out == 0:
            raise ConfigError(
                f"patience is {self.patience}, but early stopping needs a validation set: "
                "set val_fraction above 0, or patience to 0.",
                field="patience",
            )
        if self.devices > 1 and self.precision == "float16":
            raise ConfigError(
                f"devices is {self.devices}, but float16 decides on each device whether a step is skipped: "
                "choose bfloat16 or float32, or one device.",
                field="devices",
            )


FIELDS: dict[str, FieldSpec] = RunConfig.specs()
