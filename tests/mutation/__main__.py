"""Puts each fault into a copy of the code, runs the tests for it, and reports the faults that no test found.

`python -m tests.mutation [--only ID ...] [--package NAME ...] [--round N] [--near] [--tests FILE ...] [--check] [--log
FILE]`. Browser tests are not run. A fault is found if a test fails with it and passes without it (that test is run a
second time), or takes far more processor time with it. A fault is "timed out", which does not count as found, if a test
only waits too long or all tests together take too long.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutation.fault_list import Fault, find_place, insert_fault, read_faults
from tests.mutation.selection import choose_tests
from tests.mutation.trial import Limits, Trial, run_tests, start_trials

ROOT = Path(__file__).resolve().parents[2]
LONGER = 4  # a stopped test has found its fault if it takes less than a quarter of the time without it
_FOUND, _SURVIVED, _TIMED_OUT, _UNSURE = "found", "survived", "timed out", "fails without it too"
_BROKEN, _MISSING = "not run", "no such snippet"


def main() -> int:
    """Return 0 if every selected fault can be put into the code and is found."""
    arguments = _parse_arguments()
    faults = [
        one
        for one in read_faults(arguments.faults and Path(arguments.faults))
        if (not arguments.only or one.id in arguments.only)
        and (not arguments.package or one.package in arguments.package)
        and (not arguments.round or one.round == arguments.round)
    ]
    if arguments.check:
        missing = [one for one in faults if find_place(ROOT, one) is None]
        for one in missing:
            print(f"{one.id} ({one.package}): its snippet is not in the code, or more than once: {one.old[:100]!r}")
        print(f"{len(faults)} faults, {len(missing)} without a place")
        return 1 if missing else 0
    results = _try_all(faults, arguments)
    _print_summary(faults, results)
    return 0 if set(results.values()) <= {_FOUND} else 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="ID", help="only these faults")
    parser.add_argument("--package", nargs="+", metavar="NAME", help="only faults of these lists")
    parser.add_argument("--round", type=int, help="only faults of this round")
    parser.add_argument("--tests", nargs="+", metavar="FILE", help="run these test files instead of those chosen")
    parser.add_argument("--near", action="store_true", help="run only the files that import the changed module")
    parser.add_argument(
        "--all-cpu-s", type=float, default=Limits().all_cpu_s, help="processor seconds per fault (default: %(default)s)"
    )
    parser.add_argument("--faults", metavar="FILE", help="a list outside the folder, such as a newly drawn one")
    parser.add_argument(
        "--check", action="store_true", help="only check that every snippet is in the code exactly once"
    )
    parser.add_argument("--log", metavar="FILE", help="append one line of JSON for each fault")
    return parser.parse_args()


def _try_all(faults: list[Fault], arguments: argparse.Namespace) -> dict[str, str]:
    results: dict[str, str] = {}
    context, limits = start_trials(), Limits(all_cpu_s=arguments.all_cpu_s)
    with tempfile.TemporaryDirectory(prefix="convlab-faults-") as folder:
        copy, output = Path(folder, "tree"), Path(folder, "output")
        _copy_tree(copy)
        for fault in faults:
            path = find_place(copy, fault)
            trial, by = Trial(-1, "", 0.0, 0.0), ""
            if path is None:
                results[fault.id] = _MISSING
            else:
                chosen = arguments.tests or choose_tests(copy, fault, path, near=arguments.near)
                before = insert_fault(path, fault)
                _delete_compiled(path)
                try:
                    trial = run_tests(context, copy, chosen, limits=limits, log=output)
                    by = _first_failure(output)
                finally:
                    path.write_text(before, encoding="utf-8")
                    _delete_compiled(path)
                results[fault.id] = {0: _SURVIVED, 1: _FOUND, 2: _FOUND, None: _TIMED_OUT}.get(trial.code, _BROKEN)
                failed = by.partition(" - ")[0].strip()
                if results[fault.id] == _FOUND and failed:
                    clean = run_tests(context, copy, [failed], limits=limits, log=output)
                    if clean.code in (1, 2, None):  # 4 and 5: pytest cannot find the id, because of unusual parameters
                        results[fault.id] = _UNSURE
                if trial.stopped:
                    clean = run_tests(context, copy, [trial.stopped], limits=limits, log=output)
                    by = f"{_seconds(trial)} in {trial.stopped}, without the fault {_seconds(clean)}"
                    if _is_far_longer(trial, clean):
                        results[fault.id] = _FOUND
            print(f"{fault.id:6} {results[fault.id]:16} {_seconds(trial)}  {by or fault.says}", flush=True)
            if arguments.log:
                entry = {"id": fault.id, "package": fault.package, "round": fault.round, "result": results[fault.id]}
                took = {"cpu_s": round(trial.cpu_s, 1), "wall_s": round(trial.wall_s, 1), "by": by}
                with Path(arguments.log).open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps({**entry, **took}) + "\n")
    return results


def _is_far_longer(faulty: Trial, clean: Trial) -> bool:
    """Whether a test that was stopped at a limit took far more processor time than without the fault.

    Waiting time does not count: on a busy machine, a test may wait as long without a fault.
    """
    return clean.code == 0 and faulty.cpu_s > max(Limits().test_cpu_s, LONGER * clean.cpu_s)


def _seconds(trial: Trial) -> str:
    return f"{trial.cpu_s:.0f} s of processor time, {trial.wall_s:.0f} s"


def _copy_tree(target: Path) -> None:
    """Copy the files that git tracks, and untracked ones that it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def _delete_compiled(path: Path) -> None:
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def _first_failure(output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    failed = (line.partition(" ")[2] for line in lines if line.startswith(("FAILED ", "ERROR ")))
    return next(failed, "")


def _print_summary(faults: list[Fault], results: dict[str, str]) -> None:
    print()
    for package in sorted({one.package for one in faults}):
        every = [results[one.id] for one in faults if one.package == package]
        print(f"{package:12} {every.count(_FOUND):3} of {len(every)}")
    print(f"{'all':12} {list(results.values()).count(_FOUND):3} of {len(results)}")
    for one in faults:
        if results[one.id] != _FOUND:
            print(f"{results[one.id]}: {one.id} {one.says}")


if __name__ == "__main__":
    sys.exit(main())
