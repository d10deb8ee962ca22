"""The launcher: `streamlit run app.py`. Routes and guards come from `pages.server`, the pages from `pages/entry.py`.

The script that Streamlit reruns lives inside `pages/`, so that a deep link to a newly started server also opens with
the navigation around it.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime import get_instance

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:  # started from another folder, or by uvicorn
    sys.path.insert(0, str(ROOT))

from lab.errors import ConfigError  # noqa: E402
from lab.platforms import refusal  # noqa: E402

if reason := refusal(sys.platform, sys.version_info[:3]):
    sys.exit(f"Error: {reason}")

from lab.settings import embedding_sites  # noqa: E402
from pages.cache.lab import serve  # noqa: E402
from pages.frame import report_bug  # noqa: E402
from pages.server.announce import announce  # noqa: E402
from pages.server.not_found import NotFound  # noqa: E402
from pages.server.routes import ROUTES  # noqa: E402
from pages.server.security import Guard  # noqa: E402
from pages.server.sessions import install  # noqa: E402
from pages.server.shell import Shell  # noqa: E402
from pages.server.shutdown import limit_shutdown  # noqa: E402
from pages.styles import shell_styles  # noqa: E402

try:
    SITES = embedding_sites(os.environ)
except ConfigError as error:
    sys.exit(f"Error: {error}")


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Set up the server process: mark it as the server, let sessions of closed tabs expire, limit how long shutdown
    takes, and print the address.
    """
    limit_shutdown()
    serve()
    install(get_instance(), ttl_s=st.get_option("server.disconnectedSessionTTL"))
    announce(
        st.get_option("server.address"), st.get_option("server.port"), st.get_option("server.allowedHosts"), os.environ
    )
    yield


app = st.App(
    ROOT / "pages" / "entry.py",
    routes=ROUTES,
    middleware=[
        Middleware(Guard, token=os.environ.get("LAB_TOKEN", ""), sites=SITES),
        Middleware(NotFound, routes=tuple(route.path for route in ROUTES)),
        Middleware(Shell, styles=shell_styles()),
    ],
    lifespan=lifespan,
    on_script_error=report_bug,
)

if __name__ == "__main__":
    app.run()
