"""Why a process ended at its start, read from its exit code and from what it wrote to the log."""

import resource
from pathlib import Path

import pytest

from lab.settings import Settings
from lab.worker.supervisor import failures
from lab.worker.supervisor.failures import exit_reason, log_size, read_failing, record_failing, supervisor_words
from lab.worker.supervisor.launch import log_path

_TRACEBACK = """2026-11-30 20:08:52 supervisor 7: starting a worker
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    import torch
ImportError: libx.so: no such file
2026-11-30 20:08:55 supervisor 7: the worker of slot 2 ends after its run: the slots have changed

"""


_OPENBLAS = """OpenBLAS blas_thread_init: pthread_create failed for thread 1 of 2: Resource temporarily unavailable
OpenBLAS blas_thread_init: RLIMIT_NPROC 3 current, 3 max
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    import numpy
KeyboardInterrupt
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    log_path(settings).parent.mkdir()
    return settings


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_TRACEBACK, "ImportError: libx.so: no such file"),
        ("2026-11-30 20:08:52 worker 8: The store is damaged: restore it.\n", "The store is damaged: restore it"),
        ("terminate called\n  what():  bad\n", "terminate called"),
        ("2026-11-30 20:08:52 supervisor 7: starting a worker\n", "exit code 1"),
        ("x" * 500, "x" * 70 + "…" + "x" * 69),
        (_OPENBLAS, "OpenBLAS blas_thread_init: RLIMIT_NPROC 3 current, 3 max"),
        ("", "exit code 1"),
    ],
)
def test_the_reason_is_the_last_line_that_is_not_the_supervisors(settings: Settings, text: str, reason: str) -> None:
    log_path(settings).write_text("ValueError: of an earlier worker\n")
    since = log_size(settings)
    with log_path(settings).open("a") as log:
        log.write(text)
    assert exit_reason(settings, 1, since=since) == reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-9, "killed by SIGKILL, often for lack of memory"),
        (-7, "killed by SIGBUS, often for lack of memory"),
        (-11, "killed by SIGSEGV"),
        (-63, "killed by signal 63"),
        (3, "exit code 3"),
    ],
)
def test_a_signal_is_named_and_a_log_that_cannot_be_read_leaves_the_exit_code(
    settings: Settings, code: int, reason: str
) -> None:
    assert exit_reason(settings, code, since=log_size(settings)) == reason


def test_a_limit_of_memory_is_named_with_the_reason(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_memory_limit", lambda: 1_024_000_000)
    assert exit_reason(settings, 1, since=0) == "exit code 1, with memory limited to 1.02 GB by `ulimit -v`"
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_the_end_of_a_supervisor_is_explained_by_its_last_line(settings: Settings) -> None:
    log_path(settings).write_text("2026-11-30 20:08:52 supervisor 7: The store is damaged.\n")
    assert supervisor_words(settings, since=0) == "The store is damaged"
    assert supervisor_words(settings, since=log_size(settings)) == ""


def test_a_recorded_reason_is_read_back_as_one_line(settings: Settings) -> None:
    assert read_failing(settings) is None
    for reason, shown in (("", ""), ("one\ntwo\x1b", "one two\\x1b")):
        record_failing(settings, reason)
        assert read_failing(settings) == shown
