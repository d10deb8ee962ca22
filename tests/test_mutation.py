"""The tool for mutation testing: what counts as found, which changes exist, and which functions are drawn."""

import json
import multiprocessing
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tests.mutation.__main__ import _is_far_longer
from tests.mutation.changes import changes_of
from tests.mutation.draw import draw_functions, package_of
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


@pytest.mark.long
@pytest.mark.parametrize(
    ("test", "limits", "code"),
    [
        ("passes", Limits(), 0),
        ("fails", Limits(), 1),
        ("never_ends", Limits(test_cpu_s=1.0), None),
        ("waits_for_ever", Limits(test_wall_s=4.0), None),
    ],
)
def test_a_trial_ends_with_the_first_failure_or_when_a_test_exceeds_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: str, limits: Limits, code: int | None
) -> None:
    # An earlier test of a page leaves its script there, which every new process would run first.
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
        (
            Trial(None, "t", 2.0, 181.0),
            Trial(0, "", 2.0, 4.0),
            False,
        ),  # it waited, perhaps because the machine was busy
        (Trial(None, "t", 61.0, 100.0), Trial(1, "", 1.0, 1.0), False),  # it fails without the fault
        (Trial(None, "t", 61.0, 100.0), Trial(None, "t", 1.0, 1.0), False),
    ],
)
def test_a_stopped_test_has_found_its_fault_if_it_takes_a_quarter_of_the_time_without_it(
    faulty: Trial, clean: Trial, found: bool
) -> None:
    assert _is_far_longer(faulty, clean) is found


def test_every_kind_of_change_is_generated_and_no_other(tmp_path: Path) -> None:
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
        ("the first operand only", "return (min(a, 2)) if a in (b, 7) else a // b"),
        ("the first operand only", "return min(a, 2) - 1 if a in (b, 7) else (a)"),
        ("and for or", "if (a < b or not b):"),
        ("a refusal left out", "if False:"),
        ("one more", "return min(a, 3) - 1 if a in (b, 7) else a // b"),
        ("one more", "return min(a, 2) - 2 if a in (b, 7) else a // b"),
        ("another comparison", "return min(a, 2) - 1 if a not in (b, 7) else a // b"),
        ("one more", "return min(a, 2) - 1 if a in (b, 8) else a // b"),
    }


def test_functions_are_drawn_by_seed_with_their_line_numbers() -> None:
    drawn = draw_functions(3, 12, under=("lab/sweeps",))
    assert drawn == draw_functions(3, 12, under=("lab/sweeps",)) != draw_functions(4, 12, under=("lab/sweeps",))
    assert len(set(drawn)) == 12
    for path, name, first, last in drawn:
        lines = path.read_text(encoding="utf-8").splitlines()[first - 1 : last]
        assert f"def {name.rpartition('.')[2]}(" in lines[0]
        assert not lines[-1].startswith(("def ", "class "))


def test_every_list_of_faults_has_tests_and_belongs_to_a_package() -> None:
    packages = {package_of(path) for folder in ("lab", "pages") for path in (ROOT / folder).rglob("*.py")}
    for fault in {one.package: one for one in read_faults()}.values():
        assert choose_tests(ROOT, fault, ROOT / "lab" / "metrics.py"), fault.package
    known = {one.package for one in read_faults()}
    assert known <= packages | {"supervisor", "recorder"}


_TOY = '''"""A module with tests that see some of what it does."""

from dataclasses import dataclass
from functools import cache

LIMIT = 10
FIRST = LIMIT + 1


def clamp(value: int, low: int = 0) -> int:
    """Return the nearest value from low to LIMIT."""
    if value < low:
        return low
    return min(value, LIMIT)


@cache
def scaled(value: int) -> int:
    """Return thrice the value."""
    return 3 * value


@dataclass(frozen=True)
class Pair:
    """Two numbers."""

    a: int
    b: int = 5

    def total(self) -> int:
        """Return both."""
        steps = 2
        while steps:
            steps -= 1
        return self.a + self.b

    def unseen(self) -> int:
        """Return what nobody asks for."""
        return self.b - 1
'''
_TOY_TESTS = """
import os
import pytest
from lab.toy import LIMIT, Pair, clamp, scaled

assert scaled(1) == 3  # remembered before a change

def test_clamp():
    assert [clamp(v) for v in (-1, 0, 9, LIMIT, 11)] == [0, 0, 9, 10, 10]

def test_scaled():
    assert scaled(1) == 3

@pytest.fixture(scope="session")
def slow():
    began = os.times().user
    while os.times().user < began + 0.05:
        pass

def test_total(slow):
    assert Pair(3, 4).total() == 7

def test_nothing(slow):
    pass
"""


@pytest.mark.long
def test_generated_changes_are_tried_only_with_the_tests_that_cover_them(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    (tmp_path / "lab" / "toy.py").write_text(_TOY)
    (tmp_path / "test_toy.py").write_text(_TOY_TESTS)
    call = "from pathlib import Path; from tests.mutation.generated import main; "
    call += "main(['lab.toy', '--tests', 'test_toy.py', '--log', 'log', '--map', 'map'], root=Path.cwd())"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    known = json.loads((tmp_path / "map").read_text())["tests"]
    for name in ("test_total", "test_nothing"):
        took = known[f"test_toy.py::{name}"]
        assert took["cpu_s"] < 0.05 <= took["shared_s"] + 0.005, (
            "the time of a shared fixture counts as that of its tests"
        )
    tried = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    found = {(one["kind"], one["new"].strip()): (one["result"], one["by"].partition("::")[2]) for one in tried}
    assert found == {
        ("one more", "LIMIT = 11"): ("not tried", ""),  # another constant is derived from it
        ("one more", "FIRST = LIMIT + 2"): ("survived", ""),
        ("another operator", "FIRST = (LIMIT - 1)"): ("survived", ""),
        ("the first operand only", "FIRST = (LIMIT)"): ("survived", ""),
        ("one more", "def clamp(value: int, low: int = 1) -> int:"): ("found", "test_clamp"),
        ("another comparison", "if value <= low:"): ("survived", ""),  # equal either way
        ("an early return left out", "pass"): ("found", "test_clamp"),
        ("max for min", "return max(value, LIMIT)"): ("found", "test_clamp"),
        ("another operator", "return (3 / value)"): ("survived", ""),  # called with 1 only
        ("the first operand only", "return (3)"): ("survived", ""),
        ("one more", "return 4 * value"): ("found", "test_scaled"),
        ("one more", "b: int = 6"): ("not tried", ""),  # of a class, which acts at import
        ("one more", "steps = 3"): ("survived", ""),
        ("one more", "steps -= 2"): ("survived", ""),
        ("an assignment left out", "pass"): ("found", "test_total"),  # it never ends
        ("another operator", "return (self.a - self.b)"): ("found", "test_total"),
        ("the first operand only", "return (self.a)"): ("found", "test_total"),
        ("the field beside it", "return self.b + self.b"): ("found", "test_total"),
        ("the field beside it", "return self.a + self.a"): ("found", "test_total"),
        ("another operator", "return (self.b + 1)"): ("no test reaches it", ""),
        ("the first operand only", "return (self.b)"): ("no test reaches it", ""),
        ("one more", "return self.b - 2"): ("no test reaches it", ""),
    }
