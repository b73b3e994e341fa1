"""kill -9 of either side at any moment of a meeting loses nothing, and the next one completes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.crash.meeting_campaign import MeetingCampaign
from tests.crash.meeting_victims import Side
from tests.crash.parent import show

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.meeting_campaign import Tally

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="needs pidfd and /proc, which are Linux's"
    ),
]


def run(folder: Path, seeds: range, capsys: pytest.CaptureFixture[str]) -> Tally:
    with MeetingCampaign(folder) as campaign:
        tally = campaign.run(seeds)
    show(tally.table(), tally.wrong, capsys)
    return tally


@pytest.mark.slow
def test_of_two_who_meet_either_may_be_killed_and_both_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = run(tmp_path, range(10), capsys)
    assert tally.kills == 10
    assert {side for _, side in tally.moments} == set(Side)


@pytest.mark.soak
def test_a_thousand_kills_of_two_who_meet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = run(tmp_path, range(1_000, 2_000), capsys)
    assert tally.kills == 1_000
    assert tally.inside >= 300
    for side in Side:
        deaths = {phase: n for (phase, dead), n in tally.moments.items() if dead is side}
        assert sum(deaths.values()) >= 400
        assert min(deaths["ledger transaction"], deaths["ledger commit"]) >= 30
    assert tally.syncs >= 500
