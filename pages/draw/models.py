"""Runs ready to read drawings: the network and its unsure limits are shared by all sessions, name and state are the run's now.

Reading a drawing takes no lock: networks are only looked at, and hooks act on their own thread only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.data.recipes import Recipe
from lab.data.registry import get_dataset_spec
from lab.data.spec import DatasetSpec
from lab.errors import LabError
from lab.inspection.observe import LayerView
from lab.loaded_network import LoadedNetwork
from lab.runs.records import RunRecord
from lab.sketch.reading import compute_features
from lab.sketch.unsure import UnsureRule, unit_rows
from pages.cache.datasets import dataset_of
from pages.cache.drawing import SEARCHED, features_of, rule_of
from pages.cache.inspection import layers_of, network_of
from pages.cache.lab import get_lab
from pages.widgets.runs import run_title


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A run, its network by the digest of its weights, and when it is unsure. layers: those with maps to look at."""

    run: RunRecord
    digest: str
    loaded: LoadedNetwork
    rule: UnsureRule
    layers: tuple[LayerView, ...]

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def title(self) -> str:
        """What the run is called."""
        return run_title(self.run)

    @property
    def spec(self) -> DatasetSpec:
        """The run's data set."""
        return get_dataset_spec(self.run.config.dataset)

    @property
    def recipe(self) -> Recipe:
        """How the run's data set was made."""
        return self.spec.require_recipe()


def load_models(ids: Sequence[str]) -> tuple[list[Model], list[str]]:
    """Return the models of the runs, and a sentence for each that could not be loaded."""
    models, problems = [], []
    for run_id in ids:
        try:
            models.append(_load(run_id))
        except LabError as error:
            problems.append(str(error))
    return models, problems


def _load(run_id: str) -> Model:
    lab = get_lab().holding(run_id)
    digest = lab.weights.find(run_id).sha256
    run = lab.store.runs.get(run_id)
    get_dataset_spec(run.config.dataset).require_recipe()
    layers = tuple(view for view in layers_of(run_id, digest) if view.has_maps)
    return Model(run, digest, network_of(run_id, digest), rule_of(run_id, digest), layers)


def nearest_neighbours(model: Model, image: np.ndarray, *, count: int = 10) -> list[tuple[np.ndarray, str, float]]:
    """Return the training pictures nearest in the last hidden layer: (picture, class name, cosine likeness).

    Searched are the first `bank_size` training pictures; their features are computed at the first call.
    """
    likeness = features_of(model.id, model.digest) @ unit_rows(compute_features(model.loaded, image[None]))[0]
    nearest = np.argsort(-likeness, kind="stable")[:count]
    dataset = dataset_of(model.spec.id)
    names = dataset.spec.classes
    return [(dataset.train_images[i], names[int(dataset.train_labels[i])], float(likeness[i])) for i in nearest]


def bank_size(model: Model) -> int:
    """Return how many training pictures nearest neighbours are searched in."""
    return min(SEARCHED, len(dataset_of(model.spec.id).train_images))
