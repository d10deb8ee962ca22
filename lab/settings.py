"""Where the lab keeps its things on this machine, from environment variables that mirror the CLI's flags.

Nothing here is read at import: the entry points call `Settings.from_env(os.environ)` once and pass the result on.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from lab.errors import ConfigError, LabError, ReadOnlyError
from lab.text import describe_character, hidden_character

# A worker's environment before it starts. Waiting threads sleep instead of spinning: half the time on a busy machine, no
# loss on a quiet one. glibc 2.35 and later asks for huge pages: networks with big feature maps are 4 to 5 % faster.
# cuBLAS reads its own setting once a process and is deterministic only with it, in whichever run asks for that.
PROCESS_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}

SAVED_FILES = "artifacts"  # the folder of saved files in a lab's home, unless they are placed elsewhere
SLOTS = "LAB_SLOTS"
OWNER = "LAB_OWNER"
ANNOUNCE = "LAB_ANNOUNCE"  # "text" or "json": `serve` has the server print its addresses
EVERY_NETWORK = ("0.0.0.0", "::")  # noqa: S104  hosts on which a server listens on all networks of its machine
BROWSER = "LAB_BROWSER"  # "1": it opens the browser too
OWNER_LIMIT = 60  # characters of a name
MOST_SLOTS = 64  # runs that one host trains at once: more processes than any machine has devices for
CHECKOUT = Path(__file__).resolve().parent.parent
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}
# A file by its path, relative or not; one in memory and SQLite's own `file:` addresses stay as they are.
_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!:memory:|file:)([^?]+)(\?.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Settings:
    """Places and switches of one lab.

    home: database, logs, locks. data: data sets in torchvision's layout. database: SQLAlchemy URL.
    artifacts: fsspec URL or path of saved files. device: "auto", "cpu", "cuda", "cuda:1", "mps".
    slots: how many runs this host trains at once, 0 where `LAB_SLOTS` does not say (`lab.worker.supervisor.slots`).
    owner: who asks for runs where nothing else is said, "" for no one in particular.
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
        """Build from `LAB_HOME`, `LAB_DATA`, `LAB_DATABASE`, `LAB_ARTIFACTS`, `LAB_DEVICE`, `LAB_READ_ONLY`, `LAB_SLOTS`
        and `LAB_OWNER`.

        Raises `ConfigError`.
        """
        home = _absolute(env.get("LAB_HOME") or CHECKOUT / ".lab")
        return cls(
            home=home,
            data=_absolute(env.get("LAB_DATA") or home / "data"),
            database=_absolute_database(env.get("LAB_DATABASE") or f"sqlite:///{_in_url(home / 'lab.db')}"),
            artifacts=_absolute_place(env.get("LAB_ARTIFACTS") or str(home / SAVED_FILES)),
            device=env.get("LAB_DEVICE") or "auto",
            read_only=_switch("LAB_READ_ONLY", env),
            slots=_slots(SLOTS, env),
            owner=_owner(OWNER, env),
        )

    def environment(self) -> dict[str, str]:
        """Return the variables that give a child process these same settings."""
        return {
            "LAB_HOME": str(self.home),
            "LAB_DATA": str(self.data),
            "LAB_DATABASE": self.database,
            "LAB_ARTIFACTS": self.artifacts,
            "LAB_DEVICE": self.device,
            "LAB_READ_ONLY": "1" if self.read_only else "",
            SLOTS: str(self.slots or ""),
            OWNER: self.owner,
        }

    def make_home(self) -> Path:
        """Create the home directory, private to its owner, and return it; a `LabError` says why it cannot be."""
        if not self.home.is_dir():
            try:
                self.home.mkdir(parents=True, mode=0o700)
                self.home.chmod(0o700)
            except OSError as error:
                raise LabError(
                    f"The lab's home {self.home} cannot be made ({error.strerror}): set LAB_HOME to a folder that can "
                    "be written."
                ) from error
        return self.home

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` in a lab that must not change anything."""
        if self.read_only:
            raise ReadOnlyError(
                "This lab is read-only (--read-only or LAB_READ_ONLY): start it without to train, fetch or change anything."
            )


def _absolute(place: str | Path) -> Path:
    """Return a place as it is meant from here: a worker starts in the checkout, not where its lab was opened."""
    return user_path(place).absolute()


def user_path(place: str | Path) -> Path:
    """Return a path with its ~ read; where there is no such user, it is a name like any other."""
    return Path(os.path.expanduser(place))  # noqa: PTH111  pathlib's own raises there


def _switch(name: str, env: Mapping[str, str]) -> bool:
    """Return whether a variable is set; a word that is neither yes nor no is refused, for it may be meant as a yes."""
    word = env.get(name, "").strip().lower()
    if word not in _TRUE | _FALSE:
        raise ConfigError(f"{name} is {word!r}, but it must be 1, true, yes or on, or 0, false, no, off or empty.")
    return word in _TRUE


def _slots(name: str, env: Mapping[str, str]) -> int:
    """Return a number of slots, 0 if none is given."""
    text = env.get(name, "").strip()
    count = parse_slots(text)
    if text and not count:
        raise ConfigError(f"{name} is {text[:40]!r}, but it must be a whole number from 1 to {MOST_SLOTS}.")
    return count


def parse_slots(text: str) -> int:
    """Return the number of slots that a text names, 0 if it names none from 1 to `MOST_SLOTS`."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 and int(text) <= MOST_SLOTS else 0


def _owner(name: str, env: Mapping[str, str]) -> str:
    """Return the name of an owner, as the run store takes it (`lab.runs.edits.checked_owner`)."""
    owner = env.get(name, "").strip()
    hidden = hidden_character(owner)
    if hidden is not None:
        raise ConfigError(f"{name} holds the {describe_character(hidden)}, which cannot be shown: remove it.")
    if len(owner) > OWNER_LIMIT:
        raise ConfigError(f"{name} has {len(owner)} characters, but at most {OWNER_LIMIT} fit: shorten it.")
    return owner


def _absolute_place(place: str) -> str:
    return place if "://" in place else str(_absolute(place))


def _absolute_database(url: str) -> str:
    found = _SQLITE_FILE.fullmatch(url)
    return f"{found[1]}{_in_url(_absolute(unquote(found[2])))}{found[3] or ''}" if found else url


def _in_url(path: Path) -> str:
    """Write a path so that an address means this file: a folder's ? would begin a query, and its %20 be a space."""
    return str(path).replace("%", "%25").replace("?", "%3F")
