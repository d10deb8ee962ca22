"""A run that was cut anywhere and resumed equals one that never stopped, bit for bit: SHA-256 of everything."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lab import checkpoint_files
from lab.checkpoint_files import decode_checkpoint, encode, encode_checkpoint, encode_weights, load_weights
from lab.config import RunConfig
from lab.errors import ArtifactError
from lab.training import engine
from lab.training.checkpoint import Checkpoint, Weights, copy_state, weights_digest
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Command, Ended, Evaluated, Event, Notice, Snapshot, StepMetrics
from lab.training.generators import Generators
from lab.training.progress import Progress
from lab.training.session import Session
from lab.training.step_choice import StepKind
from tests.training.training_nets import LinearNet, SmallNet

CPU = torch.device("cpu")
NOT_BITS = ("images_per_second", "memory_mb", "seconds", "train_seconds", "epoch_seconds")  # clocks, not results
Table = dict[tuple[str, int], float]

FULL = RunConfig(
    arch="lenet5",
    epochs=4,
    batch_size=16,
    seed=11,
    optimizer="adam",
    lr=0.02,
    schedule="cosine",
    warmup_epochs=0.5,
    augment="light",
    patience=3,
    min_delta=0.01,
    restore_best=True,
    eval_every=4,
    grad_clip=1.0,
    val_fraction=0.2,
)


class Follower:
    """Handles the events of a run, saves its last checkpoint and its metrics, and can leave like a killed process."""

    def __init__(self, config: RunConfig, data: ResidentData, *, steps: StepKind = StepKind.AUTO) -> None:
        self.config, self.data, self.steps = config, data, steps
        self.table: Table = {}
        self.checkpoint: bytes | None = None
        self.outcome = ""
        self.notices: list[Notice] = []

    def follow(self, command: Callable[[], Command] = lambda: Command.RUN) -> nn.Module:
        torch.manual_seed(1)
        network = SmallNet()
        torch.manual_seed(int.from_bytes(hashlib.sha256(str(id(self)).encode()).digest()[:4], "big"))  # a new process
        resume = decode_checkpoint(self.checkpoint) if self.checkpoint is not None else None
        events = train(
            self.config, network=network, data=self.data, device=CPU, command=command, resume=resume, steps=self.steps
        )
        for event in events:
            self.note(event)
        return network

    def note(self, event: Event) -> None:
        if isinstance(event, StepMetrics):
            for step, loss, accuracy in zip(event.step.tolist(), event.loss.tolist(), event.accuracy.tolist()):
                self.table["batch/loss", step] = loss
                self.table["batch/accuracy", step] = accuracy
            self.table |= {("lr", step): rate for step, rate in zip(event.lr_step.tolist(), event.lr.tolist())}
        elif isinstance(event, Evaluated):
            self.table |= {(n, event.step): v for n, v in event.metrics.items() if n not in NOT_BITS}
        elif isinstance(event, Snapshot) and event.kind == "checkpoint":
            self.checkpoint = encode(event.state())
        elif isinstance(event, Notice):
            self.notices.append(event)
        elif isinstance(event, Ended):
            self.outcome = event.outcome

    def digest(self, network: nn.Module) -> str:
        """SHA-256 of final weights, the whole last checkpoint (clocks left out) and the metric table."""
        assert self.checkpoint is not None
        saved = decode_checkpoint(self.checkpoint)
        sha = hashlib.sha256()
        for group in (dict(network.state_dict()), saved.model, saved.optimizer, saved.rng, saved.best):
            for name in sorted(group):
                sha.update(name.encode() + group[name].contiguous().numpy().tobytes())
        progress = saved.progress.as_dict()
        for name in NOT_BITS:
            for part in (progress, progress["latest"], progress["best"]):
                part.pop(name, None)
        sha.update(repr(sorted(progress.items())).encode())
        sha.update(repr(sorted((n, s, v.hex()) for (n, s), v in self.table.items())).encode())
        return sha.hexdigest()


@pytest.fixture(autouse=True)
def flush_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FLUSH_S", 0.0)


def pause_at(question: int) -> Callable[[], Command]:
    """A user who pauses when asked for this time: before a step or between two chunks of an evaluation."""
    asked = iter([Command.RUN] * question)
    return lambda: next(asked, Command.PAUSE)


VARIANTS = {
    "dropout, augmentation, schedule, early stopping": FULL,
    "sgd with momentum": FULL.replace(optimizer="sgd", augment="none", schedule="step", warmup_epochs=0.0),
    "muon and one-cycle": FULL.replace(optimizer="muon", schedule="one-cycle", warmup_epochs=0.0, patience=0),
    "rmsprop in bfloat16": FULL.replace(optimizer="rmsprop", precision="bfloat16", restore_best=False),
}


@pytest.mark.parametrize("steps", [StepKind.LAUNCHED, StepKind.REPEATED])
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_chain_of_pauses_gives_the_bits_of_a_run_that_never_stopped(
    config: RunConfig, steps: StepKind, data: ResidentData
) -> None:
    straight = Follower(config, data)
    expected = straight.digest(straight.follow())
    for stride in (1, 2, 5, 11):
        broken = Follower(config, data, steps=steps)
        pauses = 0
        while broken.outcome in ("", "paused"):
            network = broken.follow(pause_at(stride + 2))  # two questions may be an evaluation's
            pauses += 1
        assert pauses > 2
        assert broken.digest(network) == expected, f"differs when paused every {stride} questions"
        assert not broken.notices


def test_a_killed_run_continues_from_its_last_checkpoint_with_the_same_bits(
    data: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed: the consumer just stops. Steps after the checkpoint are reported twice, with equal numbers."""
    monkeypatch.setattr(engine, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(engine, "CHECKPOINT_SHARE", 0.0)  # a checkpoint after every step
    straight = Follower(FULL, data)
    expected = straight.digest(straight.follow())
    for events_until_death in (3, 8, 20, 33):
        killed = Follower(FULL, data)
        torch.manual_seed(1)
        for i, event in enumerate(train(FULL, network=SmallNet(), data=data, device=CPU)):
            if i == events_until_death:
                break
            killed.note(event)
        assert killed.digest(killed.follow()) == expected


def test_more_epochs_continue_a_finished_run_as_if_it_had_been_that_long(data: ResidentData) -> None:
    long = FULL.replace(schedule="constant", warmup_epochs=0.0, epochs=5, patience=0)
    straight = Follower(long, data)
    expected = straight.digest(straight.follow())
    grown = Follower(long.replace(epochs=2), data)
    grown.follow()
    assert grown.outcome == "finished"
    grown.config = long
    assert grown.digest(grown.follow()) == expected


def test_a_run_that_stopped_early_stays_stopped_when_more_epochs_are_asked_for(data: ResidentData) -> None:
    config = FULL.replace(schedule="constant", warmup_epochs=0.0, lr=1e-6, patience=1, min_delta=0.5)
    follower = Follower(config, data)
    follower.follow()
    assert follower.outcome == "early-stopped"
    steps = len(follower.table)
    follower.config = config.replace(epochs=9)
    follower.follow()
    assert follower.outcome == "early-stopped"
    assert len(follower.table) == steps


def test_another_number_of_threads_is_reported_at_resume(data: ResidentData) -> None:
    follower = Follower(FULL, data)
    follower.follow(pause_at(6))
    torch.set_num_threads(2)
    follower.follow()
    assert [n.code for n in follower.notices] == ["not-bit-exact"]
    assert "threads 1 is now 2" in follower.notices[0].message


def test_another_memory_layout_is_reported_where_the_checkpoint_records_its_own(data: ResidentData) -> None:
    follower = Follower(FULL, data)
    follower.follow(pause_at(6))
    assert follower.checkpoint is not None
    saved = decode_checkpoint(follower.checkpoint)
    follower.config = FULL.replace(channels_last=False)
    follower.follow(pause_at(3))
    assert [n.code for n in follower.notices] == ["not-bit-exact"]
    assert "(channels_last True is now False)" in follower.notices[0].message
    older = {name: value for name, value in saved.environment.items() if name not in ("channels_last", "compile")}
    follower.checkpoint = encode_checkpoint(dataclasses.replace(saved, environment=older))
    follower.follow()
    assert len(follower.notices) == 1


def test_a_checkpoint_of_another_network_is_refused(data: ResidentData) -> None:
    follower = Follower(FULL, data)
    follower.follow(pause_at(6))
    assert follower.checkpoint is not None
    saved = decode_checkpoint(follower.checkpoint)
    events = train(FULL, network=LinearNet(), data=data, device=CPU, resume=saved)
    with pytest.raises(ArtifactError, match=r"belong to another network.*Build the network with the configuration"):
        list(events)


def weights_of(network: nn.Module, **facts: int) -> Weights:
    return Weights(network.state_dict(), facts)


def cuts(data: bytes) -> Iterator[bytes]:
    yield b""
    yield data[:100]
    yield data[:-1]
    yield b"\x00" * 64


def test_a_damaged_checkpoint_is_named_as_such(data: ResidentData) -> None:
    follower = Follower(FULL, data)
    follower.follow(pause_at(6))
    assert follower.checkpoint is not None
    for broken in cuts(follower.checkpoint):
        with pytest.raises(ArtifactError, match="damaged or not a ConvLab file"):
            decode_checkpoint(broken)
    with pytest.raises(ArtifactError, match="is 'weights', but a checkpoint is needed"):
        decode_checkpoint(encode_weights(weights_of(SmallNet())))


def test_weights_load_from_saved_weights_and_from_a_checkpoint(data: ResidentData) -> None:
    follower = Follower(FULL.replace(restore_best=False), data)
    network = follower.follow()
    assert follower.checkpoint is not None
    for kept in (encode_weights(weights_of(network, epoch=4)), follower.checkpoint):
        other = SmallNet()
        load_weights(other, kept)
        assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values()))


