"""An object store that answers or not as a test says: the foreign system of `test_files_outage.py`.

Like the libraries of real ones it raises errors that are no `OSError` while it is away.
"""

from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class AwayError(Exception):
    """As botocore's `EndpointConnectionError`."""


class AwayFileSystem(MemoryFileSystem):
    """Files in memory under away://. refuse: by operation, how many of the next calls are not answered, -1 for all.

    after: how many writes are answered before `refuse` begins. asked: the operations so far.
    """

    protocol = "away"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    refuse: ClassVar[dict[str, int]] = {}
    after: ClassVar[int] = 0
    asked: ClassVar[list[str]] = []

    @classmethod
    def reset(cls) -> None:
        """Empty it and let it answer."""
        cls.store.clear()
        cls.refuse, cls.after, cls.asked = {}, 0, []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).replace("away://", "memory://")))

    def _ask(self, operation: str) -> None:
        kind = type(self)
        kind.asked.append(operation)
        if operation == "write" and kind.after:
            kind.after -= 1
            return
        left = kind.refuse.get(operation, 0)
        if left:
            kind.refuse[operation] = left - 1 if left > 0 else left
            raise AwayError("Could not connect to the endpoint URL")

    def pipe_file(self, path: str, value: bytes, *rest: Any, **more: Any) -> None:
        self._ask("write")
        super().pipe_file(path, value, *rest, **more)

    def cat_file(self, path: str, *rest: Any, **more: Any) -> bytes:
        self._ask("read")
        return bytes(super().cat_file(path, *rest, **more))

    def exists(self, path: str, **more: Any) -> bool:
        self._ask("look")
        return bool(super().exists(path, **more))

    def rm_file(self, path: str) -> None:
        self._ask("delete")
        super().rm_file(path)


fsspec.register_implementation("away", AwayFileSystem, clobber=True)
