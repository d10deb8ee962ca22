"""Parts of Train, each drawn alone: results of reports, cards of the galleries, costs, labels and the queue."""

from dataclasses import replace
from typing import Any

import pytest

from lab.architectures.registry import list_architectures
from lab.config import FIELDS, RunConfig
from lab.data.registry import get_dataset_spec
from lab.errors import ConfigError
from lab.presets import get_preset
from lab.runs.edits import NAME_LIMIT, NOTE_LIMIT
from lab.runs.headline import HeadlineResult
from lab.runs.records import WEIGHTS, RunState, SavedFile
from lab.service.costs import Estimate
from pages.state.train import TRAIN, TrainState, apply_changes
from pages.train import cost, form, gallery, labels, queue
from tests.charts.charts_data import run
from tests.golden.page_text import page_lines
from tests.web.addresses import draw_alone, open_page
from tests.web.plain_text import PLAIN
from tests.web.web_data import DIGITS_CONFIG, Bench

# -- experiments and cards ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("lenet5", ""),
        ("a-conv3-bn", "In the report: 98.80 % on the test set, 30 s."),
        ("b-wide-cnn-lr-0.0005", "Slower, no gain."),
        (
            "c-epochs-10",
            "In the report: last loss 0.316. Not stated in the report and chosen here: momentum, seed, and",
        ),
        ("d-lenet-30", "In the report: stopped after epoch 21."),
        ("d-lenet-30-lr-0.01", "In the report: 11.00 % on the test set, last loss 2.3. Stuck at loss 2.30."),
        ("e-resnet18-tv", "In the report: 69.75 % on the test set, last loss -1.06504e+07. Not stated"),
    ],
)
def test_an_experiment_quotes_its_report_and_states_what_was_chosen_for_it(preset: str, words: str) -> None:
    found = form.preset_words(get_preset(preset))
    titles = {"a": "Deeper networks on MNIST", "d": "Seven networks from LeNet to GoogLeNet"}
    assert words in found
    assert bool(found) is bool(words)
    if preset[0] == "d":
        assert found == f"{titles['d']}. {words}"


def test_an_experiment_is_listed_with_its_report() -> None:
    assert get_preset("lenet5").full_title == "LeNet-5, five epochs"
    assert get_preset("c-epochs-10").full_title == "Report C · Epochs 10"


def test_every_network_has_a_picture_and_an_unknown_one_has_none() -> None:
    pictures = [gallery.network_picture(arch.id) for arch in list_architectures()]
    assert all(each.startswith("data:image/svg+xml;base64,PHN2Zy") for each in pictures)
    assert len(set(pictures)) > 12
    assert (gallery.network_picture("lenet6"), gallery.network_size("lenet6")) == ("", "")
    assert gallery.network_size("lenet5") == "61,706 parameters, 5 layers"


def test_networks_are_grouped_by_family_and_those_without_one_come_last(bench: Bench) -> None:
    groups = [card.group for card in gallery._networks("digits")]
    assert list(dict.fromkeys(groups))[-1] == "Others"
    assert groups[-1] == "Others"
    assert groups.count("LeNet") == 2


def test_the_card_of_a_data_set_has_its_best_result_or_its_download_size(bench: Bench) -> None:
    bench.finish(bench.start())
    digits, mnist = get_dataset_spec("digits"), get_dataset_spec("mnist")
    local, remote = gallery._dataset(digits, here=True), gallery._dataset(mnist, here=False)
    assert (local.group, local.two) == ("On this machine", "Best here: 97.31 %, by LeNet-5.")
    assert (remote.group, remote.two, remote.picture) == ("Not downloaded", "12 MB", "")
    assert remote.one == "70,000 images, 10 classes, 28×28"
    bare = replace(digits, download_mb=0, train_images=0, test_images=0, classes=("one",), image_size=32, local="again")
    card = gallery._dataset(replace(bare, id="digits"), here=False)
    assert (card.one, card.two) == ("1 class, 32×32", "")
    order = [card.id for card in gallery._datasets(frozenset({"usps", "mnist"}))]
    assert order[:2] == ["mnist", "usps"]
    assert set(order) > {"digits"}


