"""The benchmark for a GPU comes to its end on a CPU, says that it is one, and writes what it prints."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_sections
from benchmarks.limit import build_limit
from tests.training.training_nets import SmallNet


def test_every_section_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gpu.json"
    sections = ["steps", "runs", "speedrun"]
    chosen = [word for name in sections for word in ("--section", name)]
    assert gpu.main([*chosen, "--device", "cpu", "--data", str(tmp_path), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    found = json.loads(out.read_text())
    assert "This is cpu, and everything is tiny: these numbers say nothing of a GPU." in printed
    assert list(found["sections"]) == sections
    assert found["machine"]["dataset"] == "digits"
    for name, section in found["sections"].items():
        assert f"### {name}" in printed
        assert section["rows"]
        assert section["error"] == ""
    (row, _) = found["sections"]["steps"]["rows"]
    assert row["engine_ms"] > 0
    assert row["engine/limit"] == pytest.approx(row["engine_ms"] / row["limit_ms"])


def test_a_section_begins_no_measurement_after_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gpu_sections.SECTIONS, "steps", gpu_sections.Section(gpu_sections.section_steps, 0.0))
    out = tmp_path / "gpu.json"
    gpu.main(["--section", "steps", "--device", "cpu", "--data", str(tmp_path), "--out", str(out)])
    assert json.loads(out.read_text())["sections"]["steps"]["rows"] == []


def test_a_section_that_fails_keeps_its_rows_and_does_not_cost_the_next_ones(
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


def test_the_limit_takes_steps_on_one_batch() -> None:
    torch.manual_seed(1)
    network = SmallNet()
    step = build_limit(network, (1, 8, 8), batch=4, lr=0.01, classes=3, device=torch.device("cpu"))
    before = network[0].weight.detach().clone()
    step()
    assert not torch.equal(network[0].weight, before)
