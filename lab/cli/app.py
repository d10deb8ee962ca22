"""The command line: the functions of the pages without a browser. With `--json`, a command prints only strict JSON.

Exit codes: 0 success, 1 failure, 2 usage error, 130 interrupted by Ctrl-C. A deliberate error is one sentence on
standard error; with `--json` it is also printed as `{"error": …}` on standard output.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from lab import INTERRUPTED, __version__
from lab.cli.lazy import LazyCommand, LazyGroup
from lab.cli.output import print_json
from lab.errors import InputError, LabError, near_miss
from lab.lazy import load
from lab.settings import OWNER, Settings
from lab.system_errors import is_thread_limit, process_remedy, reason, remedy
from lab.text import one_sentence

COMMANDS = (
    LazyCommand("serve", "Serve the lab's pages, and open them in the browser.", "serve:serve"),
    LazyCommand("train", "Train a network, or return the stored run with the same settings.", "train:train"),
    LazyCommand("fork", "Continue from a saved epoch of RUN with other settings.", "fork:fork"),
    LazyCommand(
        "repeat",
        "Train the settings of RUN with further seeds, up to N in all, or on each of K folds.",
        "repeat:repeat",
    ),
    LazyCommand("runs", "List the runs, newest first; --filter takes the search of the Runs page.", "runs:runs"),
    LazyCommand("show", "Show one run: configuration, state, metrics per epoch, saved files.", "runs:show"),
    LazyCommand("stop", "Stop a run after the current step and save its weights.", "control:stop"),
    LazyCommand("pause", "Pause a run; `resume` continues from the same step.", "control:pause"),
    LazyCommand(
        "resume", "Resume a paused, stopped, interrupted or failed run from its last checkpoint.", "control:resume"
    ),
    LazyCommand("tag", "Add tags to a run, or remove them.", "control:tag"),
    LazyCommand("delete", "Delete a run; --undo restores it.", "control:delete"),
    LazyCommand("queue", "List the running and queued runs in queue order.", "queue:queue"),
    LazyCommand(
        "sweep",
        "Search settings with many runs that pause early and continue if they are among the best.",
        "sweep:sweep",
    ),
    LazyCommand(
        "report-table",
        "Compare REPORT (A to E, or lab) with the means of this lab's runs.",
        "report_table:report_table",
    ),
    LazyCommand("architectures", "List the networks and their options.", "catalogue:architectures"),
    LazyCommand("presets", "List the presets: the reports' experiments and the lab's own.", "catalogue:presets"),
    LazyCommand(
        "summary",
        "Print a network's layers, parameters, mult-adds and memory.",
        "summary:summary",
    ),
    LazyCommand(
        "datasets",
        "List, download (--fetch) or import (--import) data sets.",
        "datasets:datasets",
    ),
    LazyCommand("predict", "Classify image files with a run's network.", "inference:predict"),
    LazyCommand(
        "evaluate",
        "Evaluate a run's saved weights on the test set.",
        "inference:evaluate",
    ),
    LazyCommand(
        "robustness",
        "Evaluate a run's network on distorted test images: rotated, shifted, blurred, noisy and others.",
        "inference:robustness",
    ),
    LazyCommand("inspect", "Write a layer's feature maps for one image as a PNG.", "inference:inspect"),
    LazyCommand(
        "export",
        "Export RUNS, or every run that --filter finds, to a file in one of the formats.",
        "sharing:export",
    ),
    LazyCommand("import", "Import the runs of a BUNDLE after checking it.", "sharing:import_runs"),
    LazyCommand(
        "compare", "Compare the settings and results of RUNS, or test whether one side is better.", "compare:compare"
    ),
    LazyCommand(
        "worker",
        "Run the worker in the foreground until the queue has been empty for some minutes.",
        "worker:worker",
    ),
    LazyCommand(
        "machines", "Show the hosts, their slots and what they train, and why other runs wait.", "machines:machines"
    ),
    LazyCommand("doctor", "Check the installation, the paths and the stored data.", "doctor:doctor"),
    LazyCommand(
        "verify",
        "Verify the checksums of RUNS (default: all) and of their saved files.",
        "verify:verify",
    ),
)


@click.group(
    cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="convlab")
@click.option("--home", help="Folder of the run store, saved files and logs (LAB_HOME).")
@click.option("--data", help="Folder of the data sets, in torchvision's layout (LAB_DATA).")
@click.option("--database", help="SQLAlchemy URL of the run store (LAB_DATABASE).")
@click.option("--artifacts", help="Path or fsspec URL of checkpoints and weights (LAB_ARTIFACTS).")
@click.option("--device", help="Default device of runs: auto, cpu, cuda, cuda:1, mps (LAB_DEVICE).")
@click.option("--slots", help="How many runs this machine trains at once; by default one per device (LAB_SLOTS).")
@click.option("--owner", help="Default owner of new runs; none by default (LAB_OWNER).")
@click.option("--read-only", is_flag=True, help="Open the lab without writing to it (LAB_READ_ONLY).")
@click.pass_context
def cli(context: click.Context, /, **flags: str | bool | None) -> None:
    """ConvLab: train, inspect and compare convolutional networks on MNIST-family data."""
    given = {f"LAB_{name.upper()}": str(value) for name, value in flags.items() if value}
    context.obj = load("lab.service.lab:Lab")(Settings.from_env({**os.environ, **given}))  # not needed for the help


def main(arguments: list[str] | None = None, *, prog_name: str = "python -m lab") -> None:
    """Run one command and exit with its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        _check_words([*words, os.environ.get(OWNER, "")])
        cli.main(words, prog_name=prog_name, standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort as error:  # Ctrl-C, or a prompt at the end of standard input
        code = 1 if isinstance(error.__context__, EOFError) else INTERRUPTED
        _fail("The command was interrupted before it finished.", words, code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.exceptions.NoSuchCommand as error:
        _fail(_unknown_command(error), words, 2)
    except click.ClickException as error:
        _fail(error.format_message(), words, 2)
    except LabError as error:
        _fail(str(error), words, error.exit_code)
    except OSError as error:  # a full disk, a folder of another user, a path that no longer exists
        what = reason(error) + (f": {error.filename}" if error.filename else "")
        how = remedy(error, "choose paths that can be read and written")
        _fail(f"The operating system reported an error ({what}): {how}.", words, 1)
    except RuntimeError as error:
        if not is_thread_limit(error):
            raise
        _fail(f"No further thread can be started: {process_remedy()}.", words, 1)


def _unknown_command(error: click.exceptions.NoSuchCommand) -> str:
    """Return the message for an unknown command, with a suggestion; Click would only suggest imported commands."""
    assert error.ctx is not None
    group = error.ctx.command
    assert isinstance(group, click.Group)
    return (
        f"There is no command {error.command_name!r}. {near_miss(error.command_name, group.list_commands(error.ctx))}"
    )


def _check_words(words: Sequence[str]) -> None:
    """Raise `InputError` if an argument could not be decoded: neither JSON nor the database can hold it."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise InputError(_undecoded(word)) from error


def _undecoded(word: str) -> str:
    """Return why an argument could not be decoded: it is no UTF-8, or Python was told to expect another encoding."""
    try:
        meant = os.fsencode(word).decode()
    except UnicodeError:
        return f"{word!r} is not UTF-8, so it cannot be stored or printed: rename the file, or write it in UTF-8."
    return (
        f"{meant!r} is UTF-8, but Python expects {sys.getfilesystemencoding()} in this locale: set LC_ALL to a UTF-8 "
        "locale such as C.UTF-8, or PYTHONUTF8 to 1."
    )


def _fail(text: str, words: list[str], code: int) -> NoReturn:
    message = one_sentence(text)
    click.echo(f"Error: {message}", err=True)
    try:
        if "--json" in words:
            print_json({"error": message})
        if sys.stdout is not None:  # None if standard output is closed
            sys.stdout.flush()
    except OSError:  # a closed pipe or a full disk; the final flush at exit would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
