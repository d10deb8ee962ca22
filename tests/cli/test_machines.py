"""The `machines` commands: hosts, slots, which run trains where, and why the others wait."""

import gzip
import json
import socket
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from lab.config import ENGINE, RunConfig
from lab.data.local import write_local_dataset
from lab.data.recipes import MNIST
from lab.data.registry import IMPORTED, get_dataset_spec
from lab.errors import JoinRefusedError, StoreVersionError
from lab.join_token import JoinToken
from lab.runs.hosts import HostRecord, HostState, Release, boot_of
from lab.runs.owner import Owner, this_host
from lab.runs.records import RunState
from lab.runs.workers import WorkerRecord
from lab.service.joining import PROBE, join
from lab.service.lab import Lab
from lab.service.machines import ALL_DRAINED, NOBODY, SOON, STARTING, HostView, SlotView, _other_host, behind_words
from lab.settings import Settings
from tests.cli.conftest import run_command

HERE = socket.gethostname()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab with two slots and four queued runs, but no worker."""
    environment = {"LAB_HOME": str(tmp_path), "LAB_DEVICE": "cpu", "LAB_SLOTS": "2"}
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    lab = Lab(Settings.from_env(environment))
    for name in "abcd":
        lab.submissions.submit(lab.validation.resolve(RunConfig(dataset="digits", seed=ord(name))), name=name)
    return lab


def _announce(lab: Lab, owner: Owner, slot: str, *, engine: int = 1) -> None:
    lab.store.workers.announce(WorkerRecord(owner, slot, "cpu", engine=engine, slots=2))


def test_without_a_worker_all_slots_are_empty_and_all_runs_wait_for_one(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run_command(capsys, "machines", "--json")
    answer = json.loads(out)
    assert code == 0
    slots = [{"slot": name, "device": "cpu", "run": None} for name in ("cpu", "cpu #2")]
    assert answer["hosts"] == [
        {"host": HERE, "alive": False, "engine": 1, "state": "active", "reason": "", "slots": slots}
    ]
    assert len(answer["waiting"]) == 4
    assert all(entry["why"].startswith("no worker is alive on any host: ") for entry in answer["waiting"])


def test_slots_show_their_run_and_queued_runs_how_many_are_ahead(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    me = Owner.of_this_process()
    _announce(lab, me, "cpu")
    a, b, c, d = lab.store.queue.list()
    lab.store.leases.claim(slot="cpu", owner=me)
    waiting = json.loads(run_command(capsys, "machines", "--json")[1])["waiting"]
    assert [entry["why"] for entry in waiting] == ["a worker is starting", "behind 2 runs", "behind 3 runs"]
    _announce(lab, me, "cpu #2")
    answer = json.loads(run_command(capsys, "machines", "--json")[1])
    assert [slot["run"] for slot in answer["hosts"][0]["slots"]] == [a.id, None]
    reasons = {entry["run"]: entry["why"] for entry in answer["waiting"]}
    assert reasons == {b.id: "a worker takes it within a second", c.id: "behind 2 runs", d.id: "behind 3 runs"}
    lab.store.leases.claim(slot="cpu #2", owner=me)
    answer = json.loads(run_command(capsys, "machines", "--json")[1])
    assert answer["hosts"][0]["alive"] is True
    assert [(entry["run"], entry["why"]) for entry in answer["waiting"]] == [
        (c.id, "behind 2 runs"),
        (d.id, "behind 3 runs"),
    ]
    table = run_command(capsys, "machines")[1]
    assert a.id in table
    assert "behind 3 runs" in table


def test_a_run_that_others_overtake_shows_whose_runs_are_ahead_and_why(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    me = Owner.of_this_process()
    lab.store.queue.stop_all()
    _announce(lab, me, "cpu")
    _announce(lab, me, "cpu #2")

    def submit(name: str, owner: str, priority: int = 0) -> str:
        config = lab.validation.resolve(RunConfig(dataset="digits", seed=100 + ord(name)))
        return lab.submissions.submit(config, name=name, owner=owner, priority=priority).run.id

    ids = {name: submit(name, "eve") for name in "ab"}
    for slot in ("cpu", "cpu #2"):
        lab.store.leases.claim(slot=slot, owner=me)
    ids |= {name: submit(name, owner) for name, owner in [("m", "eve"), ("n", "eve"), ("x", "ann"), ("y", "ann")]}
    ids["p"] = submit("p", "", 5)
    waiting = json.loads(run_command(capsys, "machines", "--json")[1])["waiting"]
    assert {entry["run"]: entry["why"] for entry in waiting} == {
        ids["p"]: "behind 2 runs",
        ids["x"]: "behind 3 runs: 1 of higher priority",
        ids["m"]: "behind 4 runs: 1 of higher priority, 1 of ann, who was served longer ago",
        ids["y"]: "behind 5 runs: 1 of higher priority",
        ids["n"]: "behind 6 runs: 1 of higher priority, 2 of ann, who was served longer ago",
    }


@pytest.mark.parametrize(
    ("before", "busy", "words"),
    [
        ("", 1, "behind 1 run"),
        ("ann ann ann", 0, "behind 3 runs of ann, who was served longer ago"),
        ("+0 +0", 0, "behind 2 runs without an owner, served longer ago"),
        ("ann+1 bob+2", 0, "behind 2 runs of higher priority"),
        ("me me ann", 1, "behind 4 runs: 1 of ann, who was served longer ago"),
        ("ann ann bob me", 0, "behind 4 runs: 3 whose owners were served longer ago"),
        ("ann bob eve", 0, "behind 3 runs whose owners were served longer ago"),
    ],
)
def test_the_reason_for_waiting_describes_the_runs_ahead(lab: Lab, before: str, busy: int, words: str) -> None:
    (run, *_) = lab.store.queue.list()
    others = [
        replace(run, owner=owner, priority=int(priority or 0), queued_at=run.queued_at + 1)
        for owner, _, priority in (word.partition("+") for word in before.split())
    ]
    assert behind_words(replace(run, owner="me"), others, busy=busy) == words


FREE, BUSY, EMPTY = (SlotView("cpu", "cpu", run, alive) for run, alive in ((None, True), ("x", True), (None, False)))
SURPLUS = replace(BUSY, run=None, surplus=True)
OF_A_JOB = replace(FREE, job="Slurm job 7")


def _host(*slots: SlotView, here: bool = False, **more: Any) -> HostView:
    alive = any(slot.alive for slot in slots)
    return HostView("here" if here else "far", more.pop("alive", alive), 1, slots, here=here, name="far", **more)


# Hosts, and the reasons for which the first queued runs then wait.
_WAITING: list[tuple[list[HostView], list[str]]] = [
    ([_host(FREE, EMPTY, here=True)], [SOON, STARTING, "behind 2 runs", "behind 3 runs"]),
    ([_host(BUSY, FREE, here=True)], [SOON, "behind 2 runs", "behind 3 runs", "behind 4 runs"]),
    ([_host(FREE, here=True), _host(EMPTY, joined=True, alive=True)], [SOON, STARTING, "behind 2 runs"]),
    ([_host(FREE, here=True), _host(EMPTY, joined=True)], [SOON, "behind 1 run", "behind 2 runs"]),
    ([_host(FREE, here=True), _host(EMPTY)], [SOON, "behind 1 run"]),
    ([_host(SURPLUS, here=True), _host(FREE)], [SOON, "behind 1 run"]),
    ([_host(OF_A_JOB, here=True), _host(FREE)], [SOON, "behind 1 run"]),
    ([_host(FREE, here=True), _host(FREE, FREE, state=HostState.DRAINING)], [SOON, "behind 1 run"]),
    ([_host(FREE, here=True, state=HostState.DRAINING)], [ALL_DRAINED, ALL_DRAINED]),
    ([_host(EMPTY, here=True)], [NOBODY, NOBODY]),
    ([_host(EMPTY, here=True), _host(EMPTY, joined=True, alive=True)], [STARTING, STARTING]),
    ([_host(EMPTY, here=True), _host(EMPTY, joined=True)], [NOBODY, NOBODY]),
]


def test_a_run_waits_only_for_slots_that_can_claim_it(lab: Lab) -> None:
    queued = lab.store.queue.list()
    for hosts, reasons in _WAITING:
        assert [entry.why for entry in lab.machines._waiting(queued, hosts)][: len(reasons)] == reasons, hosts


_ABSENT, _KMNIST = "is not on this machine: fetch it, or the run will fail", "its data set, Kuzushiji-MNIST, "
# Hosts, and the reason for which a run waits if its data set is not on this machine.
_ABSENCES: list[tuple[list[HostView], str]] = [
    (
        [_host(FREE, here=True)],
        "its data set, Kuzushiji-MNIST, is not on this machine: fetch it, or the run will fail",
    ),
    ([_host(EMPTY, here=True), _host(FREE)], ""),
    ([_host(FREE, here=True), _host(BUSY)], "its data set, Kuzushiji-MNIST, is only on far so far"),
    ([_host(FREE, here=True), _host(SURPLUS)], "its data set, Kuzushiji-MNIST, is only on far so far"),
    (
        [_host(FREE, here=True), _host(EMPTY)],
        "its data set, Kuzushiji-MNIST, is not on this machine: fetch it, or the run will fail",
    ),
    (
        [_host(FREE, lacks=frozenset({"kmnist"}))],
        "its data set, Kuzushiji-MNIST, is on no machine that trains: fetch it on one of the lab's own",
    ),
    ([_host(FREE, lacks=frozenset({"mnist"}))], ""),
    ([_host(EMPTY)], ""),
]


def test_a_run_waits_for_its_data_set_with_the_machines_that_have_it(lab: Lab) -> None:
    for hosts, why in _ABSENCES:
        assert lab.machines._absence("kmnist", hosts) == why, hosts


def test_a_run_of_a_data_set_that_this_release_does_not_know_waits_without_hiding_the_machines(lab: Lab) -> None:
    lab.store.queue.submit(RunConfig(dataset="newer"), fingerprint="n", family="")
    shown = lab.machines.show()
    assert [host.here for host in shown.hosts] == [True]
    assert shown.waiting[-1].why == ("its data set, newer, is unknown to this release: update ConvLab, or stop the run")


def test_another_host_is_listed_after_this_one_and_may_have_a_data_set_that_this_one_lacks(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.store.queue.stop_all()
    lab.store.queue.submit(RunConfig(dataset="kmnist"), fingerprint="k", family="")
    _announce(lab, Owner.of_this_process(), "cpu")
    (entry,) = json.loads(run_command(capsys, "machines", "--json")[1])["waiting"]
    assert entry["why"] == "its data set, Kuzushiji-MNIST, is not on this machine: fetch it, or the run will fail"
    far = Owner(host="far pid:[1]", pid=1, pid_start="x")
    _announce(lab, far, "cuda:0", engine=2)
    answer = json.loads(run_command(capsys, "machines", "--json")[1])
    assert [(host["host"], host["engine"]) for host in answer["hosts"]] == [(HERE, 1), ("far", 2)]
    assert "data set" not in answer["waiting"][0]["why"]


def test_two_containers_with_the_same_name_are_listed_separately(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    _announce(lab, Owner(host=f"{HERE} pid:[1]", pid=1, pid_start="x"), "cpu")
    hosts = [host["host"] for host in json.loads(run_command(capsys, "machines", "--json")[1])["hosts"]]
    assert hosts == [Owner.of_this_process().host, f"{HERE} pid:[1]"]


def test_a_worker_of_a_removed_slot_is_listed_until_its_run_has_ended(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    me = Owner.of_this_process()
    _announce(lab, me, "cpu #3")
    run = lab.store.leases.claim(slot="cpu #3", owner=me)
    assert run is not None
    slots = json.loads(run_command(capsys, "machines", "--json")[1])["hosts"][0]["slots"]
    assert [(slot["slot"], slot["run"]) for slot in slots] == [("cpu", None), ("cpu #2", None), ("cpu #3", run.id)]
    lab.store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    lab.store.workers.leave(WorkerRecord(me, "cpu #3", "cpu", engine=1, slots=2))
    slots = json.loads(run_command(capsys, "machines", "--json")[1])["hosts"][0]["slots"]
    assert len(slots) == 2


def test_the_slots_flag_applies_to_one_call(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(run_command(capsys, "--slots", "3", "machines", "--json")[1])
    assert [slot["slot"] for slot in answer["hosts"][0]["slots"]] == ["cpu", "cpu #2", "cpu #3"]
    code, _, err = run_command(capsys, "--slots", "none", "machines")
    assert code != 0
    assert "LAB_SLOTS is 'none'" in err


def test_a_lab_on_sqlite_makes_no_token_and_names_the_steps_to_postgres(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run_command(capsys, "machines", "token", "--json")
    assert code == 2
    assert json.loads(out)["error"].startswith(
        "This lab's store is an SQLite file, which only its own machine can open"
    )
    assert "LAB_DATABASE on a Postgres server (docs/scale.md has the steps" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--database", "postgresql+psycopg://lab@127.0.0.1/lab", "--artifacts", "database://"],
            "LAB_DATABASE names the server '127.0.0.1', which on another machine is that machine itself",
        ),
        (
            ["--database", "postgresql+psycopg://lab@db/lab"],
            "a folder of this machine: set LAB_ARTIFACTS to database://",
        ),
        (["--database", "nonsense"], "which is not a database URL"),
    ],
)
def test_addresses_that_no_other_machine_can_reach_are_refused(
    lab: Lab, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    code, _, err = run_command(capsys, "machines", "token", *words)
    assert code != 0
    assert sentence in err


def test_a_token_has_the_given_addresses_and_all_tokens_share_one_probe(lab: Lab) -> None:
    database, place = "postgresql+psycopg://lab@db.example/lab", "s3://bucket/lab"
    token = JoinToken.decode(lab.machines.make_token(database=database, artifacts=place))
    assert (token.database, token.artifacts) == (database, place)
    assert JoinToken.decode(lab.machines.make_token(database=database, artifacts=place)).probe == token.probe
    assert sha256(b"".join(lab.artifacts.read_parts(PROBE))).hexdigest() == token.probe
    lab.artifacts.write(PROBE, b"")
    renewed = JoinToken.decode(lab.machines.make_token(database=database, artifacts=place)).probe
    assert renewed not in (token.probe, sha256(b"").hexdigest())
    with pytest.raises(JoinRefusedError, match=f"the lab has torch {Release.of_this_machine().torch}"):
        lab.store.hosts.join(HostRecord("far", joined=True, engine=ENGINE, torch="0.1"))


def test_joining_is_refused_on_the_labs_own_machine_and_with_unreachable_artifacts(
    lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = f"file://{tmp_path / 'shared'}"
    code, out, _ = run_command(
        capsys, "machines", "token", "--database", "postgresql+psycopg://lab@db/lab", "--artifacts", place, "--json"
    )
    assert code == 0
    made = JoinToken.decode(json.loads(out)["token"])
    assert (made.database, made.artifacts) == ("postgresql+psycopg://lab@db/lab", place)
    here = replace(made, database=lab.settings.database, artifacts=lab.settings.artifacts)
    code, _, err = run_command(capsys, "worker", "--join", here.encode())
    assert code == 1
    assert "This machine belongs to the lab, so it does not need to join" in err
    code, _, err = run_command(capsys, "worker", "--join", replace(here, artifacts=place).encode())
    assert code == 1
    assert "The lab's saved files cannot be read and written from here" in err
    code, _, err = run_command(capsys, "worker", "--join", here.encode()[:-3])
    assert code == 2
    assert "The token is incomplete or altered" in err


def test_a_drained_host_is_listed_as_draining_and_its_runs_wait(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(run_command(capsys, "machines", "drain", HERE, "--json")[1])
    assert answer["hosts"][0]["state"] == "draining"
    assert {entry["why"].partition(":")[0] for entry in answer["waiting"]} == {"every machine is drained"}
    assert lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process()) is None
    assert "draining" in run_command(capsys, "machines")[1]
    answer = json.loads(run_command(capsys, "machines", "drain", HERE, "--undo", "--json")[1])
    assert answer["hosts"][0]["state"] == "active"
    code, _, err = run_command(capsys, "machines", "drain", "nowhere")
    assert code == 2
    assert "There is no host 'nowhere'. Choose one of:" in err


def test_a_silent_host_is_removed_and_a_live_one_of_the_lab_is_not(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    _announce(lab, Owner(host="far pid:[1]", pid=1, pid_start="x"), "cpu")
    for host in (HERE, "far"):
        code, _, err = run_command(capsys, "machines", "remove", host)
        assert code == 2
        assert f"{host} is one of the lab's own machines and alive, so it cannot be removed: drain it" in err
    with lab.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE workers SET seen_at = seen_at - 60")
    answer = json.loads(run_command(capsys, "machines", "remove", "far", "--json")[1])
    assert [host["host"] for host in answer["hosts"]] == [HERE]


def test_a_refused_machine_is_listed_with_the_reason(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.store.hosts.set_release(Release(1, "2.11.0"), host=HERE)
    with pytest.raises(JoinRefusedError):
        lab.store.hosts.join(HostRecord("far pid:[1]", joined=True, engine=2, torch="2.11.0", slots=(("cpu", "cpu"),)))
    far = json.loads(run_command(capsys, "machines", "--json")[1])["hosts"][1]
    assert (far["host"], far["state"], far["engine"]) == ("far", "refused", 2)
    assert far["reason"].startswith("This machine's ConvLab has engine 2")
    assert "far: This machine's ConvLab has engine 2" in run_command(capsys, "machines")[1].replace("\n", " ")


def test_a_run_whose_data_set_only_one_machine_has_names_that_machine(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.store.queue.stop_all()
    dataset = write_local_dataset(
        IMPORTED, get_dataset_spec("digits").reader.read(()), recipe=MNIST, root=lab.settings.data
    )
    lab.store.queue.submit(RunConfig(dataset=dataset), fingerprint="k", family="")
    lab.store.hosts.set_release(Release(1, "2.11.0"), host="lab")
    lab.store.hosts.join(HostRecord("far pid:[1]", joined=True, engine=1, torch="2.11.0", slots=(("cpu", "cpu"),)))
    lab.store.hosts.renew("far pid:[1]", slots=[("cpu", "cpu")], lacks=[dataset])
    (entry,) = json.loads(run_command(capsys, "machines", "--json")[1])["waiting"]
    assert entry["why"] == f"its data set, Imported digits, is only on {HERE} so far"


def test_the_log_of_a_run_is_printed_and_a_missing_one_is_reported(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    run = lab.store.queue.list()[0]
    code, _, err = run_command(capsys, "machines", "log", run.id)
    assert code == 2
    assert f"No worker has logged anything for run {run.id} yet: it is queued." in err
    lab.store.logs.write(run.id, host="far pid:[1]", lines=("first", "second"))
    assert run_command(capsys, "machines", "log", run.id)[1] == "first\nsecond\n"
    answer = json.loads(run_command(capsys, "machines", "log", run.id, "--json")[1])
    assert answer == {"run": run.id, "host": "far pid:[1]", "lines": ["first", "second"]}


def test_only_a_joined_hosts_row_decides_whether_it_is_alive_and_which_slots_it_has() -> None:
    worker = WorkerRecord(Owner("far", 1, "1"), "far-cpu-1", "cpu", engine=2, slots=2)
    row = HostRecord(
        "far", HostState.DRAINING, "by request", engine=3, slots=(("far-cpu-0", "cpu"), ("far-cpu-1", "cpu"))
    )

    def shown(workers: list[WorkerRecord], record: HostRecord | None) -> tuple[Any, ...]:
        view = _other_host("far", workers, record)
        return view.alive, view.engine, [slot.slot for slot in view.slots], view.state, view.joined

    both = ["far-cpu-0", "far-cpu-1"]
    assert shown([worker], None) == (True, 2, ["far-cpu-1"], HostState.ACTIVE, False)
    assert shown([], row) == (False, 0, [], HostState.DRAINING, False)
    assert shown([worker], row) == (True, 2, ["far-cpu-1"], HostState.DRAINING, False)
    joined = replace(row, joined=True)
    assert shown([], joined) == (True, 3, both, HostState.DRAINING, True)
    assert shown([], replace(joined, alive=False)) == (False, 3, both, HostState.DRAINING, True)
    assert shown([worker], replace(joined, alive=False)) == (True, 3, both, HostState.DRAINING, True)


def test_a_machine_is_shown_with_its_slots_surplus_slots_and_slots_of_jobs(lab: Lab) -> None:
    me = Owner.of_this_process()
    (lab.settings.home / "executors.toml").write_text("[slurm]\n")
    config = RunConfig(dataset="digits")
    bound = [
        lab.submissions.submit(lab.validation.resolve(config.replace(seed=seed)), executor="slurm").run
        for seed in (1, 2)
    ]
    jobs = [lab.store.jobs.open(run.id, "slurm") for run in bound]
    assert jobs[0] is not None
    lab.store.jobs.note(jobs[0].id, state="running", words="RUNNING", handle="11")
    for slot, run in (
        ("cpu #2", None),
        (f"lab-{bound[0].id}-1", bound[0].id),
        ("lab-other-1", None),
        ("cpu #9", None),
    ):
        single = slot.startswith("lab-")
        lab.store.workers.announce(WorkerRecord(me, slot, "cpu", engine=1, slots=0 if single else 2))
        if run or not single:
            lab.store.leases.claim(slot=slot, owner=me, run=run)
    lab.store.hosts.drain("far.example 1")
    lab.store.hosts.drain("far.example 2")
    second, last = (found.id for found in lab.store.runs.list(order="number", limit=None)[:2])
    here = HostView(
        HERE,
        alive=True,
        engine=1,
        slots=(
            SlotView("cpu", "cpu", None, alive=False),
            SlotView("cpu #2", "cpu", second, alive=True),
            SlotView("cpu #9", "cpu", last, alive=True, surplus=True),
            SlotView(f"lab-{bound[0].id}-1", "cpu", bound[0].id, alive=True, job="Slurm job 11"),
            SlotView("lab-other-1", "cpu", None, alive=True, job="lab-other-1"),
        ),
        here=True,
        name=this_host(),
    )
    far = [
        HostView(name, False, 0, (), here=False, state=HostState.DRAINING, name=name)
        for name in ("far.example 1", "far.example 2")
    ]
    shown = lab.machines.show()
    assert shown.hosts == (here, *far)
    assert [(entry.run.id, entry.job) for entry in shown.waiting][-1] == (bound[1].id, "")


def test_joining_a_lab_of_an_older_release_does_not_migrate_its_store(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    old.write_bytes(gzip.decompress((Path(__file__).parents[1] / "runs/stores/schema-3.db.gz").read_bytes()))
    before = old.read_bytes()
    token = JoinToken(f"sqlite:///{old}", str(tmp_path / "files"), "ab" * 32)
    with pytest.raises(StoreVersionError, match="store has schema 3 and this machine"):
        join(Settings.from_env({"LAB_HOME": str(tmp_path / "here")}), token.encode())
    assert old.read_bytes() == before


def test_a_machine_joins_with_its_release_and_slots_and_works_in_its_own_folder(tmp_path: Path) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path / "lab")}))
    lab.store.hosts.set_release(Release.of_this_machine(), host="the lab's own")
    probe, _ = lab.artifacts.write(PROBE, b"32 random bytes")
    token = JoinToken(lab.settings.database, lab.settings.artifacts, probe)
    here = Settings.from_env({"LAB_HOME": str(tmp_path / "here"), "LAB_SLOTS": "2", "LAB_DEVICE": "cpu"})
    joined = join(replace(here, read_only=True), token.encode())
    home = here.home / f"joined-{sha256(token.database.encode()).hexdigest()[:8]}"
    assert joined == replace(
        here, home=home, data=home / "data", database=token.database, artifacts=token.artifacts, read_only=False
    )
    assert home.is_dir()
    found = lab.store.hosts.find(this_host())
    assert found is not None
    assert Release(found.engine, found.torch) == Release.of_this_machine()
    assert (found.joined, found.state, found.slots) == (True, HostState.ACTIVE, (("cpu", "cpu"), ("cpu #2", "cpu")))
    assert found.boot == boot_of(Owner.of_this_process().pid_start)
    left = [path.name for path in Path(token.artifacts, "joining").iterdir()]
    assert left == ["probe"]  # the file written to test access is deleted
    with pytest.raises(JoinRefusedError, match="The lab's saved files cannot be read and written from here"):
        join(here, replace(token, probe="ab" * 32).encode())
