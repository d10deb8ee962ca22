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
from lab.cli import datasets, look, machine, networks, queue_commands, reports, runs, share, train, upkeep
from lab.cli.output import print_json
from lab.errors import InputError, LabError
from lab.experiment import Lab
from lab.settings import Settings
from lab.text import one_sentence


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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


for module in (train, runs, queue_commands, reports, networks, datasets, look, share, machine, upkeep):
    for command in module.COMMANDS:
        cli.add_command(command)


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
