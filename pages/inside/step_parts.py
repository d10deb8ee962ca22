"""The pictures of a sequence of training steps: the batch, the losses, the layers' updates, kernels, and one weight."""

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.charts.data_url import png_url
from lab.charts.step_losses import step_losses_figure
from lab.charts.style import PAGE_DARK, PAGE_LIGHT
from lab.formatting import format_loss, format_percent, format_wide_percent, plural
from lab.service.training_steps import KernelStep, StepPoint, StepsTaken
from lab.service.update_rules import NEXT_BATCH, PLAIN, are_all_steps, is_first_step
from pages.cache.inspection import layers_of
from pages.cache.training_steps import StepsKey
from pages.components.plot import plot
from pages.components.tiles import Tile, tiles
from pages.inside.figures import choose_layer, difference_words, layer_words, legend
from pages.inside.subject import Subject
from pages.markdown import plain
from pages.state.inside import INSIDE
from pages.state.keys import element
from pages.widgets.theme import dark

_SIDE, _GAP = 55, 8  # height of a kernel and of the gap between two of them, in px
_LEAST = -6  # exponent at the start of the updates' axis, which ends at 1
_LEARNED = 0.5  # the batch counts as learned once its loss has fallen to this share
_MINUS = "\u2212"
_SMALLER = "The gradient is the slope at the weights before the step; a smaller learning rate follows it more closely."
_STYLE = """<style>
.cl-batch { display: grid; grid-template-columns: repeat(auto-fill, minmax(max(4.8rem, 22%), 1fr)); gap: 0.5rem;
  max-height: 22rem; overflow-y: auto; font-size: 0.8rem; }
.cl-batch figure { margin: 0; max-width: 8rem; padding: 0.3rem; border-radius: 0.4rem; text-align: center;
  background: color-mix(in srgb, currentColor 6%, transparent); }
.cl-batch img { width: 3.4rem; height: 3.4rem; image-rendering: pixelated; border-radius: 0.2rem; display: block;
  margin: 0 auto 0.2rem; }
.cl-batch b { white-space: nowrap; }
.cl-batch .t { display: block; position: relative; height: 0.6rem; margin: 0.15rem 0; border-radius: 0.2rem;
  background: color-mix(in srgb, currentColor 14%, transparent); }
.cl-batch .t i { position: absolute; inset: 0 auto 0 0; border-radius: 0.2rem; background: #2f86cf; }
.cl-batch .wrong .t i { background: #d98a1f; }
.cl-batch .t u { position: absolute; top: -0.12rem; bottom: -0.12rem; width: 2px; background: currentColor; }
.cl-batch small { display: block; margin: 0 -0.3rem; font-size: 0.72rem;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.cl-updates { display: grid; grid-template-columns: auto 1fr 3.6rem; gap: 0.3rem 0.6rem;
  align-items: center; font-size: 0.82rem; max-height: 19rem; overflow-y: auto; }
.cl-updates .t { display: block; height: 0.8rem; border-radius: 0.2rem;
  background: linear-gradient(90deg, transparent calc(50% - 0.5px), currentColor calc(50% - 0.5px),
  currentColor calc(50% + 0.5px), transparent calc(50% + 0.5px)), color-mix(in srgb, currentColor 10%, transparent); }
.cl-updates .ends { display: flex; justify-content: space-between; opacity: 0.75; font-size: 0.75rem; }
.cl-updates .t i { display: block; height: 100%; border-radius: 0.2rem; background: #2f86cf; opacity: 0.85; }
.cl-updates .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.cl-kernel-rows span { display: flex; align-items: center; justify-content: flex-end; text-align: right;
  font-size: 0.8rem; line-height: 1.1; }
.st-key-inside-step-verdict { min-height: 4.2rem; }
[data-testid="stColumn"]:has(> * .cl-kernel-rows) { flex: 3 1 0; min-width: 20rem; }
[data-testid="stColumn"]:has(> * .cl-updates) { flex: 2 1 0; min-width: 18rem; }
</style>"""


# -- the batch ---------------------------------------------------------------------------------------------------------


def show_batch(subject: Subject, key: StepsKey, taken: StepsTaken) -> None:
    """Show the images of the batch with the network's answers, and the probabilities of their classes as bars."""
    last = taken.points[-1]
    names = subject.classes
    pictures = paint.image_tiles(taken.images.batch_x)
    cards = [
        _card(picture, names[truth], names[answer] if answer >= 0 else "", float(was), float(now))
        for picture, truth, answer, was, now in zip(
            pictures, taken.images.batch_y, last.predicted, last.share_before, last.share, strict=True
        )
    ]
    st.header("Batch", anchor=False)
    label = "The images of the batch, each with its class, the answer and the probability of the class"
    st.html(_STYLE + f"<div class='cl-batch' role='group' tabindex='0' aria-label='{label}'>{''.join(cards)}</div>")
    st.caption(plain(" ".join(_batch_words(subject, key, taken))))


