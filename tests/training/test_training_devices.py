"""Devices, seeds and their descriptions."""

import subprocess
import sys

import pytest
import torch

from lab.devices import (
    available_devices,
    describe_device,
    keep_big_blocks,
    memory_mb,
    reset_peak_memory,
    resolve_device,
)
from lab.errors import DeviceError
from lab.seeding import build_generator, derive_seed
from lab.training.session import matmul_as_cudnn


def test_auto_resolves_to_the_best_device_and_a_name_to_itself() -> None:
    assert str(resolve_device("auto")) == available_devices()[0]
    assert resolve_device(" CPU ") == torch.device("cpu")


def test_a_missing_device_is_refused_with_the_available_ones() -> None:
    with pytest.raises(DeviceError, match=r"'cuda:99' is not on this machine\. (Did you mean|Choose one of)"):
        resolve_device("cuda:99")
    with pytest.raises(DeviceError, match=r"'cpuu' is not on this machine\. Did you mean 'cpu'\?"):
        resolve_device("cpuu")


def test_a_device_is_described_by_the_facts_that_the_bits_depend_on() -> None:
    facts = describe_device(torch.device("cpu"))
    assert facts["threads"] == torch.get_num_threads() == 1
    assert facts["torch"] == torch.__version__
    assert facts["name"]


def test_memory_is_that_of_this_process_in_mebibytes() -> None:
    assert 50 < memory_mb(torch.device("cpu")) < 100_000


def test_the_peak_of_an_earlier_run_is_reset() -> None:
    """With blocks that glibc keeps because of `keep_big_blocks`."""
    keep_big_blocks()
    blocks = [torch.ones(2**20) for _ in range(64)]  # 256 MiB
    del blocks
    before = memory_mb(torch.device("cpu"))
    if not reset_peak_memory(torch.device("cpu")):
        pytest.skip("this system has one peak for the whole process")
    assert memory_mb(torch.device("cpu")) < before - 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_the_allocator_accepts_its_settings() -> None:
    assert keep_big_blocks()


def test_a_derived_seed_is_the_same_in_every_process() -> None:
    code = "from lab.seeding import derive_seed; print(derive_seed(7, 'order', 3))"
    reported = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert int(reported) == derive_seed(7, "order", 3) == 929583480629082613
    assert len({derive_seed(seed, "order", epoch) for seed in range(30) for epoch in range(30)}) == 900


def test_generators_with_the_same_name_agree_and_others_do_not() -> None:
    draws = [torch.rand(4, generator=build_generator(1, *names)) for names in (("a",), ("a",), ("b",))]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.long
def test_the_functions_that_exported_code_needs_work_on_windows_too() -> None:
    """Python there has no module `resource`; torch is imported before the platform is changed."""
    code = (
        "import sys, torch, numpy; sys.platform = 'win32'; sys.modules['resource'] = None\n"
        "from lab import devices\n"
        "devices._STATUS = devices.Path('/nowhere')\n"
        "print(devices.memory_mb(torch.device('cpu')), devices.keep_big_blocks())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["nan", "False"]


def test_matrix_products_have_the_precision_of_convolutions_only_within_the_context() -> None:
    before = torch.get_float32_matmul_precision()
    with matmul_as_cudnn():
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before == "highest"


@pytest.mark.parametrize(
    ("gpus", "mps", "names"),
    [
        (0, False, ("cpu",)),
        (1, False, ("cuda", "cuda:0", "cpu")),
        (3, False, ("cuda", "cuda:0", "cuda:1", "cuda:2", "cpu")),
        (0, True, ("mps", "cpu")),
    ],
)
def test_the_devices_of_a_machine_are_listed_by_name_best_first(
    monkeypatch: pytest.MonkeyPatch, gpus: int, mps: bool, names: tuple[str, ...]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert available_devices() == names
