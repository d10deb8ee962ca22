"""An object store in memory that a test can make unreachable, for `test_files_outage.py`.

Like the libraries of real object stores, it raises errors other than `OSError` while it is unreachable.
"""

from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class UnreachableError(Exception):
    """Like botocore's `EndpointConnectionError`."""


class AwayFileSystem(MemoryFileSystem):
    """Files in memory under away://. refuse: how many of the next calls of each operation fail, -1 for all.

    after: how many writes succeed before `refuse` applies. operations: the operations so far.
    """

    protocol = "away"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    refuse: ClassVar[dict[str, int]] = {}
    after: ClassVar[int] = 0
    operations: ClassVar[list[str]] = []

    @classmethod
    def reset(cls) -> None:
        """Remove all files and make it reachable."""
        cls.store.clear()
        cls.refuse, cls.after, cls.operations = {}, 0, []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).replace("away://", "memory://")))

    def _begin(self, operation: str) -> None:
        kind = type(self)
        kind.operations.append(operation)
        if operation == "write" and kind.after:
            kind.after -= 1
            return
        left = kind.refuse.get(operation, 0)
        if left:
            kind.refuse[operation] = left - 1 if left > 0 else left
            raise UnreachableError("Could not connect to the endpoint URL")

    def pipe_file(self, path: str, value: bytes, *rest: Any, **more: Any) -> None:
        self._begin("write")
        super().pipe_file(path, value, *rest, **more)

    def cat_file(self, path: str, *rest: Any, **more: Any) -> bytes:
        self._begin("read")
        return bytes(super().cat_file(path, *rest, **more))

    def exists(self, path: str, **more: Any) -> bool:
        self._begin("look")
        return bool(super().exists(path, **more))

    def rm_file(self, path: str) -> None:
        self._begin("delete")
        super().rm_file(path)


fsspec.register_implementation("away", AwayFileSystem, clobber=True)
