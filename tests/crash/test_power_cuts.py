"""A power cut that drops whatever was not synced loses nothing that was announced."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.crash.blackouts import Blackouts
from tests.powercut import unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.blackouts import Darkness

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "available")


def run(
    folder: Path,
    cache: pytest.TempPathFactory,
    seeds: range,
    capsys: pytest.CaptureFixture[str],
) -> Darkness:
    darkness = Blackouts(folder, cache.getbasetemp()).run(seeds)
    with capsys.disabled():
        sys.stdout.write(f"\n{darkness.table()}\n")
    assert not darkness.wrong, "\n".join(darkness.wrong)
    return darkness


@pytest.mark.slow
def test_a_node_whose_power_failed_has_all_it_announced_and_goes_on(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    darkness = run(tmp_path, tmp_path_factory, range(48), capsys)
    assert darkness.cuts.total() >= 40
    assert darkness.cuts_that_lost >= 10


@pytest.mark.soak
def test_hundreds_of_power_cuts_in_every_mode_on_both_kinds_of_disk(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    darkness = run(tmp_path, tmp_path_factory, range(1_000, 1_480), capsys)
    assert darkness.cuts.total() >= 400
    assert darkness.cuts_that_lost >= 100
    assert len({mode for mode, _ in darkness.cuts}) == 8
