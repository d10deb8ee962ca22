"""Commands whose text output is recorded in `tests/golden/cli` by `python -m tests.golden.write_shown`."""

import contextlib
import io
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from lab.cli.app import main
from tests.golden.opening import GOLDEN, read_sections
from tests.golden.shown_lab import NOW, ids_of, list_ids, plain

FOLDER = GOLDEN / "cli"
_HEAD = "$ "


def list_lines() -> dict[str, tuple[str, ...]]:
    """Return command lines by the file in which their output is recorded; each name in braces is replaced by an id."""
    sides = " ".join(f"--{side} {{{name}{seed}}}" for side, name in (("a", "low"), ("b", "high")) for seed in range(5))
    return {
        "runs": (
            "runs",
            "runs --filter state:paused,failed --sort name",
            "runs --sort -test --limit 3",
            "runs --examples",
            "runs --filter lr<<1",
            "show {finished}",
            "show {fork}",
            "show {running}",
            "show {failed}",
            "show {queued}",
            "show {early_stopped}",
            "show {diverged}",
            "show nothing-like-it",
            "show d",
            "verify {finished} {failed}",
            "verify",
            "tag {low0} new other --remove seeds",
            "delete {low0}",
            "delete {deleted} --undo",
            "delete {running}",
            "stop {queued}",
            "stop {finished}",
            "pause {queued}",
            "pause {failed}",
            "resume {paused}",
            "resume {finished}",
            "tag {low0} new --json",
            "delete {low0} --json",
            "verify --json",
            "pause {queued} --json",
        ),
        "compare": (
            "compare {finished} {one_cycle} {low0}",
            f"compare {sides} --verdict",
            f"compare {sides} --verdict --paired",
            "compare {low0} {low1} {high0} {finished} --verdict",
            "compare {finished} {one_cycle} --mcnemar",
            "compare {finished} --mcnemar",
            "compare {finished} {one_cycle} --mcnemar --json",
            "compare {low0} {high0} --json",
            "compare",
            "compare {finished} --a {low0}",
            "compare --a {low0} --b {high0}",
            "report-table C",
            "report-table d",
            "report-table Z",
        ),
        "queue": (
            "queue",
            "queue --owner ann",
            "queue move {queued} front",
            "queue move {queued} back",
            "queue move {finished} up",
            "queue priority {queued} 5",
            "queue stop-all",
            "queue stop-all --yes",
            "machines",
            "machines drain calm",
            "machines drain far --undo",
            "machines remove far",
            "machines drain nowhere",
            "machines log {queued}",
            "machines log {running}",
            "machines token",
            "machines log {running} --json",
            "queue move {queued} back --json",
            "queue priority {queued} 5 --json",
            "queue stop-all --json",
            "machines --json",
        ),
        "sweep": (
            "sweep list",
            "sweep show {half way}",
            "sweep show {searched}",
            "sweep show nothing",
            "sweep pause {half way}",
            "sweep resume {half way}",
            "sweep stop {half way}",
            "sweep resume {searched}",
            "sweep extend {searched} --trials 8",
            "sweep extend {half way} --minutes 3",
            "sweep adopt {half way}",
            "sweep adopt {half way} {low0}",
            "sweep create",
            "sweep create --preset c-batch",
            "sweep create no-such-file.json",
            "sweep export {searched} --format csv --out OUT/sweep.csv",
            "sweep export {searched} --format nothing --out OUT/sweep.csv",
            "sweep adopt {half way} --json",
            "sweep extend {searched} --trials 8 --json",
            "sweep stop {half way} --json",
            "sweep export {searched} --format csv --out OUT/sweep.csv --json",
            "sweep list --json",
        ),
        "catalogue": (
            "architectures",
            "presets",
            "datasets",
            "summary lenet5",
            "summary lenet-bn --batch-size 1 --classes 26",
            "summary basic-cnn --arch-option hidden=12 --input-size 64",
            "summary lenet9",
        ),
        "training": (
            "train --arch lenet-bn --dataset digits --epochs 1 --detach --name mine --tag a",
            "train --arch lenet-bn --dataset mnist --detach",
            "train --arch lenet-bn --dataset digits --lr -1 --detach",
            "train --arch lenet-bn --dataset digits --lr 90 --momentum 0.5 --detach",
            "repeat {low0} --seeds 6 --detach",
            "repeat {low0} --seeds 5 --detach",
            "repeat {low0} --folds 3 --detach",
            "fork {finished} --epoch 1 --set lr=0.01 --set epochs=3 --detach",
            "fork {finished} --epoch 7 --detach",
            "fork {low0} --detach",
            "repeat {low0} --seeds 6 --detach --json",
            "train --arch lenet-bn --dataset digits --epochs 1 --detach --json",
        ),
        "files": (
            "export {finished} --format csv --out OUT/x.csv",
            "export {finished} {low0} --format table --out OUT/table.csv",
            "export {finished} {low0} --format code --out OUT/x.py",
            "export {finished} --format safetensors --out OUT/x.safetensors",
            "export {low0} --format safetensors --out OUT/x.safetensors",
            "export {finished} --format nothing --out OUT/x",
            "import OUT/nothing.zip",
            "evaluate {finished}",
            "evaluate {finished} --all-epochs",
            "evaluate {low0}",
            "predict {finished} OUT/drawing.png",
            "predict {finished} OUT/drawing.png --sketch --epoch 1",
            "predict {finished} OUT/nothing.png",
            "inspect {finished} --layer features.conv1 --out OUT/maps.png",
            "inspect {finished} --layer features.conv1 --image test:3 --out OUT/maps.png --per-channel",
            "inspect {finished} --layer nothing --out OUT/maps.png",
            "inspect {finished} --layer features.conv1 --out OUT/maps.png --json",
            "export {finished} --format csv --out OUT/x.csv --json",
            "evaluate {finished} --json",
            "predict {finished} OUT/drawing.png --json",
        ),
    }