def test_progress_survives_as_exact_text_with_nan_and_infinity() -> None:
    progress = Progress(loss_sum=0.1 + 0.2, best_loss=float("inf"), latest={"val/loss": float("nan"), "lr": 5e-324})
    data = encode_checkpoint(Checkpoint(progress, {"w": torch.zeros(1)}, {}, {}, {}, {}))
    back = decode_checkpoint(data).progress
    assert back.as_dict() == progress.as_dict()
    assert back.loss_sum == 0.1 + 0.2
    assert back.latest["val/loss"] != back.latest["val/loss"]


def test_the_best_weights_outlive_a_pause_after_their_epoch(data: ResidentData) -> None:
    """The validation labels are wrong, so that learning makes the validation loss rise: the first epoch stays the best."""
    wrong = dataclasses.replace(data, val_y=(data.val_y + 1) % 3)
    config = FULL.replace(epochs=6, patience=0, eval_every=0, schedule="constant", warmup_epochs=0.0)
    straight = Follower(config, wrong)
    expected = straight.follow()
    losses = {step: value for (name, step), value in straight.table.items() if name == "val/loss" and step}
    assert min(losses, key=lambda step: losses[step]) == 6  # the end of the first epoch
    broken = Follower(config, wrong)
    broken.follow(pause_at(30))
    assert broken.outcome == "paused"
    assert broken.checkpoint is not None
    assert 12 < decode_checkpoint(broken.checkpoint).progress.step < 36
    network = broken.follow()
    assert all(torch.equal(a, b) for a, b in zip(expected.state_dict().values(), network.state_dict().values()))


