"""The Machines page in `AppTest`: slots and their runs, the queue, logs, and the actions on machines."""

from dataclasses import replace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lab.errors import JoinRefusedError
from lab.join_token import JoinToken
from lab.runs.artifacts import IN_DATABASE
from lab.runs.hosts import HostRecord, HostState, Release
from lab.runs.owner import Owner
from lab.runs.workers import WorkerRecord
from lab.service.lab import Lab
from lab.service.machines import NOBODY, SOON
from lab.worker.supervisor.slots import count_slots
from pages.machines.host_actions import _join_command, join_box
from pages.markdown import plain, with_code
from pages.state.keys import element
from pages.train.run_view import waiting_reason
from tests.web.addresses import draw_alone, open_page
from tests.web.web_data import DIGITS_CONFIG, Bench


def words(app: AppTest) -> str:
    return " | ".join(
        [*(e.value for e in app.markdown), *(e.value for e in app.caption), *(e.value for e in app.subheader)]
    )


def _announce(lab: Lab, owner: Owner, slot: str) -> None:
    lab.store.workers.announce(WorkerRecord(owner, slot, slot.partition(" ")[0], engine=1, slots=2))


def test_an_idle_machine_says_when_its_workers_start(bench: Bench) -> None:
    shown = words(open_page("machines"))
    assert "this machine · 1 slot" in shown
    assert "a worker starts on demand" in shown
    assert "No runs are waiting." in shown


def test_slots_are_listed_and_waiting_runs_show_why_they_wait(bench: Bench) -> None:
    me = Owner.of_this_process()
    bench.lab.machines.set_slots(2)
    for slot in ("cpu", "cpu #2"):
        _announce(bench.lab, me, slot)
    for seed in range(3):
        bench.queue(DIGITS_CONFIG.replace(seed=seed))
    bench.lab.store.leases.claim(slot="cpu", owner=me)
    _announce(bench.lab, Owner("far pid:[1]", 1, "x"), "cuda:0")
    shown = words(open_page("machines"))
    assert "**cpu**" in shown
    assert r"**cpu \#2**" in shown
    assert r"**cuda\:0**" in shown
    assert "free" in shown
    assert "2 runs waiting" in shown
    assert shown.count("a worker takes it within a second") == 2


def test_the_page_of_a_queued_run_says_why_it_waits(bench: Bench) -> None:
    me = Owner.of_this_process()
    first, second = (bench.queue(DIGITS_CONFIG.replace(seed=seed)) for seed in (1, 2))
    assert (waiting_reason(first), waiting_reason(second)) == (NOBODY, NOBODY)
    _announce(bench.lab, me, "cpu")
    assert (waiting_reason(first), waiting_reason(second)) == (SOON, "behind 1 run")
    bench.lab.store.leases.claim(slot="cpu", owner=me)
    assert (waiting_reason(first), waiting_reason(second)) == ("", "behind 1 run")
    assert f"behind 1 run · run {second.id}" in words(open_page("train", run=second.id))


def test_a_number_of_slots_out_of_range_is_refused_below_its_input(bench: Bench) -> None:
    bench.lab.machines.set_slots(2)
    app = open_page("machines")
    app.number_input(key="machines.slots").set_value(65).run()
    refusal = "The number of slots is 65, but it must be from 1 to 64."
    errors = [each.value.replace("\\", "") for each in app.error]
    assert (errors, app.number_input(key="machines.slots").value) == ([refusal], 2)
    app.number_input(key="machines.slots").set_value(3).run()
    assert ([each.value for each in app.error], bench.lab.machines.slots) == ([], 3)


def test_a_long_queue_is_counted_and_its_first_runs_are_listed(bench: Bench) -> None:
    for seed in range(22):
        bench.queue(DIGITS_CONFIG.replace(seed=seed))
    shown = words(open_page("machines"))
    assert "22 runs waiting" in shown
    assert shown.count("no worker is alive on any host") == shown.count("start one with `convlab worker`") == 20
    assert "Only the first 20 are shown; `python -m lab machines` lists all." in shown


def test_commands_in_a_sentence_are_shown_as_code_and_other_text_verbatim() -> None:
    assert with_code("let one go on with `convlab machines drain HOST --undo`, or *wait*") == (
        r"let one go on with `convlab machines drain HOST --undo`, or \*wait\*"
    )
    assert with_code("a `b` c `d\u202e`") == r"a `b` c `d\u202e`"
    for text in ("a ` that nothing closes", "", "no command: *none*", "``"):
        assert with_code(text) == plain(text)


