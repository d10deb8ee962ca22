"""What the inspection pages share: the position of the epoch slider, the cache of networks, formatted numbers, bars."""

from pathlib import Path

import numpy as np
import pytest

from lab.config import RunConfig
from lab.errors import InputError
from lab.formatting import format_bytes, format_count
from lab.service.lab import Lab
from lab.settings import Settings
from pages.cache import inspection
from pages.components.epochs import next_index
from pages.inside.image import bars_html
from tests.web.test_web_inside import train


def test_the_slider_starts_at_the_given_epoch_and_then_stays_where_it_was_moved() -> None:
    assert next_index(None, count=5, start=3, seen=None) == 3
    assert next_index(1, count=5, start=3, seen=(5, None, 3)) == 1
    assert next_index(1, count=5, start=3, seen=(5, 1, 1)) == 1


def test_a_slider_at_the_newest_epoch_follows_a_newer_one_and_elsewhere_it_stays() -> None:
    assert next_index(None, count=4, start=2, seen=(3, None, 2)) == 3
    assert next_index(2, count=4, start=0, seen=(3, 2, 2)) == 3
    assert next_index(1, count=4, start=0, seen=(3, 1, 1)) == 1
    assert next_index(2, count=5, start=0, seen=(4, 2, 3)) == 4  # it followed once and follows again


def test_the_slider_moves_to_the_last_epoch_if_its_own_was_deleted() -> None:
    assert next_index(7, count=3, start=0, seen=(9, 7, 7)) == 2


def test_cached_networks_stay_within_their_budget_and_those_in_use_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))
    run = train(lab, RunConfig(dataset="digits", epochs=3, train_limit=64, batch_size=32, device="cpu"))
    networks = inspection._NetworkCache()
    monkeypatch.setattr(inspection, "_networks", networks)
    monkeypatch.setattr(inspection, "_NETWORK_BYTES", 2 * 61_706 * 4)
    digests = [saved.sha256 for saved in lab.weights.list(run.id)]
    drawn = inspection.network_of(run.id, digests[0])
    for digest in digests[1:]:
        assert not inspection.network_of(run.id, digest).network.training
    assert [key for _, key in networks.recent] == digests[1:]
    assert inspection.network_of(run.id, digests[0]) is drawn  # still in use by a page, so it is not loaded again
    assert {key for _, key in networks.in_use} == {digests[2], digests[0]}
    with pytest.raises(InputError, match="choose another epoch"):
        inspection.network_of(run.id, "gone")


@pytest.mark.parametrize(
    ("number", "words"), [(61_706, "61,706"), (27_074_432, "27.07 M"), (483.5e9, "483.50 G"), (1.2534e12, "1.25 T")]
)
def test_large_counts_are_abbreviated(number: float, words: str) -> None:
    assert format_count(number) == words


def test_bytes_are_shown_in_decimal_units_as_by_torchinfo() -> None:
    assert format_bytes(3_337_216) == "3.34 MB"
    assert format_bytes(2_560) == "2.6 kB"
    assert format_bytes(7_608_472_576) == "7.61 GB"


def test_bars_escape_class_names_and_always_include_the_true_class() -> None:
    classes = tuple(f"<{k}>" for k in range(30))
    probabilities = np.linspace(0, 1, 30)
    html = bars_html(probabilities, classes, label=0)
    assert "<0>" not in html
    assert "&lt;0&gt; ✓" in html
    assert html.count("class='p'") == 11
