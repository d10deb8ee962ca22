"""Single steps of gradient descent on a copy of the network, and what each of them changes."""

import streamlit as st

from lab.config import FIELDS, RunConfig
from lab.formatting import format_loss, plural
from lab.network_counts import FORWARD_BACKWARD, count_from_config
from lab.service.training_steps import StepsTaken
from lab.service.update_rules import NEXT_BATCH, OWN, PLAIN, SAME_BATCH, default_lr
from pages.cache.datasets import is_sample
from pages.cache.training_steps import StepsKey, steps_ahead, take_steps
from pages.inside.step_parts import show_batch, show_kernel_step, show_losses, show_updates
from pages.inside.subject import Subject
from pages.markdown import plain
from pages.state.codec import Reader, whole_number
from pages.state.inside import INSIDE, MAX_STEPS
from pages.state.keys import element
from pages.widgets.waiting import worth_waiting

_BATCHES = (8, 16, 64)
_LARGEST_OWN = 128  # the run's own batch size is offered up to this one
_ACTIVATION_BYTES = 1_500_000_000  # of a batch, whose layer outputs the backward pass needs
_RATES = tuple(float(f"{digit}e{power}") for power in range(-5, 2) for digit in (1, 2, 5))
_OTHERS = 200  # test images whose loss is measured after each step
_FEWEST_OTHERS = 16
_OTHERS_WORK = 4e9  # mult-adds of one measurement of them, which a large network must not exceed
_MANY = 10


def show_step(subject: Subject) -> None:
    """Draw the choices, the buttons, and the sequence of steps."""
    key = _choose(subject)
    INSIDE.take("steps")
    buttons = st.container(horizontal=True, vertical_alignment="center", key=element("inside-step-buttons"))
    INSIDE.show("steps")
    steps = INSIDE.read().steps
    taken = _taken(subject, key, steps)
    with buttons:
        _buttons(taken)
    if taken is not None:
        _show(subject, key, taken)


def _choose(subject: Subject) -> StepsKey:
    """Draw the inputs and return the key of the sequence."""
    config = subject.run.config
    grid = st.grid(2, min_column_width=300, vertical_alignment="bottom")
    first, second, third, fourth = (grid.cell() for _ in range(4))
    with third:
        rule = _choose_rule(config)
    with fourth:
        batches = _choose_batches()
    with first:
        lr = _choose_rate(config, rule)
    with second:
        images = _choose_batch(subject)
    work = count_from_config(config).total_mult_adds
    others = max(_FEWEST_OTHERS, min(_OTHERS, int(_OTHERS_WORK / work), len(subject.dataset.test_images)))
    return StepsKey(*subject.key, rule, lr, images, others, batches, sample=is_sample(config.dataset))


def _choose_rule(config: RunConfig) -> str:
    own = FIELDS["optimizer"].choice_title(config.optimizer)
    titles = {PLAIN: "Plain SGD", OWN: f"{own}, as in the run"}
    INSIDE.take("rule")
    chosen = st.segmented_control(
        "Update rule",
        list(titles),
        format_func=titles.__getitem__,
        required=True,
        help="Plain SGD: new weight = weight − learning rate × gradient. The run's optimizer begins without a past: "
        "no momentum, no averages.",
        **INSIDE.widget("rule", then=lambda: INSIDE.change(rate=None)),  # a rate suits one rule only
    )
    INSIDE.show("rule")
    return str(chosen)


def _choose_rate(config: RunConfig, rule: str) -> float:
    INSIDE.take("rate")
    held = INSIDE.read().rate
    own = default_lr(config, rule)
    shown = own if held is None else held
    rate = st.select_slider(
        "Learning rate",
        sorted({*_RATES, own, shown}),
        format_func="{:g}".format,
        help=f"The run trained with {FIELDS['optimizer'].choice_title(config.optimizer)} and {config.lr:g}.",
        **INSIDE.widget("rate", value=shown),
    )
    INSIDE.show("rate")
    return float(rate)