def test_the_number_of_slots_can_be_changed_on_the_page(bench: Bench) -> None:
    app = open_page("machines")
    (number,) = app.number_input
    assert (number.value, number.disabled) == (count_slots(bench.lab.settings), False)
    number.set_value(3).run()
    assert not app.exception
    assert count_slots(bench.lab.settings) == 3
    assert "this machine · 3 slots" in words(app)
    assert open_page("machines").number_input[0].value == 3


def test_a_removed_slot_is_shown_until_its_run_has_ended(bench: Bench) -> None:
    me = Owner.of_this_process()
    bench.queue()
    _announce(bench.lab, me, "cpu #2")
    bench.lab.store.leases.claim(slot="cpu #2", owner=me)
    shown = words(open_page("machines"))
    assert "this machine · 1 slot" in shown
    assert "its worker exits after this run" in shown


def test_a_number_of_slots_set_in_the_environment_is_disabled_with_the_reason(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.lab.machines.set_slots(4)
    monkeypatch.setenv("LAB_SLOTS", "2")
    app = open_page("machines")
    assert (app.number_input[0].value, app.number_input[0].disabled) == (2, True)
    assert "Set by LAB_SLOTS when the lab was started." in words(app)


def test_runs_of_an_executor_show_their_job_and_their_workers_are_not_slots_of_the_host(bench: Bench) -> None:
    lab = bench.lab
    (lab.settings.make_home() / "executors.toml").write_text("[slurm]\n")
    runs = [
        lab.submissions.submit(lab.validation.resolve(DIGITS_CONFIG.replace(seed=seed)), executor="slurm").run
        for seed in range(3)
    ]
    for run, handle in zip(runs, ("11", "12"), strict=False):
        job = lab.store.jobs.open(run.id, "slurm")
        assert job is not None
        lab.store.jobs.note(job.id, state="pending", words="PENDING, Resources", handle=handle)
    _announce(lab, Owner.of_this_process(), f"lab-{runs[0].id}-1")
    lab.store.leases.claim(slot=f"lab-{runs[0].id}-1", owner=Owner.of_this_process(), run=runs[0].id, executor="slurm")
    app = open_page("machines")
    shown = words(app)
    assert "this machine · 1 slot" in shown
    assert "**Slurm job 11**" in shown
    assert "its worker exits after this run" not in shown
    assert "submitted to Slurm as job 12\\: PENDING, Resources" in shown
    assert "is submitted to Slurm" in shown  # the third run, which has no job yet and therefore no log
    assert [entry.job for entry in lab.machines.show().waiting] == ["Slurm job 12", ""]


def test_forms_offer_an_executor_only_if_one_is_configured(bench: Bench) -> None:
    def offered(page: str) -> list[list[str]]:
        app = open_page(page)
        return [box.options for box in app.selectbox if box.label == "Train on"]

    assert offered("train") == offered("sweeps") == []
    (bench.lab.settings.make_home() / "executors.toml").write_text("[slurm]\n")
    assert offered("train") == offered("sweeps") == [["This lab's slots", "Slurm"]]
    (bench.lab.settings.home / "executors.toml").write_text("[slurm")
    assert offered("train") == []


def _join(lab: Lab, **more: Any) -> None:
    lab.store.hosts.set_release(Release(1, "2.11.0"), host="lab")
    lab.store.hosts.join(
        HostRecord("far pid:[1]", joined=True, **{"engine": 1, "torch": "2.11.0", "slots": (("cpu", "cpu"),)} | more)
    )


def test_a_joined_machine_is_drained_reactivated_and_removed_on_the_page(bench: Bench) -> None:
    _join(bench.lab)
    app = open_page("machines")
    assert "a worker starts on demand" in words(app)
    app.button(key="machine-drain-far pid:[1]").click().run()
    assert bench.lab.machines.resolve("far").state is HostState.DRAINING
    assert "takes no runs" in words(app)
    app.button(key="machine-take-runs-again-far pid:[1]").click().run()
    assert bench.lab.machines.resolve("far").state is HostState.ACTIVE
    app.button(key="machine-remove-far pid:[1]").click().run()
    assert not app.exception
    assert "far" not in [host.host for host in bench.lab.machines.show().hosts]
    keys = [button.key for button in app.button]
    assert not [key for key in keys if key and key.startswith("machine-remove")]  # this machine cannot be removed


def test_a_refused_machine_is_listed_with_the_reason(bench: Bench) -> None:
    with pytest.raises(JoinRefusedError):
        _join(bench.lab, engine=2)
    assert "This machine's ConvLab has engine 2 and the lab's has engine 1" in words(open_page("machines"))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (None, "The job has written nothing yet."),
        ("", "The job has written nothing yet."),
        ("one\ntwo\n", "one\ntwo"),
        ("x" + 6_000 * "y", 6_000 * "y"),
    ],
)
def test_the_log_of_a_job_is_read_when_opened_and_its_end_is_shown(
    bench: Bench, written: str | None, shown: str
) -> None:
    lab = bench.lab
    (lab.settings.make_home() / "executors.toml").write_text("[slurm]\n")
    run = lab.submissions.submit(lab.validation.resolve(DIGITS_CONFIG), executor="slurm").run
    job = lab.store.jobs.open(run.id, "slurm")
    assert job is not None
    lab.store.jobs.note(job.id, state="pending", words="PENDING", handle="12")
    if written is not None:
        (lab.settings.home / "logs" / "jobs").mkdir(parents=True)
        (lab.settings.home / "logs" / "jobs" / f"{job.id}.log").write_text(written)
    app = open_page("machines")
    assert len(app.code) == 0
    app.session_state[f"machine-log-{run.id}"] = True  # as a click on the button does
    app.run()
    assert [code.value for code in app.code] == [shown]


