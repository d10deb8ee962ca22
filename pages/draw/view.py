"""Plain HTML of the Draw page: answer cards, the steps of the normalisation, tiled pictures.

Plain HTML is replaced in place, without rebuilding a chart. Every text from outside is escaped here.
"""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from lab.charts.data_url import png_url
from lab.charts.tiles import encode
from lab.formatting import format_percent, plural, unbroken
from lab.sketch.normalise import StepPicture
from lab.sketch.reading import Answer

STYLE = """<style>
.cl-answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(138px, 1fr)); gap: 10px; }
.cl-card { display: grid; grid-template-rows: subgrid; grid-row: span 5; row-gap: 0; align-content: start;
  border: 1px solid var(--st-border-color, #8884); border-radius: 10px; padding: 10px 12px 12px; min-width: 0; }
.cl-card.differs { border-color: #c75000; box-shadow: inset 0 0 0 1px #c75000; }
.cl-name { font-weight: 600; font-size: .92rem; line-height: 1.25; height: 2.5em; overflow: hidden;
  overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; }
.cl-sub { font-size: .78rem; line-height: 1.3; opacity: .8; min-height: 1.3em; overflow-wrap: anywhere; }
.cl-big { display: flex; align-items: baseline; gap: 10px; margin: 2px 0 4px; height: 3.3rem; }
.cl-big b { font-size: 2.7rem; line-height: 1.2; font-weight: 700; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.cl-big span { font-size: .95rem; }
.cl-unsure b { opacity: .35; }
.cl-why { font-size: .78rem; min-height: 2.5em; line-height: 1.25; opacity: .85; padding-bottom: 4px; }
.cl-row { display: grid; grid-template-columns: minmax(1em, max-content) 1fr 3.1em; align-items: center; gap: 6px;
  font-size: .8rem; white-space: nowrap; height: 1.36em; font-variant-numeric: tabular-nums; }
.cl-row i { font-style: normal; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
.cl-row em { font-style: normal; text-align: right; opacity: .75; }
.cl-track { height: .62em; border-radius: 3px; background: rgba(128,140,155,.18); overflow: hidden; }
.cl-track div { height: 100%; border-radius: 3px; background: #2f86cf; }
.cl-row.first { font-weight: 650; }
.cl-line { margin: 0; min-height: 3em; align-content: end; line-height: 1.5; font-size: 1rem; overflow-wrap: anywhere; }
.cl-steps { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: 12px; }
.cl-steps figure, .cl-pics figure { margin: 0; min-width: 0; }
.cl-steps img, .cl-pic { width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated;
  background: #000; border-radius: 6px; display: block; }
.cl-steps figcaption, .cl-pics figcaption { font-size: .8rem; line-height: 1.3; margin-top: 4px; }
.cl-steps figcaption small, .cl-pics figcaption small { display: block; opacity: .72; font-size: .76rem;
  min-height: 1.2em; }
.cl-pics { display: grid; grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); gap: 10px; }
.cl-maps { width: 100%; image-rendering: pixelated; border-radius: 6px; display: block; }
.cl-inside { display: grid; grid-template-columns: minmax(120px, 1fr) minmax(0, 3fr); gap: 16px; align-items: start; }
.cl-inside figure { margin: 0; } .cl-inside figcaption { font-size: .82rem; margin-top: 4px; }
[data-testid="stColumn"]:has(> * :is(.st-key-draw-live, [class*="st-key-draw-canvas"])) { flex: 5 1 20rem;
  min-width: 20rem; }
[data-testid="stColumn"]:has(> * :is(.st-key-draw-live, [class*="st-key-draw-canvas"])) + [data-testid="stColumn"] {
  flex: 9 1 20rem; min-width: 20rem; }
@media (min-width: 641px) { .stApp:has(.st-key-draw-live) { --pad-side: clamp(240px, calc(100vh - 475px), 340px);
  --pad-margin: 0; } }
@media (min-width: 1000px) { [data-testid="stColumn"]:has(> * :is(.st-key-draw-live, [class*="st-key-draw-canvas"])) {
  max-width: 25rem; } }
.st-key-draw-label [role="radiogroup"] { display: grid; grid-template-columns: repeat(auto-fit, minmax(28px, 1fr));
  max-width: 26rem; gap: 1px; }
.st-key-draw-label [role="radiogroup"] button { min-width: 0; padding: 0; }
.cl-boxes { position: relative; width: fit-content; max-width: 100%; margin: 0 0 14px; }
.cl-boxes img { display: block; outline: 1px solid var(--st-border-color, #8884); max-width: 100%; max-height: 60vh;
  border-radius: 8px; }
.cl-boxes span { left: calc(100% * var(--left)); top: calc(100% * var(--top)); width: calc(100% * var(--wide));
  height: calc(100% * var(--tall)); position: absolute; box-sizing: border-box; border: 2px solid #c75000;
  border-radius: 4px; }
.cl-boxes b { position: absolute; left: -2px; bottom: 100%; background: #c75000; color: #fff; font-size: .85rem;
  line-height: 1.25; padding: 0 5px; border-radius: 3px; }
.cl-rounds { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px;
  margin: 6px 0 14px; }
.cl-rounds figure { margin: 0; min-width: 0; border: 1px solid var(--st-border-color, #8884); border-radius: 10px;
  padding: 8px; }
.cl-rounds figure > img { width: 84px; max-width: 100%; border-radius: 6px; display: block; }
.cl-rounds figcaption { font-size: .85rem; margin: 4px 0; }
.cl-rounds ul { list-style: none; margin: 0; padding: 0; font-size: .85rem; }
.cl-rounds li { display: flex; align-items: center; gap: 8px; margin: 3px 0; padding: 0; }
.cl-rounds li img { width: 28px; height: 28px; image-rendering: pixelated; border-radius: 3px; }
@media (max-width: 640px) { .cl-answers:has(.cl-card + .cl-card) { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .cl-inside { grid-template-columns: minmax(0, 1fr); } .cl-inside .cl-pic { width: 45%; } }
</style>"""
_MAX_ROWS = 10
_NOTHING = 0.0005  # classes with a lower probability are not mentioned
_LINE_TITLES = 45  # letters of titles that fit into the two lines above the pad on a phone


