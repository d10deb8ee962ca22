"""The composition root: the one module that knows all rooms and joins them into a lab.

Pages and the shell talk to a `Lab`. It checks a configuration against the registries, finds or queues its run, starts a
worker where none is alive, and hands out kept weights as a network of their own. Torch is imported only inside the
functions that need a network, so that a page which lists and plots opens without it.
"""

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lab.architectures.registry import check_options, get_architecture, resolve_input_size
from lab.config import INPUT_SIZES, RunConfig
from lab.data.load import Dataset, dataset_checksum, is_present, load_dataset, normalization_constants
from lab.data.registry import get_dataset_spec
from lab.data.trainable import require_trainable
from lab.errors import ConfigError, DeviceError, InputError, ReadOnlyError
from lab.runs.artifacts import ArtifactStore
from lab.runs.headline import HeadlineResult
from lab.runs.records import CHECKPOINT, WEIGHTS, KeptFile, RunRecord, Want
from lab.runs.store import RunStore
from lab.service.judging import OPENING_BUDGET_S, judge_older
from lab.settings import Settings
from lab.worker.supervisor import dismiss_stranger, start_supervisor

if TYPE_CHECKING:
    from torch import nn

# Building draws from torch's one global generator: two sessions of a page at once would disturb each other's seed.
_BUILDING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Submission:
    """What asking for a run gave: the run, and whether it was there already (`cached`)."""

    run: RunRecord
    cached: bool


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LoadedNetwork:
    """A run's kept weights as a network of its own, in evaluation mode on the CPU; nobody trains it.

    It takes `(x / 255 - mean) / std` of uint8 pictures x_BCHW and returns logits_BK. step/epoch: when it was kept.
    result: what was measured on these very weights, None for the untrained network.
    """

    run: RunRecord
    network: "nn.Module"
    epoch: int
    step: int
    mean: float
    std: float
    class_names: tuple[str, ...]
    image_size: int
    result: HeadlineResult | None = None