def _batch_words(subject: Subject, key: StepsKey, taken: StepsTaken) -> Iterator[str]:
    """Yield what the images are, what the cards show, and how the numbers are measured."""
    config, count = subject.run.config, len(taken.images.batch_y)
    follows = key.batches == NEXT_BATCH
    if follows:
        yield f"Batch {max(1, taken.steps)} in the run's own order of the training images, {plural(count, 'image')}."
    elif not key.sample:
        yield f"The first {count} training images of the run's first epoch."
    if key.sample:
        yield f"{count} training images that ship with the examples, since the run's own are not on this machine."
    elif not subject.moment.epoch:
        asked: dict[str, Any] = {"rule": key.rule, "lr": key.lr, "images": key.images}
        if follows and are_all_steps(config, **asked):
            yield "With these settings, the steps are those of the run itself."
        elif is_first_step(config, **asked):
            yield "With these settings, the first step is that of the run itself."
    yield "Bar: probability of the true class after the last step; mark: before it."
    if taken.batch_norm:
        yield "Batch norm uses the statistics of these images, as in training."
    if taken.dropout:
        yield "Dropout is on during a step, but not in the numbers shown."
    if config.augment != "none":
        yield "The images are not augmented here."


def _card(picture: np.ndarray, truth: str, answer: str, before: float, after: float) -> str:
    right = truth == answer
    answered = f"{truth} ✓" if right else f"{truth} → {answer or 'no number'}"
    width, mark = (100 * min(1.0, max(0.0, float(np.nan_to_num(share)))) for share in (after, before))
    words = " → ".join(format_percent(share, digits=0) for share in (before, after))
    return (
        f"<figure class='{'right' if right else 'wrong'}'><img src='{png_url(paint.encode(picture))}' "
        f"alt='{escape(f'Image of the class {truth}')}'><b>{escape(answered)}</b>"
        f"<span class='t'><i style='width:{width:.1f}%'></i><u style='left:calc({mark:.1f}% - 1px)'></u></span>"
        f"<small>{escape(words)}</small></figure>"
    )


# -- losses ------------------------------------------------------------------------------------------------------------


def show_losses(key: StepsKey, taken: StepsTaken) -> None:
    """Show the losses over the steps, and in one sentence what the last step did."""
    batch, others = [p.loss for p in taken.points], [p.other_loss for p in taken.points]
    others_count = len(taken.images.other_y)
    last, follows = taken.points[-1], key.batches == NEXT_BATCH
    own = "each step's batch, before and after it" if follows else f"the {len(last.share)} images of the batch"
    names = (own, f"{others_count} test images")
    st.header("Loss", anchor=False)
    st.markdown(
        f"Batch **{plain(format_loss(last.loss))}**, {last.correct} of {len(last.share)} correct  \n"
        f"{others_count} test images **{plain(format_loss(last.other_loss))}**, "
        f"{plain(format_percent(last.other_correct, digits=1))} correct"
    )
    start = last.loss_before if follows else batch[0]
    plot(
        "inside-step-losses",
        step_losses_figure(
            batch,
            others,
            before=[p.loss_before for p in taken.points] if follows else None,
            names=names,
            dark=dark(),
        ),
        words=f"Loss over {plural(taken.steps, 'step')}: {names[0]}{', in the last one' if follows else ''} from "
        f"{start:.4g} to {last.loss:.4g}, {names[1]} from {others[0]:.4g} to {others[-1]:.4g}",
        name="loss-over-steps",
    )
    with st.container(key=element("inside-step-verdict")):
        _verdict(key, taken)


def _verdict(key: StepsKey, taken: StepsTaken) -> None:
    if taken.diverged:
        st.error(
            plain(
                f"After step {taken.steps} the loss is not finite: a learning rate of {key.lr:g} is too large here. "
                "Start over with a smaller one."
            ),
            icon=":material/error:",
        )
        return
    others = len(taken.images.other_y)
    if key.batches == NEXT_BATCH and taken.steps:
        words = next_batch_words(taken.points[-2], taken.points[-1], others=others)
    else:
        words = verdict_words([(p.loss, p.other_loss) for p in taken.points], others=others)
    st.caption(plain(words))


