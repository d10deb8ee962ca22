"""The counts of a configuration's network equal those of its summary and are cached."""

import pytest

from lab import network_counts
from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.errors import ShapeError
from lab.inspection.summary import summarize
from lab.network_counts import count_from_config
from lab.networks import build_on_meta

_LAST = 129  # weights and bias per class in the last layer of vgg-small


@pytest.mark.parametrize(
    "changes", [{}, {"arch": "mobilenet", "dataset": "digits"}, {"arch_options": {"dropout": 0.5}}]
)
def test_the_counts_are_those_of_the_summary(changes: dict[str, object]) -> None:
    config = RunConfig.from_dict({"arch": "lenet-bn", "dataset": "mnist", **changes})
    summary = summarize(build_on_meta(config), input_shape=(1, *get_dataset_spec(config.dataset).image_shape))
    counts = count_from_config(config)
    assert (counts.total_params, counts.total_mult_adds) == (summary.total_params, summary.total_mult_adds)
    assert (counts.forward_backward_bytes, counts.params_bytes) == (
        summary.forward_backward_bytes,
        summary.params_bytes,
    )


def test_a_network_is_counted_again_only_if_settings_change_it() -> None:
    config = RunConfig(arch="vgg-small", dataset="mnist")
    first, before = count_from_config(config), network_counts._count.cache_info().misses
    assert count_from_config(config.replace(lr=0.5, batch_size=7, epochs=9, seed=3)) is first
    assert network_counts._count.cache_info().misses == before
    letters = count_from_config(config.replace(dataset="emnist-letters"))
    classes = len(get_dataset_spec("emnist-letters").classes) - len(get_dataset_spec("mnist").classes)
    assert letters.total_params - first.total_params == classes * _LAST
    assert count_from_config(config.replace(input_size="32")).total_mult_adds != first.total_mult_adds


def test_a_network_that_does_not_accept_its_images_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(ShapeError):
            count_from_config(RunConfig(arch="vgg11", dataset="digits", input_size="native"))
