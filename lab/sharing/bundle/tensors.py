"""Checks the header of an untrusted safetensors file: names, types, shapes and offsets must be exactly as expected.

The format has no checksum and leaves some freedom (gaps, order, arbitrary metadata); none of it is allowed here.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from lab.formatting import plural
from lab.runs.records import WEIGHTS
from lab.sharing.bundle.layout import MAX_HEADER, MAX_TENSORS
from lab.sharing.bundle.strict_reading import Fields, items, read_json, refuse, whole

_METADATA = "__metadata__"
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
Expected = Mapping[str, tuple[str, tuple[int, ...]]]  # name -> (type, shape)


def header_bytes(start: bytes, name: str, *, size: int) -> int:
    """Return the length of the header, read from the first eight bytes of a file of `size` bytes."""
    length = int.from_bytes(start[:8], "little")
    if len(start) < 8 or not 2 <= length <= min(MAX_HEADER, size - 8):
        refuse(f"{name} is not a safetensors file")
    return length


def read_header(
    data: bytes, name: str, *, body: int
) -> tuple[dict[str, tuple[str, tuple[int, ...], int]], dict[str, Any]]:
    """Return (type, shape, offset) by name, and the lab's metadata.

    Raises `InputError` if the tensors do not fill `body` bytes without gaps.
    """
    header = read_json(data, name)
    words = _own_metadata(header.pop(_METADATA, {}), name)
    if len(header) > MAX_TENSORS:
        refuse(f"{name} has {len(header):,} tensors, more than {MAX_TENSORS:,}")
    found = {}
    places = []
    for tensor, described in header.items():
        fields = Fields(described, f"{tensor[:60]!r} of {name}")
        dtype = fields.take("dtype", _known_type)
        shape = fields.take("shape", items(whole(0, 2**40), most=8))
        begin, end = fields.take("data_offsets", _pair)
        fields.done()
        if end - begin != math.prod(shape) * _ITEM_BYTES[dtype]:
            refuse(f"{tensor[:60]!r} of {name} does not have the length that its shape requires")
        found[tensor] = (dtype, shape, begin)
        places.append((begin, end))
    _check_places(sorted(places), name, body=body)
    return found, words


def _known_type(value: Any) -> str:
    if not isinstance(value, str) or value not in _ITEM_BYTES:
        raise ValueError("is not a known data type")
    return value


def _pair(value: Any) -> tuple[int, ...]:
    pair = items(whole(0, 2**40), most=2)(value)
    if len(pair) != 2:
        raise ValueError("is not a pair of offsets")
    return pair


def _check_places(places: list[tuple[int, int]], name: str, *, body: int) -> None:
    position = 0
    for begin, end in places:
        if begin != position:
            refuse(f"{name} has gaps or overlaps")
        position = end
    if position != body:
        size = plural(abs(body - position), "byte")
        refuse(f"{name} is {size} {'longer' if body > position else 'shorter'} than its tensors")


def _own_metadata(metadata: Any, name: str) -> dict[str, Any]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        refuse(f"{name} has invalid metadata")
    return read_json(metadata["convlab"].encode(errors="replace"), name) if "convlab" in metadata else {}


def check_weights(header: bytes, name: str, *, body: int, expected: Expected, arch: str, step: int, epoch: int) -> None:
    """Raise `InputError` unless the weights are those of this network, saved after this step."""
    found, words = read_header(header, name, body=body)
    odd = sorted(found.keys() ^ expected.keys()) or sorted(n for n in found if found[n][:2] != expected[n])
    if odd:
        refuse(f"{odd[0][:60]!r} of {name} is not a tensor of {arch} with these options")
    stated = {key: words.get(key) for key in ("format", "kind", "arch", "step", "epoch")}
    if stated != {"format": 1, "kind": WEIGHTS, "arch": arch, "step": step, "epoch": epoch}:
        refuse(f"{name} states that it is {json.dumps(stated)[:120]}")
