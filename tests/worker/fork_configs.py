"""Random small configurations whose forks are compared with their parents, also by `benchmarks/forks.py`."""

import random
from typing import Any

from lab.config import RunConfig

_NETWORKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lenet5", {}),
    ("lenet-bn", {}),
    ("lenet-bn", {"dropout": 0.4}),
)


def random_config(draw: random.Random) -> RunConfig:
    """Return a small configuration with settings that carry state across epochs: moments, generators, patience."""
    arch, options = draw.choice(_NETWORKS)
    return RunConfig(
        arch=arch,
        arch_options=options,
        dataset="digits",
        device="cpu",
        train_limit=draw.choice((64, 97, 128)),
        batch_size=draw.choice((16, 25, 32)),
        epochs=draw.randint(2, 5),
        seed=draw.randrange(1000),
        val_fraction=draw.choice((0.1, 0.25)),
        optimizer=draw.choice(("sgd", "adam", "adamw", "rmsprop", "muon")),
        lr=draw.choice((1e-3, 1e-2, 5e-2)),
        momentum=draw.choice((0.0, 0.9)),
        weight_decay=draw.choice((0.0, 1e-3)),
        grad_clip=draw.choice((0.0, 1.0)),
        schedule=draw.choice(("constant", "step", "cosine", "one-cycle")),
        step_epochs=2,
        warmup_epochs=draw.choice((0.0, 1.5)),
        augment=draw.choice(("none", "light", "sketch")),
        label_smoothing=draw.choice((0.0, 0.1)),
        patience=draw.choice((0, 1, 2)),
        restore_best=draw.random() < 0.4,
        eval_every=draw.choice((0, 3)),
    )
