"""The tool that puts faults into the code: what counts as found, which places there are, and what is drawn from them."""

import multiprocessing
import sys
import types
from pathlib import Path

import pytest

from tests.mutation.__main__ import _is_far_longer
from tests.mutation.draw import changes_of, draw_functions, package_of
from tests.mutation.fault_list import read_faults
from tests.mutation.selection import choose_tests
from tests.mutation.trial import Limits, Trial, run_tests

ROOT = Path(__file__).resolve().parents[1]
_TESTS = """
import time

def test_passes():
    assert True

def test_fails():
    assert False

def test_never_ends():
    while True:
        pass

def test_waits_for_ever():
    time.sleep(3600)
"""


@pytest.mark.parametrize(
    ("test", "limits", "code"),
    [
        ("passes", Limits(), 0),
        ("fails", Limits(), 1),
        ("never_ends", Limits(test_cpu_s=1.0), None),
        ("waits_for_ever", Limits(test_wall_s=4.0), None),
    ],
)
def test_a_trial_ends_with_the_first_failure_or_where_a_test_passes_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: str, limits: Limits, code: int | None
) -> None:
    # A test of a page before this one leaves its script there, which every new process would begin with.
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    (tmp_path / "test_it.py").write_text(_TESTS)
    context = multiprocessing.get_context("forkserver")
    name = f"test_it.py::test_{test}"
    found = run_tests(context, tmp_path, [name], limits=limits, log=tmp_path / "output")
    assert found.code == code
    assert found.stopped == ("" if code is not None else name)
    if test == "never_ends":
        assert found.cpu_s > 1.0
    if test == "waits_for_ever":
        assert found.wall_s > 4.0


@pytest.mark.parametrize(
    ("faulty", "clean", "found"),
    [
        (Trial(None, "t", 61.0, 100.0), Trial(0, "", 15.0, 90.0), True),
        (Trial(None, "t", 61.0, 100.0), Trial(0, "", 16.0, 20.0), False),  # a long test
        (Trial(None, "t", 59.0, 100.0), Trial(0, "", 1.0, 9.0), False),
        (Trial(None, "t", 2.0, 181.0), Trial(0, "", 2.0, 4.0), False),  # it waited, perhaps for a busy machine
        (Trial(None, "t", 61.0, 100.0), Trial(1, "", 1.0, 1.0), False),  # it fails by itself
        (Trial(None, "t", 61.0, 100.0), Trial(None, "t", 1.0, 1.0), False),
    ],
)
def test_a_stopped_test_has_found_its_fault_where_it_takes_a_fourth_without_it(
    faulty: Trial, clean: Trial, found: bool
) -> None:
    assert _is_far_longer(faulty, clean) is found


def test_every_kind_of_change_is_made_and_nothing_else_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(
        '"""Words."""\n'
        "def ask(a: int = 1, b: float = 0.5) -> int:\n"
        '    """More words."""\n'
        "    store(a, b, key=True)\n"
        "    if a < b and not b:\n"
        '        raise ValueError(f"{a + 1} of 3")\n'
        "    return min(a, 2) - 1 if a in (b, 7) else a // b\n"
    )
    found = {(one.kind, one.new.strip()) for one in changes_of(path)}
    assert found == {
        ("one more", "def ask(a: int = 2, b: float = 0.5) -> int:"),
        ("twice the number", "def ask(a: int = 1, b: float = 1.0) -> int:"),
        ("a call left out", "pass"),
        ("two arguments exchanged", "store(b, a, key=True)"),
        ("the last argument dropped", "store(a, b)"),
        ("the other truth value", "store(a, b, key=False)"),
        ("the last condition dropped", "if (a < b):"),
        ("another comparison", "if a <= b and not b:"),
        ("not dropped", "if a < b and (b):"),
        ("branches exchanged", "return (a // b if a in (b, 7) else min(a, 2) - 1)"),
        ("another operator", "return (min(a, 2) + 1) if a in (b, 7) else a // b"),
        ("another operator", "return min(a, 2) - 1 if a in (b, 7) else (a / b)"),
        ("max for min", "return max(a, 2) - 1 if a in (b, 7) else a // b"),
        ("two arguments exchanged", "return min(2, a) - 1 if a in (b, 7) else a // b"),
        ("one more", "return min(a, 3) - 1 if a in (b, 7) else a // b"),
        ("one more", "return min(a, 2) - 2 if a in (b, 7) else a // b"),
        ("another comparison", "return min(a, 2) - 1 if a not in (b, 7) else a // b"),
        ("one more", "return min(a, 2) - 1 if a in (b, 8) else a // b"),
    }


def test_functions_are_drawn_by_a_seed_with_the_lines_they_have() -> None:
    drawn = draw_functions(3, 12, under=("lab/sweeps",))
    assert drawn == draw_functions(3, 12, under=("lab/sweeps",)) != draw_functions(4, 12, under=("lab/sweeps",))
    assert len(set(drawn)) == 12
    for path, name, first, last in drawn:
        lines = path.read_text(encoding="utf-8").splitlines()[first - 1 : last]
        assert f"def {name.rpartition('.')[2]}(" in lines[0]
        assert not lines[-1].startswith(("def ", "class "))


def test_every_list_of_faults_has_tests_and_every_package_a_list() -> None:
    packages = {package_of(path) for folder in ("lab", "pages") for path in (ROOT / folder).rglob("*.py")}
    for fault in {one.package: one for one in read_faults()}.values():
        assert choose_tests(ROOT, fault, ROOT / "lab" / "metrics.py"), fault.package
    known = {one.package for one in read_faults()}
    assert known <= packages | {"supervisor", "recorder"}
