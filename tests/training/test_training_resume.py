"""A run that was paused or killed anywhere and resumed equals an uninterrupted one bit for bit, by SHA-256."""

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
NOT_BITS = (
    "images_per_second",
    "memory_mb",
    "seconds",
    "train_seconds",
    "epoch_seconds",
)  # measured times and memory, not results
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
    """Handles the events of a run, saving its last checkpoint and its metrics, and resumes it from there."""

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
        """Return the SHA-256 of the final weights, the last checkpoint (without times) and the metrics."""
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


def pause_at(poll: int) -> Callable[[], Command]:
    """Return a command that pauses after `poll` polls: before a step or between two chunks of an evaluation."""
    commands = iter([Command.RUN] * poll)
    return lambda: next(commands, Command.PAUSE)


VARIANTS = {
    "dropout, augmentation, schedule, early stopping": FULL,
    "sgd with momentum": FULL.replace(optimizer="sgd", augment="none", schedule="step", warmup_epochs=0.0),
    "muon and one-cycle": FULL.replace(optimizer="muon", schedule="one-cycle", warmup_epochs=0.0, patience=0),
    "rmsprop in bfloat16": FULL.replace(optimizer="rmsprop", precision="bfloat16", restore_best=False),
}


@pytest.mark.parametrize("steps", [StepKind.LAUNCHED, StepKind.REPEATED])
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_run_with_many_pauses_has_the_bits_of_an_uninterrupted_one(
    config: RunConfig, steps: StepKind, data: ResidentData
) -> None:
    uninterrupted = Follower(config, data)
    expected = uninterrupted.digest(uninterrupted.follow())
    for stride in (1, 2, 5, 11):
        resumed = Follower(config, data, steps=steps)
        pauses = 0
        while resumed.outcome in ("", "paused"):
            network = resumed.follow(pause_at(stride + 2))  # two polls may be those of an evaluation
            pauses += 1
        assert pauses > 2
        assert resumed.digest(network) == expected, f"differs when paused every {stride} polls"
        assert not resumed.notices


