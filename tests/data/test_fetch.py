"""Fetching is atomic, tested against a real loopback server that sends, truncates, stalls or sends wrong files."""

import gzip
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torchvision

from lab.data import fetch
from lab.data.fetch import fetch_dataset
from lab.data.load import is_present, list_files, load_dataset
from lab.data.registry import get_dataset_spec, list_datasets
from lab.data.spec import DatasetSpec, RemoteFile
from lab.errors import DataError
from tests.data.data_files import idx_bytes, usps_bytes
from tests.waiting import LIMIT_S


@dataclass
class Host:
    """A server of `files` by path. Of a path in `cut` it sends only half, of one in `stall` nothing."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    stall: set[str] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str) -> str:
        return f"http://{self.address}/{name}"


@pytest.fixture
def host() -> Iterator[Host]:
    state = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            if name in state.stall:
                state.released.wait(LIMIT_S)
                return
            if name not in state.files:
                self.send_error(404, "Not Found")
                return
            body = state.files[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if name in state.cut else body)

        def log_message(self, *_args: object) -> None:
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    state.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def _offer(host: Host, target: str, data: bytes, *, mirrors: tuple[str, ...] = ()) -> RemoteFile:
    name = target.replace("/", "_") + ("" if target.endswith("bz2") else ".gz")
    packed = data if target.endswith("bz2") else gzip.compress(data)
    host.files[name] = packed
    md5 = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    return RemoteFile((*mirrors, host.url(name)), md5, (("", target),))


def _offer_mnist(host: Host, *, mirrors: tuple[str, ...] = ()) -> list[RemoteFile]:
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    labels = (np.arange(30) % 10).astype(np.uint8)
    names = [path.as_posix().lstrip("/") for path in list_files("mnist", root=Path("/"))]
    return [_offer(host, name, idx_bytes(images if "images" in name else labels), mirrors=mirrors) for name in names]


def _remaining_files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.name != ".fetch.lock")


def test_a_fetched_data_set_loads_and_progress_is_reported(tmp_path: Path, host: Host) -> None:
    reports: list[tuple[str, int, int]] = []
    fetch_dataset("mnist", root=tmp_path, remote=_offer_mnist(host), progress=lambda *now: reports.append(now))
    assert load_dataset("mnist", root=tmp_path).test_labels.tolist() == [*range(10)] * 3
    assert _remaining_files(tmp_path / "MNIST") == ["raw", *sorted(p.name for p in list_files("mnist", root=tmp_path))]
    assert [done == total for _, done, total in reports].count(True) == 4


def test_a_missing_folder_is_created_with_its_parents_for_its_owner_only(tmp_path: Path, host: Host) -> None:
    root = tmp_path / "not" / "there"
    for _ in range(2):  # an existing one is used as it is
        fetch_dataset("mnist", root=root, remote=_offer_mnist(host))
    assert root.stat().st_mode & 0o777 == 0o700
    assert (root / ".fetch.lock").stat().st_mode & 0o777 == 0o600
    assert load_dataset("mnist", root=root).test_labels.tolist() == [*range(10)] * 3


def test_fetching_a_data_set_that_is_present_sends_no_request(tmp_path: Path, host: Host) -> None:
    fetch_dataset("mnist", root=tmp_path, remote=_offer_mnist(host))
    fetch_dataset("mnist", root=tmp_path, remote=[RemoteFile(("http://127.0.0.1:1/x",), "", (("", "x"),))])


def test_the_second_mirror_is_used_if_the_first_does_not_respond(tmp_path: Path, host: Host) -> None:
    fetch_dataset("mnist", root=tmp_path, remote=_offer_mnist(host, mirrors=("http://127.0.0.1:1/gone",)))
    assert is_present("mnist", root=tmp_path)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("absent", "answered 404 Not Found"),
        ("cut", r"sent only \d+ of \d+ bytes"),
        ("stall", "timed out"),
        ("other", r"sent a file other than the published one \(wrong MD5\)"),
    ],
)
def test_a_failed_download_names_host_reason_and_way_out_and_leaves_nothing(
    tmp_path: Path, host: Host, trouble: str, reason: str
) -> None:
    files = _offer_mnist(host)
    last = "MNIST_raw_t10k-labels-idx1-ubyte.gz"
    if trouble == "absent":
        del host.files[last]
    elif trouble == "cut":
        host.cut.add(last)
    elif trouble == "stall":
        host.stall.add(last)
        files = files[-1:]  # only this one: the others would have to arrive within the short limit
    else:
        host.files[last] = gzip.compress(b"something else")
    with pytest.raises(DataError, match=f"{host.address}: {reason}.*Try again later.*'digits'"):
        fetch_dataset("mnist", root=tmp_path, remote=files, timeout_s=0.5 if trouble == "stall" else LIMIT_S)
    assert _remaining_files(tmp_path) == []


def test_a_host_that_refuses_the_connection_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"127\.0\.0\.1:1: .*refused"):
        fetch_dataset("mnist", root=tmp_path, remote=[RemoteFile(("http://127.0.0.1:1/x",), "", (("", "x"),))])


def test_published_but_damaged_files_never_reach_the_data_folder(tmp_path: Path, host: Host) -> None:
    files = _offer_mnist(host)[:3]
    name = list_files("mnist", root=Path("/"))[3].as_posix().lstrip("/")
    files.append(_offer(host, name, idx_bytes(np.zeros(29, dtype=np.uint8))))
    with pytest.raises(DataError, match="are 30, but there are 29 labels"):
        fetch_dataset("mnist", root=tmp_path, remote=files)
    assert _remaining_files(tmp_path) == []


def test_the_remains_of_a_killed_fetch_are_removed_by_the_next_fetch(tmp_path: Path, host: Host) -> None:
    (tmp_path / ".fetch-abc" / "MNIST").mkdir(parents=True)
    (tmp_path / ".fetch-abc" / "MNIST" / "half").write_bytes(b"0")
    fetch_dataset("mnist", root=tmp_path, remote=_offer_mnist(host))
    assert list(tmp_path.glob(".fetch-*")) == []


def test_a_folder_that_cannot_be_created_is_reported_with_the_way_out(tmp_path: Path, host: Host) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"could not be written to .*set LAB_DATA to another folder"):
        fetch_dataset("mnist", root=tmp_path / "file", remote=_offer_mnist(host))


def test_usps_files_stay_compressed(tmp_path: Path, host: Host) -> None:
    data = usps_bytes(np.zeros((3, 16, 16)), np.array([0, 4, 9]))
    fetch_dataset("usps", root=tmp_path, remote=[_offer(host, name, data) for name in ("usps.bz2", "usps.t.bz2")])
    assert load_dataset("usps", root=tmp_path).train_labels.tolist() == [0, 4, 9]


def test_emnists_single_archive_gives_both_data_sets_and_only_known_files(tmp_path: Path, host: Host) -> None:
    published = get_dataset_spec("emnist-letters").remote[0]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../evil", b"outside")
        for member, _ in published.targets:
            many = np.zeros((5, 28, 28), dtype=np.uint8)
            content = idx_bytes(many if "images" in member else np.arange(1, 6, dtype=np.uint8))
            archive.writestr(member, gzip.compress(content))
    host.files["gzip.zip"] = packed.getvalue()
    md5 = hashlib.md5(packed.getvalue(), usedforsecurity=False).hexdigest()
    fetch_dataset(
        "emnist-letters", root=tmp_path / "data", remote=[RemoteFile((host.url("gzip.zip"),), md5, published.targets)]
    )
    assert is_present("emnist-balanced", root=tmp_path / "data")
    assert load_dataset("emnist-letters", root=tmp_path / "data").train_labels.tolist() == [0, 1, 2, 3, 4]
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("spec", [s for s in list_datasets() if not s.built_in], ids=lambda spec: spec.id)
def test_the_published_urls_provide_every_file_that_is_read(spec: DatasetSpec) -> None:
    files = spec.remote
    filled = {path for file in files for _, path in file.targets}
    assert filled >= set(spec.files)
    assert all(url.startswith("http") for file in files for url in file.urls)
    assert all(len(file.md5) == 32 for file in files)


def _torchvision_files(name: str) -> set[tuple[str, str]]:
    """Return (URL, MD5) of the files that torchvision downloads for one of its classes."""
    kind = getattr(torchvision.datasets, name)
    if name == "USPS":
        return {(url, md5) for url, _, md5 in kind.split_list.values()}
    if name == "EMNIST":
        return {(kind.url, kind.md5)}
    if name == "QMNIST":
        return {*kind.resources["train"], *kind.resources["test"]}
    return {(mirror + file, md5) for mirror in kind.mirrors for file, md5 in kind.resources}


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("mnist", "MNIST"),
        ("fashion-mnist", "FashionMNIST"),
        ("kmnist", "KMNIST"),
        ("qmnist", "QMNIST"),
        ("emnist-letters", "EMNIST"),
        ("emnist-balanced", "EMNIST"),
        ("usps", "USPS"),
    ],
)
def test_urls_and_checksums_are_torchvisions(id: str, name: str) -> None:
    files = get_dataset_spec(id).remote
    assert {(url, file.md5) for file in files for url in file.urls} == _torchvision_files(name)


def test_a_download_larger_than_any_published_file_is_aborted(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Received bytes are counted, because a host need not declare how much it will send."""
    monkeypatch.setattr(fetch, "MAX_DOWNLOAD", 100)
    target = tmp_path / "x"
    assert fetch._store(iter([bytes(60), bytes(40)]), target, total=0, name="x", progress=None)
    with pytest.raises(fetch._FetchError, match="sent more than 100 bytes"):
        fetch._store(iter([bytes(60), bytes(41)]), target, total=0, name="x", progress=None)


def test_if_no_mirror_responds_the_error_names_the_folder_for_the_files(tmp_path: Path) -> None:
    gone = RemoteFile(("http://127.0.0.1:1/x.gz",), "", (("", "MNIST/raw/x"),))
    with pytest.raises(DataError, match="put its files into ") as refused:
        fetch_dataset("mnist", root=tmp_path, remote=[gone])
    assert f"put its files into {tmp_path / 'MNIST' / 'raw'} yourself" in str(refused.value)
