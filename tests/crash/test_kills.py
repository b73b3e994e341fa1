"""kill -9 at any moment loses nothing that was announced."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.crash.campaign import Campaign
from tests.crash.parent import show

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.campaign import Tally

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs pidfd and /proc, which are Linux's"
)


def run(folder: Path, seeds: range, capsys: pytest.CaptureFixture[str]) -> Tally:
    with Campaign(folder) as campaign:
        tally = campaign.run(seeds)
    show(tally.table(), tally.wrong, capsys)
    return tally


@pytest.mark.slow
def test_a_killed_node_has_all_it_announced_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = run(tmp_path, range(60), capsys)
    assert tally.kills == 60
    assert tally.inside >= 18


@pytest.mark.soak
def test_a_thousand_kills_three_hundred_of_them_inside_a_transaction_or_rename(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = run(tmp_path, range(1_000, 2_000), capsys)
    assert tally.kills == 1_000
    assert tally.inside >= 300
    # neither hides behind the other, and no phase was missed
    assert sum(n for (phase, _), n in tally.moments.items() if "transaction" in phase) >= 100
    assert sum(n for (phase, _), n in tally.moments.items() if "commit" in phase) >= 100
    assert sum(n for (phase, _), n in tally.moments.items() if "file" in phase) >= 50
    assert {phase for phase, _ in tally.moments} >= {
        *("ledger quiet", "ledger writing", "ledger transaction", "ledger commit"),
        *("ledger committed", "file partial", "file synced", "file renamed", "file durable"),
    }
