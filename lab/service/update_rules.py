"""The update rules of `lab.service.training_steps`, and when a step is the run's own. Without torch, for the page."""

from lab.config import RunConfig

PLAIN, OWN = "plain", "own"  # w ← w − lr · gradient, and the run's own optimizer from a fresh state
RULES = (PLAIN, OWN)
SAME_BATCH, NEXT_BATCH = "same", "next"  # what each step takes: the first batch again, or the next one of the run
BATCHES = (SAME_BATCH, NEXT_BATCH)
PLAIN_LR = 0.05  # for plain SGD on a run with another optimizer, whose own rate would hardly move the weights


def default_lr(config: RunConfig, rule: str) -> float:
    """Return the initial learning rate: the run's own, except for plain SGD on a run with another optimizer."""
    return config.lr if rule == OWN or config.optimizer == "sgd" else PLAIN_LR


def is_first_step(config: RunConfig, *, rule: str, lr: float, images: int) -> bool:
    """Return whether the first step from a run's initial weights is the run's own first step, with these settings."""
    same_rule = rule == OWN or plain_sgd(config) == config
    same_rate = lr == config.lr and config.schedule != "one-cycle" and not config.warmup_epochs
    usual = config.augment == "none" and config.precision == "float32" and not config.fork_of and config.devices == 1
    return same_rule and same_rate and usual and images == config.batch_size


def are_all_steps(config: RunConfig, *, rule: str, lr: float, images: int) -> bool:
    """Return whether, with each step on the next batch, not only the first step is the run's own."""
    return config.schedule == "constant" and is_first_step(config, rule=rule, lr=lr, images=images)


def plain_sgd(config: RunConfig) -> RunConfig:
    """Return the configuration with plain SGD, in which an update is the gradient times the learning rate."""
    return config.replace(
        optimizer="sgd",
        momentum=0.0,
        nesterov=False,
        weight_decay=0.0,
        grad_clip=0.0,
        precision="float32",
        compile=False,
    )