def test_the_card_of_an_experiment_has_the_reports_result_and_the_best_of_its_runs() -> None:
    runs = [replace(run(n), saved=HeadlineResult(test_accuracy=value)) for n, value in ((1, 0.9), (2, 0.95), (3, None))]
    card = gallery._preset(get_preset("d-vgg11"), runs)
    assert card.two == "report 99.23 %, best here 95.00 %"
    assert card.one == "VGG-11, MNIST, 5 epochs"
    assert card.group == "Report D · Seven networks from LeNet to GoogLeNet"
    lab = gallery._preset(get_preset("lenet5"), runs[2:])
    assert (lab.two, lab.group) == ("", gallery.REPORTS["lab"])


def test_choosing_a_card_sets_its_field_and_an_experiment_the_whole_form(bench: Bench) -> None:
    def choose(field: str, chosen: str) -> dict[str, Any]:
        values: dict[str, Any] = {}

        def part() -> None:
            form.fill_form(RunConfig(epochs=7))
            form._take_card(field, chosen)
            values.update(form.form_values(), preset=TRAIN.read().preset)

        draw_alone(part)
        return values

    network = choose("arch", "vgg11")
    assert (network["arch"], network["epochs"], network["preset"]) == ("vgg11", 7, None)
    preset = choose("preset", "c-epochs-20")
    assert (preset["arch"], preset["epochs"], preset["preset"]) == ("basic-cnn", 20, "c-epochs-20")


# -- the form ----------------------------------------------------------------------------------------------------------


def test_data_sets_on_this_machine_come_first_and_others_are_marked_as_not_downloaded(bench: Bench) -> None:
    bench.finish(bench.start())

    def part() -> None:
        form.fill_form(DIGITS_CONFIG)
        form._dataset(frozenset(("usps", "digits")))
        form._network(DIGITS_CONFIG)

    app = draw_alone(part)
    data, network = app.selectbox
    assert data.options[:3] == ["Digits (built in)", "USPS", "MNIST (not downloaded)"]
    assert all(each.endswith(" (not downloaded)") for each in data.options[2:])
    assert (data.value, network.value) == ("digits", "lenet5")
    assert network.options[:2] == ["LeNet-5", "LeNet-5 with batch norm"]
    words = [each.value.translate(PLAIN) for each in app.caption]
    assert words[0].endswith(" Best here: 97.31 %, by LeNet-5.")
    assert words[1].endswith(" 61,706 parameters, 5 layers. Reports C, E. Best here: 97.31 %.")
    assert [each.key for each in app.button] == ["browse-dataset", "browse-arch"]
    lines = "".join(page_lines(app))
    assert [f"#choose-{name} " in lines for name in ("dataset", "arch")] == [True, True]
    pictures = [each.proto.body for each in app.get("html")]
    assert [each.count("<img") for each in pictures] == [10, 1]
    assert "Preview after the download" in form._thumbnails("mnist")


def test_a_run_starts_with_new_weights_or_those_of_a_run_of_the_same_network(bench: Bench) -> None:
    def saved(**changes: Any) -> str:
        made = bench.start(DIGITS_CONFIG.replace(**changes))
        file = SavedFile(made.id, WEIGHTS, 7, 1, f"{made.id}/7", "0" * 64, 1, 0.0)
        bench.lab.store.files.add(made.id, made.lease, file)
        return bench.finish(made).id

    same, _other, _bare = saved(), saved(arch="basic-cnn"), bench.finish(bench.start(DIGITS_CONFIG.replace(seed=1)))

    def options(**changes: Any) -> list[str]:
        def part() -> None:
            form.fill_form(DIGITS_CONFIG.replace(**changes))
            form.setting(FIELDS["init_from"])

        return list(draw_alone(part).selectbox[0].options)

    headline = bench.lab.store.runs.get(same).headline_text
    assert options() == ["new weights", f"LeNet-5 on Digits (built in) · {headline} · {same}"]
    assert options(init_from="ffffffffffff")[2:] == ["ffffffffffff"]


def test_a_fork_is_announced_above_the_form_and_can_be_cleared_in_it(bench: Bench) -> None:
    known = bench.finish(bench.start()).id

    def drawn(of: str) -> tuple[list[str], list[str]]:
        def part() -> None:
            form.fill_form(DIGITS_CONFIG.replace(fork_of=of, fork_epoch=2 if of else 0))
            form._say_fork()
            form.setting(FIELDS["fork_of"])

        app = draw_alone(part)
        return [each.value.translate(PLAIN) for each in app.info], list(app.selectbox[0].options)

    none = "none: start from initial weights"
    title = "LeNet-5 on Digits (built in)"
    assert drawn(known) == ([f"This run continues after epoch 2 of {title}."], [none, f"{title} · {known}"])
    missing = "ffffffffffff"
    assert drawn(missing) == ([f"This run continues after epoch 2 of {missing}."], [none, missing])
    assert drawn("")[0] == []


