"""The GPU benchmark completes on a CPU, reports that it is one, and writes what it prints."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_sections
from benchmarks.lab_runs import Times, lab_share
from benchmarks.limit import build_limit
from tests.training.training_nets import SmallNet

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_every_section_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gpu.json"
    sections = ["steps", "runs", "speedrun", "evaluation", "together"]
    chosen = [argument for name in sections for argument in ("--section", name)]
    assert gpu.main([*chosen, "--device", "cpu", "--data", str(tmp_path), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    found = json.loads(out.read_text())
    assert "This is cpu, so all sizes are tiny: these numbers say nothing about a GPU." in printed
    assert list(found["sections"]) == sections
    assert found["machine"]["dataset"] == "digits"
    for name, section in found["sections"].items():
        assert f"### {name}" in printed
        assert section["rows"]
        assert section["error"] == ""
    (row, _) = found["sections"]["steps"]["rows"]
    assert row["engine_ms"] > 0
    evaluated, (alone, pair) = (found["sections"][name]["rows"] for name in ("evaluation", "together"))
    assert [(entry["network"], entry["images"], entry["n"]) for entry in evaluated] == [("lenet-bn", 10, 5)]
    assert evaluated[0]["captured_ms"] > 0
    assert alone["× one after the other"] == 1.0
    assert pair["images/s"] == pytest.approx(alone["images/s"] * pair["× one after the other"])
    assert row["engine/limit"] == pytest.approx(row["engine_ms"] / row["limit_ms"])


def test_a_section_starts_no_measurement_after_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gpu_sections.SECTIONS, "steps", gpu_sections.Section(gpu_sections.section_steps, 0.0))
    out = tmp_path / "gpu.json"
    gpu.main(["--section", "steps", "--device", "cpu", "--data", str(tmp_path), "--out", str(out)])
    assert json.loads(out.read_text())["sections"]["steps"]["rows"] == []


def test_a_row_is_written_as_soon_as_it_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "gpu.json"
    written = []

    def measure(_bench: gpu_sections.Bench) -> Iterator[gpu_sections.Row]:
        for number in range(2):
            yield {"ms": number}
            written.append(json.loads(out.read_text())["sections"]["steps"]["rows"])

    monkeypatch.setitem(gpu_sections.SECTIONS, "steps", gpu_sections.Section(measure, 1.0))
    gpu.main(["--section", "steps", "--device", "cpu", "--data", str(tmp_path), "--out", str(out)])
    assert written == [[{"ms": 0}], [{"ms": 0}, {"ms": 1}]]


def test_all_networks_are_measured_in_the_first_precision_before_any_in_the_next(tmp_path: Path) -> None:
    bench = gpu_sections.Bench(torch.device("cpu"), tmp_path, "digits", gpu_sections.TINY, deadline=float("inf"))
    found = list(gpu_sections.in_turn(bench, ("a", "b")))
    assert found == [("a", "float32"), ("b", "float32"), ("a", "bfloat16"), ("b", "bfloat16")]
    bench.deadline = 0.0
    assert list(gpu_sections.in_turn(bench, ("a",))) == []


def test_a_section_that_fails_keeps_its_rows_and_does_not_prevent_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_bench: gpu_sections.Bench) -> Iterator[gpu_sections.Row]:
        yield {"network": "first"}
        raise RuntimeError("no compiler here")

    monkeypatch.setitem(gpu_sections.SECTIONS, "compile", gpu_sections.Section(fail, 1.0))
    monkeypatch.setitem(
        gpu_sections.SECTIONS, "steps", gpu_sections.Section(lambda _: iter([{"network": "second"}]), 1.0)
    )
    out = tmp_path / "gpu.json"
    arguments = ["--section", "compile", "--section", "steps", "--device", "cpu", "--data", str(tmp_path)]
    assert gpu.main([*arguments, "--out", str(out)]) == 1
    found = json.loads(out.read_text())["sections"]
    assert [found[name]["rows"][0]["network"] for name in found] == ["first", "second"]
    assert "no compiler here" in found["compile"]["error"]
    assert "no compiler here" in capsys.readouterr().out


def test_a_section_that_does_not_end_is_aborted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait(_bench: gpu_sections.Bench) -> Iterator[gpu_sections.Row]:
        yield {"network": "first"}
        threading.Event().wait()

    monkeypatch.setattr(gpu, "GRACE_S", 0.01)
    monkeypatch.setitem(gpu_sections.SECTIONS, "steps", gpu_sections.Section(wait, 0.0))
    out = tmp_path / "gpu.json"
    assert gpu.main(["--section", "steps", "--device", "cpu", "--data", str(tmp_path), "--out", str(out)]) == 1
    found = json.loads(out.read_text())["sections"]["steps"]
    assert found["rows"] == [{"network": "first"}]
    assert "ended after 0.01 s" in found["error"]


def test_all_sections_together_take_at_most_14_minutes() -> None:
    limits = {name: section.limit_s for name, section in gpu_sections.SECTIONS.items()}
    assert sum(limits.values()) <= 14 * 60
    assert sum(limits[name] for name, section in gpu_sections.SECTIONS.items() if section.default) <= 3 * 60 + 10
    assert list(limits)[-1] == "report"  # the longest: if the command is ended early, no other section is lost


MISSING = (
    "streamlit",
    "playwright",
    "plotly",
    "sqlalchemy",
    "pandas",
    "starlette",
    "PIL",
    "captum",
    "torchvision",
    "torchinfo",
)


def run_with_torch_alone(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process that cannot import the packages of the web side and of the store."""
    hidden = f"import sys\nsys.modules.update(dict.fromkeys({MISSING}))\n"
    return subprocess.run([sys.executable, "-c", hidden + code], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.long
def test_the_benchmark_needs_no_package_of_the_web_side_or_of_the_store(tmp_path: Path) -> None:
    command = ["--section", "speedrun", "--section", "lab", "--device", "cpu", "--data", str(tmp_path)]
    done = run_with_torch_alone(f"from benchmarks import gpu; sys.exit(gpu.main({command}))")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| left out |\n|---|\n| sqlalchemy is not installed |" in done.stdout


@pytest.mark.long
def test_only_tests_that_need_a_gpu_are_collected_if_only_torch_is_installed() -> None:
    done = run_with_torch_alone('import pytest; sys.exit(pytest.main(["-m", "gpu", "--collect-only", "-q"]))')
    assert done.returncode == 0, done.stdout + done.stderr
    tests = [line for line in done.stdout.splitlines() if "::" in line]
    assert {line.partition("::")[0] for line in tests} == {"tests/training/test_training_gpu.py"}


def test_a_launched_row_is_an_error_on_a_gpu_and_expected_elsewhere() -> None:
    why = "launched, because it could not be captured (operation not permitted when stream is capturing)"
    rows: list[gpu_sections.Row] = [{"steps": "captured"}, {"steps": why}, {"steps": why}, {"notices": ""}, {"ms": 1.0}]
    assert gpu.not_captured(rows, torch.device("cuda")) == [f"steps: {why}"]
    assert gpu.not_captured(rows, torch.device("cpu")) == []


def test_the_labs_share_is_the_time_that_it_adds_around_training() -> None:
    """Data take 1 s in addition to 10 s of training alone, and 1.5 s in addition to 20 s in the lab."""
    assert lab_share(Times(cpu=0.0, wall=21.5, engine=20.0), Times(cpu=0.0, wall=11.0, engine=10.0)) == 0.5 / 20


def test_the_step_of_the_limit_updates_the_weights() -> None:
    torch.manual_seed(1)
    network = SmallNet()
    step = build_limit(network, (1, 8, 8), batch=4, lr=0.01, classes=3, device=torch.device("cpu"))
    before = network[0].weight.detach().clone()
    step()
    assert not torch.equal(network[0].weight, before)
