"""onnxruntime is used without its telemetry, which would leave a device id in the user's cache folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.onnx_runtime import NO_TELEMETRY, load_onnxruntime
from tests.test_imports import ROOT

READ = """
from lab.examples.reader import drawing_reader
drawing_reader()
"""


def test_home_reads_a_drawing_without_telemetry(tmp_path: Path) -> None:
    """The import alone would create a device id and a database of events in the home folder."""
    folders = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"), str(tmp_path))
    environment = {**os.environ, **folders}
    environment.pop(NO_TELEMETRY, None)
    subprocess.run([sys.executable, "-c", READ], env=environment, cwd=ROOT, check=True)
    assert list(tmp_path.rglob("*")) == []


def test_a_users_own_choice_of_telemetry_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_TELEMETRY, "0")
    load_onnxruntime()
    assert os.environ[NO_TELEMETRY] == "0"
