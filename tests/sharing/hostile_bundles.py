"""Malicious and damaged bundles, made from one valid bundle; each is a name and its bytes."""

import gzip
import hashlib
import io
import json
import pickle
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

Files = dict[str, bytes]
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR = 0o100644 << 16
RUN, POINTS = "runs/0/run.json", "runs/0/points.safetensors"
CANARY = "convlab-canary"


class Bomb:
    """An object that runs a shell command when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        import os

        return os.system, (f"touch /tmp/{CANARY}",)


def unpack(bundle: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(files: Files, *, attributes: dict[str, int] | None = None, packing: int = zipfile.ZIP_STORED) -> bytes:
    """Return the files as a zip, under any names."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo("placeholder", _EPOCH)
            entry.filename = name
            entry.create_system, entry.compress_type = 3, packing
            entry.external_attr = (attributes or {}).get(name, _REGULAR)
            archive.writestr(entry, data)
    return target.getvalue()


def sealed(files: Files) -> Files:
    """Return the files with a manifest that matches them, as a careful attacker would."""
    manifest = json.loads(files["manifest.json"])
    rest = {name: data for name, data in files.items() if name != "manifest.json"}
    manifest["files"] = [
        {"bytes": len(data), "name": name, "sha256": hashlib.sha256(data).hexdigest()} for name, data in rest.items()
    ]
    return {"manifest.json": json.dumps(manifest).encode(), **rest}


def weights_of(files: Files) -> str:
    return next(name for name in files if "weights-" in name)


