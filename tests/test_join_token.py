"""The join token: it decodes to what was encoded, and a damaged, truncated or newer one is refused in one sentence."""

import pytest

from lab.errors import InputError
from lab.join_token import JoinToken

TOKEN = JoinToken("postgresql+psycopg://lab:s%40cret@db.example:5432/lab", "s3://bucket/lab", "ab" * 32)


def test_a_token_is_decoded_as_encoded_even_with_whitespace_around_it() -> None:
    assert JoinToken.decode(f"  {TOKEN.encode()}\n") == TOKEN
    assert TOKEN.encode().startswith("convlab1.")


def test_every_single_changed_or_missing_character_is_detected() -> None:
    text = TOKEN.encode()
    for at in range(len("convlab1."), len(text)):
        for broken in (
            text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :],
            text[:at],
            text[:at] + text[at + 1 :],
        ):
            with pytest.raises(InputError, match="copy the whole line that `convlab machines token` prints"):
                JoinToken.decode(broken)


@pytest.mark.parametrize("text", ["", "hello", "convlab", "convlabx.a.b", "convlab1xx", "conv\0lab1.a.b", "TOKEN"])
def test_text_that_is_not_a_token_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"is not a token, which starts with 'convlab1\.': copy the whole line"):
        JoinToken.decode(text)


def test_a_newer_token_is_refused_with_both_versions() -> None:
    with pytest.raises(InputError, match="The token has version 2, but this release of ConvLab reads version 1"):
        JoinToken.decode(TOKEN.encode().replace("convlab1", "convlab2"))


def test_a_token_that_unpacks_to_more_than_a_token_can_hold_is_refused() -> None:
    huge = JoinToken("postgresql://" + "a" * 5_000_000, "s3://x", "y").encode()
    with pytest.raises(InputError, match="The token cannot be read"):
        JoinToken.decode(huge)
