"""Cards to choose from, in groups: each with a picture, a title and two lines of facts."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from pages.components.base import component, reported_value


@dataclass(frozen=True, slots=True)
class Card:
    """One choice. picture: its URL, "" for none. group: the heading above it. one, two: lines of facts."""

    id: str
    title: str
    picture: str = ""
    group: str = ""
    one: str = ""
    two: str = ""


def cards(key: str, choices: Sequence[Card], *, name: str, chosen: str | None, on_pick: Callable[[str], None]) -> None:
    """Show the cards; `on_pick` is called with the id of a clicked card, before the page reruns.

    Cards of a group must be consecutive. name: what can be chosen, for screen readers. chosen: id of the selected card.
    """
    known = {card.id for card in choices}

    def picked() -> None:
        card = reported_value(key, "pick")
        if card in known:
            on_pick(str(card))

    component("cards")(
        key=key,
        data={"cards": [asdict(card) for card in choices], "name": name, "chosen": chosen},
        on_pick_change=picked,
    )
