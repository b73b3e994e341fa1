"""Whatever a file brings, a home keeps its cap."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from gossip.policy import CIRCLE_CLASS
from gossip.wire import Data, encode_message
from ledger.store.base import NEVER, Batch, Floor, Store
from ledger.store.memory import MemoryStore
from mesh.direct import DirectPort, init_home, open_port
from mesh.holdings import Holdings
from mesh.paths import CONFIG
from mesh.sneakernet import export_bundle, import_bundle
from tests.gossip.held import WHEN, bundle, raw_run
from tests.mesh.places import World
from tests.strategies import GROUP, SOCIAL, Device, forked, make_body, run_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ledger.store.base import LogKey
    from mesh.rows import Imported

MIB = 1 << 20
SIZE = 15_000
FRIEND = Device(50, 50)


def writer(number: int, count: int, log: int = SOCIAL) -> Device:
    device = Device(number, number)
    for time in range(count):
        device.write(log=log, body=make_body("x", None, [], bytes(SIZE), time=time))
    return device


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[DirectPort]:
    """Give the port of a home that has room for 1 MiB."""
    around = World().around
    await init_home(tmp_path / "home", "Ada", around)
    (tmp_path / "home" / CONFIG).write_text("room_mb = 1\n")
    async with open_port(tmp_path / "home", around) as opened:
        assert isinstance(opened, DirectPort)
        yield opened


async def bring(port: DirectPort, *devices: Device) -> Imported:
    logs = [blocks for device in devices for _, blocks in sorted(device.logs.items())]
    parts = [blocks[at : at + 4] for blocks in logs for at in range(0, len(blocks), 4)]
    runs = [encode_message(Data([raw_run(blocks)])) for blocks in parts]
    done = await port.import_bundle(BytesIO(bundle(runs, blocks=sum(map(len, parts)))))
    assert done.complete
    return done


async def held(store: Store) -> dict[LogKey, int]:
    return {
        (log.author, log.number): sum(piece.high - piece.low + 1 for piece in log.pieces)
        for log in await store.logs()
    }


async def test_what_a_crash_left_beyond_the_cap_goes_before_anybody_is_met(
    port: DirectPort,
) -> None:
    runs = [run_of(blocks) for blocks in writer(60, 80).logs.values()]
    await port._store.absorb(Batch(runs=runs), seen=0, durable=True)
    assert await port._store.size() > port._node.quota.high_mark
    await port._inventory.holdings()
    await is_kept(port)


async def is_kept(port: DirectPort) -> None:
    store, quota = port._store, port._node.quota
    assert quota.cap == MIB
    assert await store.size() <= quota.high_mark
    assert await store.size() == sum(log.bytes for log in await store.logs())
    assert (await port.check()).problems == []


async def test_while_there_is_room_a_file_brings_all_at_once(port: DirectPort) -> None:
    # 50 blocks of one stranger are more than would come over a link, were room short
    done = await bring(port, writer(60, 50))
    assert (done.new_blocks, done.warnings) == (51, [])
    assert (await held(port._store))[Device(60).public, SOCIAL] == 50
    assert await port._store.floors() == {}


async def test_after_a_file_that_brought_too_much_the_cap_is_kept(port: DirectPort) -> None:
    await port.post("of my own")
    mine = port._node.secrets.keys.public
    done = await bring(port, *(writer(number, 10) for number in range(60, 72)))
    assert done.new_blocks == 12 * 11
    (warning,) = done.warnings
    assert "room_mb" in warning
    await is_kept(port)
    floors, logs = await port._store.floors(), await held(port._store)
    assert {floor.seq for floor in floors.values()} == {NEVER}
    assert not floors.keys() & logs.keys()
    assert {key: count for key, count in logs.items() if key[0] == mine} == {
        (mine, 0): 1,
        (mine, SOCIAL): 2,
    }


async def test_it_is_kept_after_each_batch_and_not_only_at_the_end(
    port: DirectPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    monkeypatch.setattr("mesh.intake.BATCH_BYTES", 200_000)
    absorb = port._node.writer.absorb

    async def watched(batch: Batch, *, seen: int, durable: bool) -> object:
        done = await absorb(batch, seen=seen, durable=durable)
        sizes.append(await port._store.size())
        return done

    monkeypatch.setattr(port._node.writer, "absorb", watched)
    await bring(port, *(writer(number, 10) for number in range(60, 80)))
    assert len(sizes) > 10
    assert max(sizes) <= port._node.quota.high_mark


async def test_what_a_friend_wrote_stays_longer_than_what_strangers_did(port: DirectPort) -> None:
    await bring(port, writer(50, 5))
    await port.follow(FRIEND.person.signing.public.hex())
    await bring(port, *(writer(number, 10) for number in range(60, 72)))
    assert (await held(port._store))[FRIEND.public, SOCIAL] == 5
    await is_kept(port)


async def test_whom_one_follows_from_now_on_is_no_stranger_any_more(port: DirectPort) -> None:
    # given a home without room, in which strangers have no more than their part
    await bring(port, writer(51, 1), writer(50, 3))
    await port.follow(Device(51, 51).person.signing.public.hex())
    await bring(port, writer(51, 80))
    assert port._inventory.let_go > 0
    # when one of them is followed, and others come who are too much
    await port.follow(FRIEND.person.signing.public.hex())
    for number in range(80, 92):
        await bring(port, writer(number, 16))
    assert (await held(port._store))[FRIEND.public, SOCIAL] == 3
    await is_kept(port)


async def test_a_friends_evidence_that_is_too_much_goes_as_a_whole(port: DirectPort) -> None:
    await bring(port, writer(50, 1))
    await port.follow(FRIEND.person.signing.public.hex())
    await bring(port, writer(50, 70, GROUP))
    logs = await held(port._store)
    assert [log for author, log in logs if author == FRIEND.public] == [0]
    assert await port._store.floors() == {
        (FRIEND.public, SOCIAL): Floor(2, CIRCLE_CLASS),
        (FRIEND.public, GROUP): Floor(NEVER, CIRCLE_CLASS),
    }
    await is_kept(port)


async def test_what_went_is_remembered_when_the_home_is_opened_again(port: DirectPort) -> None:
    await bring(port, *(writer(number, 10) for number in range(60, 72)))
    floors, policy = await port._store.floors(), await port._inventory.policy()
    assert floors
    again = await Holdings.open(port._store, policy)
    assert again.catalogue.floors == floors


async def test_a_small_file_into_a_home_with_room_reads_nothing_else(
    port: DirectPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> object:
        raise AssertionError("all that is held was read")

    monkeypatch.setattr(Holdings, "open", never)
    await bring(port, writer(60, 3))


async def test_ones_own_posts_never_go_however_many_there_are(port: DirectPort) -> None:
    for _ in range(130):
        await port.post("x" * 8_000)
    await bring(port, writer(60, 3))
    mine = port._node.secrets.keys.public
    assert await held(port._store) == {(mine, 0): 1, (mine, SOCIAL): 131}


async def test_a_file_brings_all_at_once_however_short_room_is(port: DirectPort) -> None:
    # over a link 16 blocks would be asked for at first
    for _ in range(114):
        await port.post("x" * 8_000)
    quota, device = port._node.quota, Device(60, 60)
    assert quota.low_mark < await port._store.size() <= quota.high_mark
    device.write_many(20)
    await bring(port, device)
    assert (await held(port._store))[device.public, SOCIAL] == 20
    await is_kept(port)


async def test_mail_has_its_tenth_of_the_same_cap(port: DirectPort) -> None:
    bag = await port._inventory.mailbag()
    assert bag.mail.limits.bytes == MIB // 10
    assert port._node.quota.high_mark + bag.mail.limits.bytes <= MIB


async def test_a_verdict_whose_log_went_goes_into_a_file() -> None:
    left, right = forked(20, 30, 4)
    key, file = (Device().public, SOCIAL), BytesIO()
    here, there = MemoryStore(), MemoryStore()
    for blocks in ([Device().root], left, right):
        await here.absorb(Batch(runs=[run_of(blocks)]), seen=WHEN, durable=True)
    await here.absorb(Batch(floors={key: Floor(NEVER, CIRCLE_CLASS)}), seen=WHEN, durable=True)
    done = await export_bundle(here, file)
    taken = await import_bundle(there, BytesIO(file.getvalue()), seen=WHEN)
    assert (done.blocks, taken.new_blocks, taken.refused, taken.complete) == (1, 1, 0, True)
    assert await there.proofs() == await here.proofs()
    assert [log.fork for log in await there.logs()] == [None, 20]
