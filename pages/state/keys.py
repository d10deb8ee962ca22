"""Keys of elements without a value: buttons, downloads, tables, containers that a style selects.

Inputs get their key from the record that they write to (`PageState.widget`). So no page invents keys.
"""

import re
from typing import NewType

ElementKey = NewType("ElementKey", str)

_NAME = re.compile(r"[a-z]+(-[a-z]+)*")


def element(name: str, *ids: object) -> ElementKey:
    """Return the key of an element, such as `recent-3f2a` for `element("recent", run.id)`.

    A style selects it as `.st-key-<key>`. Raises `ValueError` for a name with other characters than a-z and hyphens.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a valid element name: use lower-case words with hyphens, as in 'run-results'"
        )
    return ElementKey("-".join((name, *map(str, ids))))
