"""Machines that share no files with the lab: the token for joining, and the checks before such a machine may train."""

import secrets
from dataclasses import replace
from hashlib import sha256

from sqlalchemy import make_url

from lab.errors import ArtifactError, ConfigError, JoinRefusedError
from lab.join_token import JoinToken
from lab.runs.artifacts import IN_DATABASE, ArtifactStore
from lab.runs.database import Database
from lab.runs.hosts import HostRecord, Release, boot_of
from lab.runs.owner import Owner, this_host
from lab.runs.store import RunStore
from lab.settings import Settings
from lab.text import hide_password
from lab.worker.supervisor.slots import host_slot_names

PROBE = "joining/probe"  # an artifact: a machine that can read it uses the same location as the lab
_LOCAL = {"localhost", "127.0.0.1", "::1", ""}


def make_token(
    settings: Settings, store: RunStore, artifacts: ArtifactStore, *, database: str = "", place: str = ""
) -> str:
    """Return the token of a lab, and record the lab's release, which joining machines must have.

    database, place: URLs of the store and the saved files as seen by other machines, if they differ from the lab's own.
    Raises `ConfigError` for URLs that no other machine can reach.
    """
    settings.require_writable()
    address, files = database or settings.database, place or settings.artifacts
    _require_reachable(address, files)
    digest = _write_probe(artifacts)
    store.hosts.set_release(Release.of_this_machine(), host=this_host())
    return JoinToken(address, files, digest).encode()


def _require_reachable(database: str, place: str) -> None:
    """Raise `ConfigError` unless another machine can reach both URLs."""
    if Database.is_sqlite_url(database):
        raise ConfigError(
            "This lab's store is an SQLite file, which only its own machine can open: start the lab with LAB_DATABASE "
            "on a Postgres server (docs/scale.md has the steps, including how to move the runs)."
        )
    if (make_url(database).host or "") in _LOCAL:
        raise ConfigError(
            f"LAB_DATABASE names the server {make_url(database).host or 'of this machine'!r}, which on another machine "
            "is that machine itself: start the lab with the server's network name, or pass that with --database."
        )
    if "://" not in place:
        raise ConfigError(
            f"Saved files are in {place[:80]}, a folder of this machine: set LAB_ARTIFACTS to {IN_DATABASE} (the "
            "database itself), s3://bucket/lab, or file:///mnt/lab for a folder that all machines mount there."
        )


def _write_probe(artifacts: ArtifactStore) -> str:
    """Return the SHA-256 of the probe, which is written if there is none."""
    if artifacts.has(PROBE):
        found = b"".join(artifacts.read_parts(PROBE))
        if found:
            return sha256(found).hexdigest()
    return artifacts.write(PROBE, secrets.token_bytes(32))[0]


def join(settings: Settings, text: str) -> Settings:
    """Join the lab of a token and return the settings for this machine's workers.

    The workers use a separate folder in the home of this machine, which also holds the data sets that they download.
    Raises `InputError` for a bad token, `JoinRefusedError`, `StoreError` or `ArtifactError`.
    """
    token = JoinToken.decode(text)
    home = settings.home / f"joined-{sha256(token.database.encode()).hexdigest()[:8]}"
    joined = replace(
        settings, home=home, data=home / "data", database=token.database, artifacts=token.artifacts, read_only=False
    )
    joined.make_home()
    store = RunStore.open(joined.database, migrating=False)
    try:
        _check_place(token, store)
        release = Release.of_this_machine()
        boot = boot_of(Owner.of_this_process().pid_start)
        store.hosts.join(
            HostRecord(
                this_host(),
                joined=True,
                engine=release.engine,
                torch=release.torch,
                boot=boot,
                slots=host_slot_names(joined),
            )
        )
    finally:
        store.close()
    return joined


def _check_place(token: JoinToken, store: RunStore) -> None:
    """Raise `JoinRefusedError` unless this machine reads and writes the same saved files as the lab."""
    artifacts = ArtifactStore(token.artifacts, database=store.database)
    trial = f"joining/{secrets.token_hex(8)}"
    try:
        for _ in artifacts.read_parts(PROBE, sha256=token.probe):
            pass
        artifacts.write(trial, b"")
        artifacts.delete([trial])
    except (ArtifactError, OSError) as error:
        raise JoinRefusedError(
            f"The lab's saved files cannot be read and written from here ({error}): make {hide_password(token.artifacts)} "
            "reachable, or mount the same folder."
        ) from error
