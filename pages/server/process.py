"""The process of `python -m lab serve`: Streamlit's server, which ends at Ctrl-C without a message and with code 0.

Streamlit's own command prints "Aborted!" at Ctrl-C and exits with code 1, or with a traceback while it is starting. It
is imported by `main`, so that a Ctrl-C during the import is handled too.
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
    except load("click:Abort"):  # click raises this at Ctrl-C
        return
