"""The launcher: `streamlit run app.py`. Routes and guards come from `pages.ui`, the screens from `pages/entry.py`.

The script that Streamlit reruns lives inside `pages/`, so that a deep link on a fresh server opens in its frame too.
"""

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:  # started from another folder, or by uvicorn
    sys.path.insert(0, str(ROOT))

from pages.ui.routes import ROUTES  # noqa: E402
from pages.ui.security import Guard  # noqa: E402

app = st.App(ROOT / "pages" / "entry.py", routes=ROUTES, middleware=[Middleware(Guard)])

if __name__ == "__main__":
    app.run()