def next_batch_words(earlier: StepPoint, last: StepPoint, *, others: int) -> str:
    """Return what the last step did to its own batch, and to images that are in no batch."""
    change, other_change = last.loss - last.loss_before, last.other_loss - earlier.other_loss
    own, other = format_loss(abs(change)), format_loss(abs(other_change))
    if change > 0:
        return f"This step raised the loss of its own batch by {own}: it went too far. {_SMALLER}"
    lowered = f"This step lowered the loss of its own batch by {own}"
    if other_change > 0:
        return (
            f"{lowered} and raised that of the {others} test images by {other}: the gradient of one batch is a noisy "
            "estimate of that of all images."
        )
    return f"{lowered}, and that of the {others} test images by {other}."


def verdict_words(losses: list[tuple[float, float]], *, others: int) -> str:
    """Return what the last step did. losses: of the batch and of the other images, from before the first step on."""
    if len(losses) == 1:
        return (
            "No step has been taken yet. Each one moves every weight a little against the gradient of the batch's loss."
        )
    (first, other_first), (before, _), (now, other_now) = losses[0], losses[-2], losses[-1]
    change = format_loss(abs(now - before))
    if now > before:
        return f"This step raised the loss of the batch by {change}: it went too far. {_SMALLER}"
    if now < _LEARNED * first and other_now > other_first:
        return (
            f"This step lowered the loss of the batch by {change}, but that of the {others} test images is higher than "
            "at the start: the network memorises these images (overfitting)."
        )
    return f"This step lowered the loss of the batch by {change}."


# -- updates -----------------------------------------------------------------------------------------------------------


def show_updates(taken: StepsTaken) -> None:
    """Show how far the last step moved the weights of each layer, as bars on a logarithmic axis."""
    st.header("Size of the update", anchor=False)
    rows = [
        f"<span>{escape(each.layer.removeprefix('features.'))}</span>"
        f"<span class='t'><i style='width:{100 * _length(each.relative):.1f}%'></i></span>"
        f"<span class='n'>{escape(_share(each.relative) if taken.steps else '–')}</span>"
        for each in taken.updates
    ]
    rows.append("<span></span><span class='ends'><span>0.0001 %</span><span>0.1 %</span><span>100 %</span></span>")
    label = "Change of each layer's weights in the last step, relative to their size"
    st.html(_STYLE + f"<div class='cl-updates' role='group' tabindex='0' aria-label='{label}'>{''.join(rows)}</div>")
    if taken.steps and not any(each.relative for each in taken.updates):
        st.caption("No gradient reaches the layers' weights: their units are off or saturated for every image.")
        return
    st.caption(
        "Change of a layer's weights in the last step relative to their size, ‖Δw‖ / ‖w‖, on a logarithmic axis. About "
        "a thousandth (the line) is usual in training."
    )


def _length(relative: float) -> float:
    if not relative > 0:
        return 0.0
    return min(1.0, max(0.0, 1.0 - float(np.log10(relative)) / _LEAST))


def _share(relative: float) -> str:
    if not np.isfinite(relative):
        return "∞" if relative > 0 else "NaN"
    return format_wide_percent(relative)


# -- kernels and one weight --------------------------------------------------------------------------------------------


def show_kernel_step(subject: Subject, key: StepsKey, taken: StepsTaken) -> None:
    """Show the filters of a convolution before and after the last step, the step itself, and one weight's numbers."""
    words = {
        layer.name: layer_words(layer.name, layer.type, layer.shape)
        for layer in layers_of(*subject.key)
        if layer.name in taken.kernels
    }
    if not words:
        return
    st.header("Kernels", anchor=False)
    with st.container(width=420):
        layer = choose_layer("stepped", words)
    step = taken.kernels[layer]
    moved = _moved(step, key)
    chosen = min(INSIDE.read().stepped_filter, len(step.after) - 1)
    with st.container(horizontal=True, gap="small"):
        with st.container(width=92):
            _row_labels("− lr × gradient" if key.rule == PLAIN else "the step")
        with st.container(width="stretch"):
            _columns(step, moved, chosen, taken=taken.steps > 0)
    with st.container(horizontal=True, gap="small"):
        for what, values in {"weights": step.after, "step": moved}.items():
            with st.container(width="content"):
                legend(*paint.limits(values[:, step.channel], signed=True), "diverging", of=what)
    st.caption(_kernel_words(step, moved=bool(moved.any()) or not taken.steps))
    with st.container(key=element("inside-step-weight")):
        _weight(step, key, chosen, taken=taken.steps > 0)


def _moved(step: KernelStep, key: StepsKey) -> np.ndarray:
    """Return the step float64 (F, C, H, W): of plain SGD −lr × gradient, else the difference; may not be finite."""
    if key.rule == PLAIN:
        return np.asarray(-key.lr * step.gradient.astype(np.float64))
    with np.errstate(invalid="ignore"):
        return np.asarray(step.after.astype(np.float64) - step.before)


