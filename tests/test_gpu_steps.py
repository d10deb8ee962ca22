"""The text about GPUs on the cost card, from the table of measurements."""

import pytest

from lab.architectures.registry import list_architectures
from lab.config import RunConfig
from lab.service.gpu_steps import COMPILING_S, GPU_STEPS, compile_pays_from, gpu_words


def test_every_measured_network_is_registered() -> None:
    assert GPU_STEPS.keys() <= {architecture.id for architecture in list_architectures()}


def test_compiling_pays_off_once_the_steps_have_saved_its_duration() -> None:
    measured = GPU_STEPS["conv3-bn"]
    for precision, saved_ms in (("float32", 0.552 - 0.460), ("bfloat16", 0.480 - 0.334)):
        pays = compile_pays_from(measured, precision)
        assert pays is not None
        assert [steps * saved_ms / 1e3 for steps in pays] == pytest.approx(COMPILING_S)
    assert compile_pays_from(GPU_STEPS["alexnet"], "float32") is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"arch": "alexnet"}, "On one H100 at batch 64 a step took 4.15 ms in float32 and 3.01 ms in bfloat16."),
        (
            {"arch": "lenet-bn"},
            "On one H100 at batch 64 a step took 0.338 ms in float32 and 0.338 ms in bfloat16, which gains nothing for "
            "this network.",
        ),
        (
            {"arch": "conv3-bn", "compile": True, "precision": "bfloat16"},
            "On one H100 at batch 64 a step took 0.552 ms in float32 and 0.48 ms in bfloat16. Compiled, it took 0.334 "
            "ms in bfloat16, after 10 to 22 s of compiling: that pays off in runs of more than 68,000 to 150,000 "
            "steps. This one has 3,750.",
        ),
        (
            {"arch": "alexnet", "compile": True},
            "On one H100 at batch 64 a step took 4.15 ms in float32 and 3.01 ms in bfloat16. torch.compile takes 10 to "
            "22 s before the first step; what it saves was not measured for this network.",
        ),
        ({"arch": "lenet5"}, ""),
        ({"arch": "lenet-bn", "precision": "float16"}, ""),
        ({"arch": "basic-cnn", "arch_options": {"widths": [4, 8]}}, ""),
    ],
)
def test_the_measurements_of_a_network_are_described_in_words(settings: dict[str, object], words: str) -> None:
    assert gpu_words(RunConfig(**settings), steps=3_750) == words
