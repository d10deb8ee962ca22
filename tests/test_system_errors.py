"""Errors of the operating system: each number has its own remedy, worded in one place, also where nothing may start."""

import ast
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.atomic_files import make_folder
from lab.background import start_thread
from lab.data.places import find_file, list_folder
from lab.errors import ConfigError, LabError, StoreError
from lab.runs.artifacts import ArtifactStore
from lab.runs.database import Database
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.settings import CHECKOUT, Settings
from lab.system_errors import reason, refuses_threads, remedy
from tests.processes import end_workers
from tests.waiting import LIMIT_S

_SHORTEN = "shorten the path, each of whose names may have 255 bytes at most, or give another"
_LOOP = "correct the path's symbolic links, which lead in a circle"
_FILE = "correct the path, in which a file stands for a folder"
_TRAIN = ("train", "--dataset", "digits", "--arch", "lenet5", "--epochs", "1", "--device", "cpu")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder with a file, a symbolic link to itself, and one without a target."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone" / "away")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words", "how"),
    [
        ("x" * 256, "File name too long", _SHORTEN),
        ("file/x", "Not a directory", f"{_FILE}, or give another"),
        ("loop", "Too many levels of symbolic links", f"{_LOOP}, or give another"),
        ("gone", "No such file or directory", "give another"),
    ],
)
def test_each_error_of_a_path_has_its_own_remedy(odd: Path, name: str, words: str, how: str) -> None:
    with pytest.raises(OSError, match=words) as raised:
        (odd / name).read_bytes()
    assert (reason(raised.value), remedy(raised.value, "give another")) == (words, how)


@pytest.mark.parametrize(
    ("number", "how", "at"),
    [
        (errno.ENOSPC, "free disk space", "free disk space at s3"),
        (errno.EDQUOT, "free disk space within this user's quota", "free disk space at s3 within this user's quota"),
        (errno.EACCES, "allow this user to access it", "allow this user to access s3"),
        (errno.EROFS, "make its disk writable", "make its disk writable"),
    ],
)
def test_a_remedy_names_the_location_where_the_message_does_not(number: int, how: str, at: str) -> None:
    error = OSError(number, "x")
    assert (remedy(error, "wait"), remedy(error, "wait", place="s3")) == (f"{how}, or wait", f"{at}, or wait")


def test_a_limit_of_open_files_is_named_and_no_other_path_is_asked_for() -> None:
    code = """
import os, resource
from lab.system_errors import remedy
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
try:
    while True:
        os.open(os.devnull, os.O_RDONLY)
except OSError as error:
    print(remedy(error, "give another"))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "raise the limit of open files (`ulimit -n`, now 40)\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file/x", rf"Not a directory\): {_FILE}, or set LAB_HOME to a folder that can be written\.$"),
        ("loop/x", rf"symbolic links\): {_LOOP}, or set LAB_HOME"),
        ("loop", rf"symbolic links\): {_LOOP}, or set LAB_HOME"),
        ("file", rf"\(File exists\): {_FILE}, or set LAB_HOME"),
        ("dangling", r"\(No such file or directory\): set LAB_HOME"),
    ],
)
def test_a_home_that_cannot_be_created_says_what_is_wrong_with_its_path(odd: Path, name: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        Settings.from_env({"LAB_HOME": str(odd / name)}).make_home()


def test_a_store_whose_path_is_a_folder_or_a_pipe_says_so(odd: Path) -> None:
    (odd / "folder").mkdir()
    os.mkfifo(odd / "pipe")
    for name, words in (("folder", "opened (Is a directory)"), ("pipe", "created (it is a pipe, not a file)")):
        with pytest.raises(StoreError) as raised, Database(f"sqlite:///{odd / name}").read():
            pass
        place = "choose another location with LAB_HOME."
        assert str(raised.value) == f"The run store {odd / name} cannot be {words}: {place}"


def test_too_many_open_files_are_named_when_the_store_is_opened(tmp_path: Path) -> None:
    RunStore.open(f"sqlite:///{tmp_path}/lab.db").close()
    code = f"""
import os, resource
from lab.errors import StoreError
from lab.runs.store import RunStore
store = RunStore.open("sqlite:///{tmp_path}/lab.db")
store.runs.count()
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
try:
    while True:
        os.open(os.devnull, os.O_RDONLY)
except OSError:
    pass
try:
    store.runs.count()
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    how = "cannot be opened (Too many open files): raise the limit of open files (`ulimit -n`, now 40)."
    assert done.stdout == f"The run store {tmp_path}/lab.db {how}\n"