def picture_url(picture: np.ndarray) -> str:
    """Return a uint8 picture, (H, W) or (H, W, 3), as a data URL."""
    return png_url(encode(np.ascontiguousarray(picture)))


def percent(share: float) -> str:
    """Return a probability as text; one below 1 is never written as 100 %."""
    return format_percent(share, digits=1)


def answers_html(cards: Sequence[tuple[str, str, Answer]], *, answered: int, ink: int) -> str:
    """Return the cards of (title, subtitle, answer); answers that differ from the most frequent one are marked.

    ink: the sum of the drawing's ink, 0 for none. answered: the number of the pad's message. Both are in the HTML for
    measurements of how fast the answer came.
    """
    blank = ink == 0
    labels = [answer.label for _, _, answer in cards if not answer.verdict.unsure]
    usual = max(sorted(set(labels)), key=labels.count) if labels else ""
    body = "".join(_card(*card, usual=usual, blank=blank) for card in cards)
    return (
        f'<div class="cl-result" data-answered="{answered}" data-ink="{ink}"><div class="cl-answers">{body}</div></div>'
    )


def line_html(cards: Sequence[tuple[str, str, Answer]], *, blank: bool) -> str:
    """Return the one-line summary of the networks' answers; a card of their average does not count as a network."""
    answer = "" if blank or not cards else f' data-answer="{escape(_together(cards))}"'
    return f'<p class="cl-line" role="status"{answer}>{_line(cards, blank=blank)}</p>'


def _together(cards: Sequence[tuple[str, str, Answer]]) -> str:
    """Return the common answer: that of the average if there is one, else the most frequent."""
    labels = [answer.label for _, _, answer in cards]
    means = [answer.label for _, _, answer in cards if answer.networks > 1]
    return means[0] if means else max(sorted(set(labels)), key=labels.count)


def _line(cards: Sequence[tuple[str, str, Answer]], *, blank: bool) -> str:
    if blank:
        return "The models answer as you draw."
    networks = [(title, answer) for title, _, answer in cards if answer.networks == 1]
    sure = [(title, answer) for title, answer in networks if not answer.verdict.unsure]
    if not sure:
        return f"<b>Unsure</b>: {escape(_shared_reason(networks))}." if networks else ""
    some = f" ({len(networks) - len(sure)} of {len(networks)} unsure)" if len(sure) < len(networks) else ""
    named = sorted({answer.label for _, answer in sure})
    if len(named) == 1:
        return f"It is read as <b>{escape(named[0])}</b>{some}."
    if sum(len(title) for title, _ in sure) <= _LINE_TITLES:
        words = ", ".join(f"{escape(title)} says <b>{escape(answer.label)}</b>" for title, answer in sure)
    else:
        counts = {label: sum(answer.label == label for _, answer in sure) for label in named}
        words = ", ".join(f"<b>{escape(label)}</b> ({plural(count, 'network')})" for label, count in counts.items())
    return f"<b>They disagree</b>: {words}{some}."


