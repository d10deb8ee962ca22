"""What careless hands and strange machines do to the command line: one sentence, the right exit code, nothing lost."""

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


def _shell_command(*words: str) -> list[str]:
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
def test_wrong_words_are_wrong_use(
    command_line: CommandLine, trained: dict[str, Any], words: tuple[str, ...], sentence: str
) -> None:
    code, out, err = command_line(*words, "--json")
    assert code == 2
    assert sentence in json.loads(out)["error"]
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [("datasets", "--import"), ("import",)], ids=" ".join)
def test_a_pipe_and_a_device_in_the_place_of_a_file_are_refused_not_waited_for(
    command_line: CommandLine, tmp_path: Path, words: tuple[str, ...]
) -> None:
    pipe = tmp_path / "train.csv"
    os.mkfifo(pipe)
    for place, kind in ((pipe, "a pipe"), (Path("/dev/zero"), "a device"), (tmp_path / "gone", "")):
        code, _, err = command_line(*words, str(place))
        why = f"it is {kind}, not a file" if kind else "No such file or directory"
        assert (code, err.count("\n")) == (2, 1)
        assert f"{place} cannot be read ({why}): give the path of a " in err


def test_a_sweep_is_read_from_a_pipe_and_never_without_an_end(tmp_path: Path) -> None:
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


def test_one_width_is_a_list_of_one(command_line: CommandLine) -> None:
    one, other = (
        json.loads(command_line("summary", "wide-cnn", "--arch-option", f"widths={text}", "--json")[1])["total_params"]
        for text in ("8", "8,")
    )
    assert one == other


def test_a_presets_network_options_stay_beside_those_that_are_given_and_go_with_its_network() -> None:
    widths = get_preset("b-small-lr-0.01").config().arch_options
    kept = build_config("b-small-lr-0.01", {"arch_options": ["hidden=64,"]})
    assert kept.arch_options == {**widths, "hidden": [64]}
    assert build_config("b-small-lr-0.01", {"arch": "lenet5"}).arch_options == {}


def test_a_near_miss_among_the_members_of_an_enum_is_its_value() -> None:
    assert near_miss("finishd", RunState) == "Did you mean 'finished'?"


def test_json_is_ascii_whatever_the_names_are(command_line: CommandLine, trained: dict[str, Any]) -> None:
    command_line("tag", "first", "語 🙂")
    code, out, _ = command_line("show", "first", "--json")
    assert code == 0
    assert out.isascii()
    assert "語 🙂" in json.loads(out)["tags"]
    command_line("tag", "first", "語 🙂", "--remove")


def test_a_wide_table_is_not_folded_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([f"setting number {n}" for n in range(60)], [[f"065a8ffb{n:04d}" for n in range(60)]])
    assert capsys.readouterr().out.splitlines()[1].split() == [f"065a8ffb{n:04d}" for n in range(60)]


def test_a_name_of_the_greatest_length_is_written(tmp_path: Path) -> None:
    write_file(tmp_path / ("x" * 255), b"one")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"one"]


def test_the_time_left_is_to_be_read_in_eighty_columns(
    command_line: CommandLine, trained: dict[str, Any], home: Path
) -> None:
    run = Lab(Settings.from_env({"LAB_HOME": str(home)})).store.runs.get(trained["run"])
    progress = RunProgress(step=1, total_steps=2, epoch=4999, images_per_second=12_345.0, eta_seconds=725.0)
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    bar = build_bar(console)
    task = bar.add_task("queued", total=1, left="")
    _show(bar, task, replace(run, config=run.config.replace(epochs=9999), progress=progress))
    with console.capture() as said:
        console.print(bar.get_renderable())
    assert "12 min 05 s left" in said.get()
    _show(bar, task, replace(run, state=RunState.RUNNING, responding=False, heartbeat_age_s=245.0, progress=progress))
    with console.capture() as said:
        console.print(bar.get_renderable())
    assert "not responding" in said.get()
    assert "no heartbeat for 4 min 05 s" in said.get()


def test_a_pipe_takes_an_export_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, b"maps")
    reader.join()
    assert heard == [b"maps"]
    assert pipe.is_fifo()


def test_a_file_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "new folder" / "file")
    write_file(tmp_path / "link", b"one")
    write_file(tmp_path / "link", b"two")
    assert (tmp_path / "new folder" / "file").read_bytes() == b"two"
    assert (tmp_path / "link").is_symlink()
    assert len(list((tmp_path / "new folder").iterdir())) == 1


@pytest.mark.long
@pytest.mark.skipif(not FULL.is_char_device(), reason="this system has no /dev/full")
def test_a_full_disk_behind_the_output_is_said() -> None:
    for words, code in ((("presets",), 1), (("presets", "--json"), 1), (("summary", "nope", "--json"), 2)):
        with FULL.open("w") as full:
            done = subprocess.run(_shell_command(*words), cwd=CHECKOUT, stdout=full, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
        assert done.stderr.startswith("Error: ")


def test_a_terminal_without_dashes_gets_their_numbers() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(_shell_command("presets"), cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u2013" in done.stdout


def test_a_reader_that_leaves_early_ends_the_command_quietly() -> None:
    with subprocess.Popen(
        _shell_command("presets", "--json"), cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_a_folder_that_cannot_be_used_is_one_sentence(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "supervisor.lock").mkdir()  # where the lock's file belongs; rights would not stop a superuser
    code, out, err = command_line("--home", str(tmp_path), "worker", "--json")
    assert code == 1
    assert json.loads(out)["error"].startswith("The operating system reported an error (Is a directory")
    assert err.count("\n") == 1


def test_ctrl_c_while_the_answer_is_computed_is_said_in_json_too(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.cli.commands.summary.get_architecture", press)
    code, out, err = command_line("summary", "vgg16-64", "--json")
    assert code == 130
    assert json.loads(out) == {"error": "The command was interrupted before it finished."}
    assert err.strip() == "Error: The command was interrupted before it finished."


_PRESSED = """
import os, signal, sys

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "MODULE":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
from lab.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["lab.settings", "click", "sqlalchemy"])
def test_ctrl_c_while_the_first_modules_are_imported_ends_without_a_word(module: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", _PRESSED.replace("MODULE", module), "runs"]
    environment = {**os.environ, "LAB_HOME": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=CHECKOUT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_while_the_bar_is_drawn_stops_the_run(
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


def test_a_read_only_lab_makes_no_home(command_line: CommandLine, tmp_path: Path) -> None:
    home = tmp_path / "none"
    for command in ("runs", "doctor"):
        code, _, err = command_line("--read-only", "--home", str(home), command)
        assert code == 1
        assert "Traceback" not in err
    assert not home.exists()


def test_paths_of_a_user_that_there_is_not_are_paths(
    command_line: CommandLine, trained: dict[str, Any], tmp_path: Path
) -> None:
    assert "~nobody here/x.png cannot be read" in command_line("predict", "first", "~nobody here/x.png")[2]
    assert "~nobody here/x.zip cannot be read" in command_line("import", "~nobody here/x.zip")[2]


def test_the_doctor_keeps_the_stores_password_to_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    database = "postgresql+psycopg://me:secret@127.0.0.1:1/lab"
    with pytest.raises(SystemExit, match="1"):
        main(["--home", str(tmp_path), "--database", database, "doctor", "--json"])
    out = capsys.readouterr().out
    assert json.loads(out)["store"]["database"] == "postgresql+psycopg://me:***@127.0.0.1:1/lab"
    assert "secret" not in out
