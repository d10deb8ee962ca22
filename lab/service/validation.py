"""Resolves configurations against the registries and the store, and checks that a resolved one can be trained here."""

from lab.config import RunConfig
from lab.data.trainable import require_trainable
from lab.errors import ConfigError, DeviceError
from lab.runs.records import RunRecord
from lab.runs.store import RunStore
from lab.service.datasets import Datasets
from lab.service.forks import check_fork, find_fork_point
from lab.service.resolved import ResolvedConfig, resolve
from lab.settings import Settings


class Validation:
    """Checks of a configuration before it is queued."""

    def __init__(self, settings: Settings, store: RunStore, datasets: Datasets) -> None:
        self._settings, self._store, self._datasets = settings, store, datasets

    def resolve(self, config: RunConfig) -> ResolvedConfig:
        """Return the configuration as it will run. Raises `RunNotFoundError`, and errors like `resolve`."""
        return resolve(config, find_run=self._store.runs.resolve)

    def check_fits(self, resolved: ResolvedConfig) -> None:
        """Raise `ShapeError` if the network rejects the images, `DataError` or `DeviceError` for what is missing here.

        For a fork, also raise `InputError` if the other run has no such epoch, and `ConfigError` for a change that is
        not allowed in a fork.

        A network with its registered size accepts every data set unless an option says otherwise (the registry's tests
        build each one), so it is not built: that would import torch and delay the first click on Train by seconds.
        """
        config = resolved.config
        if resolved.fork_of is not None:
            check_fork(config, find_fork_point(self._store, resolved.fork_of, config.fork_epoch))
        self._datasets.require(config.dataset)
        if resolved.parent is not None:
            _check_parent(config, resolved.parent)
        self._check_devices(config.device)
        if not resolved.is_registered_size:
            from lab.networks import build_on_meta

            build_on_meta(config)

    def data_checksum(self, dataset: str) -> str:
        """Return the content id of a data set, which is part of a run's fingerprint. Raises `DataError`."""
        return self._datasets.checksum(dataset)

    def check_trainable(self, resolved: ResolvedConfig) -> None:
        """Raise `DataError` if nothing can be learned from the training images that the configuration uses."""
        config = resolved.config
        require_trainable(config.dataset, root=self._datasets.root, limit=config.train_limit)

    def _check_devices(self, device: str) -> None:
        """Check the device of a run, and that of the worker, which would otherwise not start."""
        if {device, self._settings.device} <= {"auto", "cpu"}:
            return  # nothing to check, and checking would import torch
        from lab.devices import resolve_device

        resolve_device(device)
        try:
            resolve_device(self._settings.device)
        except DeviceError as error:
            raise DeviceError(f"LAB_DEVICE cannot be used, so no run would start. {error}") from error


def _check_parent(config: RunConfig, parent: RunRecord) -> None:
    same = (parent.config.arch, parent.config.arch_options, parent.config.input_size) == (
        config.arch,
        config.arch_options,
        config.input_size,
    )
    if not same:
        raise ConfigError(
            f"init_from is {config.init_from}, a {parent.config.arch} with other options than this {config.arch}: "
            "choose the same network and options, or leave init_from empty.",
            field="init_from",
        )
