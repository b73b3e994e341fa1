"""What the port shows of logs that are in disorder: forked, revoked, with gaps, of liars."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from gossip.wire import Data, Statements, encode_message
from ledger.kinds.post import KIND, Post
from ledger.kinds.profile import KIND as PROFILE
from ledger.kinds.profile import Profile
from ledger.statement import Cut, Revocation
from mesh.direct import init_home, open_port, real_world
from mesh.reading import NotFoundError
from mesh.rows import AttachmentRow
from tests.gossip.held import WHEN, bundle, raw_run
from tests.mesh.places import World
from tests.strategies import SOCIAL, Device, make_block, make_body, material

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from ledger.block import Block
    from mesh.port import NodePort
    from mesh.rows import FeedRow, Imported

SALT = bytes(16)


@pytest.fixture
def world() -> World:
    """Give a clock and dice."""
    return World()


@pytest.fixture
async def port(tmp_path: Path, world: World) -> AsyncIterator[NodePort]:
    """Give the port of a new home."""
    await init_home(tmp_path / "home", "Ada", world.around)
    async with open_port(tmp_path / "home", world.around) as opened:
        yield opened


async def show(port: NodePort, *logs: Sequence[Block], more: tuple[bytes, ...] = ()) -> Imported:
    """Bring blocks, a message a log."""
    runs = [encode_message(Data([raw_run(blocks)])) for blocks in logs]
    return await port.import_bundle(BytesIO(bundle([*runs, *more])))


def post(device: Device, text: str, time: int = WHEN - 1_000) -> Block:
    return device.write(kind=KIND, body=Post(time, text).encode(SALT))


def named(device: Device, name: str) -> None:
    device.write(kind=PROFILE, body=Profile(WHEN - 2_000, name).encode(SALT))


async def marks(port: NodePort) -> dict[str, str | None]:
    rows: list[FeedRow] = await port.feed(everyone=True)
    return {row.text: row.mark for row in rows}


# --- marks --------------------------------------------------------------------------------------


async def test_posts_after_a_gap_are_shown_and_marked(port: NodePort) -> None:
    device = Device(1, 1)
    blocks = [post(device, str(number)) for number in range(6)]
    await show(port, [device.root], blocks[:2], blocks[4:])
    assert await marks(port) == {"0": None, "1": None, "4": "detached", "5": "detached"}
    # once the gap is filled the mark is gone
    await show(port, blocks[2:4])
    assert set((await marks(port)).values()) == {None}


async def test_posts_of_a_device_whose_first_block_is_missing_are_marked(port: NodePort) -> None:
    device = Device(1, 1)
    await show(port, [post(device, "who am I?")])
    (row,) = await port.feed(everyone=True)
    assert (row.mark, row.author, row.name) == ("detached", device.public, None)
    await show(port, [device.root])
    (row,) = await port.feed(everyone=True)
    assert (row.mark, row.author) == (None, device.person.signing.public)


async def test_posts_from_a_fork_on_are_shown_and_marked_and_those_before_are_not(
    port: NodePort,
) -> None:
    device = Device(1, 1)
    named(device, "Janus")
    post(device, "before")
    twin = device.twin()
    post(device, "to you")
    post(twin, "to him")
    await show(port, [device.root], device.logs[SOCIAL], twin.logs[SOCIAL])
    assert await marks(port) == {"before": None, "to you": "forked", "to him": "forked"}
    assert {row.name for row in await port.feed(everyone=True)} == {"Janus"}
    # in the log too, and in what is passed on
    kinds = [(row.seq, row.kind) for row in await port.log("Janus") if row.log == SOCIAL]
    assert kinds == [(1, "profile"), (2, "post"), (3, "post"), (3, "post")]
    assert (await port.check()).problems == []


async def test_posts_after_a_revocation_are_marked(port: NodePort) -> None:
    device = Device(1, 1)
    first = post(device, "mine")
    post(device, "the thief's")
    gone = Revocation.sign(device.person, device.public, [Cut(SOCIAL, 1, first.id)])
    statement = encode_message(Statements([(gone.raw, gone.signature)]))
    await show(port, [device.root], device.logs[SOCIAL], more=(statement,))
    assert await marks(port) == {"mine": None, "the thief's": "revoked"}


# --- liars --------------------------------------------------------------------------------------


async def test_a_post_from_the_future_is_as_old_as_its_arrival(
    port: NodePort, world: World
) -> None:
    device = Device(1, 1)
    post(device, "tomorrow", time=WHEN + 10**9)
    await show(port, [device.root], device.logs[SOCIAL])
    await port.post("later")
    rows = await port.feed(everyone=True)
    assert [row.text for row in rows] == ["later", "tomorrow"]
    assert rows[1].time < world.ms


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no salt",
        SALT,
        make_body(),
        make_body(1),
        make_body(b"bytes"),
        make_body("text", None, [], time=1 << 53),
        make_body("", None, []),
        SALT + b"\x84\x00\x00\x62\xc3\x28\xf6\x80",
    ],
)
async def test_a_body_that_means_nothing_is_carried_and_not_shown(
    port: NodePort, body: bytes
) -> None:
    device = Device(1, 1)
    device.write(kind=KIND, body=body)
    post(device, "after it")
    imported = await show(port, [device.root], device.logs[SOCIAL])
    assert (imported.new_blocks, imported.refused) == (3, 0)
    assert await marks(port) == {"after it": None}
    rows = await port.log(device.public.hex())
    assert next((row.seq, row.time, row.body) for row in rows if row.log == SOCIAL) == (
        1,
        None,
        None,
    )


async def test_a_kind_that_nobody_knows_is_shown_in_the_log_as_it_is(port: NodePort) -> None:
    device = Device(1, 1)
    device.write(kind="x/new", body=make_body(7, b"b", ["t"], time=5))
    await show(port, [device.root], device.logs[SOCIAL])
    row = (await port.log(device.public.hex()))[-1]
    assert (row.kind, row.time, row.body) == ("x/new", 5, [7, b"b", ["t"]])


async def test_a_name_does_not_lead_to_who_took_it_from_a_contact(port: NodePort) -> None:
    true, false = Device(1, 1), Device(2, 2)
    for device in (true, false):
        named(device, "Ben")
    await show(port, [true.root], true.logs[SOCIAL])
    await port.follow("Ben")
    await show(port, [false.root], false.logs[SOCIAL])
    row = await port.follow("Ben")
    assert row.person == true.person.signing.public


async def test_attachments_are_named_with_their_post(port: NodePort) -> None:
    device = Device(1, 1)
    row = [material("blob"), 5, "text/plain", "a.txt"]
    device.write(kind=KIND, body=make_body("see", None, [row], time=WHEN - 1))
    await show(port, [device.root], device.logs[SOCIAL])
    (shown,) = await port.feed(everyone=True)
    assert shown.attachments == [AttachmentRow(material("blob"), 5, "text/plain", "a.txt")]


# --- ids ----------------------------------------------------------------------------------------


async def test_digits_that_two_blocks_share_are_not_enough(port: NodePort) -> None:
    # given two blocks whose ids begin with the same 4 bytes, found by trying 84,000 logs
    device = Device()
    twins = [
        make_block(device.keys.signing, log, 1, device.root.id, body=make_body())
        for log in (6_937, 83_992)
    ]
    assert {block.id[:4].hex() for block in twins} == {"9b530fdf"}
    await show(port, [device.root], *[[block] for block in twins])
    # when one is answered by those digits
    with pytest.raises(NotFoundError, match=r"2 posts have ids that begin with .*more digits"):
        await port.post("which?", reply_to="9b530fdf")
    # then more digits are asked for, and one more is enough
    for block in twins:
        posted = await port.post("this one", reply_to=block.id.hex()[:9])
        (row,) = [row for row in await port.feed() if row.id == posted.id]
        assert row.reply_to == block.id


async def test_a_post_that_is_on_a_branch_can_be_answered(port: NodePort) -> None:
    device = Device(1, 1)
    twin = device.twin()
    left, right = post(device, "left"), post(twin, "right")
    await show(port, [device.root], [left], [right])
    for block in (left, right):
        await port.post("so?", reply_to=block.id.hex())
    assert [row.reply_to for row in await port.feed()] == [right.id, left.id]


def test_the_real_world_has_a_clock_and_dice() -> None:
    world = real_world()
    assert 1_700_000_000_000 < world.now() < 10_000_000_000_000
    assert len(world.random(32)) == 32
    assert world.random(32) != world.random(32)
