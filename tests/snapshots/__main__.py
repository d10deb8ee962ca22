"""Writes all snapshots again: `python -m tests.snapshots`. Files that no test uses any more are removed.

The recorded texts of pages, commands and button presses (`tests.golden.write_shown`) are written as well.
"""

import os
import shutil
import subprocess
import sys

from tests.snapshots import ROOT, WRITE


def main() -> int:
    """Run the tests that compare with snapshots; return pytest's exit code."""
    for folder in (path for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"):
        shutil.rmtree(folder)
    tests = [
        str(path)
        for path in sorted(ROOT.parent.rglob("test_*.py"))
        if "tests.snapshots import" in path.read_text("utf-8")
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow and not cluster", *tests]
    written = subprocess.run(command, env={**os.environ, WRITE: "1"}, check=False).returncode
    shown = subprocess.run([sys.executable, "-m", "tests.golden.write_shown"], check=False).returncode
    return written or shown


if __name__ == "__main__":
    sys.exit(main())
