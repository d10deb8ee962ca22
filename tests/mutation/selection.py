"""Selects the tests to run for a fault: first those that import the changed module, then the others of its package."""

from pathlib import Path

from tests.mutation.fault_list import Fault

# By list of faults: the folders and files of tests that cover its behaviour.
_TESTS = {
    "worker": ["tests/worker"],
    "supervisor": ["tests/worker"],
    "recorder": ["tests/worker/test_recorder.py", "tests/worker/test_survival.py"],
    "runs": ["tests/runs"],
    "training": ["tests/training"],
    "config": ["tests/config", "tests/test_config.py", "tests/test_config_history.py"],
    "data": ["tests/data"],
    "inspection": ["tests/inspection"],
    "architectures": ["tests/architectures"],
    "examples": ["tests/examples"],
    "comparison": ["tests/comparison", "tests/cli/test_compare.py", "tests/web/test_web_verdict.py"],
    "sweeps": [
        "tests/sweeps",
        "tests/runs/test_stored_sweeps.py",
        "tests/cli/test_sweep.py",
        "tests/web/test_web_sweeps.py",
    ],
    "lab": ["tests/test_metrics.py", "tests/test_formatting.py", "tests/test_text.py", "tests/test_settings.py"],
    "sketch": ["tests/sketch"],
    "diagnosis": ["tests/diagnosis"],
    "charts": ["tests/charts", "tests/web/test_web_thinning.py", "tests/web/test_web_live.py"],
    "sharing": ["tests/sharing"],
    "cli": ["tests/cli", "tests/sharing/test_export_commands.py"],
    "service": [
        "tests/test_lab.py",
        "tests/runs/test_submit.py",
        "tests/worker/test_stored_findings.py",
        "tests/web/test_web_cost.py",
        "tests/cli/test_shown.py",
    ],
    "executors": ["tests/executors", "tests/worker/test_dispatch.py"],
    "pages": ["tests/web"],
}
# Expensive tests that rarely find a single fault: whole releases, killed processes, thousands of mutants.
_SLOW = {"browser", "golden"}
_LEFT_OUT = {
    "test_kills.py",
    "test_damage.py",
    "test_database.py",
    "test_web_hostile.py",
    "test_kill.py",
    "test_outage.py",
}


def choose_tests(root: Path, fault: Fault, changed: Path, *, near: bool = False) -> list[str]:
    """Return the test files to run, in order; configured files that no longer exist are skipped.

    near: only those that import the changed module, or all of the fault's list if none does.
    """
    module = changed.relative_to(root).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    found: list[Path] = []
    for place in map(root.joinpath, _TESTS[fault.package]):
        found += sorted(place.rglob("test_*.py")) if place.is_dir() else [place] if place.is_file() else []
    others = [path for path in (root / "tests").rglob("test_*.py") if path not in found and path.parent.name != "web"]
    wide = sorted(path for path in others if _imports(path, module))
    nearest = [path for path in found if _imports(path, module)] or [
        path for path in found if _is_of_page(path, module)
    ]
    ordered = [*nearest, *(path for path in found if path not in nearest), *wide]
    if near and (nearest or wide):
        ordered = [*nearest, *wide]
    usable = [path for path in dict.fromkeys(ordered) if path.name not in _LEFT_OUT and not _SLOW & set(path.parts)]
    return [path.relative_to(root).as_posix() for path in usable]


def _is_of_page(path: Path, module: str) -> bool:
    """Whether a file has the tests of a module's page, such as `test_web_runs.py` for `pages.runs.table`."""
    root, _, page = module.partition(".")
    return root == "pages" and page.partition(".")[0] in path.stem.removeprefix("test_web_").split("_")


def _imports(path: Path, module: str) -> bool:
    text = path.read_text(encoding="utf-8")
    package, _, name = module.rpartition(".")
    return f"{module} import" in text or f"import {module}" in text or f"from {package} import {name}" in text
