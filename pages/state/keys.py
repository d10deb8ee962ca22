"""Keys of elements that hold nothing to be read back: buttons, downloads, tables, containers that a style selects.

Inputs take their key from the record they write to (`PageState.widget`). With both, no page has a key of its own making.
"""

import re
from typing import NewType

ElementKey = NewType("ElementKey", str)

_NAME = re.compile(r"[a-z]+(-[a-z]+)*")


def element(name: str, *ids: object) -> ElementKey:
    """Return the key of an element, such as `recent-3f2a` for `element("recent", run.id)`.

    A style selects it as `.st-key-<key>`. Raises `ValueError` for a name that is not small letters and hyphens.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an element: write small letters with hyphens, such as 'run-results'")
    return ElementKey("-".join((name, *map(str, ids))))
