"""The HTML report: it opens from disk, offline, without console errors; user text never becomes markup."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from lab.charts.style import LIGHT
from lab.config import RunConfig
from lab.inspection.kernels import list_convolutions
from lab.runs.ids import new_id
from lab.runs.imports import EndedRun
from lab.runs.records import RunRecord, RunState
from lab.runs.run_facts import RunEnvironment
from lab.service.lab import Lab
from lab.sharing.report.gather import examine_run
from lab.sharing.report.page import write_report
from lab.text import escaped
from tests.sharing.sharing_runs import train_run
from tests.waiting import wait_until

ATTACKS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'</script>",
    "\" onmouseover=\"document.title='owned'",
    "{{ 7 * 7 }}",
    "javascript:document.title='owned'",
    "<svg onload=document.title='owned'>",
    "' style='background:url(http://evil.test/)",
    '<a href="http://evil.test">x</a>',
    "<meta http-equiv=refresh content=0;url=http://evil.test>",
    "&lt;b&gt;\u2028\u202e",
)


def open_from_disk(browser: Browser, path: Path) -> tuple[Page, list[str]]:
    """Open a file offline; return the page and a list that collects console messages, errors, dialogs and requests."""
    messages: list[str] = []
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: messages.append(f"error: {error}"))
    page.on("dialog", lambda dialog: messages.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else messages.append(request.url),
    )
    page.goto(path.as_uri())
    page.wait_for_function(
        "document.querySelectorAll('.js-plotly-plot').length === document.querySelectorAll('.figure').length"
    )
    return page, messages


@pytest.fixture
def attacked(lab: Lab, run: RunRecord) -> Iterator[list[RunRecord]]:
    """Runs whose every text is an attack."""
    ended = [
        EndedRun(
            id=new_id(),
            name=attack,
            config=run.config,
            fingerprint=run.fingerprint,
            state=RunState.STOPPED,
            reason=attack,
            created_at=run.created_at,
            started_at=None,
            finished_at=None,
            seconds=1.0,
            device=attack,
            note=attack,
            tags=(attack,),
            environment=RunEnvironment.from_dict({"name": attack}),
            notices=(attack,),
            points=lab.store.points.read(run.id),
            files=(),
        )
        for attack in ATTACKS
    ]
    records = list(lab.store.imports.insert(ended))
    yield records
    for record in records:
        lab.store.removal.delete(record.id)


@pytest.mark.long
@pytest.mark.browser
def test_the_report_opens_from_disk_with_the_network_off_and_no_console_error(
    lab: Lab, pair: tuple[RunRecord, RunRecord], browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(write_report(lab, pair), encoding="utf-8")
    page, messages = open_from_disk(browser, path)
    assert messages == []
    assert page.locator(".js-plotly-plot").count() >= 3
    assert page.locator("#figure-loss path.js-line").count() >= 4  # raw, smoothed and validation of two runs
    pictures = page.evaluate("[...document.images].map((image) => image.complete && image.naturalWidth > 0)")
    assert pictures
    assert all(pictures)
    with page.expect_download() as download:
        page.locator("#figure-loss").hover()
        page.locator("#figure-loss .modebar-btn[data-title='Download as SVG']").click()
    assert download.value.path().read_text(encoding="utf-8").startswith("<svg")
    assert messages == []


@pytest.mark.browser
def test_no_user_text_becomes_markup_or_a_request(
    lab: Lab, attacked: list[RunRecord], browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(write_report(lab, attacked), encoding="utf-8")
    page, messages = open_from_disk(browser, path)
    assert messages == []
    assert page.title() == f"{len(attacked)} runs compared – ConvLab"
    headings = page.locator("h2").all_inner_texts()
    assert [attack for attack in ATTACKS if escaped(attack) not in headings] == []
    assert (
        page.locator("svg[onload], img[onerror], [onmouseover], meta[http-equiv=refresh], a[href^='http:']").count()
        == 0
    )


def test_the_content_security_policy_allows_the_two_scripts_and_nothing_else(lab: Lab, run: RunRecord) -> None:
    html = write_report(lab, [run], examine_s=0.0)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert policy[1].count("sha256-") == 2
    assert "unsafe-eval" not in policy[1]
    assert "http:" not in policy[1]
    assert html.index("Content-Security-Policy") < html.index("<style>")
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=\"(?!data:)", html)


def test_the_report_shows_settings_results_and_machine(lab: Lab, run: RunRecord) -> None:
    html = write_report(lab, [run])
    assert f"{100 * run.summary.other['test_accuracy']:.2f} %" in html
    assert str(run.environment.torch) in html
    assert "all 359 test images" in html
    assert html.count('<th scope="row">') > 40


def test_runs_of_a_report_have_their_own_label_and_colour_and_a_diverged_one_leaves_the_chart(
    lab: Lab, run: RunRecord
) -> None:
    points = lab.store.points.read(run.id)
    loss = points["batch/loss"]
    wild = {**points, "batch/loss": replace(loss, value=np.where(loss.step > 10, 2.5e12, loss.value))}
    ended = [
        EndedRun(
            id=new_id(),
            name=run.config.arch,
            config=run.config.replace(lr=lr),
            fingerprint="f",
            state=RunState.STOPPED,
            reason="",
            created_at=run.created_at,
            started_at=None,
            finished_at=None,
            seconds=1.0,
            device="cpu",
            note="",
            tags=(),
            notices=(),
            points=curves,
            files=(),
        )
        for lr, curves in ((0.1, points), (0.2, points), (9.0, wild))
    ]
    records = list(lab.store.imports.insert(ended))
    html = write_report(lab, records, examine_s=0.0)
    for record in records:
        lab.store.removal.delete(record.id)
    headings = re.findall(r"<h2><svg[^§]*?stroke=\"(#[0-9a-f]{6})\"[^§]*?</svg>([^<]*)</h2>", html)
    assert [name for _, name in headings] == ["lr 0.1", "lr 0.2", "lr 9"]
    assert [colour for colour, _ in headings] == list(LIGHT[:3])
    assert html.count(f'fill="{LIGHT[2]}"') == 3  # in both tables and above the run
    assert "lr 9 leaves the chart at step 11 and reaches 2.5T." in html
    assert "Full range" in html
    assert "Full range" not in write_report(lab, [run], examine_s=0.0)


def test_a_run_without_weights_has_a_report_without_curves_and_confusion_matrix(lab: Lab) -> None:
    waiting = lab.submissions.submit(lab.validation.resolve(RunConfig(dataset="digits", seed=12345))).run
    html = write_report(lab, [waiting])
    lab.store.removal.delete(waiting.id)
    assert "No saved network was available" in html
    assert "There are no curves yet." in html
    assert "Confusion matrix" not in html


def test_a_slow_network_is_evaluated_on_as_many_images_as_the_budget_allows(lab: Lab, run: RunRecord) -> None:
    ticks = count()
    # By this clock, the first 16 images take one second.
    examined = examine_run(lab, run, budget_s=1.2, clock=lambda: float(next(ticks)))
    assert examined.images == 16
    assert examined.test_images == 359
    full = examine_run(lab, run, budget_s=60.0)
    assert full.images == 359
    assert sum(cell.count for row in full.rows for cell in row.cells) == 359
    assert full.accuracy == pytest.approx(run.summary.other["test_accuracy"])


def test_pictures_show_the_most_confident_errors_first(lab: Lab, run: RunRecord) -> None:
    examined = examine_run(lab, run, budget_s=60.0)
    texts = [picture.alt_text for picture in examined.mistakes]
    confidences = [float(re.search(r"\(([\d.]+) % confidence", text)[1]) for text in texts]  # type: ignore[index]
    assert confidences == sorted(confidences, reverse=True)
    assert len(examined.maps) == 3  # the image and LeNet's two convolutions


@pytest.mark.long
@pytest.mark.browser
def test_unbroken_words_of_200_letters_do_not_widen_the_report(
    lab: Lab, pair: tuple[RunRecord, RunRecord], browser: Browser, tmp_path: Path
) -> None:
    long = "W" * 200
    records = [
        replace(
            record,
            name=long,
            reason=long,
            note=long,
            tags=("T" * 60,) * 20,
            device=long,
            notices=(long,),
            environment=RunEnvironment.from_dict({"n" * 60: long, "name": long}),
        )
        for record in pair
    ]
    for runs in (records[:1], records):
        path = tmp_path / "report.html"
        path.write_text(write_report(lab, runs, examine_s=0.0), encoding="utf-8")
        page, messages = open_from_disk(browser, path)
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            fits = "(r => r.scrollWidth <= r.clientWidth)(document.documentElement)"
            wait_until(partial(page.evaluate, fits))  # Plotly adapts to the window's width with a delay
        assert messages == []
        page.close()


@pytest.mark.parametrize(("budget_s", "images"), [(17.0, 32), (2.0, 17), (1.0, 16), (0.0, 16)])
def test_the_number_of_evaluated_images_follows_from_the_time_of_the_first_ones(
    lab: Lab, run: RunRecord, budget_s: float, images: int
) -> None:
    """The first 16 images take 16 seconds of this clock, so each of the others costs one."""
    ticks = iter([0.0, 16.0, 16.0, 16.0, 16.0, 16.0])
    examined = examine_run(lab, run, budget_s=budget_s + 15.0, clock=lambda: next(ticks))
    assert examined.images == images


def test_feature_maps_are_those_of_the_first_middle_and_last_convolution(lab: Lab) -> None:
    deep = train_run(lab, arch="conv3-bn", epochs=1, train_limit=64)
    layers = list_convolutions(lab.weights.load(deep.id).network)
    assert len(layers) == 3
    shown = [picture.alt_text.partition(":")[0] for picture in examine_run(lab, deep, budget_s=60.0).maps]
    assert shown == ["The image (test", *layers]
