"""Attribution methods on networks whose explanation is known."""

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn

from lab.architectures import inference_batches
from lab.architectures.build import build_network
from lab.errors import InputError
from lab.inspection.attribution import _NOISE_SHARE, METHODS, attribute

BLACK = -0.4242


def linear() -> tuple[nn.Module, np.ndarray]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)).eval()
    return network, network[1].weight.detach().numpy().reshape(10, 28, 28)


def image() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.rand(1, 1, 28, 28) * 3 + BLACK


@pytest.fixture(scope="module")
def lenet() -> nn.Module:
    torch.manual_seed(0)
    return build_network("lenet-bn").eval()


@pytest.mark.parametrize("method", ["saliency", "smoothgrad"])
def test_a_linear_networks_saliency_is_its_weight(method: str) -> None:
    network, weight = linear()
    found = attribute(network, image(), target=3, method=method, black=BLACK)
    assert found.values == pytest.approx(weight[3], abs=1e-6)


def test_a_linear_networks_integrated_gradients_are_weight_times_distance_from_black() -> None:
    network, weight = linear()
    found = attribute(network, image(), target=3, method="integrated-gradients", black=BLACK)
    assert found.values == pytest.approx(weight[3] * (image()[0, 0].numpy() - BLACK), abs=1e-5)


def test_occlusion_of_a_linear_network_is_the_mean_drop_over_its_patches() -> None:
    network, weight = linear()
    found = attribute(network, image(), target=3, method="occlusion", black=BLACK)
    # Patches of 4 with stride 2: an inner pixel's value is the mean drop of the logit over the patches that hide it.
    drop = weight[3] * (image()[0, 0].numpy() - BLACK)
    patches = [drop[r : r + 4, c : c + 4].sum() for r in (10, 12) for c in (10, 12)]
    assert found.values[13, 13] == pytest.approx(np.mean(patches), abs=1e-4)


@pytest.mark.parametrize("target", [0, 7])
def test_integrated_gradients_add_up_to_the_difference_of_logits(lenet: nn.Module, target: int) -> None:
    x = image()
    found = attribute(lenet, x, target=target, method="integrated-gradients", black=BLACK)
    with torch.no_grad():
        difference = float(lenet(x)[0, target] - lenet(torch.full_like(x, BLACK))[0, target])
    assert found.values.sum() == pytest.approx(difference, rel=0.01, abs=1e-3)
    assert found.gap is not None
    assert found.gap <= max(0.01 * abs(difference), 1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_methods_give_one_finite_value_per_pixel_and_leave_the_network_unchanged(lenet: nn.Module, method: str) -> None:
    lenet.get_submodule("features.bn1").train()
    before = [t.clone() for t in lenet.state_dict().values()]
    try:
        found = attribute(lenet, image(), target=1, method=method, black=BLACK)
        assert lenet.get_submodule("features.bn1").training
    finally:
        lenet.eval()
    assert found.values.shape == (28, 28)
    assert np.isfinite(found.values).all()
    # Grad-CAM may be zero everywhere: it shows only evidence for the class.
    assert np.abs(found.values).max() > 0 or method == "grad-cam"
    assert all(torch.equal(a, b) for a, b in zip(before, lenet.state_dict().values()))
    assert all(p.grad is None for p in lenet.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in lenet.modules())


def test_smoothgrad_is_deterministic_and_leaves_the_global_random_state_alone(
    shared: tuple[nn.Sequential, torch.Tensor],
) -> None:
    network, x = shared
    torch.manual_seed(5)
    wanted = torch.rand(3)
    drawn: list[torch.Tensor] = []  # by another session during the attribution
    network[2].others.append(lambda: drawn.append(torch.rand(1)))
    torch.manual_seed(5)
    one, two = (attribute(network, x, target=1, method="smoothgrad", black=BLACK).values for _ in range(2))
    assert np.array_equal(one, two)
    assert torch.equal(torch.cat(drawn[:3]), wanted)


@pytest.mark.parametrize("method", ["smoothgrad", "integrated-gradients", "occlusion"])
def test_a_large_network_is_run_in_smaller_batches_with_the_same_result(
    lenet: nn.Module, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    handle = lenet.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    try:
        usual = attribute(lenet, image(), target=1, method=method, black=BLACK).values
        assert max(sizes) > 20
        sizes.clear()
        monkeypatch.setattr(inference_batches, "BUDGET_BYTES", 500_000)
        assert attribute(lenet, image(), target=1, method=method, black=BLACK).values == pytest.approx(usual, abs=1e-5)
        assert max(sizes) <= 500_000 // (2 * 4 * 6 * 28 * 28)  # before and after the first batch norm
    finally:
        handle.remove()


def test_grad_cam_is_positive_exactly_where_the_class_is_found() -> None:
    features = nn.Conv2d(1, 2, 3, padding=1, bias=False)
    nn.init.zeros_(features.weight)
    with torch.no_grad():
        features.weight[1, 0, 1, 1] = 1.0  # channel 1 copies the image, channel 0 is zero
    head = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.eye(2))
    network = nn.Sequential(features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()
    x = torch.zeros(1, 1, 28, 28)
    x[..., 4:9, 18:23] = 1.0
    values = attribute(network, x, target=1, method="grad-cam", black=0.0).values
    assert (values > 0).sum() == 25
    assert (values[4:9, 18:23] > 0).all()
    assert not attribute(network, x, target=0, method="grad-cam", black=0.0).values.any()


def test_grad_cam_of_a_colour_image_is_one_map() -> None:
    """Channel 1 of the maps is red plus twice green, without blue."""
    features = nn.Conv2d(3, 2, 1, bias=False)
    head = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        features.weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 0.0]])[..., None, None])
        head.weight.copy_(torch.eye(2))
    network = nn.Sequential(features, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()
    x = torch.zeros(1, 3, 12, 12)
    x[0, 0, :3, :3] = x[0, 1, 6:9, 6:9] = x[0, 2, :3, 9:] = 1.0
    values = attribute(network, x, target=1, method="grad-cam", black=0.0).values
    assert values.shape == (12, 12)
    assert (values[:3, :3] > 0).all()
    assert values[6:9, 6:9] == pytest.approx(2 * values[:3, :3])
    assert (values > 0).sum() == 18


def test_grad_cam_equals_captums(lenet: nn.Module) -> None:
    captums = captum.attr.LayerGradCam(lenet, lenet.get_submodule("features.relu2"))
    nonzero = 0
    for target in range(10):
        small = captums.attribute(image(), target=target, relu_attributions=True).detach()
        wanted = nn.functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)[0, 0].numpy()
        found = attribute(lenet, image(), target=target, method="grad-cam", black=BLACK)
        assert found.values == pytest.approx(wanted, abs=1e-6)
        nonzero += wanted.max() > 0
    assert nonzero > 1