def every_case(bundle: bytes, *, only: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every case, or of those of one group."""
    for group in (_no_zip, _damaged, _names, _attributes, _structure, _bombs, _pickles, _manifests, _records, _tensors):
        if not only or group.__name__ == f"_{only}":
            for name, data in group(bundle):
                yield f"{group.__name__[1:]}: {name}", data


def _no_zip(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "text", b"hello"
    yield "gzip", gzip.compress(bundle)
    yield "only the end of a zip", bundle[-22:]
    yield "an empty zip", pack({})
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        entry = tarfile.TarInfo("../evil")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    yield "tar", target.getvalue()
    yield "zip in zip", pack({"bundle.zip": bundle})


def _damaged(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    rng = random.Random(5)
    for _ in range(15):
        cut = rng.randrange(len(bundle))
        yield f"cut at {cut}", bundle[:cut]
    for _ in range(40):
        place = rng.randrange(len(bundle))
        flipped = bytearray(bundle)
        flipped[place] ^= 1 << rng.randrange(8)
        yield f"bit of byte {place}", bytes(flipped)
    yield "a byte in front", b"x" + bundle
    yield "a byte behind", bundle + b"x"
    yield "a program in front", b"#!/bin/sh\nrm -rf /\n" + bundle


def _names(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    files = unpack(bundle)
    odd = (
        "../evil",
        "runs/0/../../evil",
        "/etc/passwd",
        "C:\\evil",
        "\\\\host\\share\\evil",
        "runs\\0\\run.json",
        "runs/0/run.json\0.txt",
        "runs/00/run.json",
        "runs/０/run.json",
        "RUNS/0/RUN.JSON",
        "runs//0/run.json",
        "./runs/0/run.json",
        ".hidden",
        "runs/0/",
        "a" * 5000,
        "runs/0/weights-000000006.pt",
        "runs/0/run.json ",
        "runs/0/rün.json",
        "runs/0/con",
        "runs/-1/run.json",
        "runs/1000/run.json",
        "file:///etc/passwd",
        "%2e%2e/evil",
        "runs/0/run.json:stream",
    )
    for name in odd:
        yield f"another file called {name[:30]!r}", pack(sealed({**files, name: b"evil"}))
        renamed = {name if old == RUN else old: data for old, data in files.items()}
        yield f"the record called {name[:30]!r}", pack(sealed(renamed))


def _attributes(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    files = unpack(bundle)
    kinds = {"symlink": 0o120777, "folder": 0o040755, "device": 0o060644, "pipe": 0o010644, "socket": 0o140644}
    for name in (RUN, weights_of(files)):
        for kind, mode in kinds.items():
            yield f"{name} is a {kind}", pack(files, attributes={name: mode << 16})
        yield f"{name} is a DOS folder", pack(files, attributes={name: _REGULAR | 0x10})


def _structure(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    files = unpack(bundle)
    for name in files:
        yield f"without {name}", pack({n: d for n, d in files.items() if n != name})
        if name != "manifest.json":
            yield f"sealed without {name}", pack(sealed({n: d for n, d in files.items() if n != name}))
    target = io.BytesIO(bundle)
    with zipfile.ZipFile(target, "a") as archive:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(RUN, b"{}")
    yield "a name twice", target.getvalue()
    target = io.BytesIO(bundle)
    with zipfile.ZipFile(target, "a") as archive:
        archive.comment = b"PK\x05\x06 and more"
    yield "a comment", target.getvalue()
    yield (
        "too many files",
        pack(sealed({**files, **{f"runs/0/weights-{n:09d}.safetensors": b"" for n in range(10_000, 12_001)}})),
    )
    yield "packed by bzip2", pack(files, packing=zipfile.ZIP_BZIP2)
    yield "packed by lzma", pack(files, packing=zipfile.ZIP_LZMA)
    yield from _lying_headers(bundle)


def _lying_headers(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    central = bundle.index(b"PK\x01\x02")
    fields = {
        "version": 6,
        "flags": 8,
        "packing": 10,
        "time": 12,
        "crc": 16,
        "packed size": 20,
        "size": 24,
        "name length": 28,
        "extra length": 30,
        "comment length": 32,
        "offset": 42,
    }
    for what, at in fields.items():
        changed = bytearray(bundle)
        changed[central + at] ^= 0x11 if what != "flags" else 0x01
        yield f"directory lies about {what}", bytes(changed)
    for what, at in {
        "flags": 6,
        "packing": 8,
        "time": 10,
        "crc": 14,
        "packed size": 18,
        "size": 22,
        "name": 30,
    }.items():
        changed = bytearray(bundle)
        changed[at] ^= 0x11
        yield f"header lies about {what}", bytes(changed)
    overlapping = bytearray(bundle)
    second = bundle.index(b"PK\x01\x02", central + 4)
    overlapping[second + 42 : second + 46] = struct.pack("<I", 0)
    yield "two entries over each other", bytes(overlapping)


def _bombs(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    files = unpack(bundle)
    zeros = bytes(64 << 20)
    for name in (RUN, POINTS, weights_of(files)):
        yield f"{name} is 64 MiB of zeros", pack(sealed({**files, name: zeros}), packing=zipfile.ZIP_DEFLATED)
    small = pack(sealed({**files, RUN: bytes(10 << 20)}), packing=zipfile.ZIP_DEFLATED)
    lying = bytearray(small)
    for signature, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = small.index(signature, small.index(signature) + 4)
        lying[place + at : place + at + 4] = struct.pack("<I", 1000)
    yield "a bomb that says 1,000 bytes", bytes(lying)
    huge = bytearray(bundle)
    central = bundle.index(b"PK\x01\x02")
    huge[central + 20 : central + 28] = b"\xff" * 8
    yield "sizes of 4 GiB", bytes(huge)


def _pickles(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    files = unpack(bundle)
    plain = pickle.dumps(Bomb())
    saved = io.BytesIO()
    torch.save({"weights": Bomb()}, saved)
    old = io.BytesIO()
    torch.save({"weights": Bomb()}, old, _use_new_zipfile_serialization=False)
    array = io.BytesIO()
    np.save(array, np.array([Bomb()], dtype=object), allow_pickle=True)
    for kind, data in {
        "pickle": plain,
        "torch.save": saved.getvalue(),
        "old torch.save": old.getvalue(),
        "npy": array.getvalue(),
    }.items():
        yield f"{kind} alone", data
        for name in (RUN, POINTS, weights_of(files)):
            yield f"{kind} as {name}", pack(sealed({**files, name: data}))
        yield (
            f"{kind} behind a safetensors length",
            pack(sealed({**files, POINTS: struct.pack("<Q", len(data)) + data})),
        )


def _manifests(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    files = unpack(bundle)
    valid = json.loads(files["manifest.json"])

    def changed(**fields: Any) -> bytes:
        return pack({**files, "manifest.json": json.dumps({**valid, **fields}).encode()})

    yield "a newer version", changed(version=2)
    yield "version as text", changed(version="1")
    yield "another format", changed(format="zip")
    yield "an unknown field", changed(more=1)
    yield "no files", changed(files=[])
    yield "files as an object", changed(files={})
    yield "volatile as a list", changed(volatile=[])
    for field in valid:
        without = {name: value for name, value in valid.items() if name != field}
        yield f"without {field}", pack({**files, "manifest.json": json.dumps(without).encode()})
    for wrong in (
        {"sha256": "0" * 64},
        {"sha256": "zz"},
        {"sha256": 5},
        {"bytes": 1},
        {"bytes": -1},
        {"name": "../evil"},
        {"name": 1},
        {"x": 1},
    ):
        yield f"an entry with {wrong}", changed(files=[{**valid["files"][0], **wrong}, *valid["files"][1:]])
    for what, text in {
        "NaN": b'{"a": NaN}',
        "a list": b"[]",
        "deep": b'{"a":' + b"[" * 100_000,
        "half": b"{",
        "no UTF-8": b"\xff\xfe",
        "a long number": b'{"a": ' + b"9" * 10_000 + b"}",
        "a key twice": b'{"format": 1, "format": 2}',
    }.items():
        yield f"{what} as manifest", pack({**files, "manifest.json": text})
        yield f"{what} as record", pack(sealed({**files, RUN: text}))


def _records(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    files = unpack(bundle)
    valid = json.loads(files[RUN])

    def changed(**fields: Any) -> bytes:
        return pack(sealed({**files, RUN: json.dumps({**valid, **fields}).encode()}))

    wrong: dict[str, list[Any]] = {
        "name": [None, 5, "a\0b", "x" * 201, " space ", "\ud800", "a\nb"],
        "config": [
            None,
            [],
            {},
            {**valid["config"], "arch": "../evil"},
            {**valid["config"], "lr": -1},
            {**valid["config"], "lr": "x"},
            {**valid["config"], "more": 1},
            {**valid["config"], "schema": 99},
            {**valid["config"], "seed": 10**400},
            {**valid["config"], "dataset": "imagenet"},
            {**valid["config"], "arch_options": {"widths": [10**9, 1]}},
            {**valid["config"], "arch_options": {"__class__": 1}},
            {**valid["config"], "input_size": "1"},
            {**valid["config"], "init_from": "../../evil"},
            {**valid["config"], "epochs": {"$float": "nan"}},
            {**valid["config"], "arch": "lenet-bn"},
        ],
        "fingerprint": [None, "", "G" * 64, 5],
        "state": ["running", "queued", "evil", None, ["finished"]],
        "reason": [None, "x" * 2001],
        "created_at": [None, -1, {"$float": "inf"}, {"$float": "evil"}, "1", True],
        "started_at": ["x"],
        "finished_at": [[]],
        "seconds": [None, -0.5],
        "device": [None, "cpu\x1b[31m"],
        "note": [None, "\x00"],
        "tags": [None, [1], ["b", "a"], ["a", "a"], "a"],
        "summary": [
            None,
            [],
            {"test_accuracy": "<script>"},
            {"a b": 1},
            {"x": [1]},
            {"params": 10**30},
            {f"a{n}": 1 for n in range(101)},
        ],
        "environment": [
            None,
            {"normalization": [0, 0]},
            {"normalization": ["a", "b"]},
            {"normalization": [1]},
            {"a": {"b": 1}},
            {"../x": 1},
        ],
        "notices": [None, [5], ["x"] * 201],
        "weights": [None, [], [{}], [{"step": 12, "epoch": 2, "created_at": 0.0}] * 2],
        "more": [1],
    }
    for field, values in _OUT_OF_RANGE.items():
        wrong[field] = [*wrong[field], *values]
    for field, values in wrong.items():
        for number, value in enumerate(values):
            yield f"{field} is wrong ({number})", changed(**{field: value})
    for field in valid:
        text = json.dumps({name: value for name, value in valid.items() if name != field})
        yield f"no {field}", pack(sealed({**files, RUN: text.encode()}))


# Values that broke the Runs page for every user, or could have.
_OUT_OF_RANGE: dict[str, list[Any]] = {
    "created_at": [253_402_300_800, 1e300],
    "started_at": [-2e9, 1e12, {"$float": "nan"}],
    "finished_at": [2.6e11],
    "seconds": [1e11, {"$float": "inf"}],
    "device": ["no device", "cuda:99999", "meta", "x" * 500],
    "name": ["a\x7fb"],
    "summary": [
        {"images_per_second": 1e300},
        {"images_per_second": {"$float": "inf"}},
        {"test_accuracy": 2**60},
        {"test_accuracy": -0.01},
        {"val_accuracy": 1.01},
        {"per_class_accuracy": 2},
        {"test_accuracy": None},
        {"params": None},
        {"params": 1.5},
        {"params": -1},
        {"params": 2**53},
        {"best_epoch": True},
        {"best_epoch": "3"},
        {"seconds": 1e300},
        {"outcome": 5},
        {"unheard_of": None},
    ],
    "environment": [
        {"device": "no device"},
        {"torch": "2.0'; import os"},
        {"torch": ""},
        {"threads": -1},
        {"threads": 2**60},
        {"name": None},
        {"train_images": 1e300},
        {"normalization": [{"$float": "nan"}, 1]},
        {"unheard_of": 2**60},
    ],
}


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _joined(header: Any, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _tensors(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    files = unpack(bundle)
    for file in (weights_of(files), POINTS):
        header, body = _split(files[file])
        name = next(key for key in header if key != "__metadata__")
        one = header[name]
        cases: dict[str, Any] = {
            "another type": {**header, name: {**one, "dtype": "F16"}},
            "an unknown type": {**header, name: {**one, "dtype": "OBJ"}},
            "a larger shape": {**header, name: {**one, "shape": [10**9]}},
            "a negative shape": {**header, name: {**one, "shape": [-1]}},
            "an offset outside": {**header, name: {**one, "data_offsets": [0, 10**12]}},
            "a field more": {**header, name: {**one, "x": 1}},
            "a tensor less": {key: value for key, value in header.items() if key != name},
            "a tensor of another name": {f"{key}x" if key == name else key: value for key, value in header.items()},
            "an overlap": {**header, "evil": one},
            "words that are no text": {**header, "__metadata__": {"convlab": 5}},
            "too many tensors": {
                **header,
                **{f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(1001)},
            },
        }
        for what, changed in cases.items():
            yield f"{file} with {what}", pack(sealed({**files, file: _joined(changed, body)}))
        yield f"{file} with a tail", pack(sealed({**files, file: files[file] + b"x"}))
        yield f"{file} with a long header", pack(sealed({**files, file: struct.pack("<Q", 2**63) + files[file][8:]}))
        yield f"{file} cut", pack(sealed({**files, file: files[file][:-4]}))
    weights = weights_of(files)
    header, body = _split(files[weights])
    words = json.loads(header["__metadata__"]["convlab"])
    for wrong in ({"kind": "checkpoint"}, {"arch": "evil"}, {"step": 1}, {"format": 99}, {"epoch": -1}):
        changed = {**header, "__metadata__": {"convlab": json.dumps({**words, **wrong})}}
        yield f"weights that say {wrong}", pack(sealed({**files, weights: _joined(changed, body)}))
    yield from _curves(files)


def _curves(files: Files) -> Iterator[tuple[str, bytes]]:
    import safetensors.numpy

    three = np.arange(3)
    valid = {"a/b:step": three, "a/b:value": three / 2, "a/b:time_s": three / 2}
    wrong: dict[str, dict[str, Any]] = {
        "steps that fall": {"a/b:step": three[::-1].copy()},
        "steps that stay": {"a/b:step": np.zeros(3, int)},
        "negative steps": {"a/b:step": three - 5},
        "huge steps": {"a/b:step": three * 10**15},
        "times that are NaN": {"a/b:time_s": np.full(3, np.nan)},
        "negative times": {"a/b:time_s": three - 2.0},
        "columns of other lengths": {"a/b:value": np.zeros(4)},
        "columns of other types": {"a/b:value": np.zeros(3, np.float32)},
        "a column more": {"a/b:evil": np.zeros(3)},
        "a picture": {"a/b:value": np.zeros((3, 1))},
    }
    for what, columns in wrong.items():
        yield what, pack(sealed({**files, POINTS: safetensors.numpy.save({**valid, **columns})}))
    for what, columns in {
        "an accuracy of 2^60": {"x/accuracy:value": np.array([0.5, 2.0**60, 1.0])},
        "an accuracy below 0": {"x/accuracy:value": np.array([0.5, -0.1, 1.0])},
        "an infinite accuracy": {"x/accuracy:value": np.array([0.5, np.inf, 1.0])},
        "times of 1e300 seconds": {"x/accuracy:time_s": np.full(3, 1e300)},
    }.items():
        named = {key.replace("a/b", "x/accuracy"): value for key, value in valid.items()}
        yield what, pack(sealed({**files, POINTS: safetensors.numpy.save({**named, **columns})}))
    yield "columns in another order", pack(sealed({**files, POINTS: _in_another_order(valid)}))
    for name in ("../evil", "A/B", "a/b/c", "", "x" * 70, "<script>", "a b"):
        renamed = {f"{name}:{key.split(':')[1]}": value for key, value in valid.items()}
        yield f"a curve called {name[:20]!r}", pack(sealed({**files, POINTS: safetensors.numpy.save(renamed)}))
    many = {f"c{n}:{key.split(':')[1]}": value for n in range(65) for key, value in valid.items()}
    yield "too many curves", pack(sealed({**files, POINTS: safetensors.numpy.save(many)}))
    yield (
        "an empty curve",
        pack(sealed({**files, POINTS: safetensors.numpy.save({k: v[:0] for k, v in valid.items()})})),
    )


def _in_another_order(columns: dict[str, np.ndarray]) -> bytes:
    """Return two curves whose columns are not stored in the order of their names."""
    import safetensors.numpy

    both = {**columns, **{key.replace("a/b", "z"): value for key, value in columns.items()}}
    header, body = _split(safetensors.numpy.save(both))
    header["a/b:step"], header["z:step"] = header["z:step"], header["a/b:step"]
    return _joined(header, body)
