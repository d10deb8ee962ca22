"""Weights for other programs: the same bits, readable by PyTorch's safe loader, with a card on how to use them."""

import io
import json

import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from lab.errors import InputError, UnknownNameError
from lab.networks import build_from_config
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sharing.formats import FORMATS, export_runs
from lab.sharing.weights import facts, model_card, portable_state
from lab.training.checkpoint import weights_digest


def test_safetensors_hold_the_best_weights_with_classes_and_normalization(lab: Lab, run: RunRecord, tmp_path) -> None:
    files = export_runs(lab, [run], format="safetensors")
    loaded = lab.weights.load(run.id)
    state = safetensors.torch.load(files[""])
    assert weights_digest({name: state[name] for name in loaded.network.state_dict()}) == weights_digest(
        loaded.network.state_dict()
    )
    path = tmp_path / "weights.safetensors"
    path.write_bytes(files[""])
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["convlab"])
    assert facts["classes"] == [str(digit) for digit in range(10)]
    assert (facts["mean"], facts["std"]) == (loaded.mean, loaded.std)


def test_a_state_dict_is_read_by_the_safe_loader_and_gives_the_same_logits(lab: Lab, run: RunRecord) -> None:
    files = export_runs(lab, [run], format="state-dict")
    # The lab itself never unpickles; this line acts as the user's own program.
    state = torch.load(io.BytesIO(files[""]), weights_only=True)
    network = build_from_config(run.config).eval()
    network.load_state_dict(state)
    x_BCHW = torch.rand(4, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(network(x_BCHW), lab.weights.load(run.id).network(x_BCHW))


def test_the_card_states_normalization_classes_and_accuracy(lab: Lab, run: RunRecord) -> None:
    card = export_runs(lab, [run], format="safetensors")[".card.md"].decode()
    mean, std = lab.weights.normalization(run)
    assert f"(pixel / 255 - {mean!r}) / {std!r}" in card
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in card
    assert f"{100 * run.summary.other['test_accuracy']:.2f} %" in card


def test_weights_that_differ_in_one_bit_have_different_digests(lab: Lab, run: RunRecord) -> None:
    state = portable_state(lab.weights.load(run.id).network)
    before = weights_digest(state)
    name = next(iter(state))
    state[name].view(torch.int32).view(-1)[0] ^= 1
    assert weights_digest(state) != before


def test_an_unknown_format_is_refused_with_the_nearest_name(lab: Lab, run: RunRecord) -> None:
    with pytest.raises(UnknownNameError, match=r"no export format 'jsn'\. Did you mean 'json'\?"):
        export_runs(lab, [run], format="jsn")


@pytest.mark.parametrize("format", [f.id for f in FORMATS.values() if not f.many])
def test_a_format_for_one_run_refuses_two(lab: Lab, pair: tuple[RunRecord, RunRecord], format: str) -> None:
    with pytest.raises(InputError, match="holds one run, but 2 were given"):
        export_runs(lab, pair, format=format)


def test_the_facts_of_weights_match_the_run_and_the_saved_epoch(lab: Lab, run: RunRecord) -> None:
    """Known answer: 200 images, a tenth of them for validation, in batches of 32 are six steps per epoch."""
    known = facts(lab.weights.load(run.id))
    assert (known["run"], known["architecture"], known["dataset"]) == (run.id, "lenet5", "digits")
    assert known["epoch"] in (1, 2)
    assert known["step"] == 6 * known["epoch"]
    assert known["epochs"] == 2
    for name in ("val_accuracy", "test_accuracy"):
        curve = lab.store.points.read(run.id)[name.replace("_", "/")]
        assert known[name] == curve.value[curve.step.tolist().index(known["step"])]
    assert known["val_accuracy"] != known["test_accuracy"], "equal values could not reveal a mix-up"


def test_the_card_names_the_step_of_its_weights(lab: Lab, run: RunRecord) -> None:
    loaded = lab.weights.load(run.id)
    assert f"epoch {loaded.epoch} of 2 (best), step {6 * loaded.epoch}." in model_card(loaded)


def test_weights_are_exported_in_contiguous_layout(lab: Lab, run: RunRecord) -> None:
    network = lab.weights.load(run.id).network.to(memory_format=torch.channels_last)
    state = portable_state(network)
    assert all(tensor.is_contiguous() for tensor in state.values())
    wide = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    assert not wide.weight.is_contiguous()
    assert portable_state(wide)["weight"].is_contiguous()
