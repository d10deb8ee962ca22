"""Keeps a page's record in the session, its widgets and its address in sync.

A record is a frozen dataclass. A new value in the address is applied once; afterwards, the widget leads and the address
follows. An invalid value is reported and stays in the address until the user makes a choice, so that nothing is
replaced silently. (Streamlit's own `bind` would write labels instead of ids, and its `persist_state` one key per
widget.)
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, TypeVar, cast

from pages.state.address import address, complain, refuse_parameters, went_back, write_address
from pages.state.codec import Reader, defaults_of, params_of, write, wrong
from pages.state.session import forget, put, value_of

S = TypeVar("S")

_UNSET: Any = object()


@dataclass(frozen=True, slots=True)
class _Seen:
    """The parts of the address that were handled, by field.

    texts: texts that were applied. wrong: invalid texts, each with the choice that was shown with it.
    """

    texts: Mapping[str, str | None] = field(default_factory=dict)
    wrong: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)


def is_offered(reported: Any, offered: Collection[str] | None) -> bool:
    """Whether everything that a widget reports, one value or several, is among its choices. offered: None accepts all.

    A browser reports labels, and an outdated label is returned as plain text. Such a report is dropped, and the widget
    shows the previous choice again.
    """
    chosen = reported if isinstance(reported, list | tuple) else () if reported is None else (reported,)
    return offered is None or set(chosen) <= set(offered)


class PageState(Generic[S]):
    """The state of one page, of the type `record`. key: prefix of the keys of its widgets, unique for each record."""

    def __init__(self, record: type[S], *, key: str) -> None:
        self.record = record
        self.key = key
        self.state_key = f"{key}.state"
        self._names = frozenset(each.name for each in fields(cast(Any, record)))

    def read(self) -> S:
        """Return this session's record."""
        held = value_of(self.state_key)
        # Compared by name: during development, the class may have been reloaded.
        return held if type(held).__name__ == self.record.__name__ else self.record()

    def change(self, **changes: Any) -> None:
        """Change some fields, in a callback or while the page is drawn. Raises `TypeError` for an unknown field."""
        put(self.state_key, replace(cast(Any, self.read()), **changes))

    def widget(
        self,
        name: str,
        *,
        item: str = "",
        default: Any = None,
        value: Any = _UNSET,
        then: Callable[[], None] | None = None,
        leave: tuple[str, ...] = (),
        offered: tuple[str, ...] | None = None,
    ) -> dict[str, Any]:
        """Return `key` and `on_change` of the widget for one field, which shows the field's value.

        item: key of the value, for a field that is a mapping. default: the value of an item that is not set. value:
        shown instead of the field's. then: called after a change. leave: other fields that a change removes from the
        address. offered: the choices, if their labels can change (`is_offered`).
        """
        key = self.widget_key(name, item)
        held = getattr(self.read(), name)
        shown = value if value is not _UNSET else held.get(item, default) if item else held
        put(key, list(shown) if isinstance(shown, tuple) else shown)
        return {"key": key, "on_change": self._take_widget, "args": (name, item, key, then, leave, offered)}

    def widget_key(self, name: str, item: str = "") -> str:
        """Return the key of a field's widget. Raises `KeyError` for an unknown field."""
        if name not in self._names:
            raise KeyError(f"{self.record.__name__} has no field {name!r}")
        return f"{self.key}.{name}.{item}" if item else f"{self.key}.{name}"

    def _take_widget(
        self,
        name: str,
        item: str,
        key: str,
        then: Callable[[], None] | None,
        leave: tuple[str, ...],
        offered: tuple[str, ...] | None,
    ) -> None:
        value = value_of(key)
        value = tuple(value) if isinstance(value, list) else value
        if not is_offered(value, offered):
            return
        self.change(**{name: {**getattr(self.read(), name), item: value} if item else value})
        self.leave(*leave)
        if name in params_of(self.record):
            self._remember(name, wrong=None)
            self.show(name)
        if then is not None:
            then()

    # The address.

    def refuse_unknown(self) -> None:
        """Show an error for each parameter in the address that the page does not know."""
        refuse_parameters([each.name for each in params_of(self.record).values()])

    def take(self, name: str, *, read: Reader | None = None) -> bool:
        """Apply a field's value in the address if it is new. Call this before the widget is created.

        A field that is not in the address keeps its value: a bare address opens a page as it was left. Only if it was
        in the address before the browser's Back or Forward, it gets its default again.

        read: the reader, if the rule depends on what the page shows. Returns whether the address is valid; an invalid
        value is reported on the page.
        """
        declared = params_of(self.record)[name]
        text = address().get(declared.name)
        seen = self._seen()
        new = text != seen.texts.get(name)
        if text is None:
            if went_back() and seen.texts.get(name) is not None:
                self.change(**{name: defaults_of(self.record)[name]})
            self._remember(name, text=None, wrong=None)
            return True
        try:
            value = (read or declared.read)(text)
        except ValueError as error:
            if new:
                self._remember(name, text=text, wrong=(text, None))
            elif seen.wrong.get(name, ("", None))[0] != text:  # it was valid when it was applied
                return True
            complain(wrong(declared.name, text, str(error)))
            return False
        if new:
            self.change(**{name: value})
        self._remember(name, text=text, wrong=None)
        return True

    def text(self, name: str) -> str:
        """Return a field's text in the address, "" if it is not there."""
        return address().get(params_of(self.record)[name].name, "")

    def show(self, name: str) -> None:
        """Write a field to the address, or remove it if it has its default.

        An invalid value stays in the address until the choice changes.
        """
        declared = params_of(self.record)[name]
        value = getattr(self.read(), name)
        text = write(value)
        refused, beside = self._seen().wrong.get(name, (None, None))
        rest = address()
        shown = rest.pop(declared.name, None)
        if refused is not None and refused == shown and beside in (None, text):
            self._remember(name, wrong=(refused, text))
            return
        self._remember(name, text=text, wrong=None)
        if value == defaults_of(self.record)[name]:
            write_address(rest)
        elif shown != text:
            write_address(rest | {declared.name: text})

    def leave(self, *names: str) -> None:
        """Remove fields from the address."""
        gone = {params_of(self.record)[name].name for name in names}
        write_address({name: text for name, text in address().items() if name not in gone})
        for name in names:
            self._remember(name, text=None, wrong=None)

    def _seen(self) -> _Seen:
        seen = value_of(f"{self.key}.address")
        return cast(_Seen, seen) if type(seen).__name__ == "_Seen" else _Seen()

    def _remember(self, name: str, *, text: Any = _UNSET, wrong: Any = _UNSET) -> None:
        seen = self._seen()
        texts, refused = dict(seen.texts), dict(seen.wrong)
        if text is not _UNSET:
            texts[name] = text
        if wrong is not _UNSET:
            refused.pop(name, None)
            if wrong is not None:
                refused[name] = wrong
        put(f"{self.key}.address", _Seen(texts, refused))

    def forget(self) -> None:
        """Reset the record to its defaults."""
        forget(self.state_key)
