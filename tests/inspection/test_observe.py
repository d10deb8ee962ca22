"""Maps, kernels and times show what the network computes and leave it unchanged."""

import numpy as np
import pytest
import torch
from torch import nn

from lab.architectures import inference_batches
from lab.architectures.build import build_network
from lab.architectures.registry import list_architectures
from lab.errors import InputError
from lab.inspection.compare import compare
from lab.inspection.kernels import Kernels, kernel_change, list_convolutions, read_kernels
from lab.inspection.observe import capture, compute_logits, feature_maps, layer_input, list_layers, to_input
from lab.inspection.report import evaluate_network, inspect_image
from lab.inspection.summary import summarize
from lab.inspection.timing import time_layers


def lenet(seed: int = 0, **settings) -> nn.Module:
    torch.manual_seed(seed)
    return build_network("lenet5", **settings).eval()


def images(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def fingerprint(network: nn.Module) -> list:
    return [t.clone() for t in network.state_dict().values()] + [m.training for m in network.modules()]


def same(a: list, b: list) -> bool:
    return all(torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in zip(a, b, strict=True))


def test_an_image_is_normalised_as_in_training() -> None:
    x = to_input(np.array([[[0, 255], [51, 102]]], np.uint8), mean=0.5, std=0.25)
    assert x.shape == (1, 1, 2, 2)
    assert x[0, 0].numpy() == pytest.approx(np.array([[-2, 2], [-1.2, -0.4]]), abs=1e-6)


@pytest.mark.parametrize("arch", [a.id for a in list_architectures()])
def test_every_network_lists_its_layers_with_their_shapes(arch: str) -> None:
    with torch.device("meta"):
        network = build_network(arch)
    layers = list_layers(network, image_size=28)
    assert layers[-1].shape == (10,)
    assert any(layer.has_maps and layer.type == "Conv2d" for layer in layers)
    assert set(list_convolutions(network)) <= {layer.name for layer in layers}


def test_maps_are_the_layers_output_with_mean_and_sparsity() -> None:
    network, x = lenet(), to_input(images(1), mean=0.13, std=0.31)
    maps = feature_maps(network, x, layer="features.relu1")
    inner = network.get_submodule("features.conv1")(network.get_submodule("resize")(x)).relu()[0].detach().numpy()
    assert maps.values == pytest.approx(inner)
    assert maps.mean == pytest.approx(inner.mean((1, 2)))
    assert maps.sparsity == pytest.approx((inner == 0).mean((1, 2)))
    assert maps.layer.field is not None
    assert maps.layer.field.size == 5


def test_a_hidden_vector_is_shown_as_one_pixel_a_unit() -> None:
    maps = feature_maps(lenet(), to_input(images(1), mean=0, std=1), layer="classifier.fc1")
    assert maps.values.shape == (120, 1, 1)


def test_a_layer_before_an_in_place_relu_keeps_its_negative_values() -> None:
    torch.manual_seed(0)
    network = build_network("resnet18-tv").eval()
    assert network.get_submodule("features.relu").inplace
    maps = feature_maps(network, to_input(images(1), mean=0.13, std=0.31), layer="features.bn1")
    assert (maps.values < 0).any()


def test_a_layer_that_runs_twice_is_shown_with_its_last_output() -> None:
    torch.manual_seed(0)
    network, x = build_network("resnet18-tv").eval(), to_input(images(1), mean=0.13, std=0.31)
    names = [view.name for view in list_layers(network, image_size=28)]
    assert len(set(names)) == len(names)
    assert names.index("features.layer1.0.relu") == names.index("features.layer1.0.bn2") + 1
    maps = feature_maps(network, x, layer="features.layer1.0.relu")
    stem = capture(network, x, layers=["features.maxpool"])["features.maxpool"]
    with torch.no_grad():
        wanted = network.get_submodule("features.layer1.0")(stem)  # ends with its ReLU
    assert maps.values == pytest.approx(wanted[0].numpy(), abs=1e-5)
    assert maps.layer.field is not None
    assert maps.layer.field.size == 27


def test_an_unknown_layer_is_refused_with_the_near_miss() -> None:
    with pytest.raises(InputError, match=r"no layer 'features.cnv1'. Did you mean 'features.conv1'\?"):
        feature_maps(lenet(), to_input(images(1), mean=0, std=1), layer="features.cnv1")


def test_outputs_of_another_session_on_the_same_network_are_not_captured(
    shared: tuple[nn.Sequential, torch.Tensor],
) -> None:
    network, x = shared
    with torch.no_grad():
        first = network[:2](x)
        second = network[3](first)
    captured = capture(network, x, layers=["0", "1", "3"])
    assert torch.equal(captured["1"], first)
    assert torch.equal(captured["3"], second)
    assert torch.equal(layer_input(network, x, layer="3"), first)


def test_inspection_leaves_weights_modes_and_hooks_unchanged() -> None:
    torch.manual_seed(0)
    network = build_network("lenet-bn").train()
    network.get_submodule("features.bn2").eval()
    before = fingerprint(network)
    x = to_input(images(2), mean=0.13, std=0.31)
    capture(network, x, layers=["features.conv1", "classifier.fc1"])
    compute_logits(network, images(), mean=0.13, std=0.31)
    time_layers(network, x, repeats=2)
    with pytest.raises(AttributeError):
        capture(network, x, layers=["features.conv1", "nothing"])
    assert same(before, fingerprint(network))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_batches_are_as_large_as_memory_allows_and_do_not_change_the_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    network, many = lenet(), images(501)
    sizes = []
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    whole = network((torch.from_numpy(many).unsqueeze(1).float() / 255 - 0.1) / 0.3).detach().numpy()
    assert compute_logits(network, many, mean=0.1, std=0.3) == pytest.approx(whole, abs=1e-4)
    assert sizes[1:] == [250, 250, 1]
    # 200 images, also resized, and their outputs before and after the first ReLU.
    monkeypatch.setattr(inference_batches, "BUDGET_BYTES", 200 * 4 * (28 * 28 + 32 * 32 + 2 * 6 * 28 * 28))
    assert compute_logits(network, many, mean=0.1, std=0.3) == pytest.approx(whole, abs=1e-4)
    assert sizes[4:] == [200, 200, 101]


def test_inspecting_and_evaluating_agree_with_the_network() -> None:
    network, some = lenet(), images(20)
    labels = compute_logits(network, some, mean=0.1, std=0.3).argmax(1)
    seen = inspect_image(network, some[3], layer="features.conv2", mean=0.1, std=0.3)
    assert seen.maps.values.shape == (16, 10, 10)
    assert seen.probabilities.argmax() == labels[3]
    assert seen.probabilities.sum() == pytest.approx(1)
    found = evaluate_network(network, some, labels, mean=0.1, std=0.3, classes=tuple("0123456789"))
    assert found.accuracy == 1.0
    assert found.confusion.trace() == 20


def test_kernels_are_a_copy_of_the_weights() -> None:
    network = lenet()
    kernels = read_kernels(network, layer="features.conv2")
    assert kernels.weight.shape == (16, 6, 5, 5)
    assert np.array_equal(kernels.weight, network.get_parameter("features.conv2.weight").detach().numpy())
    kernels.weight[:] = 0
    assert network.get_parameter("features.conv2.weight").abs().sum() > 0
    with pytest.raises(InputError, match=r"'classifier.fc1' is not a convolution"):
        read_kernels(network, layer="classifier.fc1")


def test_the_change_of_kernels_has_known_values() -> None:
    now, before = read_kernels(lenet(), layer="features.conv1"), read_kernels(lenet(), layer="features.conv1")
    unchanged = kernel_change(now, before)
    assert unchanged.relative.tolist() == [0] * 6
    assert unchanged.cosine == pytest.approx(1)
    now.weight[0] *= 2  # twice as long: its own length away
    now.weight[1] *= -1  # reversed: twice its length away
    before.weight[2] = 0
    change = kernel_change(now, before)
    assert change.relative[:3].tolist() == [pytest.approx(1), pytest.approx(2), np.inf]
    assert change.cosine[:2] == pytest.approx([1, -1])
    assert np.isnan(change.cosine[2])


def test_every_layer_that_runs_is_timed() -> None:
    network = lenet()
    timing = time_layers(network, torch.randn(8, 1, 28, 28), repeats=3)
    assert [t.name for t in timing.layers] == [v.name for v in list_layers(network, image_size=28)]
    assert all(t.median_ms > 0 for t in timing.layers)
    assert timing.total_ms > 0
    assert timing.repeats == 3


def test_comparing_networks_pairs_corresponding_layers() -> None:
    def summary(arch: str, **options):
        with torch.device("meta"):
            return summarize(build_network(arch, options=options), input_shape=(1, 1, 28, 28))

    itself = compare(summary("lenet-bn"), summary("lenet-bn"))
    assert {pair.verdict for pair in itself} == {"same"}
    plain = compare(summary("lenet-bn"), summary("lenet-bn", batch_norm=False))
    assert [p.left.name for p in plain if p.verdict == "only left"] == ["features.bn1", "features.bn2"]
    wider = compare(summary("lenet5"), summary("lenet5", widths=[6, 20]))
    changed = [p.left.name for p in wider if p.verdict == "changed"]
    assert changed[0] == "features.conv2"
    assert "classifier.fc1" in changed
    assert "classifier.fc2" not in changed


def test_sparsity_is_the_share_of_exact_zeros_and_not_of_negative_values() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    nn.init.constant_(network[0].weight, -1.0)
    x = torch.tensor([0.0, 0.0, 1.0, 2.0]).reshape(1, 1, 2, 2)
    maps = feature_maps(network, x, layer="0")
    assert maps.values[0].tolist() == [[0, 0], [-1, -2]]
    assert (float(maps.mean[0]), float(maps.sparsity[0])) == (-0.75, 0.5)


def test_the_change_of_a_kernel_is_relative_to_its_earlier_length_however_short() -> None:
    def kernels(value: float) -> Kernels:
        weight = np.full((1, 1, 2, 2), value, dtype=np.float32)
        return Kernels("conv", weight, np.zeros(1, np.float32), 1, 0, 1, 1)

    assert kernel_change(kernels(0.003), kernels(0.001)).relative[0] == pytest.approx(2)
    assert kernel_change(kernels(300.0), kernels(100.0)).relative[0] == pytest.approx(2)