@pytest.mark.parametrize(("name", "how"), [("file/x", _FILE), ("loop/x", _LOOP), ("loop", _LOOP)])
def test_store_and_artifacts_say_what_is_wrong_with_their_paths(odd: Path, name: str, how: str) -> None:
    with pytest.raises(LabError, match=rf"{how}, or choose another location with LAB_HOME\.$"):
        Database(f"sqlite:///{odd / name}/lab.db")
    with pytest.raises(LabError, match=rf"{how}, or choose another location with LAB_ARTIFACTS, then try again"):
        ArtifactStore(str(odd / name)).write("run/x", b"x")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LAB_HOME", f"/{'x' * 256}"),
        ("LAB_DATA", f"/{'é' * 128}"),
        ("LAB_ARTIFACTS", "/" + "/".join(["d" * 200] * 30)),
        ("LAB_DATABASE", f"sqlite:////{'x' * 256}/lab.db"),
    ],
)
def test_a_setting_whose_path_no_file_system_can_hold_is_refused(variable: str, value: str) -> None:
    rule = r"a path may have 3,800 bytes and each of its names 255: shorten it\.$"
    with pytest.raises(ConfigError, match=f"^{variable} is .*, but {rule}"):
        Settings.from_env({variable: value})
    assert Settings.from_env({"LAB_DATA": f"/{'é' * 127}"}).data.name == "é" * 127


def test_a_data_folder_that_cannot_be_read_has_no_files(odd: Path) -> None:
    for name in ("file", "loop", "x" * 256):
        assert list_folder(odd / name) == []
        assert find_file(odd / name / "MNIST" / "raw" / "train-images-idx3-ubyte") is None


def test_an_existing_folder_is_accepted_and_a_file_in_its_place_is_not(odd: Path) -> None:
    make_folder(odd / "a" / "b")
    make_folder(odd / "a" / "b")
    with pytest.raises(FileExistsError):
        make_folder(odd / "file")


def test_a_thread_that_starts_is_returned() -> None:
    seen: list[int] = []
    start_thread(lambda: seen.append(1), name="test").join(LIMIT_S)
    assert seen == [1]
    assert not refuses_threads()


def _refusing(*words: str) -> list[str]:
    """Return a command that runs another as a user who may start no further process or thread."""
    code = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", code, *words]
    if os.getuid():
        return command
    if shutil.which("setpriv") is None:
        pytest.skip("the limit does not hold for root, and there is no setpriv to become another user")
    capabilities = "+dac_override,+dac_read_search"  # this user's Python and files stay readable
    user = ["--reuid=4242", "--regid=4242", "--clear-groups"]
    keeps = [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
    return ["setpriv", *user, *keeps, *command]


def _call(home: Path, *words: str, **more: str) -> tuple[int, str]:
    environment = {**os.environ, "LAB_HOME": str(home), "OPENBLAS_NUM_THREADS": "1", **more}
    done = subprocess.run(
        _refusing(sys.executable, *words),
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode, done.stderr


_LIMIT = "end other programs of this user, or raise the limit of processes and threads (`ulimit -u`, now 1)"


def test_train_says_that_no_worker_can_start_and_leaves_its_run_in_the_queue(tmp_path: Path) -> None:
    home = tmp_path / "home"
    code, err = _call(home, "-m", "lab", *_TRAIN)
    assert (code, err) == (1, f"Error: No worker can be started. The thread 'supervisor' cannot start: {_LIMIT}.\n")
    lab = Lab(Settings.from_env({"LAB_HOME": str(home)}))
    assert lab.store.queue.count_queued() == 1
    end_workers(home)


def test_openblas_without_threads_is_no_interruption(tmp_path: Path) -> None:
    code, err = _call(tmp_path / "home", "-m", "lab", "runs", OPENBLAS_NUM_THREADS="4")
    said = f"Error: No thread can be started: {_LIMIT}.\n"
    assert (code, err.endswith(said)) == (1, True) or "OpenBLAS" not in err, err


@pytest.mark.parametrize(
    ("module", "said"),
    [("supervisor", f"The thread 'cleanup' cannot start: {_LIMIT}."), ("", "The thread 'supervisor")],
)
def test_supervisor_and_worker_end_with_one_line(tmp_path: Path, module: str, said: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    Lab(Settings.from_env({"LAB_HOME": str(home)})).store.close()
    code, err = _call(home, "-m", ".".join(filter(None, ("lab.worker", module))), OMP_NUM_THREADS="1")
    assert code == 1
    assert said in err
    assert "Traceback" not in err


def test_a_refused_thread_is_an_error_of_the_lab(tmp_path: Path) -> None:
    code = """
import threading
from lab.background import start_thread
from lab.errors import ThreadStartError
try:
    start_thread(int, name="heartbeat")
except ThreadStartError as error:
    raise SystemExit(str(error))
"""
    assert _call(tmp_path, "-c", code) == (1, f"The thread 'heartbeat' cannot start: {_LIMIT}.\n")


def _sites(pattern: Callable[[ast.AST], bool]) -> set[str]:
    return {
        str(path.relative_to(CHECKOUT))
        for folder in ("lab", "pages")
        for path in (CHECKOUT / folder).rglob("*.py")
        if any(pattern(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }


@pytest.mark.parametrize(
    ("attribute", "place"),
    [("strerror", "lab/system_errors.py"), ("mkdir", "lab/atomic_files.py")],
)
def test_errors_are_worded_and_folders_made_in_one_place(attribute: str, place: str) -> None:
    assert _sites(lambda node: isinstance(node, ast.Attribute) and node.attr == attribute) == {place}


def test_threads_are_started_in_one_place() -> None:
    def starts(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and ast.unparse(node.func) in ("threading.Thread", "Thread")

    assert _sites(starts) == {"lab/background.py", "lab/system_errors.py"}