# -- settings ----------------------------------------------------------------------------------------------------------


def test_an_error_is_shown_only_with_its_own_settings_and_uses_their_labels() -> None:
    def part(*names: str, words: str = "lr is *0*.") -> None:
        form._complain(ConfigError(words, field="lr"), names)

    assert [each.value for each in draw_alone(lambda: part("epochs", "lr")).error] == ["Learning rate is \\*0\\*\\."]
    assert [each.value for each in draw_alone(lambda: part("lr", words="lrx is 0")).error] == ["lrx is 0"]
    assert not draw_alone(lambda: part("epochs")).error


def test_a_number_out_of_range_is_refused_at_its_input_and_changes_no_other_input(bench: Bench) -> None:
    app = open_page("train")
    app.selectbox(key="train.optimizer").set_value("sgd").run()
    shown = {each.label for each in app.number_input}
    assert "Momentum" in shown
    app.number_input(key="train.epochs").set_value(99_999_999).run()
    words = "Epochs is 99999999, but it must be at least 1 and at most 10000. The default is 5."
    assert [each.value.translate(PLAIN) for each in app.error] == [words]
    assert app.button(key="train-button").disabled
    assert "Correct this first: Epochs" in [each.value for each in app.caption]
    assert {each.label for each in app.number_input} == shown
    app.number_input(key="train.epochs").set_value(2).run()
    assert not app.error
    assert not app.button(key="train-button").disabled


def test_invalid_values_in_the_form_neither_show_nor_hide_inputs(bench: Bench) -> None:
    found: list[RunConfig] = []

    def part() -> None:
        form.fill_form(DIGITS_CONFIG.replace(optimizer="sgd", seed=7))
        apply_changes({"lr": 0.0, "epochs": -1})
        found.append(form._sound_part())

    draw_alone(part)
    usual = RunConfig()
    sound = DIGITS_CONFIG.replace(optimizer="sgd", seed=7, lr=usual.lr, epochs=usual.epochs)
    assert [config.replace(arch_options={}) for config in found] == [sound]


@pytest.mark.parametrize(
    ("group", "changes", "label", "count"),
    [
        ("training", {}, "Length", 6),
        ("training", {"seed": 4, "patience": 3, "epochs": 9}, "Length (2 changed)", 7),  # epochs are above
        ("optimizer", {"optimizer": "sgd", "momentum": 0.5}, "Length (1 changed)", None),
    ],
)
def test_a_section_counts_the_changed_settings_that_it_shows(
    bench: Bench, group: str, changes: dict[str, Any], label: str, count: int | None
) -> None:
    config = RunConfig(dataset="digits", **changes)
    above = ("epochs", "batch_size") if group == "training" else ("optimizer", "lr")

    def part(error: ConfigError | None = None) -> None:
        form.fill_form(config)
        form._section("Length", ":material/timer:", group, above, config, error)

    app = draw_alone(part)
    [section] = app.expander
    assert section.label == label
    assert section.proto.expanded is False
    inputs = [*app.number_input, *app.selectbox, *app.toggle, *app.text_input]
    if count is not None:
        assert len(inputs) == count
    invalid = "seed" if group == "training" else "momentum"
    assert draw_alone(lambda: part(ConfigError("no", field=invalid))).expander[0].proto.expanded
    assert not draw_alone(lambda: part(ConfigError("no", field="epochs"))).expander[0].proto.expanded


# -- the cost ----------------------------------------------------------------------------------------------------------

USUAL = Estimate(
    params=1,
    mult_adds=1,
    memory_bytes=1,
    seconds_per_epoch=700.0,
    limit_s=float("inf"),
    measured=False,
    device="cuda:0",
    side=224,
    epochs=3,
)


def test_the_cost_on_several_devices_names_their_number_and_the_range_of_their_speed_up() -> None:
    two = cost._words(replace(USUAL, devices=2))
    assert two.startswith("3 epochs on 2 devices (cuda), with start-up and evaluations: ")
    assert two.endswith(
        "estimated from the mult-adds (from perfect scaling over 2 devices to no speed-up). Images are 224×224."
    )
    measured = cost._words(replace(USUAL, devices=2, measured=True))
    assert measured.endswith(", as measured in an earlier run. Images are 224×224.")
    assert cost._words(USUAL).startswith("3 epochs on cuda:0, ")


