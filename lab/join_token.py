"""The token that lets another machine train for a lab: where the store and the saved files are, in one checked line of text.

It holds whatever passwords those addresses hold, so it is as secret as they are.
"""

import base64
import binascii
import hashlib
import json
import zlib
from dataclasses import asdict, dataclass

from lab.errors import InputError

_KIND = "convlab"
_VERSION = 1
_SUM = 10  # characters of the digest at the end
_MOST = 10_000  # characters of a token, and bytes that it may unpack to
_AGAIN = "copy the whole line that `convlab machines token` prints"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a machine needs to join. database: SQLAlchemy URL. artifacts: fsspec URL. probe: SHA-256 of a file that is there."""

    database: str
    artifacts: str
    probe: str

    def encode(self) -> str:
        """Return the token as text: its version, its content and a checksum, joined by dots."""
        packed = zlib.compress(json.dumps(asdict(self), sort_keys=True).encode(), 9)
        body = base64.urlsafe_b64encode(packed).decode().rstrip("=")
        head = f"{_KIND}{_VERSION}"
        return f"{head}.{body}.{_checksum(head, body)}"

    @classmethod
    def decode(cls, text: str) -> "JoinToken":
        """Read a token. Raises `InputError` for one that is broken, cut, or of a newer release."""
        head, _, rest = text.strip().partition(".")
        body, _, checksum = rest.rpartition(".")
        version = head.removeprefix(_KIND)
        if not (head.startswith(_KIND) and version.isascii() and version.isdecimal()):
            raise InputError(f"{text.strip()[:24]!r} is not a token, which begins with '{_KIND}{_VERSION}.': {_AGAIN}.")
        if int(version[:9]) > _VERSION:
            raise InputError(
                f"The token has version {version[:9]}, but this release of ConvLab reads version {_VERSION}: install the lab's "
                "release here."
            )
        if len(text) > _MOST or checksum != _checksum(head, body):
            raise InputError(f"The token is cut or changed (its checksum differs): {_AGAIN}.")
        try:
            unpacker = zlib.decompressobj()
            values = json.loads(unpacker.decompress(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), _MOST))
            token = cls(*(values[name] for name in ("database", "artifacts", "probe")))
        except (binascii.Error, zlib.error, ValueError, KeyError, TypeError) as error:
            raise InputError(f"The token cannot be read: {_AGAIN}.") from error
        if not all(isinstance(value, str) for value in asdict(token).values()):
            raise InputError(f"The token cannot be read: {_AGAIN}.")
        return token


def _checksum(head: str, body: str) -> str:
    return hashlib.sha256(f"{head}.{body}".encode()).hexdigest()[:_SUM]
