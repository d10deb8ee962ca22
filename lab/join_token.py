"""The token with which another machine joins a lab: the addresses of store and artifacts in one line with a checksum.

It contains any passwords in those addresses, so it is as secret as they are.
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
_MAX = 10_000  # limit for the characters of a token and for its uncompressed bytes
_AGAIN = "copy the whole line that `convlab machines token` prints"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a machine needs to join.

    database: SQLAlchemy URL. artifacts: fsspec URL. probe: SHA-256 of a file stored among the artifacts.
    """

    database: str
    artifacts: str
    probe: str

    def encode(self) -> str:
        """Return the token as text: version, content and checksum, joined by dots."""
        packed = zlib.compress(json.dumps(asdict(self), sort_keys=True).encode(), 9)
        body = base64.urlsafe_b64encode(packed).decode().rstrip("=")
        head = f"{_KIND}{_VERSION}"
        return f"{head}.{body}.{_checksum(head, body)}"

    @classmethod
    def decode(cls, text: str) -> "JoinToken":
        """Return the token encoded in `text`. Raises `InputError` if it is malformed, cut off or of a newer release."""
        head, _, rest = text.strip().partition(".")
        body, _, checksum = rest.rpartition(".")
        version = head.removeprefix(_KIND)
        if not (head.startswith(_KIND) and version.isascii() and version.isdecimal()):
            raise InputError(f"{text.strip()[:24]!r} is not a token, which starts with '{_KIND}{_VERSION}.': {_AGAIN}.")
        if int(version[:9]) > _VERSION:
            raise InputError(
                f"The token has version {version[:9]}, but this release of ConvLab reads version {_VERSION}: "
                "install the lab's release here."
            )
        if len(text) > _MAX or checksum != _checksum(head, body):
            raise InputError(f"The token is incomplete or altered (its checksum differs): {_AGAIN}.")
        try:
            unpacker = zlib.decompressobj()
            values = json.loads(unpacker.decompress(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), _MAX))
            token = cls(*(values[name] for name in ("database", "artifacts", "probe")))
        except (binascii.Error, zlib.error, ValueError, KeyError, TypeError) as error:
            raise InputError(f"The token cannot be read: {_AGAIN}.") from error
        if not all(isinstance(value, str) for value in asdict(token).values()):
            raise InputError(f"The token cannot be read: {_AGAIN}.")
        return token


def _checksum(head: str, body: str) -> str:
    return hashlib.sha256(f"{head}.{body}".encode()).hexdigest()[:_SUM]