def answer(line: str, home: Path, *, clean: Path) -> list[str]:
    """Return the lines that a command prints over a new copy of the lab, and its exit code.

    clean: a copy of the lab's store that nothing writes to.
    """
    shutil.copyfile(clean, home / "lab.db")
    files = home.parent / "OUT"
    files.mkdir(exist_ok=True)
    picture = Image.new("L", (28, 28))
    ImageDraw.Draw(picture).line([(14, 4), (13, 24)], fill=255, width=3)
    picture.save(files / "drawing.png")
    words = [word.format(**list_ids()) for word in _words(line)]
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.MonkeyPatch.context() as patched:
        patched.setattr("time.time", lambda: NOW)
        patched.setattr("sys.stdin", io.StringIO())
        patched.chdir(home.parent)
        try:
            with ids_of(line):
                main(words)
        except SystemExit as exited:
            code = exited.code
    found = plain(out.getvalue() + err.getvalue(), home).splitlines()
    return [*(line.rstrip() for line in found), f"exit code {code or 0}"]


def _words(line: str) -> list[str]:
    """Split a command line at its spaces, except for those in the name of an id."""
    inside = False
    marked = ""
    for letter in line:
        inside = (inside or letter == "{") and letter != "}"
        marked += "\0" if letter == " " and not inside else letter
    return marked.split("\0") if line else []


def recorded(name: str) -> dict[str, list[str]]:
    """Return the recorded output of each command line of a file."""
    return read_sections(FOLDER / f"{name}.txt", head=_HEAD)


def write_answers(home: Path, *, clean: Path) -> None:
    """Write the output of every command line."""
    FOLDER.mkdir(exist_ok=True)
    for name, lines in list_lines().items():
        text = "".join(f"{one}\n" for line in lines for one in (_HEAD + line, *answer(line, home, clean=clean)))
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")
