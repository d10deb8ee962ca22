"""Runs ready to read drawings: loaded once a process, in a bounded cache, each with its unsure limits learned.

Networks are shared by all sessions and are only looked at; whatever hangs hooks on one holds its lock.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from lab.data import Dataset, load_dataset
from lab.data.registry import DatasetSpec
from lab.errors import InputError, LabError
from lab.experiment import LoadedNetwork
from lab.inspection.embedding import penultimate_features
from lab.inspection.observe import LayerView, list_layers
from lab.settings import Settings
from lab.sketch.normalise import RECIPES, Recipe
from lab.sketch.reading import learn_network_rule, rule_images
from lab.sketch.unsure import UnsureRule
from pages.ui.lab import get_lab
from pages.ui.widgets import run_title

_KEPT = 12  # networks in memory: twice what one page shows
_BANK = 3_000  # training pictures that look-alikes are searched in


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A run's network and what belongs to it. layers: those with maps to look at. bank: filled on first use."""

    loaded: LoadedNetwork
    title: str
    spec: DatasetSpec
    rule: UnsureRule
    layers: tuple[LayerView, ...]
    lock: threading.RLock = field(default_factory=threading.RLock)
    bank: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.loaded.run.id

    @property
    def recipe(self) -> Recipe:
        """How the run's data set was made."""
        return RECIPES[self.spec.recipe]


def load_models(ids: Sequence[str]) -> tuple[list[Model], list[str]]:
    """Return the models of the runs, and a sentence for each that could not be loaded."""
    models, problems = [], []
    for run_id in ids:
        try:
            kept = get_lab().find_weights(run_id)
            models.append(_load(get_lab().settings, run_id, kept.sha256))
        except LabError as error:
            problems.append(str(error))
    return models, problems


@lru_cache(maxsize=_KEPT)
def _load(settings: Settings, run_id: str, sha256: str) -> Model:
    """Load one kept file; its digest is part of the key, so that newer weights are loaded anew."""
    lab = get_lab()
    run = lab.store.get(run_id)
    kept = next((k for k in lab.kept_epochs(run_id) if k.sha256 == sha256), None)
    if kept is None:
        raise InputError(f"The weights of run {run_title(run)} were just replaced: reload the page.")
    loaded = lab.load_kept(run, kept)
    for parameter in loaded.network.parameters():
        parameter.requires_grad_(False)
    dataset = cached_dataset(settings, run.config.dataset)
    count = rule_images(sum(p.numel() for p in loaded.network.parameters()), run.config.input_size)
    rule = learn_network_rule(loaded, dataset, count=count)
    layers = [view for view in list_layers(loaded.network, image_size=loaded.image_size) if view.has_maps]
    return Model(loaded, run_title(run), dataset.spec, rule, tuple(layers))


@lru_cache(maxsize=2)
def cached_dataset(settings: Settings, dataset: str) -> Dataset:
    """Return a data set, read once a process."""
    return load_dataset(dataset, root=settings.data)


def look_alikes(model: Model, image: np.ndarray, *, count: int = 10) -> list[tuple[np.ndarray, str, float]]:
    """Return the training pictures nearest in the last hidden layer: (picture, class name, cosine likeness).

    Searched are the first `_BANK` training pictures; their features are computed at the first call.
    """
    dataset = cached_dataset(get_lab().settings, model.spec.id)
    with model.lock:
        if "features" not in model.bank:
            model.bank["features"] = _unit(_features(model, dataset.train_images[:_BANK]))
        wanted = _unit(_features(model, image[None]))[0]
    likeness = model.bank["features"] @ wanted
    nearest = np.argsort(-likeness, kind="stable")[:count]
    names = dataset.spec.classes
    return [(dataset.train_images[i], names[int(dataset.train_labels[i])], float(likeness[i])) for i in nearest]


def _features(model: Model, images: np.ndarray) -> np.ndarray:
    loaded = model.loaded
    return penultimate_features(loaded.network, images, mean=loaded.mean, std=loaded.std)


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
