"""Pages show hidden characters, in the store and in a search, as escapes."""

import pytest
from streamlit.testing.v1 import AppTest

from lab.text import hidden_character
from tests.runs.runs_data import write_past_checks
from tests.web.addresses import open_page
from tests.web.web_data import Bench

ATTACK = "a\x9b31m\u202eb\u2066c"


def _shown(app: AppTest) -> list[str]:
    texts = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.title, *app.subheader]
    tables = [str(cell) for table in app.dataframe for cell in table.value.to_numpy().reshape(-1)]
    links = [link.proto.label for link in app.get("page_link")]
    labels = [button.label for button in app.button] + [option for box in app.selectbox for option in box.options]
    return [*(text.value for text in texts), *tables, *links, *labels]


@pytest.mark.parametrize(
    ("page", "query"), [("home", {}), ("train", {"run": ""}), ("runs", {}), ("runs", {"q": ATTACK})]
)
def test_no_page_shows_hidden_characters(bench: Bench, page: str, query: dict[str, str]) -> None:
    run = bench.finish(bench.start())
    write_past_checks(bench.lab.store, run.id, name=ATTACK, note=ATTACK, tags=f"\n{ATTACK}\n", reason=ATTACK)
    app = open_page(page, **{name: value or run.id for name, value in query.items()})
    shown = _shown(app)
    assert [text for text in shown if hidden_character(text, lines=True)] == []
    assert any("x9b31m" in text or "U+009B" in text.replace("\\", "") for text in shown)
