"""Runs are labelled by the settings that differ within a selection, and no two labels are equal."""

from lab.sharing.comparison import comparison_table, run_labels
from tests.charts.charts_data import run


def test_runs_are_labelled_by_the_settings_that_differ() -> None:
    assert run_labels([run(1, lr=0.05, optimizer="sgd"), run(2, lr=0.001)]) == ["lr 0.05, SGD", "lr 0.001, Adam"]
    assert run_labels([run(1, seed=0), run(2, seed=7)]) == ["seed 0", "seed 7"]
    assert run_labels([run(1, arch="mlp"), run(2)]) == ["mlp", "LeNet-5"]
    assert run_labels([run(1, shuffle=False), run(2)]) == ["no shuffle", "shuffle"]
    assert run_labels([run(1, arch="mlp", arch_options={"hidden": [8]}), run(2, arch="mlp")])[0] == "hidden [8]"


def test_options_of_a_network_are_labelled_by_their_titles_and_also_with_their_default() -> None:
    changed = [{}, {"activation": "leaky_relu"}, {"activation": "tanh", "batch_norm": False}]
    runs = [run(n, arch="lenet-bn", arch_options=options) for n, options in enumerate(changed, 1)]
    assert run_labels(runs) == [
        "activation ReLU, batch norm",
        "activation leaky ReLU, batch norm",
        "activation tanh, no batch norm",
    ]
    assert run_labels([runs[0], runs[1]]) == ["activation ReLU", "activation leaky ReLU"]
    assert run_labels([run(1), runs[2]]) == [
        "LeNet-5, activation ReLU",
        "LeNet-5 with batch norm, activation tanh, no batch norm",
    ]


def test_a_single_run_is_labelled_by_network_and_data_set() -> None:
    assert run_labels([run(1)]) == ["LeNet-5 on Digits (built in)"]
    assert run_labels([]) == []


def test_a_name_is_the_label_and_settings_are_added_if_runs_share_it() -> None:
    named = [run(1, name="base", lr=0.1), run(2, name="wide", lr=0.2), run(3, name="wide", lr=0.3)]
    assert run_labels(named) == ["base", "wide, lr 0.2", "wide, lr 0.3"]
    assert run_labels([run(1, name="lenet5")]) == [
        "LeNet-5 on Digits (built in)"
    ]  # the network's id is the default name


def test_runs_with_equal_settings_are_distinguished_by_their_ids() -> None:
    same = [run(1), run(2), run(3, lr=0.5)]
    assert run_labels(same) == ["lr 0.001 · 1000", "lr 0.001 · 2000", "lr 0.5"]


def test_settings_without_effect_are_not_named() -> None:
    runs = [run(1, optimizer="sgd", momentum=0.5), run(2, optimizer="adam")]
    assert run_labels(runs) == ["SGD, momentum 0.5", "Adam"]
    where = [run(1, device="cpu"), run(2, device="cuda", keep_mb=10)]
    assert run_labels(where) == ["LeNet-5 on Digits (built in) · 1000", "LeNet-5 on Digits (built in) · 2000"]


def test_a_label_stays_short_however_many_settings_differ() -> None:
    many = {"lr": 0.1, "batch_size": 7, "epochs": 9, "seed": 3, "weight_decay": 0.1, "val_fraction": 0.2}
    first, second = run_labels([run(1, **many), run(2)])
    # The learning rate is first; the seed would be last.
    assert first == "lr 0.1, validation share 0.2, epochs 9, batch 7, …"
    assert second == "lr 0.001, validation share 0.1, epochs 5, batch 64, …"
    four = {"seed": 3, "dataset": "mnist", "batch_size": 7, "lr": 0.1}
    assert run_labels([run(1, **four), run(2)])[0] == "MNIST, lr 0.1, batch 7, seed 3"


def test_runs_that_differ_only_in_an_ignored_setting_share_a_label() -> None:
    assert (
        run_labels([run(1, seed=1, lr=0.1), run(2, seed=2, lr=0.1)], without=("seed",))
        == ["LeNet-5 on Digits (built in)"] * 2
    )


def test_the_table_of_a_comparison_uses_the_same_labels() -> None:
    table = comparison_table([run(1, lr=0.05), run(2)])
    assert [row[0] for row in table.rows] == ["lr 0.05", "lr 0.001"]


def test_a_value_that_most_runs_share_is_left_out_unless_the_label_would_be_empty() -> None:
    runs = [run(n, lr=n / 1000) for n in range(1, 5)] + [run(5, lr=0.5, optimizer="sgd")]
    assert run_labels(runs) == ["lr 0.001", "lr 0.002", "lr 0.003", "lr 0.004", "lr 0.5, SGD"]
    assert run_labels([run(1), run(2, lr=0.1), run(3, seed=4)]) == ["lr 0.001, seed 0", "lr 0.1", "seed 4"]


def test_a_value_that_only_half_of_the_runs_share_is_not_left_out() -> None:
    assert run_labels([run(1, lr=0.1), run(2, lr=0.2)]) == ["lr 0.1", "lr 0.2"]
    half = [run(1, lr=0.1), run(2, lr=0.1, seed=1), run(3, lr=0.2, seed=2), run(4, lr=0.2, seed=3)]
    assert run_labels(half) == ["lr 0.1, seed 0", "lr 0.1, seed 1", "lr 0.2, seed 2", "lr 0.2, seed 3"]
