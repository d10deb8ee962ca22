"""The search language, on the databases that evaluate it."""

import pytest

from lab.architectures.registry import arch_title
from lab.config import FIELDS, RunConfig
from lab.errors import InputError
from lab.runs.owner import Owner
from lab.runs.query import KEYS, ORDERS, TITLE_ORDERS, Term, condition, parse_query
from lab.runs.records import RunRequest, RunState
from lab.runs.store import RunStore
from tests.runs.conftest import Clock

CONFIGS = {
    "one": RunConfig(arch="lenet5", dataset="digits", lr=0.1, optimizer="sgd", nesterov=True),
    "two": RunConfig(arch="lenet-bn", dataset="digits", lr=1e-4, batch_size=32),
    "three 100%": RunConfig(arch="vgg11", dataset="mnist", lr=1e-3, batch_size=16),
    "four_x": RunConfig(arch="wide-cnn", dataset="mnist", lr=1e-3, arch_options={"widths": [8]}),
}


@pytest.fixture(scope="module")
def four(shared_store: RunStore, shared_clock: Clock) -> RunStore:
    """Return a store with four runs: two finished with accuracies 0.9 and 0.5, one running, one queued."""
    store, me = shared_store, Owner.of_this_process()
    tags = {"one": ["report-d", "best"], "two": ["report-c"], "three 100%": [], "four_x": ["report-dx"]}
    for name, config in CONFIGS.items():
        shared_clock.now += 1
        run, _ = store.queue.submit(config, fingerprint=name, family=name, name=name, tags=tags[name])
        if name == "one":
            store.edits.set_pinned(run.id, True)
            store.edits.set_note(run.id, "Looks good")
    for accuracy in (0.9, 0.5):
        claim = store.leases.claim(slot="cpu", owner=me)
        assert claim is not None
        summary = {"test_accuracy": accuracy, "val_accuracy": float("nan"), "best_epoch": 3}
        store.leases.finish(claim.id, claim.lease, state=RunState.FINISHED, summary=summary, seconds=accuracy * 10)
    store.leases.claim(slot="cpu", owner=me)
    return store


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["one", "two", "three 100%", "four_x"]),
        ("arch:lenet*", ["one", "two"]),
        ("arch:LENET5,vgg??", ["one", "three 100%"]),
        ("-arch:lenet*", ["three 100%", "four_x"]),
        ("arch!=lenet5 dataset:digits", ["two"]),
        ("arch:lenet", []),
        ("lr<0.01", ["two", "three 100%", "four_x"]),
        ("lr<=1e-3 lr>0.0005", ["three 100%", "four_x"]),
        ("lr=0.1", ["one"]),
        ("lr:0.1,0.0001", ["one", "two"]),
        ("batch_size!=64", ["two", "three 100%"]),
        ("arch:lenet* lr<0.01 tag:report-c state:finished", ["two"]),
        ("tag:report-d", ["one"]),
        ("tag:report-*", ["one", "two", "four_x"]),
        ("-tag:report-*", ["three 100%"]),
        ("state:queued", ["four_x"]),
        ("state:running,queued", ["three 100%", "four_x"]),
        ("-state:fin*", ["three 100%", "four_x"]),
        ("test>0.6", ["one"]),
        ("test>=50%", ["one", "two"]),
        ("test>60%", ["one"]),
        ("test<51%", ["two"]),
        ("test:90%,10%", ["one"]),
        ("test=90%,50%", ["one", "two"]),
        ("test!=90%", ["two"]),
        ("-test>0.6", ["two", "three 100%", "four_x"]),
        ("val>0", []),
        ("test:*", ["one", "two"]),
        ("test:0.9*", ["one"]),
        ("attempts:?", ["one", "two", "three 100%", "four_x"]),
        ("seconds>=5 best_epoch:3", ["one", "two"]),
        ("pinned:yes", ["one"]),
        ("pinned!=yes", ["two", "three 100%", "four_x"]),
        ("nesterov:yes", ["one"]),
        ("nesterov:no", ["two", "three 100%", "four_x"]),
        ("optimizer:sgd", ["one"]),
        ("arch_options:*widths*", ["four_x"]),
        ("good", ["one"]),
        ("-good vgg", ["three 100%"]),
        ('"looks good"', ["one"]),
        ('name:"three 100%"', ["three 100%"]),
        ("100%", ["three 100%"]),
        ("r_x", ["four_x"]),
        ("name:four?x", ["four_x"]),
        ("name:%", []),
        ("name:*_*", ["four_x"]),
        ("'; DROP TABLE runs; --", []),
    ],
)
def test_a_search_finds_these_runs(four: RunStore, text: str, names: list[str]) -> None:
    assert [run.name for run in four.runs.list(where=text, order="created")] == names
    assert four.runs.count(where=text) == len(names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("archh:lenet5", r"no key 'archh'. Did you mean 'arch'\?"),
        ("lr<", "nothing after lr< to compare with"),
        ("lr<small", r"compares numbers, but 'small' is not one: write lr<0.01"),
        ("lr:small", r"lr:small compares numbers, but 'small' is not one: write lr<0.01"),
        ("seconds=1,long", r"seconds=1,long compares numbers, but '1,long' is not one"),
        ("arch<5", "arch is text, so it cannot be compared with <: write arch:5"),
        ("state:done", "'done' is not a state of a run"),
        ("pinned:maybe", "pinned is yes or no, not :maybe"),
        ('name:"open', "opens a quote and does not close it"),
    ],
)
def test_an_invalid_search_is_refused_with_a_remedy(store: RunStore, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        store.runs.list(where=text)


def test_a_search_is_parsed_into_terms() -> None:
    assert parse_query('arch:lenet* -lr<=0.01 word -"two words" tag:"a b"') == (
        Term("arch", ":", "lenet*"),
        Term("lr", "<=", "0.01", negative=True),
        Term("", ":", "word"),
        Term("", ":", "two words", negative=True),
        Term("tag", ":", "a b"),
    )


def test_every_key_and_every_order_can_be_used(four: RunStore) -> None:
    for key in {*KEYS, *FIELDS}:
        four.runs.count(where=f"{key}:*" if key not in ("pinned",) and not _switch(key) else f"{key}:no")
    for order in {*ORDERS, *TITLE_ORDERS, *FIELDS}:
        assert len(four.runs.list(order=order)) == len(four.runs.list(order="-" + order)) == 4


def _switch(key: str) -> bool:
    return key in FIELDS and FIELDS[key].kind is bool


def test_sorting_puts_missing_numbers_last_in_both_directions(four: RunStore) -> None:
    assert [run.name for run in four.runs.list(order="test")][:2] == ["two", "one"]
    assert [run.name for run in four.runs.list(order="-test")][:2] == ["one", "two"]
    assert next(run.name for run in four.runs.list(order="lr")) == "two"
    assert next(run.name for run in four.runs.list(order="-created", pinned_first=True)) == "one"


def test_runs_can_be_sorted_by_the_titles_that_tables_show(four: RunStore) -> None:
    networks = [run.config.arch for run in four.runs.list(order="network")]
    assert networks == sorted(networks, key=lambda arch: arch_title(arch).lower())
    assert networks != sorted(networks)  # or the ids would pass too
    data = [run.config.dataset for run in four.runs.list(order="-data")]
    assert data == ["mnist", "mnist", "digits", "digits"]


def test_an_unnamed_run_is_sorted_by_the_title_of_its_network(store: RunStore) -> None:
    for name in ("conv2-bn", "Lemon", "sgd"):  # the first is shown as "Two convolutions with batch norm"
        store.queue.submit(RunConfig(arch="conv2-bn"), fingerprint=name, family=name, name=name)
    assert [run.name for run in store.runs.list(order="title")] == ["Lemon", "sgd", "conv2-bn"]
    assert [run.name for run in store.runs.list(order="name")] == ["conv2-bn", "Lemon", "sgd"]


def test_an_unknown_order_is_refused(store: RunStore) -> None:
    with pytest.raises(InputError, match="cannot be sorted by 'colour'"):
        store.runs.list(order="-colour")


def test_pages_follow_each_other_without_gap_or_repeat(four: RunStore) -> None:
    pages = [four.runs.list(order="lr", limit=1, offset=page) for page in range(5)]
    assert [run.name for page in pages for run in page] == [run.name for run in four.runs.list(order="lr")]


def test_only_the_named_ids_are_listed(four: RunStore) -> None:
    one, two, *_ = four.runs.list(order="created")
    assert [run.id for run in four.runs.list(order="created", ids=[two.id, one.id, "nothing"])] == [one.id, two.id]
    assert four.runs.list(ids=[]) == ()
    assert four.runs.count(ids=[one.id], where="state:finished") == 1


NUMBERS = {  # of three runs, each column in a different order
    "test": ("test", [0.5, 0.9, 0.7]),
    "val": ("val", [0.7, 0.5, 0.9]),
    "best_epoch": ("best_epoch", [3, 2, 1]),
    "seconds": ("seconds", [20.0, 30.0, 10.0]),
    "speed": ("speed", [300.0, 100.0, 200.0]),
}


def test_each_number_is_searched_and_sorted_by_its_own_column(store: RunStore, me: Owner) -> None:
    for index in range(3):
        store.queue.submit(RunConfig(dataset="digits"), fingerprint=str(index), family="f", name=str(index))
        for attempt in range(index + 1):
            run = store.leases.claim(slot="cpu", owner=me)
            assert run is not None
            if attempt < index:
                store.leases.finish(run.id, run.lease, state=RunState.PAUSED)
                store.leases.request(run.id, RunRequest.RUN)
        facts = {name: values[index] for name, (_, values) in NUMBERS.items()}
        store.leases.finish(
            run.id,
            run.lease,
            state=RunState.FINISHED,
            seconds=facts["seconds"],
            summary={
                "test_accuracy": facts["test"],
                "val_accuracy": facts["val"],
                "best_epoch": facts["best_epoch"],
                "images_per_second": facts["speed"],
            },
        )
    first = store.runs.list(order="number")[0]
    for _ in range(3):  # the numbers of leases and attempts differ from each other
        store.removal.delete(first.id)
        store.removal.undelete(first.id)
    for key, (name, values) in NUMBERS.items():
        order = sorted(range(3), key=lambda index: values[index])
        assert [run.name for run in store.runs.list(order=key)] == [str(index) for index in order], key
        assert [run.name for run in store.runs.list(order="-" + key)] == [str(i) for i in reversed(order)], key
        for index, value in enumerate(values):
            assert [run.name for run in store.runs.list(where=f"{name}={value}")] == [str(index)], key
    for index in range(3):
        assert [run.name for run in store.runs.list(where=f"attempts:{index + 1}")] == [str(index)]


def test_a_page_has_its_runs_and_the_total(four: RunStore) -> None:
    def page(where: str, limit: int, offset: int = 0) -> tuple[list[str], int]:
        found = four.runs.page(where=where, order="created", limit=limit, offset=offset, pinned_first=True)
        return [run.name for run in found.records], found.total

    assert page("", 3) == (["one", "two", "three 100%"], 4)
    assert page("", 3, 3) == (["four_x"], 4)
    assert page("lr<0.01", 2) == (["two", "three 100%"], 3)
    assert page("lr<0.01", 2, 2) == (["four_x"], 3)
    assert page("lr<0.01", 2, 4) == ([], 3)  # beyond the last page
    assert page("lr>1", 2) == ([], 0)
    assert page("state:running", 2) == (["three 100%"], 1)


def test_conditions_on_the_configuration_are_evaluated_last() -> None:
    sql = str(condition("lr<0.01 -optimizer:adam arch:lenet* state:finished test>0.9", states={}))
    places = [sql.index(column) for column in ("runs.arch", "runs.state", "runs.test_accuracy", "runs.config")]
    assert max(places[:3]) < places[3]
