"""The commands `export`, `import` and `compare`, called as a script would call them."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab.cli.app import main
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sharing.comparison import run_labels
from lab.sharing.formats import FORMATS
from tests.sharing.sharing_runs import open_lab

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command_line(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the CLI on the lab of these tests, or another home.

    It returns standard output, standard error and the exit code.
    """
    for name, value in lab.settings.environment().items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str | Path, home: Path | None = None) -> tuple[str, str, int]:
        if home is not None:
            for name, value in open_lab(home).settings.environment().items():
                monkeypatch.setenv(name, value)
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as exited:
            code = int(exited.code or 0)
        captured = capsys.readouterr()
        return captured.out, captured.err, code

    return call


# The contents have tests of their own; this one checks what the CLI does with them.
@pytest.mark.parametrize("format", ["csv", "json", "markdown", "latex", "safetensors", "code", "bundle", "tensorboard"])
def test_export_writes_the_file_and_reports_its_path(command_line, run: RunRecord, format: str, tmp_path: Path) -> None:
    out = tmp_path / f"new folder/export{FORMATS[format].suffix}"
    printed, _, code = command_line("export", run.id, "--format", format, "--out", out, "--json")
    answer = json.loads(printed)
    assert code == 0
    assert answer["runs"] == [run.id]
    for file in answer["files"]:
        assert Path(file["path"]).stat().st_size == file["bytes"] > 0
        assert out == Path(file["path"]) or out.parent in Path(file["path"]).parents
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.parametrize(
    ("format", "inside"),
    [
        ("tensorboard", ["lenet-bn-ID/events"]),
        ("code", ["convlab/", "train.py"]),
        ("safetensors", ["x.card.md", "x.safetensors"]),
        ("csv", ["x.csv"]),
    ],
)
def test_an_output_path_that_ends_in_zip_gets_one_zip_of_all_files(
    command_line, run: RunRecord, format: str, inside: list[str], tmp_path: Path
) -> None:
    command_line("export", run.id, "--format", format, "--out", tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == [tmp_path / "x.zip"]
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    expected = [name.replace("lenet-bn", run.config.arch).replace("ID", run.id) for name in inside]
    assert all(any(name.startswith(start) for start in expected) for name in names), names
    assert all(any(name.startswith(start) for name in names) for start in expected), names


def test_weights_are_written_with_their_card_next_to_them(command_line, run: RunRecord, tmp_path: Path) -> None:
    command_line("export", run.name, "--format", "safetensors", "--out", tmp_path / "net.safetensors")
    assert (tmp_path / "net.card.md").read_text(encoding="utf-8").startswith("# first")


def test_output_names_that_differ_only_after_a_dot_get_separate_cards(
    command_line, run: RunRecord, tmp_path: Path
) -> None:
    for name in ("lenet-lr-0.001", "lenet-lr-0.01"):
        command_line("export", run.id, "--format", "safetensors", "--out", tmp_path / name)
    assert {path.name for path in tmp_path.glob("*.card.md")} == {"lenet-lr-0.001.card.md", "lenet-lr-0.01.card.md"}


def test_an_exported_bundle_is_imported_by_another_lab(command_line, run: RunRecord, tmp_path: Path) -> None:
    command_line("export", run.id, "--format", "bundle", "--out", tmp_path / "runs.zip")
    printed, _, code = command_line("import", tmp_path / "runs.zip", "--json", home=tmp_path / "other")
    assert code == 0
    (arrived,) = json.loads(printed)["runs"]
    assert (arrived["name"], arrived["state"]) == ("first", "finished")
    assert arrived["summary"]["test_accuracy"] == run.summary.other["test_accuracy"]


def test_a_file_that_is_not_a_bundle_is_refused_in_one_sentence(command_line, tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"hello")
    printed, stderr, code = command_line("import", tmp_path / "no.zip", "--json")
    assert code == 2
    assert "it is not a zip file" in json.loads(printed)["error"]
    assert stderr.count("\n") == 1
    assert command_line("import", tmp_path / "none.zip")[2] == 2


def test_compare_shows_differing_settings_and_results(command_line, pair: tuple[RunRecord, RunRecord]) -> None:
    printed, _, code = command_line("compare", pair[0].id, pair[1].id, "--json")
    answer = json.loads(printed)
    assert code == 0
    assert answer["differences"] == {"lr": [0.001, 0.01]}
    assert answer["results"]["test_accuracy"] == [run.summary.other["test_accuracy"] for run in pair]
    assert [run["run"] for run in answer["runs"]] == [run.id for run in pair]
    assert answer["labels"] == run_labels(pair)  # the names of legends and tables
    assert "0.01" in command_line("compare", pair[0].id, pair[1].id)[0]


def test_an_unknown_format_and_a_path_that_cannot_be_written_are_reported(
    command_line, run: RunRecord, tmp_path: Path
) -> None:
    assert "Did you mean 'onnx'" in command_line("export", run.id, "--format", "onx", "--out", tmp_path / "x")[1]
    assert "Is a directory" in command_line("export", run.id, "--format", "csv", "--out", "/")[1]
    (tmp_path / "file").write_text("")
    _, stderr, code = command_line("export", run.id, "--format", "csv", "--out", tmp_path / "file" / "x.csv")
    assert code == 2
    assert "cannot be written" in stderr


def test_the_list_of_formats_is_imported_without_torch_plotly_and_streamlit() -> None:
    code = (
        "import sys, lab.sharing.formats, lab.cli.commands.sharing; "
        "print(sorted({'torch', 'plotly', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_docs_describe_every_format() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    missing = [id for id, format in FORMATS.items() if f"`{id}`" not in text or f"`{format.suffix}`" not in text]
    assert [id for id in missing if id != "tensorboard"] == []
    assert "`tensorboard`" in text


def test_exported_code_is_listed_in_two_lines(command_line, run: RunRecord, tmp_path: Path) -> None:
    printed, _, code = command_line("export", run.id, "--format", "code", "--out", tmp_path / "train.py")
    script, package = printed.splitlines()
    modules = list((tmp_path / "convlab").rglob("*.py"))
    size = sum(path.stat().st_size for path in modules)
    assert code == 0
    assert script == f"{tmp_path}/train.py  {(tmp_path / 'train.py').stat().st_size:,} bytes"
    assert package == f"{tmp_path}/convlab  {len(modules)} modules, {size:,} bytes"


def test_filter_exports_every_run_that_the_search_finds(
    command_line, pair: tuple[RunRecord, RunRecord], tmp_path: Path
) -> None:
    first, second = pair
    for search, runs in (("lr=0.01", {second.id}), ("arch:lenet5 state:finished", {first.id, second.id})):
        printed, _, code = command_line(
            "export", "--filter", search, "--format", "csv", "--out", tmp_path / "x", "--json"
        )
        assert code == 0
        assert set(json.loads(printed)["runs"]) == runs
        found = {line.split(",")[0].strip('"') for line in (tmp_path / "x").read_text("utf-8-sig").splitlines()[1:]}
        assert found == runs
    everything = json.loads(
        command_line("export", "--filter", "", "--format", "json", "--out", tmp_path / "y", "--json")[0]
    )
    assert set(everything["runs"]) >= {first.id, second.id}


def test_an_export_needs_either_runs_or_a_search_that_finds_some(command_line, run: RunRecord, tmp_path: Path) -> None:
    out = ("--format", "csv", "--out", tmp_path / "x")
    for arguments in ((), (run.id, "--filter", "")):
        _, stderr, code = command_line("export", *arguments, *out)
        assert (code, "Give either RUNS or --filter with a search" in stderr) == (2, True)
    _, stderr, code = command_line("export", "--filter", "name:nobody", *out)
    assert (code, "The search 'name:nobody' finds no run." in stderr) == (2, True)
    assert not (tmp_path / "x").exists()
