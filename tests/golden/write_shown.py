"""Writes the recorded text of pages and commands: `python -m tests.golden.write_shown`.

`--cli`, `--pages` or `--presses` writes only those; `--store` also creates the lab itself again. The diff of the files
shows what changes for users. `tests/web/test_web_shown.py` and `tests/cli/test_shown.py` compare them.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tests import conftest  # noqa: F401  sets the environment of the tests
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
