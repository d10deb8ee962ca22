"""Runs ready to read drawings. Networks and unsure rules are shared by all sessions; names and states are current.

Reading a drawing takes no lock: networks are never modified, and hooks fire only in the thread that set them.
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

_NEIGHBOURS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A run with its network, the digest of its weights and its unsure rule. layers: those with feature maps."""

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
        """The run's title."""
        return run_title(self.run)

    @property
    def spec(self) -> DatasetSpec:
        """The run's data set."""
        return get_dataset_spec(self.run.config.dataset)

    @property
    def recipe(self) -> Recipe:
        """The recipe by which the run's data set was prepared."""
        return self.spec.require_recipe()


def load_models(ids: Sequence[str]) -> tuple[list[Model], list[str]]:
    """Return the models of the runs, and a message for each run that could not be loaded."""
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


def nearest_neighbours(model: Model, image: np.ndarray) -> list[tuple[np.ndarray, str, float]]:
    """Return the training images nearest in the last hidden layer: (image, class name, cosine similarity).

    The first `bank_size` training images are searched; their features are computed at the first call.
    """
    similarity = features_of(model.id, model.digest) @ unit_rows(compute_features(model.loaded, image[None]))[0]
    nearest = np.argsort(-similarity, kind="stable")[:_NEIGHBOURS]
    dataset = dataset_of(model.spec.id)
    names = dataset.spec.classes
    return [(dataset.train_images[i], names[int(dataset.train_labels[i])], float(similarity[i])) for i in nearest]


def bank_size(model: Model) -> int:
    """Return how many training images are searched for nearest neighbours."""
    return min(SEARCHED, len(dataset_of(model.spec.id).train_images))
