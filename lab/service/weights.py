"""The saved weights of runs: finding them, and loading networks with them."""

from typing import TYPE_CHECKING

from lab.config import RunConfig
from lab.data.load import normalization_constants
from lab.data.registry import get_dataset_spec
from lab.errors import InputError, RunNotFoundError, UnreadableRunError
from lab.loaded_network import EpochChoice, LoadedNetwork
from lab.runs.artifacts import ArtifactStore
from lab.runs.records import CHECKPOINT, WEIGHTS, RunRecord, SavedFile
from lab.runs.store import RunStore
from lab.service.datasets import Datasets

if TYPE_CHECKING:
    from torch import nn


class SavedWeights:
    """Finds and loads the saved weights of runs. Torch is imported by the methods that return a network."""

    def __init__(self, store: RunStore, artifacts: ArtifactStore, datasets: Datasets) -> None:
        self._store, self._artifacts, self._datasets = store, artifacts, datasets

    def list(self, run_id: str) -> tuple[SavedFile, ...]:
        """Return the files of a run's weights in step order."""
        return self._store.files.list(run_id, kind=WEIGHTS)

    def find(self, run_id: str, *, epoch: EpochChoice = "best") -> SavedFile:
        """Return one epoch's file. Raises `InputError` if the run has no such weights."""
        run = self._store.runs.get(run_id)
        files = self.list(run_id)
        if not files:
            raise InputError(
                f"Run {run.name or run.id} ({run.status}) has no saved weights yet: "
                "wait for its first epoch, or train it."
            )
        if epoch == "best":
            selected = self._store.results.headline(run_id)
            return next((file for file in reversed(files) if selected and file.step == selected.step), files[-1])
        if epoch == "latest":
            return files[-1]
        found = [file for file in files if file.epoch == epoch]
        if not found:
            have = ", ".join(str(file.epoch) for file in files)
            raise InputError(f"Epoch {epoch} of run {run.name or run.id} was not saved; the saved epochs are: {have}.")
        return found[-1]

    def newest_checkpoint(self, run_id: str) -> bytes | None:
        """Return the newest checkpoint, or None if there is none. Raises `ArtifactError` for a damaged one."""
        files = self._store.files.list(run_id, kind=CHECKPOINT)
        return self._artifacts.read(files[-1]) if files else None

    def load(self, run_id: str, *, epoch: EpochChoice = "best") -> LoadedNetwork:
        """Return the network of a run after an epoch (or "best", "latest"). Raises like `find` and `load_file`."""
        file = self.find(run_id, epoch=epoch)
        return self.load_file(self._store.runs.get(run_id), file)

    def load_file(self, run: RunRecord, file: SavedFile) -> LoadedNetwork:
        """Build the run's network and load one file, whose SHA-256 is verified first. Raises `ArtifactError`."""
        from lab.service.networks import build_with_weights

        network = build_with_weights(run.config, self._artifacts.read(file))
        return self._loaded(run, network, epoch=file.epoch, step=file.step)

    def load_initial(self, run_id: str) -> LoadedNetwork:
        """Return a run's network as it was before its first step (epoch 0), rebuilt from its seed.

        A fork has the initial network of its origin, whose seed may differ.
        """
        from lab.service.networks import build_untrained

        run = self._store.runs.get(run_id)
        config = run.config.replace(seed=self._first_seed(run.config))
        network = build_untrained(config, self._initial_weights(config), data=self._datasets.root)
        return self._loaded(run, network, epoch=0, step=0)

    def build_initial(self, config: RunConfig) -> "nn.Module":
        """Build a run's network as at the start of training: weights drawn from its seed, or those of `init_from`.

        This seeds every global generator.
        """
        from lab.service.networks import build_seeded

        return build_seeded(config, self._initial_weights(config))

    def normalization(self, run: RunRecord) -> tuple[float, float]:
        """Return the (mean, std) that the run's network was trained with, from the run's record if it has them."""
        recorded = run.environment.normalization
        if recorded:
            return float(recorded[0]), float(recorded[1])
        return normalization_constants(self._datasets.load(run.config.dataset), run.config.normalization)

    def _first_seed(self, config: RunConfig) -> int:
        """Return the seed that a run's initial weights were drawn from; its own if its origin cannot be read."""
        while config.fork_of:
            try:
                config = self._store.runs.get(config.fork_of, deleted=True).config
            except (RunNotFoundError, UnreadableRunError):
                break
        return config.seed

    def _initial_weights(self, config: RunConfig) -> bytes | None:
        """Return the weights that a run starts from, or None if it draws them from its seed."""
        return self._artifacts.read(self.find(config.init_from)) if config.init_from else None

    def _loaded(self, run: RunRecord, network: "nn.Module", *, epoch: int, step: int) -> LoadedNetwork:
        mean, std = self.normalization(run)
        spec = get_dataset_spec(run.config.dataset)
        return LoadedNetwork(
            run=run,
            network=network.eval(),
            epoch=epoch,
            step=step,
            mean=mean,
            std=std,
            class_names=spec.classes,
            image_size=spec.image_size,
            channels=spec.channels,
            result=self._store.results.at_step(run.id, step) if step else None,
        )
