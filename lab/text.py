"""Display of text: which characters must not be shown unescaped, and how a long text is shortened.

Control characters can control a terminal, bidirectional controls and invisible characters make a name look like another
(Unicode Technical Report 36), and lone surrogates cannot be encoded as UTF-8. New text that contains them is refused
(`lab.runs.edits.checked_text`); in stored text and in text from files they are escaped.
"""

import re
import unicodedata

_SECRET = re.compile(r"(://[^:/@]*:).*(?=@)|([?&](?:password|secret)=)[^&]*")  # a password may contain / and @
SENTENCE_LIMIT = 300  # characters of an error message
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, surrogate, line and paragraph separator
# Blank, although letters, marks or symbols by category: Hangul fillers, the combining grapheme joiner, two Khmer
# vowels, the blank Braille pattern, the null notehead.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u2800\U0001d159")
_JOINERS = frozenset("\u200c\u200d")  # parts of Persian and Indic words and of emoji
# Variation selectors are blank too; they select a form of the preceding character: emoji and symbols, Han, Mongolian.
_SELECTORS = range(0xFE00, 0xFE10)
_HAN_SELECTORS = range(0xE0100, 0xE01F0)
_MONGOLIAN_SELECTORS = frozenset({0x180B, 0x180C, 0x180D, 0x180F})
_MONGOLIAN = range(0x1800, 0x18B0)
# Categories of the characters that have such forms; Latin, Greek and Cyrillic have none.
_SELECTED = frozenset({"So", "Sm", "Sk", "Po", "Pd", "Lo"})
_MARKS = frozenset({"Mn", "Me"})  # drawn over the preceding letter, with zero width
_MAX_MARKS = 8  # in a row: Tibetan and Hebrew have up to six on a letter; hundreds cover the lines above and below
_KEYCAP = "\u20e3"
_LATIN_END = "\u02ff"  # up to here no letter needs a joiner
_KINDS = {
    "Mn": "excess combining mark",
    "Me": "excess combining mark",
    "Cc": "control character",
    "Cs": "lone surrogate",
    "Zl": "line separator",
    "Zp": "paragraph separator",
}
_C0_NAMES = {
    "\0": "NULL",
    "\a": "BELL",
    "\b": "BACKSPACE",
    "\t": "TAB",
    "\n": "LINE FEED",
    "\r": "CARRIAGE RETURN",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
    "\x9b": "CONTROL SEQUENCE INTRODUCER",
}
_PIECE = re.compile(r"'[^']{40,}'|\"[^\"]{40,}\"|\S{40,}")
_GAP = "…"


def hide_password(url: str) -> str:
    """Return a URL for display, with each password replaced by three asterisks."""
    return _SECRET.sub(lambda found: f"{found[1] or found[2]}***", url)


def hidden_character(text: str, *, lines: bool = False) -> str | None:
    """Return the first character that must be escaped, or None. lines: whether line breaks and tabs are allowed."""
    if text.isascii() and text.isprintable():  # true for nearly every text, and a hundred times as fast
        return None
    return next((c for at, c in enumerate(text) if _is_hidden(text, at, lines=lines)), None)


def _is_hidden(text: str, at: int, *, lines: bool) -> bool:
    character = text[at]
    if " " <= character <= "~" or (lines and character in "\n\t"):
        return False
    if _is_selector(character):
        return not (at > 0 and _has_forms(text[at - 1], character, text[at + 1 : at + 2]))
    if character in _JOINERS:
        return not (0 < at < len(text) - 1 and _is_joined(text[at - 1]) and _is_joined(text[at + 1]))
    category = unicodedata.category(character)
    return character in _BLANK or category in _HIDDEN or (category in _MARKS and _is_piled_up(text, at))


def _is_piled_up(text: str, at: int) -> bool:
    """Return whether more marks precede this one than a letter has in any script."""
    return at > _MAX_MARKS and all(unicodedata.category(c) in _MARKS for c in text[at - _MAX_MARKS : at])


def _is_selector(character: str) -> bool:
    code = ord(character)
    return code in _SELECTORS or code in _HAN_SELECTORS or code in _MONGOLIAN_SELECTORS


def _has_forms(base: str, selector: str, after: str) -> bool:
    """Return whether the base character has the forms of this variation selector. after: the character after it."""
    if base in "0123456789#*":
        return after == _KEYCAP
    if base in _BLANK:
        return False
    code, category = ord(selector), unicodedata.category(base)
    if code in _MONGOLIAN_SELECTORS:
        return category in {"Lo", "Lm"} and ord(base) in _MONGOLIAN
    return category == "Lo" if code in _HAN_SELECTORS else category in _SELECTED


def _is_joined(neighbour: str) -> bool:
    return neighbour > _LATIN_END and neighbour not in _BLANK and unicodedata.category(neighbour) not in _HIDDEN


def text_problem(text: str, limit: int, *, lines: bool = False) -> str:
    """Return what is wrong with a text that is to be stored, and what to do, to follow its name; "" for nothing.

    limit: the most characters. lines: whether line breaks and tabs are allowed.
    """
    if len(text.strip()) > limit:
        return f"has {len(text.strip())} characters, but at most {limit} fit: shorten it"
    hidden = hidden_character(text.strip(" \t\r\n"), lines=lines)
    return "" if hidden is None else f"contains the {describe_character(hidden)}, which cannot be shown: remove it"


def describe_character(character: str) -> str:
    """Return the description of a hidden character: "invisible character U+202E (RIGHT-TO-LEFT OVERRIDE)"."""
    kind = (
        "invisible character"
        if character in _BLANK
        else _KINDS.get(unicodedata.category(character), "invisible character")
    )
    name = unicodedata.name(character, _C0_NAMES.get(character, ""))
    return f"{kind} U+{ord(character):04X}" + (f" ({name})" if name else "")


def escaped(text: str, *, lines: bool = False) -> str:
    """Return the text with every hidden character escaped, such as \\x9b or \\u202e."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii") if _is_hidden(text, at, lines=lines) else c
        for at, c in enumerate(text)
    )


def shortened(text: str, limit: int) -> str:
    """Return at most `limit` characters (at least 3) of a text, with its middle omitted."""
    if len(text) <= limit:
        return text
    head = (limit - len(_GAP) + 1) // 2
    tail = limit - len(_GAP) - head
    return text[:head] + _GAP + (text[-tail:] if tail else "")


def one_sentence(text: str) -> str:
    """Return an error message as one line without hidden characters, at most `SENTENCE_LIMIT` characters long.

    Long values are shortened first, the longest by as much as needed, so that the rule and the remedy remain. If that
    is not enough, the middle of the line is omitted.
    """
    line = escaped(" ".join(text.split("\n")))
    while len(line) > SENTENCE_LIMIT:
        longest = max(_PIECE.finditer(line), key=lambda piece: len(piece[0]), default=None)
        if longest is None or len(longest[0]) <= 40:
            return shortened(line, SENTENCE_LIMIT)
        room = max(40, len(longest[0]) - (len(line) - SENTENCE_LIMIT))
        line = line[: longest.start()] + shortened(longest[0], room) + line[longest.end() :]
    return line
