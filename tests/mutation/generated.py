"""Makes changes of whole modules by the hundred and says which ones no test notices, without starting a process for each.

`python -m tests.mutation.generated MODULE… [--sample N] [--seed S] [--functions NAME…] [--tests FILE…] [--near] [--long] [--map FILE] [--log FILE]`

One pytest process collects the tests once. A first fork runs each of them with a tracer and writes down which lines of the modules it reaches;
`--map` keeps that for the next time. Then, for every change, a fork exchanges the code of the changed function (or a constant, or the
default of an argument), runs the tests that reach it, the quickest first, and ends with the first that fails. Tests that start processes
of their own see the unchanged code there, and tests of pages and in browsers are left out, so that the rate is a lower bound.
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
    """Return the files of modules, and of packages with all that is in them, by name; raises `ValueError` where there is none.

    The `__main__.py` of a package is left out: it acts when it is imported, and only processes of their own run it. So is the `page.py`
    of a page, a script that Streamlit reads from its file.
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
    source = random.Random(seed)
    chosen = source.sample(sorted(by_statement), len(by_statement))
    return [source.choice(by_statement[key]) for key in chosen]


def _tests_for(files: Sequence[Path], near: bool) -> list[str]:
    faults = {path: Fault("", package_of(path), "", "", "") for path in files}
    names = [name for path in files for name in choose_tests(ROOT, faults[path], path, near=near)]
    return list(dict.fromkeys(names))


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Return 0 where every change that was tried is found. root: the folder of the code, whose modules Python finds there."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.generated", description=__doc__)
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="such as lab.training or lab.metrics")
    parser.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="try one change each of so many statements, drawn by the seed; all by default",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--functions", nargs="+", metavar="NAME", help="only these (such as RunConfig.fingerprint)")
    parser.add_argument("--tests", nargs="+", metavar="FILE", help="run these instead of those chosen")
    parser.add_argument("--near", action="store_true", help="run only the files that name a changed module")
    parser.add_argument("--long", action="store_true", help="run the long tests, too")
    parser.add_argument("--map", type=Path, metavar="FILE", help="what the tests reach: read, completed and written")
    parser.add_argument("--log", type=Path, metavar="FILE", help="append one line of JSON for each change")
    asked = parser.parse_args(arguments)
    modules = files_of(asked.modules, root)
    files = list(modules.values())

    def choose() -> list[Change]:
        changes = [one for path in files for one in changes_of(path)]
        if asked.functions:
            places = {path: places_of(path.read_text(encoding="utf-8")) for path in files}
            changes = [one for one in changes if places[one.path](one).function in asked.functions]
        return changes if asked.sample is None else drawn(changes, asked.seed)

    def tell(change: Change, place: Place, outcome: Outcome) -> None:
        where = f"{change.path.relative_to(root).as_posix()}:{change.first}"
        print(f"{outcome.result:18} {outcome.cpu_s:5.1f} s  {where} {place.function}: {change.kind}", flush=True)
        if asked.log:
            entry = {"at": where, "function": place.function, "kind": change.kind, **asdict(outcome), **_lines(change)}
            with asked.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")

    def traced() -> None:
        if asked.map:
            known = {name: asdict(one) for name, one in runner.known.items()}
            asked.map.write_text(json.dumps({"tests": known, "imports": runner.imports}))

    runner = Runner(modules, choose, Limits(), asked.sample)
    runner.tell, runner.traced = tell, traced
    if asked.map and asked.map.exists():
        known = json.loads(asked.map.read_text())
        runner.known, runner.imports = {name: Reached(**one) for name, one in known["tests"].items()}, known["imports"]
    tests = asked.tests or _tests_for(files, asked.near)
    folder = tempfile.mkdtemp(prefix="convlab-generated-")
    options = [
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-m",
        f"{'' if asked.long else 'not long and '}not slow and not browser and not gpu",
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
        print(f"tests that fail unchanged, and were left out: {', '.join(left)}")
    for change, place, outcome in sorted(runner.outcomes, key=lambda one: (str(one[0].path), one[0].first)):
        if outcome.result not in (FOUND, NOT_TRIED):
            print(
                f"{outcome.result}: {change.path.relative_to(root).as_posix()}:{change.first} {place.function}, {change.kind}"
            )
            texts = _lines(change)
            print("".join(f"  - {line}\n" for line in texts["old"].splitlines()), end="")
            print("".join(f"  + {line}\n" for line in texts["new"].splitlines() or [""]), end="")
    counts = Counter(outcome.result for _, _, outcome in runner.outcomes)
    tried = sum(counts.values()) - counts[NOT_TRIED]
    print(f"{counts[FOUND]} of {tried} found; {dict(counts)}; {took_s:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
