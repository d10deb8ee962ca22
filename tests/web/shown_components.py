"""Streamlit's registration of components without a browser: it notes what each was given and reports as a browser does."""

from collections.abc import Callable
from typing import Any

import streamlit as st


class Shown:
    """What was registered, and what each component that was drawn was given, by its key; `given` is the last one's."""

    def __init__(self) -> None:
        self.registered: dict[str, dict[str, Any]] = {}
        self.given: dict[str, Any] = {}
        self._by_key: dict[str, dict[str, Any]] = {}

    def component(self, name: str, **files: Any) -> Callable[..., None]:
        """Take the place of `st.components.v2.component`."""
        self.registered[name] = files

        def render(**given: Any) -> None:
            self.given = self._by_key[given["key"]] = given

        return render

    @property
    def data(self) -> dict[str, Any]:
        """What the component that was drawn last shows."""
        found: dict[str, Any] = self.given["data"]
        return found

    def of(self, key: str) -> dict[str, Any]:
        """Return what the component with this key shows."""
        found: dict[str, Any] = self._by_key[key]["data"]
        return found

    @property
    def keys(self) -> tuple[str, ...]:
        """Of all components that were drawn, in their order."""
        return tuple(self._by_key)

    def report(self, name: str, value: Any, *, key: str = "") -> None:
        """Report a value as the browser does, and call back. key: of another component than the last one."""
        given = self._by_key[key] if key else self.given
        st.session_state[given["key"]] = {name: value}
        try:
            given[f"on_{name}_change"]()
        finally:
            del st.session_state[given["key"]]
