"""Tries hundreds of changes of whole modules without starting a process for each, and lists those that no test finds.

`python -m tests.mutation.generated MODULE… [--sample N] [--seed S] [--functions NAME…] [--tests FILE…] [--near]
[--long] [--map FILE] [--log FILE]`

One pytest process collects the tests once. A first fork runs each of them with a tracer and records which lines of the
modules it reaches; `--map` saves this for the next call. Then, for every change, a fork replaces the code of the
changed function (or a constant, or the default of an argument) and runs the tests that reach it, the fastest first,
until one fails. Processes that a test starts run the unchanged code, and tests of pages and in browsers are not run, so
the rate is a lower bound.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.mutation.changes import Change, changes_of
from tests.mutation.draw import package_of
from tests.mutation.fault_list import Fault
from tests.mutation.forks import FOUND, NOT_TRIED, Limits, Outcome, Reached, Runner
from tests.mutation.live_code import Place, places_of
from tests.mutation.selection import choose_tests

ROOT = Path(__file__).resolve().parents[2]


def files_of(modules: Sequence[str], root: Path) -> dict[str, Path]:
    """Return the files of modules, and of all modules in packages, by name. Raises `ValueError` for an unknown module.

    The `__main__.py` of a package is left out, because it runs on import and only in separate processes. So is the
    `page.py` of a page, a script that Streamlit executes from its file.
    """
    found: list[Path] = []
    for name in modules:
        place = root / name.removesuffix(".py").replace(".", "/")
        inside = (path for path in place.rglob("*.py") if path.name not in ("__main__.py", "page.py"))
        files = sorted(inside) if place.is_dir() else [place.with_suffix(".py")]
        if not files or not files[0].is_file():
            raise ValueError(f"no such module: {name}")
        found += files
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in found}


def drawn(changes: Sequence[Change], seed: int) -> list[Change]:
    """Return one change of every statement, in an order given by the seed."""
    by_statement: dict[tuple[Path, int, int], list[Change]] = {}
    texts = {path: places_of(path.read_text(encoding="utf-8")) for path in {one.path for one in changes}}
    for one in changes:
        place = texts[one.path](one)
        by_statement.setdefault((one.path, place.first, place.last), []).append(one)
    rng = random.Random(seed)
    chosen = rng.sample(sorted(by_statement), len(by_statement))
    return [rng.choice(by_statement[key]) for key in chosen]


def _tests_for(files: Sequence[Path], near: bool) -> list[str]:
    faults = {path: Fault("", package_of(path), "", "", "") for path in files}
    names = [name for path in files for name in choose_tests(ROOT, faults[path], path, near=near)]
    return list(dict.fromkeys(names))


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Return 0 if every change that was tried is found. root: the folder from which the code is imported."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.generated", description=__doc__)
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="such as lab.training or lab.metrics")
    parser.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="try one change in each of N statements, drawn with the seed (default: all changes)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--functions", nargs="+", metavar="NAME", help="only these (such as RunConfig.fingerprint)")
    parser.add_argument("--tests", nargs="+", metavar="FILE", help="run these instead of the selected ones")
    parser.add_argument("--near", action="store_true", help="run only the files that import a changed module")
    parser.add_argument("--long", action="store_true", help="run the long tests, too")
    parser.add_argument(
        "--map", type=Path, metavar="FILE", help="the lines that tests reach: read, completed and written"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="append one line of JSON for each change")
    parsed = parser.parse_args(arguments)
    modules = files_of(parsed.modules, root)
    files = list(modules.values())

    def choose() -> list[Change]:
        changes = [one for path in files for one in changes_of(path)]
        if parsed.functions:
            places = {path: places_of(path.read_text(encoding="utf-8")) for path in files}
            changes = [one for one in changes if places[one.path](one).function in parsed.functions]
        return changes if parsed.sample is None else drawn(changes, parsed.seed)

    def report(change: Change, place: Place, outcome: Outcome) -> None:
        where = f"{change.path.relative_to(root).as_posix()}:{change.first}"
        print(f"{outcome.result:18} {outcome.cpu_s:5.1f} s  {where} {place.function}: {change.kind}", flush=True)
        if parsed.log:
            entry = {"at": where, "function": place.function, "kind": change.kind, **asdict(outcome), **_lines(change)}
            with parsed.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")

    def traced() -> None:
        if parsed.map:
            known = {name: asdict(one) for name, one in runner.known.items()}
            parsed.map.write_text(json.dumps({"tests": known, "imports": runner.imports}))

    runner = Runner(modules, choose, Limits(), parsed.sample)
    runner.report, runner.traced = report, traced
    if parsed.map and parsed.map.exists():
        known = json.loads(parsed.map.read_text())
        runner.known, runner.imports = {name: Reached(**one) for name, one in known["tests"].items()}, known["imports"]
    tests = parsed.tests or _tests_for(files, parsed.near)
    folder = tempfile.mkdtemp(prefix="convlab-generated-")
    options = [
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-m",
        f"{'' if parsed.long else 'not long and '}not slow and not browser and not gpu",
    ]
    began = time.monotonic()
    try:
        code = pytest.main([*options, f"--basetemp={folder}/tests", *tests], plugins=[runner])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return int(code)
    _print_summary(runner, root, time.monotonic() - began)
    return 0 if all(one.result in (FOUND, NOT_TRIED) for _, _, one in runner.outcomes) else 1


def _lines(change: Change) -> dict[str, str]:
    lines = change.path.read_text(encoding="utf-8").splitlines(keepends=True)
    return {"old": "".join(lines[change.first - 1 : change.last]).rstrip(), "new": change.new.rstrip()}


def _print_summary(runner: Runner, root: Path, took_s: float) -> None:
    print()
    left = [name for name, one in runner.known.items() if not one.passed]
    if left:
        print(f"tests that fail without a change, and were left out: {', '.join(left)}")
    for change, place, outcome in sorted(runner.outcomes, key=lambda one: (str(one[0].path), one[0].first)):
        if outcome.result not in (FOUND, NOT_TRIED):
            where = f"{change.path.relative_to(root).as_posix()}:{change.first} {place.function}"
            print(f"{outcome.result}: {where}, {change.kind}")
            texts = _lines(change)
            print("".join(f"  - {line}\n" for line in texts["old"].splitlines()), end="")
            print("".join(f"  + {line}\n" for line in texts["new"].splitlines() or [""]), end="")
    counts = Counter(outcome.result for _, _, outcome in runner.outcomes)
    tried = sum(counts.values()) - counts[NOT_TRIED]
    print(f"{counts[FOUND]} of {tried} found; {dict(counts)}; {took_s:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
