"""The process that `python -m lab serve` becomes: Streamlit's server, which a Ctrl-C ends quietly and with exit code 0.

Streamlit's own command answers the end that it was asked for with "Aborted!" and exit code 1, and in its first moments
with a traceback. It is imported when `main` runs, so that a Ctrl-C meanwhile ends as quietly.
"""

import sys

from lab.lazy import load


def main() -> None:
    """Run Streamlit's command with the arguments of this process."""
    try:
        _run()
    except KeyboardInterrupt:
        return


def _run() -> None:
    try:
        load("streamlit.web.cli:main")(sys.argv[1:], prog_name="streamlit", standalone_mode=False)
    except load("click:ClickException") as error:
        error.show()
        sys.exit(error.exit_code)
    except load("click:Abort"):  # what click makes of a Ctrl-C
        return
