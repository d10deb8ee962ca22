"""Saved files: written completely or not at all, and never returned unless their SHA-256 is the one the store lists.

Local files are written by `lab.atomic_files`. Other locations (any fsspec URL, or the store's own database) write an
object atomically themselves. Paths come from the lab, never from a user, and are checked all the same.

A location that does not respond raises `ArtifactsUnreachableError`, and a training waits for it. The libraries of
object stores raise their own errors: there every error counts as one, except definite answers (no file, no access).
"""

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from lab.atomic_files import TEMPORARY, write_atomically
from lab.errors import ArtifactError, ArtifactsUnreachableError, LabError, ReadOnlyError
from lab.runs.database import Database
from lab.runs.database_files import DatabaseFiles
from lab.runs.records import SavedFile
from lab.system_errors import reason, remedy
from lab.text import hide_password

IN_DATABASE = "database://"  # as LAB_ARTIFACTS: saved files are in the database of the store
_PIECE = 1 << 20  # bytes
_DEFINITE_ERRORS = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    FileExistsError,
    ImportError,
)
# Raised by botocore before it sends a request.
_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"})
# Reported by the system for a network folder whose server is unreachable.
_UNREACHABLE_ERRNOS = frozenset(
    number
    for name in ("ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENOTCONN", "EREMOTEIO")
    if (number := getattr(errno, name, None)) is not None
)
STRAY_AFTER_S = 3600.0  # no regular write takes an hour: an older temporary file has lost its writer
# s3fs tries five times, and botocore five times within each try, with 15 s for a response, so an endpoint that drops
# requests would be detected after minutes only. A user's FSSPEC_S3_CONFIG_KWARGS takes precedence.
_ONE_TRY = {"config_kwargs": {"connect_timeout": 5, "read_timeout": 15, "retries": {"total_max_attempts": 1}}}


def _options(url: str) -> dict[str, Any]:
    protocol = fsspec.core.split_protocol(url)[0]
    known = protocol == "s3" and "config_kwargs" not in fsspec.config.conf.get("s3", {})
    return _ONE_TRY if known else {}


