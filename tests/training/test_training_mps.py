"""What only Apple GPUs would show, checked in the source: no code for them uses CUDA or float64.

No test here runs on such a device.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import torch

from lab.devices import to_double
from lab.training.batches import Batches
from lab.training.device_rows import EpochPlan

LAB = Path(__file__).resolve().parents[2] / "lab"
ALLOWED_ANYWHERE = ("is_available", "device_count")
# Modules whose objects exist only for a CUDA device, which the code that creates them has checked.
CUDA_ONLY = ("training/recordings.py",)


def sources(*words: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the lab's modules that contain one of these words."""
    for path in sorted(LAB.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if any(word in text for word in words):
            yield path.relative_to(LAB).as_posix(), ast.parse(text)


def is_torch(node: ast.expr, name: str) -> bool:
    """Return whether the node is `torch.<name>`."""
    return isinstance(node, ast.Attribute) and node.attr == name and ast.unparse(node.value) == "torch"


def checks(condition: ast.expr, device: str) -> bool:
    return f".type == '{device}'" in ast.unparse(condition) or f"torch.{device}.is_available" in ast.unparse(condition)


def returns_early(statement: ast.AST, device: str) -> bool:
    """Return whether the statement is an `if` that returns for every other device."""
    if not isinstance(statement, ast.If) or not isinstance(statement.body[-1], ast.Return):
        return False
    return ast.unparse(statement.test).endswith(f".type != '{device}'")


def unguarded(tree: ast.AST, device: str) -> Iterator[int]:
    """Yield the lines that use `torch.cuda` or `torch.mps` without an enclosing or preceding check of the device.

    Classes named after the device are skipped, because they are created only after a check.
    """
    if isinstance(tree, ast.ClassDef) and tree.name.lstrip("_").lower().startswith(device):
        return
    if isinstance(tree, ast.Attribute) and is_torch(tree.value, device):
        if tree.attr not in ALLOWED_ANYWHERE:
            yield tree.lineno
        return
    safe = list[ast.AST]()
    if isinstance(tree, ast.If | ast.IfExp) and checks(tree.test, device):
        safe = tree.body if isinstance(tree.body, list) else [tree.body]
    for child in ast.iter_child_nodes(tree):
        if child not in safe:
            yield from unguarded(child, device)
        if returns_early(child, device):
            return


def test_functions_of_a_device_are_called_only_after_a_check_of_the_device() -> None:
    errors = [
        f"lab/{name}:{line} uses torch.{device}"
        for name, tree in sources("torch.cuda", "torch.mps")
        for device in ("cuda", "mps")
        if not (device == "cuda" and name in CUDA_ONLY)
        for line in unguarded(tree, device)
    ]
    assert not errors


def test_the_check_finds_unguarded_calls() -> None:
    guarded_code = """
def f(device):
    torch.cuda.is_available()
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()

def g(device):
    if device.type != "cuda":
        return 0
    return torch.cuda.empty_cache()

h = torch.cuda.memory_allocated() if device.type == "cuda" else 0
"""
    unguarded_code = """
def f(device):
    torch.cuda.synchronize()
    if device.type == "cuda":
        torch.mps.synchronize()
    else:
        torch.cuda.empty_cache()
"""
    assert [*unguarded(ast.parse(guarded_code), "cuda"), *unguarded(ast.parse(guarded_code), "mps")] == []
    assert list(unguarded(ast.parse(unguarded_code), "cuda")) == [3, 7]
    assert list(unguarded(ast.parse(unguarded_code), "mps")) == [5]


def test_numbers_become_float64_on_the_cpu_only() -> None:
    """MPS has no float64. What pages compute (inspection, drawings) is always on the CPU."""
    errors = []
    for name, tree in sources(".double"):
        if not name.startswith(("training/", "architectures/")):
            continue
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr == "double"
                and not ast.unparse(node.value).endswith(".cpu()")
            ):
                errors.append(f"lab/{name}:{node.lineno}")
    assert not errors


def test_a_learning_rate_on_the_device_is_float64_on_the_cpu_only() -> None:
    found = {}
    for device in ("cpu", "meta"):
        x_u8, y = (
            torch.zeros(4, 1, 2, 2, dtype=torch.uint8, device=device),
            torch.zeros(4, dtype=torch.int64, device=device),
        )
        found[device] = EpochPlan(Batches(x_u8, y, mean=0.0, std=1.0, batch_size=2)).rate.dtype
    assert found == {"cpu": torch.float64, "meta": torch.float32}


def test_conversion_to_double_preserves_the_values() -> None:
    x = torch.tensor([0.1, 2.0**-24, 3e38])
    assert to_double(x).dtype is torch.float64
    assert torch.equal(to_double(x).float(), x)