class NarrowNet(LinearNet):
    """Finds no room for more than ten images at once while it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and len(x) > 10:
            self.failures.append(len(x))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(x)


def test_a_run_that_had_to_halve_its_batches_goes_on_with_the_halves(data: ResidentData) -> None:
    config = FULL.replace(augment="none", eval_every=0, patience=0, restore_best=False)
    torch.manual_seed(1)
    first = NarrowNet()
    events = list(train(config, network=first, data=data, device=CPU, command=pause_at(12)))
    saved = [encode(event.state()) for event in events if isinstance(event, Snapshot) and event.kind == "checkpoint"][
        -1
    ]
    assert first.failures == [16]
    second = NarrowNet()
    rest = list(train(config, network=second, data=data, device=CPU, resume=decode_checkpoint(saved)))
    assert second.failures == []
    assert [event for event in rest if isinstance(event, Notice)] == []
    steps = [step for event in rest if isinstance(event, StepMetrics) for step in event.step.tolist()]
    assert steps[-1] == 24


def test_a_checkpoint_of_a_newer_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_files, "FORMAT", checkpoint_files.FORMAT + 1)
    newer = encode_weights(weights_of(SmallNet()))
    newer_checkpoint = encode_checkpoint(Checkpoint(Progress(), {"w": torch.zeros(1)}, {}, {}, {}, {}))
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match="has format 2, but this release reads 1 to 1: update ConvLab"):
        load_weights(SmallNet(), newer)
    with pytest.raises(ArtifactError, match="has format 2, but this release reads 1 to 1: update ConvLab"):
        decode_checkpoint(newer_checkpoint)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (1, 1), (3, 2)])
def test_weights_of_another_shape_are_refused_even_where_torch_would_spread_them(shape: tuple[int, int]) -> None:
    network = nn.Linear(3, 2, bias=False)
    before = network.weight.detach().clone()
    other = nn.Linear(1, 1, bias=False)
    other.weight = nn.Parameter(torch.ones(shape))
    with pytest.raises(ArtifactError, match=r"'weight' does not match \(1 of 1 tensors\)"):
        load_weights(network, encode_weights(weights_of(other)))
    assert torch.equal(network.weight, before)


class PreparedNet(LinearNet):
    """Sets its bias from the data before its first step."""

    def initialise_from_data(self, x_BCHW: torch.Tensor) -> None:
        nn.init.constant_(self[1].bias, float(x_BCHW.amax()))


def _cut(config: RunConfig, data: ResidentData, network: nn.Module, question: int) -> Checkpoint:
    """Return the checkpoint of a run that was paused at this question."""
    events = train(config, network=network, data=data, device=CPU, command=pause_at(question))
    saved = [encode(event.state()) for event in events if isinstance(event, Snapshot) and event.kind == "checkpoint"]
    return decode_checkpoint(saved[-1])


def test_weights_are_set_from_the_data_before_the_first_step_only(data: ResidentData) -> None:
    config = FULL.replace(optimizer="sgd", augment="none", schedule="constant", warmup_epochs=0.0)
    straight, broken = PreparedNet(), PreparedNet()
    list(train(config, network=straight, data=data, device=CPU))
    saved = _cut(config, data, PreparedNet(), 10)
    list(train(config, network=broken, data=data, device=CPU, resume=saved))
    assert torch.equal(straight[1].bias, broken[1].bias)


def test_on_another_device_an_epoch_goes_on_with_augmentation_of_its_own(data: ResidentData) -> None:
    """A generator's state cannot be taken to another kind of device: the epoch's own generator begins anew."""
    saved = _cut(FULL, data, SmallNet(), 16)
    assert saved.progress.epoch == 2
    elsewhere = dataclasses.replace(saved, environment={**saved.environment, "device": "cuda:0"})
    held = Session(FULL, SmallNet(), data, CPU)
    held.restore(elsewhere)
    notices = held.changed_conditions(elsewhere)
    assert [notice.code for notice in notices] == ["not-bit-exact"]
    assert "device cuda:0 is now cpu" in notices[0].message
    for epoch, same in ((2, True), (0, False), (1, False)):
        fresh = Generators(CPU)
        fresh.seed_epoch(FULL.seed, epoch)
        assert torch.equal(held.generators.augment.get_state(), fresh.augment.get_state()) == same
    here = Session(FULL, SmallNet(), data, CPU)
    here.restore(saved)
    assert here.changed_conditions(saved) == []
    assert torch.equal(here.generators.augment.get_state(), saved.rng["augment"])


def test_the_same_gpu_is_no_other_device_with_or_without_its_number(
    data: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Session(FULL, SmallNet(), data, CPU)
    saved = _cut(FULL, data, SmallNet(), 16)
    assert saved.environment["device"] == "cpu"
    held.device = torch.device("cuda:1")
    facts = {"total_memory": 0, "name": saved.environment["name"]}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(**facts))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for current, words in ((1, []), (0, ["device cuda:0 is now cuda:1"])):
        monkeypatch.setattr(torch.cuda, "current_device", lambda current=current: current)
        gpu = dataclasses.replace(saved, environment={**saved.environment, "device": "cuda"})
        found = [notice.message.partition("(")[2].partition(")")[0] for notice in held.changed_conditions(gpu)]
        assert found == words
        held.device = torch.device("cuda")
        assert held.checkpoint().environment["device"] == f"cuda:{current}"
        held.device = torch.device("cuda:1")


def test_weights_of_more_layers_than_the_network_has_are_refused() -> None:
    small, large = nn.Sequential(nn.Linear(3, 2)), nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    for network, other, name in ((small, large, "1.bias"), (large, small, "1.bias")):
        before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        with pytest.raises(ArtifactError, match=rf"belong to another network: '{name}' does not match \(2 of"):
            copy_state(network, other.state_dict())
        assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_weights_of_other_sizes_are_refused_with_the_first_of_their_names() -> None:
    with pytest.raises(ArtifactError, match=r"belong to another network: '0.bias' does not match \(2 of 2 tensors\)"):
        copy_state(nn.Sequential(nn.Linear(3, 2)), nn.Sequential(nn.Linear(3, 5)).state_dict())


def test_a_digest_of_weights_tells_names_shapes_formats_and_bits_apart() -> None:
    plain = {"a": torch.zeros(4), "b": torch.ones(2)}
    others = [
        {"a": torch.zeros(2, 2), "b": torch.ones(2)},
        {"a": torch.zeros(4, dtype=torch.int32), "b": torch.ones(2)},
        {"c": torch.zeros(4), "b": torch.ones(2)},
        {"b": torch.ones(2), "a": torch.zeros(4)},
        {"a": torch.tensor([0.0, 0.0, 0.0, -0.0]), "b": torch.ones(2)},
    ]
    digests = [weights_digest(state) for state in (plain, *others)]
    assert len(set(digests)) == 6
    assert weights_digest({"a": torch.zeros(8)[::2], "b": torch.ones(2)}) == digests[0]  # however it lies in memory


def test_a_run_that_goes_on_with_steps_taken_otherwise_says_so(data: ResidentData) -> None:
    straight, broken = Follower(FULL, data), Follower(FULL, data)
    expected = straight.digest(straight.follow())
    broken.follow(pause_at(12))
    broken.steps = StepKind.REPEATED
    assert broken.digest(broken.follow()) == expected
    (notice,) = broken.notices
    assert notice.code == "not-bit-exact"
    assert "(steps launched is now repeated)" in notice.message
