"""The lab's storage locations and switches, read from environment variables that mirror the CLI's flags.

Nothing is read at import: the entry points call `Settings.from_env(os.environ)` once and pass the result on.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lab.atomic_files import make_folder
from lab.errors import ConfigError, LabError, ReadOnlyError
from lab.system_errors import reason, remedy
from lab.text import text_problem

# Set before a worker starts. Waiting threads sleep instead of spinning, which halves the time on a busy machine and
# costs nothing on an idle one. glibc 2.35 and later requests huge pages, which makes networks with large feature maps 4
# to 5 % faster. cuBLAS reads its setting once per process and cannot be deterministic without it.
PROCESS_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}

SAVED_FILES = "artifacts"  # default folder of the artifacts in a lab's home
HOME = "LAB_HOME"
DATA = "LAB_DATA"
ARTIFACTS = "LAB_ARTIFACTS"
DATABASE = "LAB_DATABASE"
SLOTS = "LAB_SLOTS"
OWNER = "LAB_OWNER"
ANNOUNCE = "LAB_ANNOUNCE"  # "text" or "json": the format in which the server prints its addresses, set by `serve`
EVERY_NETWORK = ("0.0.0.0", "::")  # noqa: S104  hosts with which a server listens on all network interfaces
EMBED = "LAB_EMBED"  # origins whose pages may show the lab in a frame, separated by spaces; set by `serve --embed`
BROWSER = "LAB_BROWSER"  # "1": the server also opens the browser
OWNER_LIMIT = 60  # characters of a name
MAX_SLOTS = 64  # runs that one host trains at once: more than any machine has devices for
CHECKOUT = Path(__file__).resolve().parent.parent
_MAX_NAME = 255  # bytes, of nearly every file system
_MAX_PATH = 3_800  # bytes: Linux allows 4,095, of which the lab's own folders and files need some
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}
# Only what RFC 6454 allows, so that nothing in it ends a directive of the Content-Security-Policy.
_ORIGIN = re.compile(r"https?://([a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?")
# A file by its relative or absolute path; databases in memory and SQLite's `file:` URIs do not match.
_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!:memory:|file:)([^?]+)(\?.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Settings:
    """Storage locations and switches of one lab.

    home: folder of database, logs and locks. data: folder of data sets in torchvision's layout. database: SQLAlchemy
    URL. artifacts: fsspec URL or path of the artifacts. device: "auto", "cpu", "cuda", "cuda:1", "mps". slots: how many
    runs this host trains at once, 0 if `LAB_SLOTS` is not set (`lab.worker.supervisor.slots`). owner: the default owner
    of new runs, "" for none.
    """

    home: Path
    data: Path
    database: str
    artifacts: str
    device: str = "auto"
    read_only: bool = False
    slots: int = 0
    owner: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Build the settings from environment variables. Raises `ConfigError` for an invalid value.

        `LAB_HOME`, `LAB_DATA`, `LAB_DATABASE`, `LAB_ARTIFACTS`, `LAB_DEVICE`, `LAB_READ_ONLY`, `LAB_SLOTS`,
        `LAB_OWNER`.
        """
        home = _absolute(env.get(HOME) or default_home(CHECKOUT), HOME)
        return cls(
            home=home,
            data=_absolute(env.get(DATA) or home / "data", DATA),
            database=_absolute_database(env.get(DATABASE) or sqlite_url(home / "lab.db")),
            artifacts=_absolute_place(env.get(ARTIFACTS) or str(home / SAVED_FILES)),
            device=env.get("LAB_DEVICE") or "auto",
            read_only=_switch("LAB_READ_ONLY", env),
            slots=_slots(SLOTS, env),
            owner=_owner(OWNER, env),
        )

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give a child process the same settings."""
        return {
            HOME: str(self.home),
            DATA: str(self.data),
            DATABASE: self.database,
            ARTIFACTS: self.artifacts,
            "LAB_DEVICE": self.device,
            "LAB_READ_ONLY": "1" if self.read_only else "",
            SLOTS: str(self.slots or ""),
            OWNER: self.owner,
        }

    def make_home(self) -> Path:
        """Create the home directory with mode 0700 and return it. Raises `LabError` if it cannot be created."""
        try:
            if not self.home.is_dir():
                make_folder(self.home, mode=0o700)
                self.home.chmod(0o700)
        except OSError as error:
            how = remedy(error, "set LAB_HOME to a folder that can be written")
            raise LabError(f"The lab's home {self.home} cannot be created ({reason(error)}): {how}.") from error
        return self.home

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` in a lab that must not change anything."""
        if self.read_only:
            raise ReadOnlyError(
                "This lab is read-only (--read-only or LAB_READ_ONLY): "
                "start it without to train, fetch or change anything."
            )