def test_a_killed_run_continues_from_its_last_checkpoint_with_the_same_bits(
    data: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed: the consumer stops handling events. Steps after the checkpoint are reported twice, with equal metrics."""
    monkeypatch.setattr(engine, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(engine, "CHECKPOINT_SHARE", 0.0)  # a checkpoint after every step
    uninterrupted = Follower(FULL, data)
    expected = uninterrupted.digest(uninterrupted.follow())
    for events_until_kill in (3, 8, 20, 33):
        killed = Follower(FULL, data)
        torch.manual_seed(1)
        for i, event in enumerate(train(FULL, network=SmallNet(), data=data, device=CPU)):
            if i == events_until_kill:
                break
            killed.note(event)
        assert killed.digest(killed.follow()) == expected


def test_a_finished_run_continued_for_more_epochs_equals_one_of_that_length(data: ResidentData) -> None:
    long = FULL.replace(schedule="constant", warmup_epochs=0.0, epochs=5, patience=0)
    uninterrupted = Follower(long, data)
    expected = uninterrupted.digest(uninterrupted.follow())
    extended = Follower(long.replace(epochs=2), data)
    extended.follow()
    assert extended.outcome == "finished"
    extended.config = long
    assert extended.digest(extended.follow()) == expected


def test_a_run_that_stopped_early_stays_stopped_when_more_epochs_are_requested(data: ResidentData) -> None:
    config = FULL.replace(schedule="constant", warmup_epochs=0.0, lr=1e-6, patience=1, min_delta=0.5)
    follower = Follower(config, data)
    follower.follow()
    assert follower.outcome == "early-stopped"
    steps = len(follower.table)
    follower.config = config.replace(epochs=9)
    follower.follow()
    assert follower.outcome == "early-stopped"
    assert len(follower.table) == steps


def test_another_number_of_threads_is_reported_on_resume(data: ResidentData) -> None:
    follower = Follower(FULL, data)
    follower.follow(pause_at(6))
    torch.set_num_threads(2)
    follower.follow()
    assert [n.code for n in follower.notices] == ["not-bit-exact"]
    assert "threads 1 is now 2" in follower.notices[0].message


def test_another_memory_layout_is_reported_if_the_checkpoint_records_its_own(data: ResidentData) -> None:
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


def test_a_damaged_checkpoint_is_reported_as_damaged(data: ResidentData) -> None:
    follower = Follower(FULL, data)
    follower.follow(pause_at(6))
    assert follower.checkpoint is not None
    for resumed in cuts(follower.checkpoint):
        with pytest.raises(ArtifactError, match="damaged or not a ConvLab file"):
            decode_checkpoint(resumed)
    with pytest.raises(ArtifactError, match="is 'weights', but a checkpoint is needed"):
        decode_checkpoint(encode_weights(weights_of(SmallNet())))


def test_weights_load_from_saved_weights_and_from_a_checkpoint(data: ResidentData) -> None:
    follower = Follower(FULL.replace(restore_best=False), data)
    network = follower.follow()
    assert follower.checkpoint is not None
    for saved in (encode_weights(weights_of(network, epoch=4)), follower.checkpoint):
        other = SmallNet()
        load_weights(other, saved)
        assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values()))


def test_progress_is_saved_exactly_with_nan_and_infinity() -> None:
    progress = Progress(loss_sum=0.1 + 0.2, best_loss=float("inf"), latest={"val/loss": float("nan"), "lr": 5e-324})
    data = encode_checkpoint(Checkpoint(progress, {"w": torch.zeros(1)}, {}, {}, {}, {}))
    decoded = decode_checkpoint(data).progress
    assert decoded.as_dict() == progress.as_dict()
    assert decoded.loss_sum == 0.1 + 0.2
    assert decoded.latest["val/loss"] != decoded.latest["val/loss"]


def test_the_best_weights_survive_a_pause_after_their_epoch(data: ResidentData) -> None:
    """With wrong validation labels, learning makes the validation loss rise, so the first epoch stays the best."""
    wrong = dataclasses.replace(data, val_y=(data.val_y + 1) % 3)
    config = FULL.replace(epochs=6, patience=0, eval_every=0, schedule="constant", warmup_epochs=0.0)
    uninterrupted = Follower(config, wrong)
    expected = uninterrupted.follow()
    losses = {step: value for (name, step), value in uninterrupted.table.items() if name == "val/loss" and step}
    assert min(losses, key=lambda step: losses[step]) == 6  # the end of the first epoch
    resumed = Follower(config, wrong)
    resumed.follow(pause_at(30))
    assert resumed.outcome == "paused"
    assert resumed.checkpoint is not None
    assert 12 < decode_checkpoint(resumed.checkpoint).progress.step < 36
    network = resumed.follow()
    assert all(torch.equal(a, b) for a, b in zip(expected.state_dict().values(), network.state_dict().values()))


class LimitedNet(LinearNet):
    """Runs out of memory on more than ten images in training."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and len(x) > 10:
            self.failures.append(len(x))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(x)


def test_a_run_that_had_to_halve_its_batches_resumes_with_the_halves(data: ResidentData) -> None:
    config = FULL.replace(augment="none", eval_every=0, patience=0, restore_best=False)
    torch.manual_seed(1)
    first = LimitedNet()
    events = list(train(config, network=first, data=data, device=CPU, command=pause_at(12)))
    saved = [encode(event.state()) for event in events if isinstance(event, Snapshot) and event.kind == "checkpoint"][
        -1
    ]
    assert first.failures == [16]
    second = LimitedNet()
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
def test_weights_of_another_shape_are_refused_even_if_torch_would_broadcast_them(shape: tuple[int, int]) -> None:
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


def _cut(config: RunConfig, data: ResidentData, network: nn.Module, poll: int) -> Checkpoint:
    """Return the checkpoint of a run that was paused at this poll."""
    events = train(config, network=network, data=data, device=CPU, command=pause_at(poll))
    saved = [encode(event.state()) for event in events if isinstance(event, Snapshot) and event.kind == "checkpoint"]
    return decode_checkpoint(saved[-1])


def test_weights_are_initialised_from_the_data_only_before_the_first_step(data: ResidentData) -> None:
    config = FULL.replace(optimizer="sgd", augment="none", schedule="constant", warmup_epochs=0.0)
    uninterrupted, resumed = PreparedNet(), PreparedNet()
    list(train(config, network=uninterrupted, data=data, device=CPU))
    saved = _cut(config, data, PreparedNet(), 10)
    list(train(config, network=resumed, data=data, device=CPU, resume=saved))
    assert torch.equal(uninterrupted[1].bias, resumed[1].bias)


def test_on_another_device_the_augmentation_of_an_epoch_starts_again_from_its_seed(data: ResidentData) -> None:
    """A generator's state cannot be moved to another kind of device, so the generator of the epoch is seeded again."""
    saved = _cut(FULL, data, SmallNet(), 16)
    assert saved.progress.epoch == 2
    elsewhere = dataclasses.replace(saved, environment={**saved.environment, "device": "cuda:0"})
    session = Session(FULL, SmallNet(), data, CPU)
    session.restore(elsewhere)
    notices = session.changed_conditions(elsewhere)
    assert [notice.code for notice in notices] == ["not-bit-exact"]
    assert "device cuda:0 is now cpu" in notices[0].message
    for epoch, same in ((2, True), (0, False), (1, False)):
        fresh = Generators(CPU)
        fresh.seed_epoch(FULL.seed, epoch)
        assert torch.equal(session.generators.augment.get_state(), fresh.augment.get_state()) == same
    same_device = Session(FULL, SmallNet(), data, CPU)
    same_device.restore(saved)
    assert same_device.changed_conditions(saved) == []
    assert torch.equal(same_device.generators.augment.get_state(), saved.rng["augment"])


def test_a_gpu_with_and_without_its_index_is_the_same_device(
    data: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(FULL, SmallNet(), data, CPU)
    saved = _cut(FULL, data, SmallNet(), 16)
    assert saved.environment["device"] == "cpu"
    session.device = torch.device("cuda:1")
    facts = {"total_memory": 0, "name": saved.environment["name"]}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(**facts))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for current, changes in ((1, []), (0, ["device cuda:0 is now cuda:1"])):
        monkeypatch.setattr(torch.cuda, "current_device", lambda current=current: current)
        gpu = dataclasses.replace(saved, environment={**saved.environment, "device": "cuda"})
        found = [notice.message.partition("(")[2].partition(")")[0] for notice in session.changed_conditions(gpu)]
        assert found == changes
        session.device = torch.device("cuda")
        assert session.checkpoint().environment["device"] == f"cuda:{current}"
        session.device = torch.device("cuda:1")


def test_weights_with_more_or_fewer_layers_than_the_network_are_refused() -> None:
    small, large = nn.Sequential(nn.Linear(3, 2)), nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    for network, other, name in ((small, large, "1.bias"), (large, small, "1.bias")):
        before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        with pytest.raises(ArtifactError, match=rf"belong to another network: '{name}' does not match \(2 of"):
            copy_state(network, other.state_dict())
        assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_weights_of_other_sizes_are_refused_with_the_name_of_the_first() -> None:
    with pytest.raises(ArtifactError, match=r"belong to another network: '0.bias' does not match \(2 of 2 tensors\)"):
        copy_state(nn.Sequential(nn.Linear(3, 2)), nn.Sequential(nn.Linear(3, 5)).state_dict())


def test_a_digest_of_weights_depends_on_names_shapes_formats_and_bits() -> None:
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
    assert weights_digest({"a": torch.zeros(8)[::2], "b": torch.ones(2)}) == digests[0]  # whatever its memory layout


def test_a_run_that_resumes_with_another_kind_of_steps_reports_it(data: ResidentData) -> None:
    uninterrupted, resumed = Follower(FULL, data), Follower(FULL, data)
    expected = uninterrupted.digest(uninterrupted.follow())
    resumed.follow(pause_at(12))
    resumed.steps = StepKind.REPEATED
    assert resumed.digest(resumed.follow()) == expected
    (notice,) = resumed.notices
    assert notice.code == "not-bit-exact"
    assert "(steps launched is now repeated)" in notice.message
