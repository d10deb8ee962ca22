"""The shell: the headless twin of the pages. Every verb takes `--json` and then prints strict JSON and nothing else.

Exit codes: 0 done, 1 failed, 2 wrong use. A deliberate error is one sentence on standard error; with `--json` it is
also `{"error": …}` on standard output.
"""

import os
import sys

import click

from lab import __version__
from lab.cli import look, machine, networks, reports, runs, share, train, upkeep
from lab.cli.output import print_json
from lab.errors import LabError
from lab.experiment import Lab
from lab.settings import Settings


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


for module in (train, runs, reports, networks, look, share, machine, upkeep):
    for command in module.COMMANDS:
        cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        cli.main(words, prog_name="python -m lab", standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        click.echo("Aborted.", err=True)
        sys.exit(1)
    except click.ClickException as error:
        _fail(error.format_message(), words, 2)
    except LabError as error:
        _fail(str(error), words, error.exit_code)


def _fail(message: str, words: list[str], code: int) -> None:
    if "--json" in words:
        print_json({"error": message})
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
