"""The shell: the headless twin of the pages. Every verb takes `--json` and then prints strict JSON and nothing else.

Exit codes: 0 done, 1 failed, 2 wrong use. A deliberate error is one sentence on standard error; with `--json` it is
also `{"error": …}` on standard output.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from lab import __version__
from lab.cli.lazy import LazyCommand, LazyGroup
from lab.cli.output import print_json
from lab.errors import InputError, LabError
from lab.service.lab import Lab
from lab.settings import Settings
from lab.text import one_sentence

COMMANDS = (
    LazyCommand("train", "Train a network, or return the run at once if it is there already.", "train:train"),
    LazyCommand("runs", "List the runs, newest first; the search is that of the Runs page.", "runs:runs"),
    LazyCommand("show", "Show one run: configuration, state, metrics per epoch, kept files.", "runs:show"),
    LazyCommand("stop", "Stop a run within a step or two and keep its weights.", "control:stop"),
    LazyCommand("pause", "Pause a run; `resume` goes on from the very step.", "control:pause"),
    LazyCommand(
        "resume", "Go on with a paused, stopped, interrupted or failed run from its last checkpoint.", "control:resume"
    ),
    LazyCommand("tag", "Put tags on a run.", "control:tag"),
    LazyCommand("delete", "Delete a run; --undo brings it back.", "control:delete"),
    LazyCommand("queue", "List the live runs: those in training first, then the queue in its order.", "queue:queue"),
    LazyCommand(
        "report-table",
        "Show REPORT (A to E, or lab): reported beside measured, the mean over all seeds that were run.",
        "report_table:report_table",
    ),
    LazyCommand("architectures", "List the networks and their options.", "catalogue:architectures"),
    LazyCommand("presets", "List the reports' experiments and the lab's own quick starts.", "catalogue:presets"),
    LazyCommand(
        "summary",
        "Print a network's layers, parameters, mult-adds and memory, as torchinfo counts them.",
        "summary:summary",
    ),
    LazyCommand(
        "datasets",
        "List the data sets and look into their files; --fetch gets one, --import makes one of a file.",
        "datasets:datasets",
    ),
    LazyCommand("predict", "Read picture files with a run's network.", "inference:predict"),
    LazyCommand(
        "evaluate",
        "Test a run's kept weights on the whole test set: accuracy, loss, per class, confusion.",
        "inference:evaluate",
    ),
    LazyCommand("inspect", "Write a layer's feature maps for one image as a PNG.", "inference:inspect"),
    LazyCommand(
        "export",
        "Write RUNS to a file: bundle, HTML report, metrics, table, weights, ONNX, TensorBoard events or code.",
        "sharing:export",
    ),
    LazyCommand("import", "Import the runs of a BUNDLE; everything in it is checked first.", "sharing:import_runs"),
    LazyCommand("compare", "Show in which settings RUNS differ, beside their results.", "sharing:compare"),
    LazyCommand(
        "worker",
        "Train queued runs in the foreground, until nothing is queued for some minutes; one per lab.",
        "worker:worker",
    ),
    LazyCommand(
        "doctor", "Say what is installed, where things lie, and what is wrong; exit 1 if something is.", "doctor:doctor"
    ),
    LazyCommand(
        "verify",
        "Check RUNS (all if none is named) against the checksums taken when they were written, and their saved files.",
        "verify:verify",
    ),
)


@click.group(
    cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="convlab")
@click.option("--home", help="Where the lab keeps its things (LAB_HOME).")
@click.option("--data", help="Where the data sets lie, in torchvision's layout (LAB_DATA).")
@click.option("--database", help="SQLAlchemy URL of the run store (LAB_DATABASE).")
@click.option("--artifacts", help="Path or fsspec URL of the kept files (LAB_ARTIFACTS).")
@click.option("--device", help="Device of the runs that name none: auto, cpu, cuda, cuda:1, mps (LAB_DEVICE).")
@click.option("--read-only", is_flag=True, help="Change nothing (LAB_READ_ONLY).")
@click.pass_context
def cli(context: click.Context, /, **flags: str | bool | None) -> None:
    """ConvLab: train, inspect and compare convolutional networks on MNIST-family data."""
    given = {f"LAB_{name.upper()}": str(value) for name, value in flags.items() if value}
    context.obj = Lab(Settings.from_env({**os.environ, **given}))


def main(arguments: list[str] | None = None, *, prog_name: str = "python -m lab") -> None:
    """Run one command and leave with its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        _check_words(words)
        cli.main(words, prog_name=prog_name, standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        _fail("The command was interrupted before it was done.", words, 1)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _fail(error.format_message(), words, 2)
    except LabError as error:
        _fail(str(error), words, error.exit_code)
    except OSError as error:  # a full disk, a folder of somebody else's, a place that is gone
        what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        _fail(f"The machine refused ({what}): make room, or choose places that can be read and written.", words, 1)


def _check_words(words: Sequence[str]) -> None:
    """Refuse what no JSON and no database can hold: bytes on the command line that are not UTF-8."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{word!r} is not UTF-8, so it can be neither kept nor printed: rename the file, or write it in UTF-8."
            ) from error


def _fail(text: str, words: list[str], code: int) -> NoReturn:
    message = one_sentence(text)
    click.echo(f"Error: {message}", err=True)
    try:
        if "--json" in words:
            print_json({"error": message})
        if sys.stdout is not None:  # where it is closed
            sys.stdout.flush()
    except OSError:  # nobody reads it, or the disk behind it is full: what is left would fail again at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
