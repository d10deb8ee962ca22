"""The run's optimizer: a wrapper around one or two torch optimizers, with a state for checkpoints.

Hyperparameters always come from the configuration. A checkpoint holds only the optimizer's state (moments, momentum
buffers, step counts), by parameter name.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lab.config import RunConfig
from lab.errors import ArtifactError
from lab.training.muon import Muon, hidden_weights


class Optimizer:
    """Updates every trainable parameter; `parts` are torch optimizers over disjoint sets of parameters."""

    def __init__(self, parts: list[torch.optim.Optimizer], names: Mapping[Tensor, str]) -> None:
        self.parts = parts
        self._names = names
        self.parameters = [p for part in parts for group in part.param_groups for p in group["params"]]

    def set_lr(self, lr: float) -> None:
        """Use this learning rate from the next step on."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr

    def zero_grad(self) -> None:
        """Set gradients to None, so that the next backward pass assigns tensors instead of accumulating."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return the state as `parameter/key` -> tensor (not copied)."""
        return {
            f"{self._names[parameter]}/{key}": value
            for part in self.parts
            for parameter, values in part.state.items()
            for key, value in values.items()
            if isinstance(value, Tensor)
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Load a state from `state()` in each parameter's memory layout. Raises `ArtifactError`."""
        owner = {self._names[p]: (part, p) for part in self.parts for g in part.param_groups for p in g["params"]}
        for name, value in state.items():
            parameter_name, key = name.rsplit("/", 1)
            if parameter_name not in owner:
                raise ArtifactError(
                    f"The checkpoint has an optimizer state for {parameter_name!r}, which this network does not train: "
                    "it belongs to another run. Resume the run it came from."
                )
            part, parameter = owner[parameter_name]
            part.state[parameter][key] = _like(parameter, value)


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    return value.to(parameter.device, copy=True)


def build_optimizer(config: RunConfig, network: nn.Module, *, rate: Tensor | None = None) -> Optimizer:
    """Return the optimizer of the network's trainable parameters.

    rate: a learning rate on the device (`lab.training.device_rows`); a Python number would be constant in a captured step.
    """
    names: dict[Tensor, str] = {p: n for n, p in network.named_parameters() if p.requires_grad}
    parameters = [p for p in network.parameters() if p.requires_grad]
    if config.optimizer == "muon":
        return Optimizer(_muon_parts(config, network, parameters, rate), names)
    return Optimizer([_plain(config, parameters, rate)], names)


def _plain(config: RunConfig, parameters: list[nn.Parameter], rate: Tensor | None) -> torch.optim.Optimizer:
    decay, lr = config.weight_decay, config.lr if rate is None else rate
    capturable = rate is not None and rate.is_cuda
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr,
            momentum=config.momentum,
            nesterov=config.nesterov and config.momentum > 0,
            weight_decay=decay,
            fused=True,
        )
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(
            parameters, lr, momentum=config.momentum, weight_decay=decay, foreach=True, capturable=capturable
        )
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    betas = (config.beta1, config.beta2)
    return kind(parameters, lr, betas=betas, weight_decay=decay, fused=True, capturable=capturable)


def _muon_parts(
    config: RunConfig, network: nn.Module, parameters: list[nn.Parameter], rate: Tensor | None
) -> list[torch.optim.Optimizer]:
    """Return Muon for the hidden weights and Adam for all others: biases, norms and output layers."""
    matrices = hidden_weights(network)
    chosen = {id(p) for p in matrices}
    rest = [p for p in parameters if id(p) not in chosen]
    parts: list[torch.optim.Optimizer] = [_plain(config, rest, rate)] if rest else []
    if matrices:
        lr = config.lr if rate is None else rate
        parts.append(Muon(matrices, lr, momentum=config.momentum, weight_decay=config.weight_decay))
    return parts
