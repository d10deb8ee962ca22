"""Imports go downwards only, read with `ast`: one line per file that breaks a rule."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lab.lazy import load

ROOT = Path(__file__).resolve().parent.parent

PAGES = tuple(sorted(path.parent.name for path in (ROOT / "pages").glob("*/page.py")))
# Packages from the lowest layer up; a module may import from lower layers and from its own package.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "lab.text",
        "lab.lazy",
        "lab.atomic_files",
        "lab.system_errors",
        "lab.strict_json",
        "lab.temporary_folders",
        "lab.user_files",
        "lab.platforms",
        "lab.onnx_runtime",
    ),
    ("lab.errors", "lab.formatting"),
    ("lab.settings", "lab.background", "lab.devices", "lab.seeding", "lab.findings", "lab.metrics", "lab.join_token"),
    ("lab.metric_charts", "lab.spread", "lab.executors"),
    ("lab.config",),
    ("lab.presets",),
    ("lab.architectures",),
    ("lab.sweeps",),
    ("lab.training",),
    ("lab.data",),
    ("lab.checkpoint_files", "lab.runs", "lab.inspection", "lab.sketch", "lab.diagnosis"),
    ("lab.networks", "lab.loaded_network", "lab.shared_datasets"),
    ("lab.network_counts",),
    ("lab.threads",),
    ("lab.stored_findings",),
    ("lab.sharing.comparison", "lab.comparison"),
    ("lab.charts",),
    ("lab.sharing",),
    ("lab.examples",),
    ("lab.worker.supervisor",),
    ("lab.service",),
    ("lab.worker",),
    ("lab.cli", "lab.examples.make"),
    ("lab.__main__",),
    ("pages.markdown", "pages.registry", "pages.styles"),
    ("pages.cache",),
    ("pages.state",),
    ("pages.components",),
    ("pages.widgets", "pages.server"),
    tuple(f"pages.{page}" for page in PAGES),
    ("pages.frame",),
    ("pages.entry",),
    ("app",),
)
TORCH_FREE = (
    "lab.text",
    "lab.errors",
    "lab.settings",
    "lab.config",
    "lab.presets",
    "lab.sweeps",
    "lab.runs",
    "lab.diagnosis",
    "lab.findings",
    "lab.metrics",
    "lab.metric_charts",
    "lab.executors",
    "lab.stored_findings",
    "lab.charts",
    "lab.comparison",
    "lab.service.lab",
    "lab.service.resolved",
    "lab.service.datasets",
    "lab.service.jobs",
    "lab.service.machines",
    "lab.service.validation",
    "lab.service.weights",
    "lab.service.submissions",
    "lab.service.repeats",
    "lab.service.sweep_history",
    "lab.service.sweeps",
    "lab.service.workers",
    "lab.loaded_network",
    "lab.examples.catalogue",
    "lab.examples.reader",
    "lab.examples.sample",
    "lab.examples.unpack",
    "lab.worker.supervisor",
    "lab.cli",
    "lab.__main__",
    "lab.architectures.registry",
    "lab.architectures.networks",
    "lab.architectures.spec",
    "lab.data.registry",
    "lab.training.events",
)

# Imported only when that command is called, or after the page has loaded torch.
_RUNS_A_NETWORK = ("lab.cli.commands.summary", "pages.cache.inspection")


@cache
def _sources() -> tuple[tuple[str, ast.Module], ...]:
    """Return the modules with their names, read once for all rules."""
    files = [ROOT / "app.py", *sorted((ROOT / "lab").rglob("*.py")), *sorted((ROOT / "pages").rglob("*.py"))]
    return tuple(
        (
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"),
            ast.parse(path.read_text(encoding="utf-8")),
        )
        for path in files
    )


@cache
def _nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Return all nodes of a module or of a part of it."""
    return tuple(ast.walk(tree))


@cache
def _statements(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Return all import statements of a module or of a part of it."""
    return tuple(node for node in _nodes(tree) if isinstance(node, ast.Import | ast.ImportFrom))


def _imports(tree: ast.Module, *, only_top: bool = False) -> Iterator[str]:
    nodes = ast.iter_child_nodes(tree) if only_top else _statements(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _package(module: str) -> tuple[int, str] | None:
    """Return (layer, package) of a module of ours: the longest package name that starts it."""
    fits = [
        (len(package), layer, package)
        for layer, packages in enumerate(LAYERS)
        for package in packages
        if module == package or module.startswith(package + ".")
    ]
    if not fits:
        return None
    _, layer, package = max(fits)
    return layer, package


def test_imports_go_downwards_only() -> None:
    wrong = []
    for name, tree in _sources():
        importing = _package(name)
        for target in _imports(tree):
            imported = _package(target)
            if importing is None or imported is None or imported[1] == importing[1]:
                continue
            if imported[0] >= importing[0]:
                wrong.append(f"{name} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_every_file_of_the_lab_has_a_layer() -> None:
    assert [name for name, _ in _sources() if _package(name) is None and name != "lab"] == []


def test_the_core_never_imports_streamlit() -> None:
    wrong = [
        n
        for n, tree in _sources()
        if n.startswith("lab") and any(i.split(".")[0] in {"streamlit", "pages"} for i in _imports(tree))
    ]
    assert wrong == []


def test_pages_that_only_list_and_plot_do_not_import_torch() -> None:
    """Only top-level imports count; the composition root and the CLI import torch's packages inside functions."""
    wrong = [
        f"{name} imports {target}"
        for name, tree in _sources()
        if name.startswith((*TORCH_FREE, "pages")) and name not in _RUNS_A_NETWORK
        for target in _imports(tree, only_top=True)
        if target.split(".")[0] in {"torch", "torchvision", "captum", "torchinfo"}
    ]
    assert wrong == []


def test_no_module_unpickles_data() -> None:
    """No upload can run code: neither pickle nor torch.load is used anywhere."""
    wrong = []
    for name, tree in _sources():
        for node in _nodes(tree):
            if not isinstance(node, ast.Attribute) or node.attr not in {"load", "loads"}:
                continue
            if ast.unparse(node) in {"torch.load", "pickle.load", "pickle.loads"}:
                wrong.append(f"{name}:{node.lineno}")
        if any(target.split(".")[0] in {"pickle", "joblib", "dill"} for target in _imports(tree)):
            wrong.append(name)
    assert wrong == []


def _page_modules() -> Iterator[tuple[str, ast.Module]]:
    """Return the modules of the pages except those of their state."""
    return (
        (name, tree) for name, tree in _sources() if name.startswith("pages") and not name.startswith("pages.state")
    )


def test_pages_never_import_each_other() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, tree in _page_modules()
        for target in _imports(tree)
        for page in PAGES
        if f"{target}.".startswith(f"pages.{page}.") and not f"{name}.".startswith(f"pages.{page}.")
    ]
    assert wrong == []
    assert len(PAGES) >= 6