def _relative_sizes(moved: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return the size of each filter's step relative to the filter, (F,)."""
    step, size = (np.linalg.norm(each.reshape(len(each), -1).astype(np.float64), axis=1) for each in (moved, before))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(step == 0, 0.0, step / size))


def _row_labels(step: str) -> None:
    style = f"height:{_SIDE}px;margin-bottom:{_GAP}px"
    rows = "".join(f"<span style='{style}'>{escape(words)}</span>" for words in ("before", step, "after"))
    st.html(_STYLE + f"<div class='cl-kernel-rows' style='padding-top:6px'>{rows}</div>")


def _columns(step: KernelStep, moved: np.ndarray, chosen: int, *, taken: bool) -> None:
    """Show a column for each filter: before, step, after. Before and after have one colour scale, the step its own."""
    kernels = np.concatenate([step.before[:, step.channel], step.after[:, step.channel]]).astype(np.float64)
    painted = _enlarged(paint.paint(kernels, scale="diverging"))
    before, after = painted[: len(step.before)], painted[len(step.before) :]
    middle = _enlarged(paint.paint(moved[:, step.channel], scale="diverging"))
    paper = np.array([int((PAGE_DARK if dark() else PAGE_LIGHT)[at : at + 2], 16) for at in (1, 3, 5)], np.uint8)
    gap = np.broadcast_to(paper, (len(before), _GAP, before.shape[2], 3))
    if not taken:
        blank = np.broadcast_to((0.88 * paper + 0.12 * 128).astype(np.uint8), before.shape)
        middle = after = blank
    column = np.concatenate([before, gap, middle, gap, after], axis=1)
    size = _relative_sizes(moved, step.before)
    tiles(
        "inside-step-kernels",
        paint.pack(column),
        [
            Tile(
                label=f"Filter {k} before the step, the step, and after it",
                one=f"#{k}",
                two=_share(float(size[k])) if taken else "–",
            )
            for k in range(len(column))
        ],
        name=f"Filters of {step.layer} before and after the step",
        height=column.shape[1],
        row=True,
        cell=column.shape[2] + 10,
        selected=chosen,
        on_pick=lambda place: INSIDE.change(stepped_filter=place),
    )


def _enlarged(painted: np.ndarray) -> np.ndarray:
    """Return tiles (F, H, W, 3) with each pixel repeated, about `_SIDE` px high and exactly that after resizing."""
    rows = np.arange(_SIDE) * painted.shape[1] // _SIDE
    columns = np.arange(_SIDE) * painted.shape[2] // _SIDE
    return painted[:, rows][:, :, columns]


def _kernel_words(step: KernelStep, *, moved: bool) -> str:
    shape = step.after.shape
    some = f"The first {shape[0]} of {step.filters} filters" if shape[0] < step.filters else f"{shape[0]} filters"
    channel = "" if shape[1] == 1 else f", input channel {step.channel} of {shape[1]}"
    scale = "The step has a colour scale of its own." if moved else "The step is zero: no gradient reaches this layer."
    return f"{some} of {shape[2]}×{shape[3]}{channel}. {scale} Click a filter to follow one of its weights."


def _weight(step: KernelStep, key: StepsKey, chosen: int, *, taken: bool) -> None:
    """Write the arithmetic of the chosen filter's weight that had the largest gradient in the first step."""
    row, column = (int(n) for n in step.followed[chosen])
    if not taken:
        st.markdown("**One weight:** take a step to see its numbers.  \n&nbsp;  \n&nbsp;")
        return
    place = chosen, step.channel, row, column
    before, gradient, after = (float(values[place]) for values in (step.before, step.gradient, step.after))
    where = f"filter {chosen}, channel {step.channel}, row {row}, column {column}"
    if key.rule == PLAIN:
        computed = before - key.lr * gradient
        sum_ = f"{_number(before)} {_MINUS} {key.lr:g} × {_bracketed(gradient)} = **{_number(computed)}**"
        check = f"The network's weight is {_number(after)}: a difference of {difference_words(computed, after)}."
    else:
        sum_ = f"{_number(before)} + {_bracketed(after - before)} = **{_number(after)}**"
        check = (
            f"The gradient is {_number(gradient)}; the optimizer turns it into the step of {_number(after - before)}."
        )
    st.markdown(f"**One weight** ({where}):  \n{sum_}  \n{check}")


def _number(value: float) -> str:
    text = f"{value:.6f}" if value == 0 or 1e-4 <= abs(value) < 1e4 else f"{value:.3e}"
    return text.replace("-", _MINUS)


def _bracketed(value: float) -> str:
    return f"({_number(value)})" if value < 0 else _number(value)
