"""A power cut that drops whatever was not synced loses nothing that was announced."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from ledger.store.base import Batch
from ledger.store.sqlite import SqliteStore
from mesh.direct import open_port
from mesh.node import SOCIAL_LOG, open_node
from mesh.paths import STORE
from mesh.port import PortError
from mesh.writer import Draft, Heads, runs_of
from tests.crash.blackouts import Blackouts
from tests.crash.campaign import settle
from tests.crash.deeds import Fact, export_of
from tests.crash.witness import Witness, life_after
from tests.powercut import Mode, PowerCut, unavailable

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


async def test_what_a_dead_process_had_written_is_synced_before_the_next_one_hands_it_on(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed between a commit's write and its sync; started again; then the power fails."""
    witness, around = Witness(tmp_path / "home"), life_after(3)
    await settle(witness.home, 3)
    async with open_node(witness.home, around) as node:
        keys, logs = node.secrets.keys, await node.store.logs()
    block = Heads.of(keys.signing, logs).extend(Draft(SOCIAL_LOG, "post", bytes(20)))
    with PowerCut(tmp_path_factory.getbasetemp()) as cut:
        cut.register(default=True)
        dead = await SqliteStore.open(witness.home / STORE, new_run=lambda: bytes(8))
        await dead.absorb(Batch(runs=runs_of([block])), seen=0, durable=False)
        async with open_port(witness.home, around) as port:
            done = await port.export_bundle(export_of(witness.home))
            cut.strike(seed=0, mode=Mode.NOTHING)
        with suppress(PortError):
            await dead.close()
    witness.hear(Fact("exported", "", [done.blocks, done.bytes]))
    await witness.look(around)
    await witness.look_at_export(around)
    assert not witness.wrong


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