def test_grad_cam_is_not_affected_by_another_session_on_the_same_network(
    shared: tuple[nn.Sequential, torch.Tensor],
) -> None:
    network, x = shared
    seen = [attribute(network, x, target=target, method="grad-cam", black=0.0).values for target in range(3)]
    network[2].others.clear()  # both layers share one list
    alone = [attribute(network, x, target=target, method="grad-cam", black=0.0).values for target in range(3)]
    assert np.max(alone) > 0
    assert np.array(seen) == pytest.approx(np.array(alone))


def test_in_place_activations_are_handled_and_restored() -> None:
    torch.manual_seed(0)
    network = build_network("resnet18-tv").eval()
    found = attribute(network, image(), target=0, method="grad-cam", black=BLACK)
    assert np.isfinite(found.values).all()
    assert network.get_submodule("features.relu").inplace


def test_impossible_attributions_are_refused_in_one_sentence() -> None:
    network, _ = linear()
    with pytest.raises(InputError, match="Grad-CAM needs a convolution"):
        attribute(network, image(), target=0, method="grad-cam", black=BLACK)
    with pytest.raises(InputError, match="The class is 10, but it must be 0 to 9"):
        attribute(network, image(), target=10, method="saliency", black=BLACK)
    with pytest.raises(InputError, match="logits are not finite"):
        attribute(network, torch.full((1, 1, 28, 28), torch.nan), target=0, method="integrated-gradients", black=BLACK)
    with pytest.raises(InputError, match=r"no method 'salience'. Did you mean 'saliency'\?"):
        attribute(network, image(), target=0, method="salience", black=BLACK)


class Cubes(nn.Module):
    """Every logit is the sum of cubes: the mean of its slope 3 x**2 shows the spread of the noise."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x**3).flatten(1).sum(1, keepdim=True).expand(-1, 2)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_smoothgrads_noise_grows_with_the_range_of_the_image(scale: float) -> None:
    """Smilkov et al. 2017: the spread is a share of the range. The mean slope of x**3 is 3 (x**2 + spread**2)."""
    x = (torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(2)) - 0.5) * scale
    found = attribute(Cubes().eval(), x, target=0, method="smoothgrad", black=0.0)
    spread = _NOISE_SHARE * float(x.max() - x.min())
    excess = (found.values / 3 - (x[0, 0] ** 2).numpy()).mean()
    assert excess == pytest.approx(spread**2, rel=0.1)