def _choose_batch(subject: Subject) -> int:
    config = subject.run.config
    fitting = max(_ACTIVATION_BYTES // count_from_config(config).activations.stored, _BATCHES[0])
    own = config.batch_size
    sizes = sorted(
        size for size in {*_BATCHES, own} if size <= fitting and (size in _BATCHES or 2 <= size <= _LARGEST_OWN)
    )
    INSIDE.take("batch", read=_one_of(sizes))
    if INSIDE.read().batch not in sizes:
        INSIDE.change(batch=sizes[0])
    chosen = st.segmented_control(
        "Images in the batch", sizes, required=True, help=f"The run trained with {own:,}.", **INSIDE.widget("batch")
    )
    INSIDE.show("batch")
    return int(str(chosen))


def _choose_batches() -> str:
    titles = {SAME_BATCH: "the same batch", NEXT_BATCH: "the next batch"}
    INSIDE.take("batches")
    chosen = st.segmented_control(
        "Each step takes",
        list(titles),
        format_func=titles.__getitem__,
        required=True,
        help="In training, each step takes the next batch, in an order that changes with every epoch. The same batch "
        "again shows what a step does to its own images.",
        **INSIDE.widget("batches"),
    )
    INSIDE.show("batches")
    return str(chosen)


def _one_of(sizes: list[int]) -> Reader:
    def read(text: str) -> int:
        number = whole_number(text)
        if number not in sizes:
            raise ValueError(f"one of {', '.join(map(str, sizes))}")
        return number

    return read


def _taken(subject: Subject, key: StepsKey, steps: int) -> StepsTaken | None:
    """Return the sequence, None if computing it takes long and the user has not asked for it yet."""
    ahead = steps_ahead(key, steps)
    measured = key.images * (2 if key.batches == NEXT_BATCH else 1) + key.others  # a new batch also before its step
    passes = (ahead or 0) * (FORWARD_BACKWARD * key.images + measured)
    if ahead is None:
        passes = measured + steps * (FORWARD_BACKWARD * key.images + measured)
    asked = element("step", key.digest, key.rule, key.lr, key.images, key.batches, steps)
    if not worth_waiting(subject.run, passes=passes, what=_what(steps if ahead is None else ahead), key=asked):
        return None
    with st.spinner("Taking the steps"):
        return take_steps(key, steps)


def _what(ahead: int) -> str:
    return f"Taking {plural(ahead, 'step')}" if ahead else "Measuring the losses"


def _buttons(taken: StepsTaken | None) -> None:
    steps = INSIDE.read().steps
    ended = taken is None or taken.diverged or steps >= MAX_STEPS
    for more, label, icon in (
        (1, "Take one step", ":material/step:"),
        (_MANY, f"Take {_MANY} steps", ":material/fast_forward:"),
    ):
        st.button(
            label,
            icon=icon,
            type="primary" if more == 1 else "secondary",
            disabled=ended,
            on_click=INSIDE.change,
            kwargs={"steps": min(steps + more, MAX_STEPS)},
            key=element("inside-step-take", more),
        )
    st.button(
        "Start over",
        icon=":material/restart_alt:",
        disabled=steps == 0,
        on_click=INSIDE.change,
        kwargs={"steps": 0},
        key=element("inside-step-over"),
    )
    most = ", the most of one sequence" if steps >= MAX_STEPS else ""
    st.markdown(f"**{plural(steps, 'step')}** taken{most}{_loss_words(taken)}")


def _loss_words(taken: StepsTaken | None) -> str:
    """Return the loss of the batch before and after the last step, which small screens show only after scrolling."""
    if taken is None:
        return ""
    last = taken.points[-1]
    losses = [format_loss(loss) for loss in ((last.loss_before, last.loss) if taken.steps else (last.loss,))]
    return plain(f" · loss of the batch {' → '.join(losses)}")


def _show(subject: Subject, key: StepsKey, taken: StepsTaken) -> None:
    grid = st.grid(2, min_column_width=330, gap="medium")
    with grid.cell():
        show_batch(subject, key, taken)
    with grid.cell():
        show_losses(key, taken)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_kernel_step(subject, key, taken)
    with right:
        show_updates(taken)
