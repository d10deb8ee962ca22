"""A page's record in its session, its widgets and its address, kept in step.

A record is a frozen dataclass. A value in the address is taken over once, when it is new; afterwards the widget leads and
the address follows. A value that is not allowed is named in a sentence and stays in the address until the reader chooses
something else, so that nothing is replaced in silence. (Streamlit's own `bind` would write the shown words instead of the
ids, and its `persist_state` one key a widget.)
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
    """What became of the address so far, by field: texts that were taken over, and wrong ones with the choice beside."""

    texts: Mapping[str, str | None] = field(default_factory=dict)
    wrong: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)


def is_offered(reported: Any, offered: Collection[str] | None) -> bool:
    """Whether everything that a widget reports, one value or several, is among its choices; True where none are given.

    A browser reports labels, and one from before they changed comes back as its text. Such a report is dropped: the widget
    shows what was chosen again.
    """
    chosen = reported if isinstance(reported, list | tuple) else () if reported is None else (reported,)
    return offered is None or set(chosen) <= set(offered)


class PageState(Generic[S]):
    """The record of one page. `key` begins the keys of its widgets, so it is another one for each record."""

    def __init__(self, record: type[S], *, key: str) -> None:
        self.record = record
        self.key = key
        self.state_key = f"{key}.state"
        self._names = frozenset(each.name for each in fields(cast(Any, record)))

    def read(self) -> S:
        """Return this session's record."""
        held = value_of(self.state_key)
        # By name: while the code is being worked on, the class may have been loaded once more.
        return held if type(held).__name__ == self.record.__name__ else self.record()

    def change(self, **changes: Any) -> None:
        """Change some fields, in a callback or while the page is drawn; raises `TypeError` for an unknown one."""
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
        """Return `key` and `on_change` of the widget for one field, which shows what the field holds.

        item: for a field that is a mapping, whose value, and `default` where it has none yet. value: to show instead of the
        field's. then: called after a change. leave: other fields whose part of the address goes with it.
        offered: the choices, where their labels change (`is_offered`).
        """
        key = self.widget_key(name, item)
        held = getattr(self.read(), name)
        shown = value if value is not _UNSET else held.get(item, default) if item else held
        put(key, list(shown) if isinstance(shown, tuple) else shown)
        return {"key": key, "on_change": self._take_widget, "args": (name, item, key, then, leave, offered)}

    def widget_key(self, name: str, item: str = "") -> str:
        """Return the key of a field's widget; raises `KeyError` for an unknown field."""
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
        """Name the parts of the address that the page does not know."""
        refuse_parameters([each.name for each in params_of(self.record).values()])

    def take(self, name: str, *, read: Reader | None = None) -> bool:
        """Take a field's value from the address if that is new; call it before the widget is made.

        A field that is not in the address stays as it is: a bare address opens a page as it was left. Only after the
        browser's Back or Forward, where it was in the address before, it is as usual again.

        read: where the rule depends on what the page shows. Returns whether the address is right: False for a value that
        is not allowed, which is said on the page.
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
            elif seen.wrong.get(name, ("", None))[0] != text:  # it was right when it was taken over
                return True
            complain(wrong(declared.name, text, str(error)))
            return False
        if new:
            self.change(**{name: value})
        self._remember(name, text=text, wrong=None)
        return True

    def text(self, name: str) -> str:
        """Return what the address has for a field, "" for nothing."""
        return address().get(params_of(self.record)[name].name, "")

    def show(self, name: str) -> None:
        """Write a field to the address, or take it out where it is the default.

        A wrong value is left there while the choice is what it was beside that value.
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
        """Take fields out of the address: what the reader chose follows."""
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
        """Begin with the defaults again."""
        forget(self.state_key)
