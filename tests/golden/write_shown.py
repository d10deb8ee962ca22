"""Writes down what pages and command line show of one lab: `python -m tests.golden.write_shown`; `--cli`,
`--pages` or `--presses` only those, `--store` makes the lab itself anew as well.

A diff of the written files is what users will see changed. The tests compare (`tests/web/test_web_shown.py`, `tests/cli/test_shown.py`).
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tests import conftest  # noqa: F401  its environment is that of the tests
from tests.golden import shown_cli, shown_lab, shown_pages, shown_presses


def main(arguments: list[str]) -> None:
    """Write the files."""
    if "--store" in arguments:
        shown_lab.write_store(shown_lab.SHOWN)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with shown_lab.shown_lab(home):
            clean = shutil.copyfile(home / "lab.db", Path(folder) / "clean.db")
            if arguments not in (["--pages"], ["--presses"]):
                shown_cli.write_answers(home, clean=clean)
            shutil.copyfile(clean, home / "lab.db")
            if arguments not in (["--cli"], ["--presses"]):
                shown_pages.write_pages(home)
        if arguments not in (["--cli"], ["--pages"]):
            shown_presses.write_presses(Path(folder) / "presses")


if __name__ == "__main__":
    main(sys.argv[1:])