def test_a_smaller_input_is_offered_with_both_times() -> None:
    smaller = replace(USUAL, side=32, seconds_per_epoch=14.0)
    words = "At 224×224 pixels, an epoch takes about 11 min 40 s on this device; at 32×32, about 14 s."
    assert cost.smaller_words(USUAL, smaller) == words
    app = draw_alone(lambda: cost._offer_smaller(USUAL, "32", smaller))
    assert app.warning[0].value.translate(PLAIN) == words
    assert app.button[0].label == "Use 32×32"


def test_a_configuration_that_cannot_be_trained_shows_a_sentence_instead_of_its_cost(bench: Bench) -> None:
    config = RunConfig(arch="vgg11", dataset="digits", input_size="native")
    app = draw_alone(lambda: cost._cost(config))
    assert "smallest size that works is 32×32" in app.error[0].value.translate(PLAIN)
    assert not app.metric


def test_the_cost_of_a_fork_is_that_of_all_its_epochs(bench: Bench) -> None:
    config = RunConfig(dataset="digits", device="cpu")
    words = []
    for one in (config, config.replace(fork_of="0123456789ab", fork_epoch=2), config.replace(init_from="0123456789ab")):
        app = draw_alone(lambda one=one: cost._cost(one))
        words.append(([each.value for each in app.metric][:3], app.caption[1].value.partition(",")[0]))
    assert words[0][1] == "5 epochs on cpu"
    assert words == words[:1] * 3


# -- labels and the queue ----------------------------------------------------------------------------------------------


def test_each_label_is_stored_in_its_own_field(bench: Bench) -> None:
    made = bench.queue()
    held = TrainState(name={made.id: "mine"}, tags={made.id: ("a", "b")}, note={made.id: "words"})
    for field, stored in (
        ("name", ("mine", (), "")),
        ("tags", ("mine", ("a", "b"), "")),
        ("note", ("mine", ("a", "b"), "words")),
    ):
        draw_alone(lambda field=field: labels._store(made.id, field), state={TRAIN.state_key: held})
        found = bench.lab.store.runs.get(made.id)
        assert (found.name, found.tags, found.note) == stored
    app = draw_alone(lambda: labels.edit_labels(found))
    assert app.text_input[0].max_chars == NAME_LIMIT
    assert app.text_area[0].max_chars == NOTE_LIMIT
    assert app.multiselect[0].options == ["a", "b"]
    assert app.text_input[0].placeholder == "mine"


@pytest.mark.parametrize(
    ("place", "last", "disabled"),
    [(1, 3, [True, True, False]), (2, 3, [False, False, False]), (3, 3, [False, False, True]), (1, 1, [True] * 3)],
)
def test_the_first_run_cannot_move_up_and_the_last_one_cannot_move_down(
    bench: Bench, place: int, last: int, disabled: list[bool]
) -> None:
    app = draw_alone(lambda: queue._buttons(run(), place, last=last))
    assert [(each.label, each.disabled) for each in app.button] == list(
        zip(("First", "Up", "Down"), disabled, strict=True)
    )


@pytest.mark.parametrize(("total", "what"), [(1, "this run"), (4, "these 4 runs")])
def test_stopping_all_runs_names_their_number(bench: Bench, total: int, what: str) -> None:
    app = draw_alone(lambda: queue._head(total, 1, silent=0))
    assert app.button[0].label == f"Stop {what}"
    assert app.markdown[1].value == (f"Stop {what}? Weights of finished epochs are kept, and each run can be resumed.")


def test_a_long_queue_shows_six_runs_until_all_are_requested(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, int]] = []
    monkeypatch.setattr(queue, "_lines", lambda runs, waiting: drawn.append((len(runs), waiting)))
    monkeypatch.setattr(queue, "_MAX", 8)
    for seed in range(9):
        bench.queue(DIGITS_CONFIG.replace(seed=seed))
    app = draw_alone(queue._queue)
    assert app.button(key="queue-more").label == "Show all 9"
    assert not app.caption
    app.button(key="queue-more").click().run()
    assert app.button(key="queue-more").label == "Show fewer"
    assert app.caption[0].value == "Only the first 8 of 9 are shown; `python -m lab queue` lists all."
    assert drawn == [(6, 9), (8, 9)]
    assert RunState.QUEUED in {one.state for one in bench.lab.store.queue.list()}
