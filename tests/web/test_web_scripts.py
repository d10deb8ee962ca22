"""The components' scripts: their pure parts in Node, how they are written, and how the lab serves them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from starlette.applications import Starlette

from pages.components.base import DIGEST, SCRIPTS, loader
from pages.server.routes import ROUTES
from tests.web.web_data import Client

COMPONENTS = Path(__file__).resolve().parents[2] / "pages" / "components"
_ADDRESS = re.compile(r"\$\{location\.origin\}([^`]+)`")
_IMPORT = re.compile(r'^import .* from "([^"]+)";$', re.M)


@pytest.fixture
def client() -> Client:
    return Client(Starlette(routes=ROUTES))


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_javascript_tests_of_the_components_pass() -> None:
    tests = sorted(map(str, COMPONENTS.rglob("*.test.js")))
    assert len(tests) >= 5
    done = subprocess.run(["node", "--test", *tests], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^(# |ℹ )tests [1-9]", done.stdout, re.M)


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_every_script_is_type_checked_and_imports_only_existing_scripts(script: str) -> None:
    text = SCRIPTS[script].read_text(encoding="utf-8")
    assert text.startswith("// @ts-check\n")
    for target in _IMPORT.findall(text):
        assert (SCRIPTS[script].parent / target).resolve() in SCRIPTS.values(), target


def test_only_the_shared_module_manages_the_life_cycle_of_components() -> None:
    stateful = [name for name, path in SCRIPTS.items() if "new WeakMap" in path.read_text(encoding="utf-8")]
    assert stateful == ["layers/layers.js", "shared/mount.js"]  # a table of layers has nothing to dispose of


def test_a_loader_names_a_script_that_the_lab_serves_and_browsers_cache(client: Client) -> None:
    (address,) = _ADDRESS.findall(loader("live/live.js"))
    response = client.get(address)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/javascript")
    assert "immutable" in response.headers["cache-control"]
    assert response.content == SCRIPTS["live/live.js"].read_bytes()


def test_a_tab_of_another_release_gets_the_current_script_uncached(client: Client) -> None:
    response = client.get("/assets/components/000000000000/live/live.js")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["live/none.js", "live/__init__.py", "..%2fbase.py", "live/live.css", "shared/mount.test.js"]
)
def test_nothing_but_the_scripts_is_served(client: Client, path: str) -> None:
    response = client.get(f"/assets/components/{DIGEST}/{path}")
    assert response.status_code == 404
    assert "reload the page" in response.json()["error"]


def test_a_component_without_a_script_is_an_error_at_once() -> None:
    with pytest.raises(KeyError, match=r"there is no script 'none/none\.js'"):
        loader("none/none.js")
