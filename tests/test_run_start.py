"""What a run starts with: the data set by its content, and the network by its seed or by given weights."""

from pathlib import Path

import pytest
import torch

from lab.checkpoint_files import encode_weights
from lab.config import RunConfig
from lab.data.load import dataset_checksum
from lab.data.local import write_local_dataset
from lab.data.recipes import MNIST
from lab.data.registry import IMPORTED, get_dataset_spec
from lab.errors import DataError
from lab.service.datasets import Datasets, TravellingDatasets
from lab.service.networks import build_seeded, build_untrained, build_with_weights
from lab.training.checkpoint import Weights, weights_digest
from tests.worker.worker_runs import open_lab

CONFIG = RunConfig(arch="lenet5", dataset="digits", device="cpu")


def test_a_machine_that_joined_can_use_only_data_sets_that_were_stored_for_it(tmp_path: Path) -> None:
    lab = open_lab(tmp_path / "lab", LAB_ARTIFACTS=str(tmp_path / "files"))
    digits = get_dataset_spec("digits").reader.read(())
    dataset = write_local_dataset(IMPORTED, digits, recipe=MNIST, root=lab.settings.data)
    own = Datasets(lab.settings.data)
    far = TravellingDatasets(tmp_path / "far", lab.store.shared_data)
    own.require(dataset)
    for request in (far.require, far.checksum):
        with pytest.raises(
            DataError,
            match=f"{dataset} is not stored for machines that joined: submit its runs on the lab's own machine",
        ):
            request(dataset)
    assert far.checksum("digits") == own.checksum("digits") == dataset_checksum("digits", root=tmp_path)
    far.require("digits")
    lab.shared_datasets.publish(dataset)
    far.require(dataset)
    assert far.checksum(dataset) == own.checksum(dataset)
    with pytest.raises(DataError):
        Datasets(tmp_path / "far").require(dataset)  # its files are not there yet


def _digest(network: torch.nn.Module) -> str:
    return weights_digest(network.state_dict())


def test_a_network_has_the_weights_of_its_seed_or_the_given_ones(tmp_path: Path) -> None:
    third, fourth, again = (_digest(build_seeded(CONFIG.replace(seed=seed), None)) for seed in (3, 4, 3))
    assert third == again != fourth
    data = encode_weights(Weights(build_seeded(CONFIG.replace(seed=4), None).state_dict(), {}))
    assert _digest(build_seeded(CONFIG.replace(seed=3), data)) == fourth
    assert _digest(build_with_weights(CONFIG.replace(seed=3), data)) == fourth
    assert _digest(build_untrained(CONFIG.replace(seed=3), None, data=tmp_path)) == third
    assert _digest(build_untrained(CONFIG.replace(seed=3), data, data=tmp_path)) == fourth


def test_building_an_untrained_network_leaves_the_global_generator_of_torch_unchanged(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    build_untrained(CONFIG.replace(seed=3), None, data=tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    build_seeded(CONFIG.replace(seed=3), None)
    assert not torch.equal(torch.get_rng_state(), before)


def test_an_untrained_network_includes_the_layer_that_is_initialised_from_images(tmp_path: Path) -> None:
    config = CONFIG.replace(arch="speedrun-cnn", train_limit=300)
    seeded, untrained = (
        build_seeded(config, None).state_dict(),
        build_untrained(config, None, data=tmp_path).state_dict(),
    )
    differ = [name for name, tensor in seeded.items() if not torch.equal(tensor, untrained[name])]
    assert len(differ) == 1, "only its frozen first layer is computed from the images"