def test_the_log_of_a_slot_shows_the_last_lines_logged_for_its_run(bench: Bench) -> None:
    run = bench.queue()
    _announce(bench.lab, Owner.of_this_process(), "cpu")
    claimed = bench.lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert claimed is not None
    app = open_page("machines")
    app.session_state[f"run-log-{run.id}"] = True
    assert "No worker has logged anything for this run yet." in words(app.run())
    bench.lab.store.logs.write(run.id, host="far pid:[1]", lines=tuple(f"line {n}" for n in range(70)))
    app.run()
    assert "Last lines logged by its worker on far" in words(app)
    assert app.code[0].value.split("\n") == [f"line {n}" for n in range(10, 70)]


def _hosts() -> None:
    import streamlit as st

    from pages.cache.lab import get_lab
    from pages.machines.host_actions import host_buttons

    for host in get_lab().machines.show().hosts:
        host_buttons(host)
    st.text("drawn")


def test_actions_on_a_machine_explain_themselves_and_are_hidden_in_a_read_only_lab(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _join(bench.lab)
    help_texts = {
        button.label: button.help for button in AppTest.from_function(_hosts, default_timeout=60).run().button
    }
    assert help_texts == {
        "Drain": "Its runs go back to the queue, and it takes no new ones.",
        "Remove": "It comes back only by joining again.",
    }
    bench.lab.machines.drain("far pid:[1]")
    app = AppTest.from_function(_hosts, default_timeout=60).run()
    assert {"Take runs again", "Remove"} <= {button.label for button in app.button}
    bench.lab.store.hosts.remove("far pid:[1]")
    app.button(key="machine-take-runs-again-far pid:[1]").click().run()
    assert not app.exception
    monkeypatch.setenv("LAB_READ_ONLY", "1")
    app = AppTest.from_function(_hosts, default_timeout=60).run()
    assert (list(app.button), app.text[0].value) == ([], "drawn")


def _token() -> None:
    from pages.machines.host_actions import _join_command

    _join_command()


def test_the_join_command_is_created_only_when_its_expander_is_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "get_option", {"server.address": "0.0.0.0"}.get)
    for opened, codes in ((False, []), (True, ["python -m lab machines token"])):
        app = draw_alone(join_box, state={element("machine-add"): opened})
        assert [code.value for code in app.code] == codes


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1"])
def test_a_token_is_only_created_if_the_server_listens_on_a_loopback_address(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    def get_option(name: str, at: str) -> Any:
        return at if name == "server.address" else real(name)

    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: get_option(name, "0.0.0.0"))
    app = AppTest.from_function(_token).run()
    assert [code.value for code in app.code] == ["python -m lab machines token"]
    assert not app.info
    monkeypatch.setattr(st, "get_option", lambda name: get_option(name, address))
    app = AppTest.from_function(_token).run()
    assert len(app.code) == 0  # other machines cannot reach the database of a lab on SQLite
    assert len(app.info) == 1


def test_a_lab_with_a_shared_database_shows_the_full_join_command_with_its_token(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = "postgresql+psycopg://lab:secret@db.example/lab"
    reached = replace(bench.lab.settings, database=database, artifacts=IN_DATABASE)
    monkeypatch.setattr(bench.lab.machines, "_settings", reached)
    monkeypatch.setattr(st, "get_option", {"server.address": "localhost"}.get)
    app = draw_alone(_join_command)
    (shown,) = app.code
    command, _, token = shown.value.rpartition(" ")
    assert command == "python -m lab worker --join"
    assert JoinToken.decode(token).database == database
    assert (shown.language, shown.proto.wrap_lines) == ("plaintext", True)
    assert "The token contains the database's password." in app.caption[0].value
    assert not app.info