def _shared_reason(networks: Sequence[tuple[str, Answer]]) -> str:
    """Return why all networks are unsure: the reason if they share it, else a reference to the cards."""
    reasons = {answer.verdict.reasons[0] for _, answer in networks}
    if len(reasons) == 1:
        return reasons.pop()
    return f"{'both' if len(networks) == 2 else f'all {len(networks)}'} networks, each for the reason on its card"


def _card(title: str, subtitle: str, answer: Answer, *, usual: str, blank: bool) -> str:
    unsure = answer.verdict.unsure
    differs = not blank and not unsure and answer.label != usual
    big = "–" if blank else escape(answer.label)
    note = "" if blank else "unsure" if unsure else percent(answer.probability) + (" · differs" if differs else "")
    why = "" if blank else escape(answer.verdict.reasons[0]) if unsure else _runners_up(answer)
    why = unbroken(why)
    rows = "".join(_empty_rows(answer) if blank else _rows(answer))
    return (
        f'<section class="cl-card{" differs" if differs else ""}{" cl-unsure" if unsure else ""}" '
        f'data-label="{"" if blank else escape(answer.label)}" data-unsure="{int(unsure)}">'
        f'<div class="cl-name" title="{escape(title)}">{escape(title)}</div>'
        f'<div class="cl-sub">{escape(unbroken(subtitle))}</div>'
        f'<div class="cl-big"><b>{big}</b><span>{escape(note)}</span></div><div class="cl-why">{why}</div>'
        f"<div>{rows}</div></section>"
    )


def _runners_up(answer: Answer) -> str:
    rest = [f"{escape(label)} ({escape(percent(share))})" for label, share in answer.top(3)[1:] if share >= _NOTHING]
    return "then " + ", ".join(rest) if rest else "no other class is likely"


def _shown_classes(answer: Answer) -> list[int]:
    """Return the classes that get a bar: all in order if they are few, else the most likely ones."""
    count = len(answer.class_names)
    if count <= _MAX_ROWS:
        return list(range(count))
    return [int(i) for i in np.argsort(-answer.probabilities, kind="stable")[:_MAX_ROWS]]


def _rows(answer: Answer) -> list[str]:
    best = int(answer.probabilities.argmax())
    rows = []
    for index in _shown_classes(answer):
        share = float(answer.probabilities[index])
        number = escape(percent(share).removesuffix(" %"))
        rows.append(
            f'<div class="cl-row{" first" if index == best else ""}"><i>{escape(answer.class_names[index])}</i>'
            f'<div class="cl-track"><div style="width:{100 * share:.1f}%"></div></div><em>{number}</em></div>'
        )
    return rows


def _empty_rows(answer: Answer) -> list[str]:
    return [
        f'<div class="cl-row"><i>{escape(answer.class_names[index])}</i><div class="cl-track"></div><em></em></div>'
        for index in _shown_classes(answer)
    ]


def steps_html(
    pictures: Sequence[StepPicture], *, without: Mapping[str, tuple[str, float]], answer: Answer | None
) -> str:
    """Return the pictures of the steps, each with the network's answer without that step."""
    figures = []
    for each in pictures:
        note = ""
        if each.step in without and answer is not None:
            label, share = without[each.step]
            changed = label != answer.label
            words = f"without: {escape(label)} at {escape(format_percent(share, digits=0))}"
            note = f"<b>{words}</b>" if changed else words
        figures.append(
            f'<figure><img decoding="sync" alt="{escape(each.title)}" src="{picture_url(each.picture)}"><figcaption>'
            f"{escape(each.title)}<small>{escape(each.note)}</small><small>{note}</small></figcaption></figure>"
        )
    return f'<div class="cl-steps">{"".join(figures)}</div>'


def pictures_html(pictures: Sequence[tuple[np.ndarray, str, str]]) -> str:
    """Return tiled pictures of (uint8 picture, caption, small print)."""
    figures = [
        f'<figure><img class="cl-pic" decoding="sync" alt="{escape(caption)}" src="{picture_url(picture)}">'
        f"<figcaption>{escape(caption)}<small>{escape(small)}</small></figcaption></figure>"
        for picture, caption, small in pictures
    ]
    return f'<div class="cl-pics">{"".join(figures)}</div>'