def default_home(code: Path) -> Path:
    """Return the home without `LAB_HOME`: in the checkout, but not in a site-packages folder, which pip may delete.

    code: the folder of the lab's packages.
    """
    return code / ".lab" if (code / "pyproject.toml").is_file() else user_path("~/.convlab")


def _absolute(place: str | Path, name: str) -> Path:
    """Return an absolute path, because a worker starts in the checkout and not in the lab's working directory.

    name: of the variable, for the error if no file system can hold the path.
    """
    path = user_path(place).absolute()
    if len(os.fsencode(path)) > _MAX_PATH or any(len(os.fsencode(part)) > _MAX_NAME for part in path.parts):
        raise ConfigError(
            f"{name} is {path}, but a path may have {_MAX_PATH:,} bytes and each of its names {_MAX_NAME}: shorten it."
        )
    return path


def user_path(place: str | Path) -> Path:
    """Return a path with `~` expanded; if there is no such user, the `~` is kept as part of the name."""
    return Path(os.path.expanduser(place))  # noqa: PTH111  `Path.expanduser` raises then


def _switch(name: str, env: Mapping[str, str]) -> bool:
    """Return whether a switch is on. Raises `ConfigError` for an unknown word, which may be meant as "on"."""
    word = env.get(name, "").strip().lower()
    if word not in _TRUE | _FALSE:
        raise ConfigError(f"{name} is {word!r}, but it must be 1, true, yes or on, or 0, false, no, off or empty.")
    return word in _TRUE


def _slots(name: str, env: Mapping[str, str]) -> int:
    """Return the number of slots, 0 if the variable is not set."""
    text = env.get(name, "").strip()
    count = parse_slots(text)
    if text and not count:
        raise ConfigError(f"{name} is {text[:40]!r}, but it must be a whole number from 1 to {MAX_SLOTS}.")
    return count


def parse_slots(text: str) -> int:
    """Return the number of slots in a text, or 0 if it is not a number from 1 to `MAX_SLOTS`."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 and int(text) <= MAX_SLOTS else 0


def _owner(name: str, env: Mapping[str, str]) -> str:
    """Return the trimmed name of the owner."""
    owner = env.get(name, "")
    if problem := text_problem(owner, OWNER_LIMIT):
        raise ConfigError(f"{name} {problem}.")
    return owner.strip()


def embedding_sites(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the origins of the sites whose pages may show the lab in a frame. Raises `ConfigError` for another text.

    They are checked because they become part of a header.
    """
    sites = tuple(env.get(EMBED, "").split())
    for site in sites:
        if not _ORIGIN.fullmatch(site):
            raise ConfigError(
                f"{site[:60]!r} (--embed or {EMBED}) is not the origin of a site: write scheme, host and, if there is "
                "one, port, such as https://moodle.example."
            )
    return sites


def _absolute_place(place: str) -> str:
    return place if "://" in place else str(_absolute(place, ARTIFACTS))


def _absolute_database(url: str) -> str:
    found = _SQLITE_FILE.fullmatch(url)
    return f"{found[1]}{_in_url(_absolute(unquote(found[2]), DATABASE))}{found[3] or ''}" if found else url


def sqlite_url(path: Path) -> str:
    """Return the SQLAlchemy URL of an SQLite file."""
    return f"sqlite:///{_in_url(path)}"


def with_resolved_links(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of `Settings.environment` with the symbolic links in their paths resolved, to compare them.

    `Settings` itself keeps the paths as given: a link may be what this path has in common on several machines.
    """
    paths = (HOME, DATA, ARTIFACTS, DATABASE)
    return {name: _resolved(value) if name in paths else value for name, value in environment.items()}


def _resolved(place: Any) -> Any:
    if not isinstance(place, str):
        return place
    found = _SQLITE_FILE.fullmatch(place)
    if found:
        return f"{found[1]}{_in_url(_real(unquote(found[2])))}{found[3] or ''}"
    return place if "://" in place else str(_real(place))


def _real(path: str) -> Path:
    return Path(os.path.realpath(path))  # `Path.resolve` raises for a circle of links


def _in_url(path: Path) -> str:
    """Escape a path for a URL, where `?` would start a query and a literal `%20` would become a space."""
    return str(path).replace("%", "%25").replace("?", "%3F")
