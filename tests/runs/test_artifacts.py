"""Saved files: complete or absent, verified when read, never outside their root."""

import hashlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import fsspec
import pytest

from lab.errors import ArtifactError, ReadOnlyError
from lab.runs.artifacts import IN_DATABASE, ArtifactStore
from lab.runs.records import SavedFile
from lab.runs.store import RunStore

ROOT = Path(__file__).resolve().parents[2]
DATA = bytes(range(256)) * 1000


@pytest.fixture(params=["folder", "memory", "database"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """Return an artifact store: a local folder, an object store, or the run store's database."""
    if request.param == "database":
        return ArtifactStore(IN_DATABASE, database=RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}").database)
    if request.param == "folder":
        return ArtifactStore(str(tmp_path / "artifacts"))
    return ArtifactStore(f"memory://{tmp_path.name}")


def saved_file(path: str, sha256: str, size: int) -> SavedFile:
    return SavedFile(run="r", kind="weights", step=1, epoch=1, path=path, sha256=sha256, bytes=size, created_at=0.0)


def test_writing_returns_digest_and_size_and_reading_the_same_bytes(artifacts: ArtifactStore) -> None:
    sha256, size = artifacts.write("r/epoch-1.safetensors", DATA)
    assert (sha256, size) == (hashlib.sha256(DATA).hexdigest(), 256_000)
    assert artifacts.read(saved_file("r/epoch-1.safetensors", sha256, size)) == DATA


def test_a_file_of_any_size_is_read_back_whole_and_in_parts(
    artifacts: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.runs.database_files.PART_BYTES", 1_000)
    for size in (0, 1, 999, 1_000, 1_001, 2_500):
        data = DATA[:size]
        expected = (hashlib.sha256(data).hexdigest(), size)
        assert artifacts.write("r/whole", data) == expected
        assert artifacts.write_parts("r/parts", iter((data[:700], data[700:]))) == expected
        for path in ("r/whole", "r/parts"):
            assert artifacts.has(path)
            assert artifacts.read(saved_file(path, *expected)) == data
            assert (
                b"".join(artifacts.read_parts(path, sha256=expected[0])) == b"".join(artifacts.read_parts(path)) == data
            )
        with pytest.raises(
            ArtifactError, match=r"r/parts at .* is not the file that was stored \(its SHA-256 differs\)"
        ):
            list(artifacts.read_parts("r/parts", sha256="0" * 64))


def test_writing_again_replaces_the_file(artifacts: ArtifactStore) -> None:
    artifacts.write("r/c", b"old")
    sha256, size = artifacts.write("r/c", b"new one")
    assert artifacts.read(saved_file("r/c", sha256, size)) == b"new one"


def test_reading_a_missing_file_is_an_error_that_names_it(artifacts: ArtifactStore) -> None:
    with pytest.raises(ArtifactError, match=r"r/none of run r cannot be read \(.+\): choose another epoch"):
        artifacts.read(saved_file("r/none", "0" * 64, 1))


def test_deleting_is_idempotent(artifacts: ArtifactStore) -> None:
    sha256, size = artifacts.write("r/c", b"x")
    artifacts.delete(["r/c", "r/c", "r/never"])
    with pytest.raises(ArtifactError, match="cannot be read"):
        artifacts.read(saved_file("r/c", sha256, size))


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a\\..\\x", "C:x", "a\0b", ".hidden", "a/.x", "//host/x"],
)
def test_a_name_that_could_leave_the_root_is_refused(artifacts: ArtifactStore, path: str) -> None:
    for act in (
        lambda: artifacts.write(path, b"x"),
        lambda: artifacts.read(saved_file(path, "0" * 64, 1)),
        lambda: artifacts.delete([path]),
    ):
        with pytest.raises(ArtifactError, match="is not a name for a saved file"):
            act()


def test_a_read_only_store_reads_and_refuses_to_write(artifacts: ArtifactStore) -> None:
    sha256, size = artifacts.write("r/c", b"x")
    reader = ArtifactStore(artifacts.url, read_only=True, database=artifacts.database)
    assert reader.read(saved_file("r/c", sha256, size)) == b"x"
    with pytest.raises(ReadOnlyError, match="no file was saved"):
        reader.write("r/d", b"y")
    with pytest.raises(ReadOnlyError, match="no file was deleted"):
        reader.delete(["r/c"])


def test_an_invalid_address_is_refused() -> None:
    with pytest.raises(ArtifactError, match="LAB_ARTIFACTS is 'nosuch://x', which cannot be opened"):
        ArtifactStore("nosuch://x")


@pytest.mark.parametrize("bit", [0, 7, 8 * 128_000 + 3, 8 * 255_999 + 7])
def test_one_flipped_bit_is_detected(tmp_path: Path, bit: int) -> None:
    artifacts = ArtifactStore(str(tmp_path))
    sha256, size = artifacts.write("r/c", DATA)
    damaged = bytearray(DATA)
    damaged[bit // 8] ^= 1 << (bit % 8)
    (tmp_path / "r" / "c").write_bytes(damaged)
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        artifacts.read(saved_file("r/c", sha256, size))


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b""])
def test_a_file_of_the_wrong_length_is_detected(tmp_path: Path, data: bytes) -> None:
    artifacts = ArtifactStore(str(tmp_path))
    sha256, size = artifacts.write("r/c", DATA)
    (tmp_path / "r" / "c").write_bytes(data)
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        artifacts.read(saved_file("r/c", sha256, size))


def test_local_files_and_folders_are_private_and_empty_folders_are_removed(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    artifacts = ArtifactStore(str(root))
    artifacts.write("r/deep/c", b"x")
    assert stat.S_IMODE((root / "r" / "deep" / "c").stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (root, root / "r", root / "r" / "deep")} == {0o700}
    artifacts.delete(["r/deep/c"])
    assert not (root / "r" / "deep").exists()
    assert root.is_dir()


def test_concurrent_writers_leave_one_complete_file(tmp_path: Path) -> None:
    artifacts = ArtifactStore(str(tmp_path))
    texts = [bytes([65 + n]) * 300_000 for n in range(8)]
    threads = [threading.Thread(target=artifacts.write, args=("r/c", text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "r" / "c").read_bytes() in texts
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["c"]


def test_old_temporary_files_of_killed_writers_are_removed(tmp_path: Path) -> None:
    artifacts = ArtifactStore(str(tmp_path))
    artifacts.write("r/c", b"x")
    old, young = tmp_path / "r" / ".c.old.tmp", tmp_path / "r" / ".c.new.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert artifacts.remove_stray_files() == 1
    assert not old.exists()
    assert young.exists()


def test_old_files_are_listed_with_their_time_without_those_being_written(tmp_path: Path) -> None:
    artifacts = ArtifactStore(str(tmp_path))
    assert ArtifactStore(str(tmp_path / "none")).old_files() == {}
    for name in ("r/old", "r/young", "r/.old.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name in ("r/old", "r/.old.tmp"):
        os.utime(tmp_path / name, (1_000, 1_000))
    assert artifacts.old_files() == {"r/old": 1_000.0}
    assert ArtifactStore(f"memory://{tmp_path.name}").old_files() == {}


FULL = """
import resource, signal, sys
from lab.errors import ArtifactError
from lab.runs.artifacts import ArtifactStore
store = ArtifactStore(sys.argv[1])
store.write("r/c", b"old")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.write("r/c", b"x" * 250_000)
except ArtifactError as error:
    print(error)
"""


def test_a_full_disk_is_reported_and_the_old_file_stays(tmp_path: Path) -> None:
    out = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert out.stderr == ""
    assert (
        "r/c (250,000 bytes) could not be saved (File too large): raise the limit of a file's size (`ulimit -f`), or choose"
        in out.stdout
    )
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["c"]
    assert (tmp_path / "r" / "c").read_bytes() == b"old"


def test_artifact_stores_with_different_prefixes_share_no_files(tmp_path: Path) -> None:
    one, other = ArtifactStore(f"memory://{tmp_path.name}-a"), ArtifactStore(f"memory://{tmp_path.name}-b")
    one.write("r/c", b"1")
    other.write("r/c", b"2")
    files = fsspec.filesystem("memory")
    assert files.cat_file(f"/{tmp_path.name}-a/r/c") == b"1"
    other.delete(["r/c"])
    assert files.cat_file(f"/{tmp_path.name}-a/r/c") == b"1"


def test_a_folder_is_removed_with_its_last_file_but_the_root_never(tmp_path: Path) -> None:
    artifacts = ArtifactStore(str(tmp_path / "root"))
    for path in ("r/1", "r/2", "s/1", "top"):
        artifacts.write(path, b"x")
    artifacts.delete(["r/1"])
    assert (tmp_path / "root" / "r").is_dir()
    artifacts.delete(["r/2", "r/2", "gone/1", "top"])
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["s"]
    artifacts.delete(["s/1"])
    assert (tmp_path / "root").is_dir()
