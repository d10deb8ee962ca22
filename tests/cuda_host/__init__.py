"""A CUDA runtime without a GPU (`runtime.c`), on which torch's CUDA build runs all its host code.

Kernels compute nothing.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
LIBRARY = "libcuda.so.1"  # the driver's name, so that libraries linked to the driver load this one


def missing() -> str:
    """Return why the runtime cannot be built here, or "" if it can."""
    if not sys.platform.startswith("linux"):
        return "built on Linux only"
    if not (torch.version.cuda or "").startswith("13."):
        return "torch is built without CUDA 13"
    if shutil.which("cc") is None:
        return "there is no C compiler"
    return "" if _headers() else "CUDA's headers are not installed"


def _headers() -> Path | None:
    found = importlib.util.find_spec("nvidia")
    for folder in (found.submodule_search_locations or []) if found else []:
        if (headers := Path(folder) / "cu13" / "include").is_dir():
            return headers
    return None


def build(folder: Path) -> Path:
    """Compile the runtime into a folder; return the library."""
    library = folder / LIBRARY
    headers = [f"-I{HERE}", f"-I{HERE / 'include'}", f"-I{_headers()}"]
    sources = [str(HERE / name) for name in ("runtime.c", "products.c")]
    options = ["-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-w", f"-Wl,-soname,{LIBRARY}"]
    subprocess.run(["cc", *options, *headers, *sources, "-o", str(library), "-ldl", "-lpthread"], check=True)
    return library


def environment(library: Path) -> dict[str, str]:
    """Return the environment of a process that uses the library as its CUDA runtime and driver."""
    return {**os.environ, "LD_PRELOAD": str(library), "LD_LIBRARY_PATH": str(library.parent), "OMP_NUM_THREADS": "1"}
