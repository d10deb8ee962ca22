"""Fetch data sets over the network from torchvision's URLs and mirrors, atomically.

Everything is downloaded, checked and unpacked in a staging folder inside the data folder and moved into place at the
end, so a failed, truncated or killed download leaves the data unchanged. No URLs other than those of the specs (or of
`remote`) are requested.
"""

import gzip
import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from lab.atomic_files import make_folder, rename_synced
from lab.data.idx import MAX_BYTES
from lab.data.load import is_present, load_dataset
from lab.data.registry import built_in_dataset, get_dataset_spec, list_datasets
from lab.data.spec import DatasetSpec, RemoteFile
from lab.errors import DataError
from lab.system_errors import reason, remedy

Progress = Callable[[str, int, int], None]  # file name, bytes so far, total bytes (0 if unknown)
TIMEOUT_S = 30.0  # without receiving a byte
MAX_DOWNLOAD = 700 << 20  # bytes; EMNIST's archive has 562 MB
_CHUNK = 1 << 18  # bytes
_AGENT = "ConvLab (pytorch/vision data sets)"


def fetch_dataset(
    id: str,
    *,
    root: Path,
    progress: Progress | None = None,
    remote: Sequence[RemoteFile] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Download a data set into `root`; does nothing if it is already present.

    remote: replaces the published URLs, for a private mirror. Raises `DataError`, which names the host, the reason and
    the way out, if any part fails; `root` is then unchanged.
    """
    spec = get_dataset_spec(id)
    if is_present(id, root=root):
        return
    files = spec.remote if remote is None else remote
    if not files:  # not published: the error of `load_dataset` says how to restore its files
        load_dataset(id, root=root)
    together = {id, *(other.id for other in list_datasets() if other.remote and other.remote == spec.remote)}
    with _staging(root, spec) as staging:
        for file in files:
            _fetch_file(file, staging, spec=spec, root=root, progress=progress, timeout_s=timeout_s)
        for each in together:  # EMNIST's archive contains two data sets
            if each == id or is_present(each, root=staging):
                load_dataset(each, root=staging)
        _publish(staging, root)


@contextmanager
def _staging(root: Path, spec: DatasetSpec) -> Iterator[Path]:
    """Yield a private staging folder on the same disk, under a lock; remains of a killed fetch are removed first."""
    try:
        make_folder(root, mode=0o700)
        with FileLock(root / ".fetch.lock", timeout=0, mode=0o600):
            for leftover in root.glob(".fetch-*"):
                shutil.rmtree(leftover)
            staging = Path(tempfile.mkdtemp(prefix=".fetch-", dir=root))
            try:
                yield staging
            finally:
                shutil.rmtree(staging)
    except Timeout as error:
        raise DataError(f"Another process is currently fetching into {root}: wait until it has finished.") from error
    except OSError as error:
        how = remedy(error, f"set LAB_DATA to another folder, or use the built-in data set '{built_in_dataset().id}'")
        raise DataError(f"{spec.title} could not be written to {root} ({reason(error)}): {how}.") from error


def _fetch_file(
    file: RemoteFile, staging: Path, *, spec: DatasetSpec, root: Path, progress: Progress | None, timeout_s: float
) -> None:
    reasons = []
    packed = staging / "download"
    for url in file.urls:
        try:
            _download(url, packed, md5=file.md5, progress=progress, timeout_s=timeout_s)
        except _FetchError as error:
            reasons.append(f"{urlsplit(url).netloc}: {error}")
            continue
        _unpack(file, packed, staging)
        return
    place = (root / file.targets[0][1]).parent
    raise DataError(
        f"{spec.title} could not be fetched: {file.name} from {'; '.join(reasons)}. Try again later, put its files "
        f"into {place} yourself, or use the built-in data set '{built_in_dataset().id}'."
    )


class _FetchError(Exception):
    """The file could not be downloaded from one URL."""


def _download(url: str, target: Path, *, md5: str, progress: Progress | None, timeout_s: float) -> None:
    with _open(url, timeout_s=timeout_s) as response:
        length = response.headers.get("Content-Length") or "0"
        total = int(length) if length.isdecimal() else 0
        found = _store(_pieces(response), target, total=total, name=url.rsplit("/", 1)[-1], progress=progress)
    if found != md5:
        raise _FetchError("sent a file other than the published one (wrong MD5)")


def _open(url: str, *, timeout_s: float) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT})  # noqa: S310  fixed http(s) addresses
    try:
        return cast(http.client.HTTPResponse, urllib.request.urlopen(request, timeout=timeout_s))  # noqa: S310
    except urllib.error.HTTPError as error:
        raise _FetchError(f"answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _FetchError(str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:  # the response header was truncated, malformed or late
        raise _FetchError(str(error) or type(error).__name__) from error


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the received data. Network errors become `_FetchError`, which distinguishes them from disk errors."""
    while True:
        try:
            piece = response.read(_CHUNK)
        except TimeoutError as error:
            raise _FetchError("stopped sending") from error
        except (OSError, http.client.HTTPException) as error:
            raise _FetchError(f"connection lost ({error})") from error
        if not piece:
            return
        yield piece


def _store(pieces: Iterator[bytes], target: Path, *, total: int, name: str, progress: Progress | None) -> str:
    """Write the pieces to a file and return their MD5 (torchvision publishes no other digest)."""
    digest = hashlib.md5(usedforsecurity=False)
    done = 0
    with target.open("wb") as stream:
        for piece in pieces:
            done += len(piece)
            if done > MAX_DOWNLOAD:
                raise _FetchError(f"sent more than {MAX_DOWNLOAD:,} bytes")
            digest.update(piece)
            stream.write(piece)
            if progress is not None:
                progress(name, done, total)
    if total and done != total:
        raise _FetchError(f"sent only {done:,} of {total:,} bytes")
    return digest.hexdigest()


def _unpack(file: RemoteFile, packed: Path, staging: Path) -> None:
    """Unpack the targets of a download into the staging folder, under the spec's names, and delete the download."""
    try:
        for member, path in file.targets:
            target = staging / path
            make_folder(target.parent)
            if member:
                with zipfile.ZipFile(packed) as archive, archive.open(member) as inner, gzip.open(inner) as stream:
                    _copy(stream, target)
            elif path.endswith(".bz2"):
                packed.replace(target)
            else:
                with gzip.open(packed) as stream:
                    _copy(stream, target)
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise DataError(f"{file.name} cannot be unpacked ({error}): fetch it again.") from error
    packed.unlink(missing_ok=True)


def _copy(stream: IO[bytes] | gzip.GzipFile, target: Path) -> None:
    done = 0
    with target.open("wb") as out:
        while piece := stream.read(_CHUNK):
            done += len(piece)
            if done > MAX_BYTES:
                raise DataError(f"{target.name} unpacks to more than {MAX_BYTES:,} bytes: it is not the data set.")
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())


def _publish(staging: Path, root: Path) -> None:
    """Move the checked files into place; a data set counts as present only with all of them."""
    for source in sorted(path for path in staging.rglob("*") if path.is_file()):
        target = root / source.relative_to(staging)
        make_folder(target.parent)
        rename_synced(source, target)