class Lab:
    """One lab: a store, its kept files and its data sets, as `Settings` place them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def store(self) -> RunStore:
        """The run store; opening it migrates an older one, whose newest runs are judged at once."""
        if not self.settings.read_only:
            self.settings.make_home()
        store = RunStore.open(self.settings.database, read_only=self.settings.read_only)
        judge_older(store, budget_s=OPENING_BUDGET_S)
        return store

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """The kept files."""
        return ArtifactStore(self.settings.artifacts, read_only=self.settings.read_only)

    # -- asking for a run ---------------------------------------------------------------------------------------------

    def check(self, config: RunConfig) -> RunConfig:
        """Return the configuration as it will run: names known, options checked, "auto" sizes made concrete."""
        arch = get_architecture(config.arch)
        spec = get_dataset_spec(config.dataset)
        side = resolve_input_size(arch, config.input_size, image_size=spec.image_size)
        changes: dict[str, Any] = {
            "arch_options": check_options(arch, config.arch_options),
            "input_size": str(side) if str(side) in INPUT_SIZES else "native",
        }
        if config.init_from:
            changes["init_from"] = self.store.resolve(config.init_from).id
        return config.replace(**changes).normalised()

    def check_fits(self, config: RunConfig) -> None:
        """Raise `ShapeError` if the network cannot take the images, `DataError` or `DeviceError` for what is not here.

        A network without options at its own size takes every data set (the registry's tests build each one), so it is
        not built: that would import torch, and a first press on Train would be answered seconds later.
        """
        self.require_dataset(config.dataset)
        if config.init_from:
            self._check_parent(config)
        self._check_devices(config.device)
        own = self.check(config.replace(input_size="auto")).input_size
        if config.arch_options or config.input_size != own:
            import torch

            with torch.device("meta"):
                self.build_network(config)

    def _check_devices(self, device: str) -> None:
        """Look for the device of a run and for that of the worker, which would not start without its own."""
        if {device, self.settings.device} <= {"auto", "cpu"}:
            return  # nothing to look for, and torch would have to be imported for it
        from lab.devices import resolve_device

        resolve_device(device)
        try:
            resolve_device(self.settings.device)
        except DeviceError as error:
            raise DeviceError(f"LAB_DEVICE cannot be used, and no run would begin. {error}") from error

    def _check_parent(self, config: RunConfig) -> None:
        parent = self.store.resolve(config.init_from).config
        same = (parent.arch, parent.arch_options, parent.input_size) == (
            config.arch,
            config.arch_options,
            config.input_size,
        )
        if not same:
            raise ConfigError(
                f"init_from is {config.init_from}, a {parent.arch} with other options than this {config.arch}: "
                "choose the same network and options, or leave init_from empty.",
                field="init_from",
            )

    def require_dataset(self, dataset: str) -> None:
        """Raise `DataError` with the way out if a data set's files are not on this machine."""
        if not is_present(dataset, root=self.settings.data):
            load_dataset(dataset, root=self.settings.data)

    def fingerprint(self, config: RunConfig) -> tuple[str, str]:
        """Return (fingerprint, family) of a checked configuration.

        Runs of one family differ only in their length and have a schedule that does not look ahead, so that a longer
        one can continue a shorter one. An empty family has no such kin. A fine-tuned run is known by the weights it
        starts from: the run they are of may go on and learn more. Raises `InputError` where that run has none.
        """
        given = dataset_checksum(config.dataset, root=self.settings.data)
        if config.init_from:
            given += self.find_weights(config.init_from).sha256
        fingerprint = config.digest(data_checksum=given)
        if config.schedule not in ("constant", "step") or config.max_steps or config.restore_best:
            return fingerprint, ""
        return fingerprint, config.digest(data_checksum=given, without=("epochs",))

    def find_answer(self, config: RunConfig) -> RunRecord | None:
        """Return the run that `submit` would answer with instead of queueing a new one."""
        return self.store.find_answer(self.fingerprint(self.check(config))[0])

    def submit(
        self,
        config: RunConfig,
        *,
        name: str = "",
        tags: tuple[str, ...] = (),
        fresh: bool = False,
        parent: str | None = None,
    ) -> Submission:
        """Return the run of this configuration: the finished or live one if there is one, else a new one, queued.

        `fresh` trains again whatever is there. A run that only asks for more epochs than a finished one continues it:
        the new run starts from the other's last checkpoint and carries its history.
        """
        self.require_writable()
        checked = self.check(config)
        self.check_fits(checked)
        require_trainable(checked.dataset, root=self.settings.data, limit=checked.train_limit)
        fingerprint, family = self.fingerprint(checked)
        if self.store.count_running() == 0:
            dismiss_stranger(self.settings)
        shorter = None if fresh or parent else self._shorter_kin(checked, family)
        run, cached = self.store.submit(
            checked,
            fingerprint=fingerprint,
            family=family,
            name=name,
            parent=shorter.id if shorter else parent,
            fresh=fresh,
            tags=tags,
        )
        return Submission(run, cached)

    def _shorter_kin(self, config: RunConfig, family: str) -> RunRecord | None:
        """Return the longest finished run of the family that is shorter than `config` and can be continued."""
        kin = (
            run
            for run in (self.store.find_family(family) if family else ())
            if run.config.epochs < config.epochs
            and run.summary.get("outcome") == "finished"
            and self.store.kept(run.id, kind=CHECKPOINT)
        )
        return next(kin, None)

    def control(self, run_id: str, want: Want) -> RunRecord:
        """Ask a run to pause, stop and keep, or go on; raises `RunStateError` where that makes no sense."""
        self.require_writable()
        return self.store.request(run_id, want)

    def ensure_worker(self) -> bool:
        """Start the detached supervisor if runs are queued and none is alive; return whether one was started."""
        self.require_writable()
        return self.store.count_queued() > 0 and start_supervisor(self.settings)

    def warm_up(self) -> None:
        """Start a worker before there is work, so that the next run begins at once; it leaves when nothing comes."""
        if not self.settings.read_only:
            start_supervisor(self.settings, warm=True)

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` in a lab that must not change anything."""
        if self.settings.read_only:
            raise ReadOnlyError(
                "This lab is read-only (--read-only or LAB_READ_ONLY): start it without to train, fetch or change anything."
            )

    # -- looking at a run ---------------------------------------------------------------------------------------------

    def dataset(self, dataset: str) -> Dataset:
        """Read a data set (not cached here: pages cache it)."""
        return load_dataset(dataset, root=self.settings.data)

    def kept_epochs(self, run_id: str) -> tuple[KeptFile, ...]:
        """Return the kept weights in step order."""
        return self.store.kept(run_id, kind=WEIGHTS)

    def find_weights(self, run_id: str, *, epoch: int | str = "best") -> KeptFile:
        """Return one epoch's kept file; "best" is what answers for the run (`lab.runs.headline`), "latest" the newest."""
        run = self.store.get(run_id)
        kept = self.kept_epochs(run_id)
        if not kept:
            raise InputError(
                f"Run {run.name or run.id} ({run.state}) has no kept weights yet: wait for its first epoch, or train it."
            )
        if isinstance(epoch, str) and epoch not in ("best", "latest"):
            raise InputError(f"The epoch is {epoch!r}, but it must be a number, best or latest.")
        if epoch == "best":
            answering = self.store.headline(run_id)
            return next((k for k in reversed(kept) if answering and k.step == answering.step), kept[-1])
        if epoch == "latest":
            return kept[-1]
        found = [k for k in kept if k.epoch == epoch]
        if not found:
            have = ", ".join(str(k.epoch) for k in kept)
            raise InputError(f"Epoch {epoch} of run {run.name or run.id} was not kept; there are: {have}.")
        return found[-1]

    def load_run_network(self, run_id: str, *, epoch: int | str = "best") -> LoadedNetwork:
        """Return the network of a run as it was kept after an epoch (or "best", "latest")."""
        kept = self.find_weights(run_id, epoch=epoch)
        return self.load_kept(self.store.get(run_id), kept)

    def load_kept(self, run: RunRecord, kept: KeptFile) -> LoadedNetwork:
        """Build the run's network and load one kept file into it; its SHA-256 is checked first."""
        from lab.checkpoint_files import load_weights

        data = self.artifacts.read(kept)
        with _BUILDING:
            network = self.build_network(run.config)
        load_weights(network, data)
        return self._loaded(run, network, epoch=kept.epoch, step=kept.step)

    def load_initial_network(self, run_id: str) -> LoadedNetwork:
        """Return a run's network as it was before its first step (epoch 0), made again from its seed."""
        import torch

        from lab.data.resident import load_resident

        run = self.store.get(run_id)
        with _BUILDING, torch.random.fork_rng(devices=[]):
            network = self.build_seeded(run.config)
        if hasattr(network, "initialise_from_data"):
            from lab.training.session import initialise

            initialise(network, load_resident(run.config, root=self.settings.data, device=torch.device("cpu")))
        return self._loaded(run, network, epoch=0, step=0)

    def build_seeded(self, config: RunConfig) -> "nn.Module":
        """Build a run's network as its training starts: weights drawn from its seed, or those of `init_from`."""
        from lab.checkpoint_files import load_weights
        from lab.seeding import seed_everything

        seed_everything(config.seed)
        network = self.build_network(config)
        if config.init_from:
            load_weights(network, self.artifacts.read(self.find_weights(config.init_from)))
        return network

    def _loaded(self, run: RunRecord, network: "nn.Module", *, epoch: int, step: int) -> LoadedNetwork:
        network.eval()
        mean, std = self.normalization(run)
        spec = get_dataset_spec(run.config.dataset)
        return LoadedNetwork(
            run=run,
            network=network,
            epoch=epoch,
            step=step,
            mean=mean,
            std=std,
            class_names=spec.classes,
            image_size=spec.image_size,
            result=self.store.result_at(run.id, step) if step else None,
        )

    def build_network(self, config: RunConfig) -> "nn.Module":
        """Build the network of a configuration with fresh weights (on the CPU, drawn from the global generator)."""
        from lab.architectures.build import build_network

        spec = get_dataset_spec(config.dataset)
        return build_network(
            config.arch,
            classes=len(spec.classes),
            image_size=spec.image_size,
            input_size=config.input_size,
            options=config.arch_options,
        )

    def normalization(self, run: RunRecord) -> tuple[float, float]:
        """Return (mean, std) the run's network was trained with, from its own record where it says so."""
        kept: Any = run.environment.get("normalization")
        if isinstance(kept, list) and len(kept) == 2:
            return float(kept[0]), float(kept[1])
        return normalization_constants(self.dataset(run.config.dataset), run.config.normalization)

    def checkpoint(self, run_id: str) -> bytes | None:
        """Return the newest resumable checkpoint, or nothing if none was kept; raises `ArtifactError` for a damaged one."""
        kept = self.store.kept(run_id, kind=CHECKPOINT)
        return self.artifacts.read(kept[-1]) if kept else None