def test_session_state_and_the_address_are_read_and_written_in_one_package() -> None:
    wrong = [
        f"{name}:{node.lineno} {ast.unparse(node)}"
        for name, tree in _page_modules()
        for node in _nodes(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"session_state", "query_params"}
        if ast.unparse(node) in {"st.session_state", "st.query_params"}
    ]
    wrong += [f"{name} imports {t}" for name, tree in _page_modules() for t in _imports(tree) if t in _UNTYPED]
    assert wrong == []


_UNTYPED = {f"pages.state.session.{name}" for name in ("value_of", "put", "forget")}


def test_keys_of_widgets_come_from_element_or_from_a_state_record() -> None:
    """`element` is for widgets whose value is not read back; other keys come from the record that they write to."""
    wrong = [
        f"{name}:{argument.value.lineno} key={ast.unparse(argument.value)}"
        for name, tree in _page_modules()
        for node in _nodes(tree)
        if isinstance(node, ast.Call)
        for argument in node.keywords
        if (argument.arg == "key" and isinstance(argument.value, ast.Constant | ast.JoinedStr | ast.BinOp))
        or argument.arg in {"persist_state", "bind"}
    ]
    assert wrong == [], "\n".join(wrong)


def test_each_element_name_is_used_in_one_module() -> None:
    """The same name in two modules would be the same widget if both are on one page, and have the same style."""
    places: dict[str, set[str]] = {}
    for name, tree in _page_modules():
        for node in _nodes(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "element"
                and isinstance(node.args[0], ast.Constant)
            ):
                places.setdefault(str(node.args[0].value), set()).add(name)
    assert {element: sorted(where) for element, where in places.items() if len(where) > 1} == {}


def test_pages_import_nothing_inside_functions() -> None:
    """Modules that need torch are imported through `lab.lazy.load`, once per page."""
    wrong = [
        f"{name}:{node.lineno} {ast.unparse(node)}"
        for name, tree in _sources()
        if name.startswith("pages")
        for function in _nodes(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert wrong == []


def test_only_the_cache_package_caches_for_all_sessions() -> None:
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in _sources()
        if name.startswith("pages") and not name.startswith("pages.cache")
        for node in _nodes(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"cache_data", "cache_resource"}
    ]
    assert wrong == []


def test_no_comment_disables_the_formatter() -> None:
    """A table that needs aligned columns belongs in a data file."""
    comments = re.compile(r"#\s*fmt:\s*(skip|off)")
    sources = [
        ROOT / "app.py",
        *(path for top in ("lab", "pages", "tests", "benchmarks") for path in (ROOT / top).rglob("*.py")),
    ]
    assert [str(path) for path in sources if comments.search(path.read_text(encoding="utf-8"))] == []


def test_the_command_line_and_the_exports_import_at_the_top() -> None:
    """`lab.lazy` imports what is needed later; only optional packages are imported inside functions."""
    optional = {"tensorboard", "onnxscript"}
    packages = ("lab.cli", "lab.sharing", "lab.charts", "lab.diagnosis", "lab.metrics")
    wrong = [
        f"{name} imports {target}"
        for name, tree in _sources()
        if name.startswith(packages)
        for function in _nodes(tree)
        if isinstance(function, ast.FunctionDef)
        for target in _imports(ast.Module(function.body, []))
        if target.split(".")[0] not in optional
    ]
    assert wrong == []


def test_onnxruntime_is_imported_in_one_place() -> None:
    """Its import starts telemetry unless `lab.onnx_runtime` has switched that off before."""
    paths = (path for top in ("lab", "pages", "tests", "benchmarks") for path in (ROOT / top).rglob("*.py"))
    wrong = [
        str(path.relative_to(ROOT))
        for path in paths
        for target in _imports(ast.parse(path.read_text(encoding="utf-8")))
        if target.split(".")[0] == "onnxruntime"
    ]
    assert wrong == []


def test_every_lazily_imported_object_exists() -> None:
    places = {
        node.value
        for name, tree in _sources()
        if name.startswith(("lab", "pages"))
        for node in _nodes(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"lab(\.[a-z_]+)+:[A-Za-z_]+", node.value)
    }
    assert places
    for place in places:
        assert callable(load(place)), place