class ArtifactStore:
    """Bytes by relative path under one root: a folder, an fsspec URL, or the store's own database."""

    def __init__(self, url: str, *, read_only: bool = False, database: Database | None = None) -> None:
        self._files: Any
        try:
            if url == IN_DATABASE and database is not None:
                self._files, root = DatabaseFiles(database), "files"
            else:
                self._files, root = fsspec.core.url_to_fs(url, **_options(url))
        except (ImportError, ValueError) as error:
            raise ArtifactError(
                f"LAB_ARTIFACTS is {hide_password(url)!r}, which cannot be opened ({error}): give a folder or an fsspec URL."
            ) from error
        self.url, self.database = url, database
        self.read_only = read_only
        self._root = str(root).rstrip("/")
        self._is_local = isinstance(self._files, LocalFileSystem)
        # Their errors are the operating system's, or the store's own messages.
        self._has_plain_errors = self._is_local or isinstance(self._files, DatabaseFiles)

    @property
    def shown(self) -> str:
        """The location as shown to users: without a password."""
        return hide_password(self.url)

    @contextmanager
    def _explained(self, what: str, remedy: str | None = None) -> Iterator[None]:
        """Convert the errors of a file system: the message is `what`, the error in brackets, and `remedy`.

        remedy: None for a write, whose remedy depends on the error.
        """
        try:
            yield
        except LabError:
            raise
        except Exception as error:
            if self._has_plain_errors and not isinstance(error, OSError):
                raise
            words = reason(error) if isinstance(error, OSError) else str(error)
            words = " ".join((words or type(error).__name__).split())[:200]
            if self._is_unreachable(error):
                raise ArtifactsUnreachableError(
                    f"{what} ({words}): {self.shown} does not respond; check that it can be reached from here. "
                    "Training waits for it."
                ) from error
            raise ArtifactError(f"{what} ({words}): {remedy or self._write_remedy(error)}") from error

    def _is_unreachable(self, error: Exception) -> bool:
        if self._has_plain_errors:
            return isinstance(error, OSError) and error.errno in _UNREACHABLE_ERRNOS
        return not isinstance(error, _DEFINITE_ERRORS) and type(error).__name__ not in _NO_CREDENTIALS

    def write(self, path: str, data: bytes) -> tuple[str, int]:
        """Store bytes under a relative path, replacing any old file; return their SHA-256 and their number.

        Raises `ArtifactError` (disk full, no permission), in which case the old file is still intact, or
        `ArtifactsUnreachableError`.
        """
        target = self._writable(path)
        with self._explained(f"{path} ({len(data):,} bytes) could not be saved"):
            if self._is_local:
                write_atomically(Path(target), (data,))
            else:
                self._files.pipe_file(target, data)
        return hashlib.sha256(data).hexdigest(), len(data)

    def write_parts(self, path: str, parts: Iterable[bytes]) -> tuple[str, int]:
        """Store a file too large for memory, like `write`; return its SHA-256 and its size."""
        target, digest, size = self._writable(path), hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for part in parts:
                digest.update(part)
                size += len(part)
                yield part

        if self._is_local:
            with self._explained(f"{path} could not be saved"):
                write_atomically(Path(target), counted())
            return digest.hexdigest(), size
        with tempfile.TemporaryDirectory() as folder:  # an object is uploaded as a whole, once it is complete
            whole = Path(folder, "whole")
            with whole.open("wb") as file:
                file.writelines(counted())
            with self._explained(f"{path} ({size:,} bytes) could not be saved"):
                self._files.put_file(str(whole), target)
        return digest.hexdigest(), size

    def _writable(self, path: str) -> str:
        if self.read_only:
            raise ReadOnlyError("This lab is read-only, so no file was saved: start it without LAB_READ_ONLY.")
        return self._full(path)

    def _write_remedy(self, error: Exception) -> str:
        otherwise = "choose another location with LAB_ARTIFACTS"
        how = f"free disk space at {self.shown}, or {otherwise}"
        if isinstance(error, OSError) and error.errno:  # a library for remote storage may give no number
            how = remedy(error, otherwise, place=self.shown)
        return f"{how}, then try again or resume the run."

    def read(self, file: SavedFile) -> bytes:
        """Return the bytes of a saved file.

        Raises `ArtifactError` if they are missing or not the ones that were saved, or `ArtifactsUnreachableError`.
        """
        remedy = "choose another epoch, or train the run again."
        with self._explained(f"{file.path} of run {file.run} cannot be read", remedy):
            data: bytes = self._files.cat_file(self._full(file.path))
        if len(data) != file.bytes or hashlib.sha256(data).hexdigest() != file.sha256:
            raise ArtifactError(
                f"{file.path} of run {file.run} is not the file that was saved (its SHA-256 differs): choose another "
                "epoch, or train the run again."
            )
        return data

    def read_parts(self, path: str, *, sha256: str = "") -> Iterator[bytes]:
        """Yield a file in pieces, for one that is too large for memory.

        Raises `ArtifactError` if it cannot be read, or after the last piece if its SHA-256 is not the given one.
        """
        digest = hashlib.sha256()
        failing = f"{path} cannot be read at {self.shown}", "check that it can be reached."
        with self._explained(*failing):
            file = self._files.open(self._full(path), "rb")
        with file:
            while True:
                with self._explained(*failing):
                    piece = file.read(_PIECE)
                if not piece:
                    break
                digest.update(piece)
                yield piece
        if sha256 and digest.hexdigest() != sha256:
            raise ArtifactError(
                f"{path} at {self.shown} is not the file that was stored (its SHA-256 differs): remove it."
            )

    def has(self, path: str) -> bool:
        """Return whether a file exists under a relative path. Raises `ArtifactsUnreachableError`."""
        with self._explained(f"{path} cannot be looked up", "check that the location can be reached."):
            return bool(self._files.exists(self._full(path)))

    def delete(self, paths: Iterable[str]) -> None:
        """Remove files; a missing one is not an error. Raises `ArtifactError`, `ArtifactsUnreachableError`."""
        if self.read_only:
            raise ReadOnlyError("This lab is read-only, so no file was deleted: start it without LAB_READ_ONLY.")
        for path in paths:
            full = self._full(path)
            with self._explained(f"{path} could not be deleted", f"check who may delete files at {self.shown}."):
                if self._is_local:
                    Path(full).unlink(missing_ok=True)
                    _remove_if_empty(Path(full).parent, Path(self._root))
                elif self._files.exists(full):
                    self._files.rm_file(full)

    def remove_stray_files(self) -> int:
        """Remove temporary files whose writer was killed; return their number. Only a local root has any."""
        if not self._is_local or self.read_only or not Path(self._root).is_dir():
            return 0
        limit = time.time() - STRAY_AFTER_S
        stray = [p for p in Path(self._root).rglob(f".*{TEMPORARY}") if p.is_file() and p.stat().st_mtime <= limit]
        for path in stray:
            path.unlink(missing_ok=True)
        return len(stray)

    def old_files(self, *, older_than_s: float = STRAY_AFTER_S) -> dict[str, float]:
        """Return the modification times of the files in runs' folders that are no longer written; local roots only."""
        if not self._is_local or not Path(self._root).is_dir():
            return {}
        limit = time.time() - older_than_s
        found = {}
        for run, file in _files_in_folders(self._root):
            written = file.stat().st_mtime
            if written <= limit and not file.name.startswith("."):
                found[f"{run}/{file.name}"] = written
        return found

    def _full(self, path: str) -> str:
        parts = PurePosixPath(path).parts
        plain = parts and not any(part.startswith((".", "/")) for part in parts)
        if not plain or any(sign in path for sign in "\\\0:"):
            raise ArtifactError(
                f"{path!r} is not a name for a saved file: use plain relative names such as run/epoch.bin."
            )
        return "/".join([self._root, *parts])


def _files_in_folders(root: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    # A starting supervisor looks at all files of the lab: for 100,000, `Path.rglob` takes 3 s and this takes 0.3 s.
    with os.scandir(root) as folders:
        for folder in folders:
            if folder.is_dir(follow_symlinks=False):
                with os.scandir(folder) as files:
                    yield from ((folder.name, file) for file in files if file.is_file(follow_symlinks=False))


def _remove_if_empty(folder: Path, root: Path) -> None:
    if folder == root or not folder.is_dir():
        return
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise
