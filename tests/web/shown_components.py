"""Replaces Streamlit's registration of components: records what each receives, and reports values as a browser does."""

from collections.abc import Callable
from typing import Any

import streamlit as st


class Shown:
    """The registered components, and by key the arguments of each that was drawn; `given` are those of the last one."""

    def __init__(self) -> None:
        self.registered: dict[str, dict[str, Any]] = {}
        self.given: dict[str, Any] = {}
        self._by_key: dict[str, dict[str, Any]] = {}

    def component(self, name: str, **files: Any) -> Callable[..., None]:
        """Replace `st.components.v2.component`."""
        self.registered[name] = files

        def render(**given: Any) -> None:
            self.given = self._by_key[given["key"]] = given

        return render

    @property
    def data(self) -> dict[str, Any]:
        """The data of the component that was drawn last."""
        found: dict[str, Any] = self.given["data"]
        return found

    def of(self, key: str) -> dict[str, Any]:
        """Return the data of the component with this key."""
        found: dict[str, Any] = self._by_key[key]["data"]
        return found

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all components that were drawn, in this order."""
        return tuple(self._by_key)

    def report(self, name: str, value: Any, *, key: str = "") -> None:
        """Report a value as the browser does, and run the callback. key: of a component other than the last one."""
        given = self._by_key[key] if key else self.given
        st.session_state[given["key"]] = {name: value}
        try:
            given[f"on_{name}_change"]()
        finally:
            del st.session_state[given["key"]]
