"""The effects of button presses, recorded in `tests/golden/presses.txt` by `python -m tests.golden.write_shown`.

They are the address and messages of the page afterwards, and the changes of the store.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from streamlit.testing.v1 import AppTest

from lab.service.lab import Lab
from lab.sweeps.records import SweepRecord
from pages.cache.lab import get_lab
from tests.golden.opening import GOLDEN, read_sections
from tests.golden.shown_lab import ids_of, list_ids, plain, shown_lab
from tests.golden.shown_pages import fix_lab
from tests.web.addresses import open_page

FILE = GOLDEN / "presses.txt"
_HEAD = "## "
CASES = (
    "/ > Train a LeNet on the built-in digits",
    "/train > Train",
    "/train?arch=lenet-bn&lr=0.003&epochs=3&batch_size=64&device=cpu > Train",
    "/train > Stop these 3 runs",
    "/train > Down",
    "/train?arch=vgg11&dataset=mnist > Use the built-in digits",
    "/train?arch=vgg11&dataset=digits > Use 32×32",
    "/train?run={finished} > Change settings",
    "/train?run={finished} > Train again",
    "/train?run={finished} > New training",
    "/train?run={finished} > Train 3 more runs",
    "/train?run={finished} > Start",
    "/train?run={finished} > All settings",
    "/train?run={finished} > Look inside",
    "/train?run={finished} > Test with a drawing",
    "/train?run={running} > Pause",
    "/train?run={running} > Stop",
    "/train?run={queued} > Pause",
    "/train?run={queued} > Stop",
    "/train?run={paused} > Resume",
    "/train?run={paused} > Stop",
    "/train?run={failed} > Resume",
    "/train?run={fork} > Train again with patience 2",
    "/runs > Compare all 33",
    "/runs > Compare",
    "/runs?runs={finished}.{low0} > Clear selection",
    "/runs?runs={finished}.{low0} > Delete",
    "/runs?runs={finished}.{low0} > Delete > Undo",
    "/runs?runs={finished}.{low0} > Train 3 more runs",
    "/runs?show=reports&report=C > Choose all 6",
    "/sweeps > Start the sweep",
    "/sweeps?sweep={half way} > Resume",
    "/sweeps?sweep={half way} > Stop",
    "/sweeps?sweep={half way} > Adopt earlier runs",
    "/sweeps?sweep={half way} > Continue with these",
    "/sweeps?sweep={searched} > Continue with these",
    "/machines > Drain",
    "/machines > Take runs again",
    "/inside?run={finished}&image=3 > Next error",
    "/inside?run={finished}&view=network&stage=features_conv2&place=1.2.3 > Close",
    "/draw?mode=My+drawings > Fine-tune on my drawings",
)


def press(case: str, home: Path) -> list[str]:
    """Open a page of a new lab in this folder, press the buttons of the case in turn, and return the effects."""
    address, *labels = case.split(" > ")
    with shown_lab(home):
        fix_lab()
        before = list(_records(get_lab()))
        parts = urlsplit(address.format(**list_ids()))
        app = open_page(parts.path.strip("/") or "home", **dict(parse_qsl(parts.query)))
        with ids_of(case):
            for label in labels:
                found = [button for button in app.button if button.label == label and not button.disabled]
                if not found:
                    return [f"there is no {label!r}: {', '.join(button.label for button in app.button)}"]
                found[0].click().run()
        after = list(_records(get_lab()))
        removed, added = (
            [line for line in one if line not in other] for one, other in ((before, after), (after, before))
        )
        lines = [*_messages(app), *(f"- {line}" for line in removed), *(f"+ {line}" for line in added)]
        return [plain(line, home).rstrip().replace("\n", "⏎") for line in lines]


def _messages(app: AppTest) -> Iterator[str]:
    """Yield the parameters of the address, the messages and the headings of a page."""
    for name, text in app.query_params.items():
        yield f"address {name}={text if isinstance(text, str) else text[0]}"
    for kind in ("exception", "error", "warning", "success", "info", "toast"):
        for each in app.get(kind):
            yield f"{kind} {each.value}".replace("\n", "⏎")
    for each in [*app.title, *app.header]:
        yield f"heading {each.value}"


def _records(lab: Lab) -> Iterator[str]:
    """Yield a line for each run, sweep and host, one for the queue and one for the drawings."""
    for run in lab.store.runs.list(order="number", limit=None):
        facts = {
            "wants": run.requested.value,
            "owner": run.owner,
            "priority": run.priority,
            "parent": run.parent,
            "tags": ",".join(run.tags),
            "pinned": run.pinned,
            "note": run.note,
            "changed": json.dumps(run.config.changed(), sort_keys=True),
        }
        yield f"run {run.id} {run.name}: {run.state.value} " + " ".join(
            f"{name}={value}" for name, value in facts.items() if value
        )
    yield f"queue {' '.join(run.id for run in lab.store.queue.list())}"
    for sweep in lab.store.sweeps.list():
        yield f"sweep {sweep.id} {sweep.name}: {sweep.state.value} {sweep.reason} {_spec(sweep)}"
        yield f"trials of {sweep.id}: {' '.join(trial.run for trial in lab.sweeps.show(sweep.id).trials)}"
    yield f"drawings {' '.join(drawing.id for drawing in lab.store.sketches.list())}"
    for host in lab.machines.show().hosts:
        yield f"host {host.host}: {host.state.value}"


def _spec(sweep: SweepRecord) -> str:
    """Return the specification of a sweep, without base settings that have their defaults."""
    asked = sweep.asked.as_dict()
    return json.dumps({**asked, "base": sweep.asked.base.changed()}, sort_keys=True)


def recorded() -> dict[str, list[str]]:
    """Return the recorded effects of each case."""
    return read_sections(FILE, head=_HEAD)


def write_presses(folder: Path) -> None:
    """Write the effects of every case."""
    lines = [line for at, case in enumerate(CASES) for line in (_HEAD + case, *press(case, folder / str(at)))]
    FILE.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
