"""The CLI with invalid input and unusual environments: one sentence, the right exit code, nothing lost."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.cli.app import main
from lab.cli.commands.sweep import read_json
from lab.cli.commands.train import _show, build_bar, follow
from lab.cli.options import build_config
from lab.cli.output import print_table, write_file
from lab.errors import InputError, near_miss
from lab.presets import get_preset
from lab.runs.records import RunState
from lab.runs.run_facts import RunProgress
from lab.service.lab import Lab
from lab.settings import CHECKOUT, Settings
from tests.cli.conftest import CommandLine

FULL = Path("/dev/full")


def _lab_command(*words: str) -> list[str]:
    return [sys.executable, "-m", "lab", *words]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "--name", "bad \udcff"), r"'bad \udcff' is not UTF-8"),
        (("runs", "--filter", "\udcff"), "is not UTF-8"),
        (("train", "--name", "a\x1b[31m", "--dataset", "digits"), "The name contains the control character"),
        (("train", "--name", "x" * 201, "--dataset", "digits"), "The name has 201 characters, but at most 200"),
        (("tag", "first", *(f"t{n}" for n in range(201))), " tags, but at most 200 fit on a run"),
        (("runs", "--limit", "9" * 30), "is not in the range 1<=x<=1000000"),
        (("runs", "--filter", "state:finishd"), "Did you mean 'finished'?"),
        (("summary", "lenet5", "--arch-option", "widths=1,,2"), "lenet5 has widths = [1, '', 2]"),
        (("inspect", "first", "--layer", "features.conv1", "--image", "test:²", "--out", "x.png"), "by 0 to 358"),
        (("inspect", "first", "--layer", "features.conv1", "--image", f"test:{'9' * 5000}", "--out", "x"), "0 to 358"),
        (("evaluate", "first", "--all-epochs", "--epoch", "soon"), "best or latest"),
        (("predict", "first", "/dev/zero"), "/dev/zero has more than 10,485,760 bytes"),
        (("predict", "first", "/dev/null"), "(its format is not known): use PNG"),
        (("datasets", "--fetch", ""), "There is no data set ''"),
    ],
    ids=lambda part: " ".join(part)[:40] if isinstance(part, tuple) else "",
)
def test_invalid_arguments_are_usage_errors(
    command_line: CommandLine, trained: dict[str, Any], words: tuple[str, ...], sentence: str
) -> None:
    code, out, err = command_line(*words, "--json")
    assert code == 2
    assert sentence in json.loads(out)["error"]
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [("datasets", "--import"), ("import",)], ids=" ".join)
def test_a_pipe_or_device_instead_of_a_file_is_refused_without_waiting(
    command_line: CommandLine, tmp_path: Path, words: tuple[str, ...]
) -> None:
    pipe = tmp_path / "train.csv"
    os.mkfifo(pipe)
    for place, kind in ((pipe, "a pipe"), (Path("/dev/zero"), "a device"), (tmp_path / "gone", "")):
        code, _, err = command_line(*words, str(place))
        why = f"it is {kind}, not a file" if kind else "No such file or directory"
        assert (code, err.count("\n")) == (2, 1)
        assert f"{place} cannot be read ({why}): give the path of a " in err


def test_a_sweep_spec_is_read_from_a_pipe_and_its_length_is_limited(tmp_path: Path) -> None:
    pipe = tmp_path / "spec"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text('{"trials": 3}', encoding="utf-8"))
    writer.start()
    assert read_json(str(pipe)) == {"trials": 3}
    writer.join()
    with pytest.raises(InputError, match="/dev/zero is longer than 1 MB"):
        read_json("/dev/zero")
    with pytest.raises(InputError, match="/dev/null is not JSON"):
        read_json("/dev/null")


def test_drawings_cannot_be_fetched(command_line: CommandLine) -> None:
    code, _, err = command_line("datasets", "--fetch", "drawings-mnist-0123456789ab")
    assert code == 1
    assert "fine-tune on your drawings again" in err


def test_without_a_command_the_help_is_shown(command_line: CommandLine) -> None:
    code, out, err = command_line()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: ")


def test_a_single_width_is_read_as_a_list(command_line: CommandLine) -> None:
    one, other = (
        json.loads(command_line("summary", "wide-cnn", "--arch-option", f"widths={text}", "--json")[1])["total_params"]
        for text in ("8", "8,")
    )
    assert one == other


def test_options_of_a_preset_are_combined_with_given_ones_and_dropped_with_its_network() -> None:
    widths = get_preset("b-small-lr-0.01").config().arch_options
    combined = build_config("b-small-lr-0.01", {"arch_options": ["hidden=64,"]})
    assert combined.arch_options == {**widths, "hidden": [64]}
    assert build_config("b-small-lr-0.01", {"arch": "lenet5"}).arch_options == {}


def test_a_near_miss_among_enum_members_is_suggested_by_value() -> None:
    assert near_miss("finishd", RunState) == "Did you mean 'finished'?"


def test_json_is_ascii_whatever_the_names(command_line: CommandLine, trained: dict[str, Any]) -> None:
    command_line("tag", "first", "語 🙂")
    code, out, _ = command_line("show", "first", "--json")
    assert code == 0
    assert out.isascii()
    assert "語 🙂" in json.loads(out)["tags"]
    command_line("tag", "first", "語 🙂", "--remove")


def test_a_wide_table_is_not_wrapped_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([f"setting number {n}" for n in range(60)], [[f"065a8ffb{n:04d}" for n in range(60)]])
    assert capsys.readouterr().out.splitlines()[1].split() == [f"065a8ffb{n:04d}" for n in range(60)]


def test_a_name_of_the_greatest_length_is_written(tmp_path: Path) -> None:
    write_file(tmp_path / ("x" * 255), b"one")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"one"]


def test_the_remaining_time_fits_into_eighty_columns(
    command_line: CommandLine, trained: dict[str, Any], home: Path
) -> None:
    run = Lab(Settings.from_env({"LAB_HOME": str(home)})).store.runs.get(trained["run"])
    progress = RunProgress(step=1, total_steps=2, epoch=4999, images_per_second=12_345.0, eta_seconds=725.0)
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    bar = build_bar(console)
    task = bar.add_task("queued", total=1, left="")
    _show(bar, task, replace(run, config=run.config.replace(epochs=9999), progress=progress))
    with console.capture() as printed:
        console.print(bar.get_renderable())
    assert "12 min 05 s left" in printed.get()
    _show(bar, task, replace(run, state=RunState.RUNNING, responding=False, heartbeat_age_s=245.0, progress=progress))
    with console.capture() as printed:
        console.print(bar.get_renderable())
    assert "not responding" in printed.get()
    assert "no heartbeat for 4 min 05 s" in printed.get()


def test_an_export_to_a_pipe_is_written_into_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, b"maps")
    reader.join()
    assert received == [b"maps"]
    assert pipe.is_fifo()


def test_data_on_standard_output_is_not_mixed_with_the_report(trained: dict[str, Any], home: Path) -> None:
    words = _lab_command("--home", str(home), "export", trained["run"], "--format", "csv", "--out")
    done = subprocess.run([*words, "/dev/stdout"], cwd=CHECKOUT, capture_output=True)
    assert (done.returncode, done.stderr.decode()) == (0, f"/dev/stdout  {len(done.stdout):,} bytes\n")
    assert done.stdout.decode("utf-8-sig").startswith('"run","name","series"')
    done = subprocess.run([*words, "-"], cwd=home, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, capture_output=True)
    why = "- is not the name of a file: give one, or /dev/stdout for standard output."
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"Error: {why}\n")
    assert not (home / "-").exists()


def test_the_target_of_a_symbolic_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "new folder" / "file")
    write_file(tmp_path / "link", b"one")
    write_file(tmp_path / "link", b"two")
    assert (tmp_path / "new folder" / "file").read_bytes() == b"two"
    assert (tmp_path / "link").is_symlink()
    assert len(list((tmp_path / "new folder").iterdir())) == 1


@pytest.mark.long
@pytest.mark.skipif(not FULL.is_char_device(), reason="this system has no /dev/full")
def test_a_full_disk_behind_standard_output_is_reported() -> None:
    for words, code in ((("presets",), 1), (("presets", "--json"), 1), (("summary", "nope", "--json"), 2)):
        with FULL.open("w") as full:
            done = subprocess.run(_lab_command(*words), cwd=CHECKOUT, stdout=full, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
        assert done.stderr.startswith("Error: ")


def test_characters_that_the_output_encoding_lacks_are_printed_as_escapes() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(_lab_command("presets"), cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u2013" in done.stdout


@pytest.mark.parametrize("where", ["argument", "LAB_OWNER"])
def test_a_locale_that_hides_utf_8_from_python_is_named(tmp_path: Path, where: str) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = _lab_command("runs", "--filter", "né" if where == "argument" else "")
    environment = {
        **os.environ,
        **ascii_only,
        "LAB_HOME": str(tmp_path),
        "LAB_OWNER": "" if where == "argument" else "né",
    }
    done = subprocess.run(words, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: 'né' is UTF-8, but Python expects ascii in this locale: set LC_ALL to a UTF-8 locale such as "
        "C.UTF-8, or PYTHONUTF8 to 1.\n"
    )
    for more in ({"LC_ALL": "C.UTF-8"}, {"PYTHONUTF8": "1"}):
        done = subprocess.run(words, cwd=CHECKOUT, env={**environment, **more}, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_output_pipe_ends_the_command_quietly() -> None:
    with subprocess.Popen(
        _lab_command("presets", "--json"), cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_a_home_whose_lock_is_a_folder_is_reported_in_one_sentence(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "supervisor.lock").mkdir()  # instead of a file; missing permissions would not stop a superuser
    code, out, err = command_line("--home", str(tmp_path), "worker", "--json")
    assert code == 1
    assert json.loads(out)["error"].startswith("The operating system reported an error (Is a directory")
    assert err.count("\n") == 1


def test_ctrl_c_during_a_computation_is_reported_in_json_too(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.cli.commands.summary.get_architecture", press)
    code, out, err = command_line("summary", "vgg16-64", "--json")
    assert code == 130
    assert json.loads(out) == {"error": "The command was interrupted before it finished."}
    assert err.strip() == "Error: The command was interrupted before it finished."


_INTERRUPT_ON_IMPORT = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell starts with it ignored

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "MODULE":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
from lab.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("lab.settings", ""),
        ("click", ""),
        ("sqlalchemy", "\nError: The command was interrupted before it finished.\n"),  # while the lab is opened
    ],
)
def test_ctrl_c_during_imports_exits_without_a_traceback(module: str, said: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", _INTERRUPT_ON_IMPORT.replace("MODULE", module), "runs"]
    environment = {**os.environ, "LAB_HOME": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=CHECKOUT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)


def test_ctrl_c_while_the_progress_bar_is_drawn_stops_the_run(
    command_line: CommandLine, trained: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(home)}))
    command_line("train", "--dataset", "digits", "--epochs", "5000", "--seed", "5", "--name", "long", "--detach")
    pressed = []

    def draw(*_: Any) -> None:
        if not pressed:
            pressed.append(time.monotonic())
            raise KeyboardInterrupt

    monkeypatch.setattr("lab.cli.commands.train._show", draw)
    assert follow(lab, lab.store.runs.resolve("long"), quiet=True).state is RunState.STOPPED


def test_a_read_only_lab_creates_no_home(command_line: CommandLine, tmp_path: Path) -> None:
    home = tmp_path / "none"
    for command in ("runs", "doctor"):
        code, _, err = command_line("--read-only", "--home", str(home), command)
        assert code == 1
        assert "Traceback" not in err
    assert not home.exists()


def test_a_path_with_the_home_of_an_unknown_user_is_used_literally(
    command_line: CommandLine, trained: dict[str, Any], tmp_path: Path
) -> None:
    assert "~nobody here/x.png cannot be read" in command_line("predict", "first", "~nobody here/x.png")[2]
    assert "~nobody here/x.zip cannot be read" in command_line("import", "~nobody here/x.zip")[2]


def test_the_doctor_hides_the_password_of_the_store(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    database = "postgresql+psycopg://me:secret@127.0.0.1:1/lab"
    with pytest.raises(SystemExit, match="1"):
        main(["--home", str(tmp_path), "--database", database, "doctor", "--json"])
    out = capsys.readouterr().out
    assert json.loads(out)["store"]["database"] == "postgresql+psycopg://me:***@127.0.0.1:1/lab"
    assert "secret" not in out
