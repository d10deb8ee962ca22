"""Prints constraints.txt: the installed versions of all direct and indirect dependencies of the lab and its tests.

Packages that torch itself pins (CUDA libraries, triton) are left out: which of them are needed depends on the machine.
"""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-postgres.txt", "requirements-s3.txt")
LEFT_TO_TORCH = ("nvidia-", "cuda-", "triton")
HEAD = """\
# The versions that passed the tests together (Python {python}); `make run` and `make test` install these.
# Written by `make constraints`; requirements.txt has the supported ranges."""


def wanted() -> set[tuple[str, str]]:
    """Return (distribution, extra or "") for every line of the requirement files."""
    lines = [line.split("#")[0].strip() for name in FILES for line in (ROOT / name).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {(canonicalize_name(r.name), extra) for r in found for extra in ("", *r.extras)}


def installed(pending: set[tuple[str, str]]) -> dict[str, str]:
    """Return the installed versions of these distributions and of everything they require on this machine."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    while pending - seen:
        name, extra = (pending - seen).pop()
        seen.add((name, extra))
        if name.startswith(LEFT_TO_TORCH):
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:  # optional, or for another system
            continue
        versions[name] = Version(found.version).public  # without the local part of 2.14.1+cu130: it varies by machine
        for requirement in map(Requirement, found.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                pending |= {(canonicalize_name(requirement.name), e) for e in ("", *requirement.extras)}
    return versions


if __name__ == "__main__":
    lines = [f"{name}=={version}" for name, version in sorted(installed(wanted()).items())]
    python = ".".join(map(str, sys.version_info[:2]))
    sys.stdout.write("\n".join([HEAD.format(python=python), *lines]) + "\n")
