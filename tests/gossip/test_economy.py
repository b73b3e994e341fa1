"""What a meeting costs in things that can be counted: signatures, messages, trips to the store.

Time depends on the machine; these do not, and whoever spends more of them spends more time.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence

import pytest
from typing_extensions import override

from gossip.control import Bye, Mode, Want
from gossip.effects import Bodiless, Effect, Keep, Load, Spans
from gossip.wire import Bodies, Data, RawRun, encode_message
from ledger.block import Block, decode_header
from ledger.run import Run
from ledger.store.base import Batch
from ledger.store.memory import MemoryStore
from tests.gossip.meetings import Meeting, Node, Side
from tests.strategies import IDENTITY, SOCIAL, Device, items, written

FIRST = 10
"""Number of the first device that is none of the two that meet."""
TURN_BLOCKS = 192
"""Blocks a giver reads and sends at once."""
SHORT_FRAMES = 3
"""More there are because the first ones are short, until it is known how fast the link is."""


class CountedStore(MemoryStore):
    """A store that counts how often it is gone to, by the name of the call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Tally[str] = Tally()

    @override
    def __getattribute__(self, name: str) -> object:
        found = super().__getattribute__(name)
        if not name.startswith("_") and callable(found):
            self.calls[name] += 1
        return found


class Counted(Meeting):
    """A meeting whose trips to the stores are counted, left and right."""

    def __init__(self, left: Node, right: Node, *, contacts: bool = True) -> None:
        self.trips: list[Tally[str]] = [Tally(), Tally()]
        super().__init__(left, right, contacts=contacts)

    @override
    def _carry_out(self, end: Side, effects: Iterable[Effect]) -> None:
        some = list(effects)
        trips = self.trips[self.ends.index(end)]
        for effect in some:
            if isinstance(effect, Load):
                trips[type(effect.query).__name__] += 1
            elif isinstance(effect, Keep):
                trips["durable" if effect.durable else "Keep"] += 1
        super()._carry_out(end, some)

    def number(self, side: int, sort: type) -> int:
        """How many messages of a sort one side sent."""
        return sum(isinstance(message, sort) for message in self.messages(side))

    def asked(self, side: int) -> Tally[Mode]:
        """What one side asked for, by mode."""
        wants = [message for message in self.messages(side) if isinstance(message, Want)]
        return Tally(request.mode for want in wants for request in want.requests)


def held(*logs: Sequence[Block]) -> Node:
    """A node that holds logs with every signature, as their authors do."""
    node = Node(1)
    node.absorb(Batch(runs=[Run(tuple(log)) for log in logs]))
    return node


def give(giver: Node, taker: Node) -> Counted:
    """Let the second node get all that the first one holds."""
    meeting = Counted(giver, taker)
    meeting.run()
    assert taker.ids() == giver.ids()
    return meeting


def identities(count: int, length: int) -> list[tuple[Block, ...]]:
    """Logs 0 of as many devices."""
    return [written(length, IDENTITY, FIRST + number) for number in range(count)]


def cut_short(meeting: Counted) -> int:
    """How many runs end where no signature is due, as the first frames had no room for more.

    The last block of each is verified in addition.
    """
    runs = [run for data in meeting.messages(0) if isinstance(data, Data) for run in data.runs]
    ends = [decode_header(run.blocks[-1][0]) for run in runs]
    heads = {key: len(ids) for key, ids in meeting.ends[0].node.ids().items()}
    count = sum(bool(end.seq % 64) and end.seq < heads[end.author, end.log] for end in ends)
    assert count <= SHORT_FRAMES + 1
    return count


# --- signatures ---


@pytest.mark.parametrize(
    ("length", "due"), [(1, 1), (2, 1), (63, 1), (64, 1), (65, 2), (192, 3), (200, 4), (400, 7)]
)
def test_every_64th_block_and_the_last_are_verified_of_a_log(length: int, due: int) -> None:
    taker = Node(2)
    meeting = give(held(*identities(3, length)), taker)
    assert taker.verify.count == 3 * due + cut_short(meeting)


def test_the_more_logs_share_a_frame_the_signatures_stay_one_for_each_turn() -> None:
    giver, taker = held(*identities(50, 64)), Node(2)
    meeting = give(giver, taker)
    assert taker.verify.count == 50 + cut_short(meeting)
    assert giver.verify.count == 0


def test_a_log_whose_newest_come_first_costs_two_signatures_more() -> None:
    device, taker = Device(FIRST), Node(2)
    posts = device.write_many(640)
    meeting = give(held([device.root], posts), taker)
    assert taker.verify.count <= 1 + 640 // 64 + 2 + cut_short(meeting)


def test_certificates_of_people_nobody_cares_about_are_not_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[bytes] = []

    def count(person: bytes, device: bytes, certificate: bytes) -> bool:  # noqa: ARG001
        checked.append(device)
        return True

    monkeypatch.setattr("ledger.kinds.device.is_certified", count)
    devices = [Device(FIRST + number, FIRST + number) for number in range(20)]
    friend = devices[0]
    taker = Node(2, followed=frozenset({friend.person.signing.public}))
    give(held(*([device.root] for device in devices)), taker)
    assert set(checked) == {friend.public}


def test_what_nobody_asked_for_is_not_verified() -> None:
    giver, taker = held(*identities(3, 10)), Node(2)
    meeting = Counted(giver, taker)
    unasked = Data([RawRun(items(written(200, IDENTITY, FIRST)), 0)])
    meeting.start()
    meeting.ends[0].out.append(encode_message(unasked))
    meeting.settle()
    assert meeting.ends[1].session.counts.blocks_in == 200 + 3 * 10
    assert taker.verify.count == 3 + cut_short(meeting)


# --- messages ---


def test_long_logs_come_200_blocks_a_frame() -> None:
    meeting = give(held(*identities(10, 384)), Node(2))
    assert meeting.number(0, Data) == 10 * 384 // TURN_BLOCKS + SHORT_FRAMES
    assert meeting.number(0, Bodies) == 0


@pytest.mark.parametrize("length", [1, 2, 7])
def test_short_logs_share_frames(length: int) -> None:
    count = 1_200 // length
    meeting = give(held(*identities(count, length)), Node(2))
    assert 50 <= count * length / meeting.number(0, Data) <= 200
    assert meeting.number(1, Want) <= -(-count // 256) + 1


def test_the_taker_says_little() -> None:
    meeting = give(held(*identities(10, 384)), Node(2))
    assert len(meeting.ends[1].sent) <= 20
    assert sum(map(len, meeting.ends[1].sent)) <= 500


@pytest.mark.parametrize("length", [1, 2, 200, 1_000])
def test_a_log_is_asked_for_once(length: int) -> None:
    meeting = give(held(*identities(5, length)), Node(2))
    assert meeting.asked(1) == {Mode.FROM: 5}
    assert meeting.asked(0) == {}


def test_a_long_log_is_asked_for_twice_where_its_newest_come_first() -> None:
    device = Device(FIRST)
    posts = device.write_many(640)
    meeting = give(held([device.root], posts), Node(2))
    assert meeting.asked(1) == {Mode.FROM: 2, Mode.NEWEST: 1}


def test_a_device_that_is_new_costs_one_request_for_each_of_its_logs() -> None:
    devices = [Device(FIRST + number) for number in range(30)]
    for device in devices:
        device.write_many(3)
    logs = [device.logs[number] for device in devices for number in (IDENTITY, SOCIAL)]
    meeting = give(held(*logs), Node(2))
    assert meeting.asked(1) == {Mode.FROM: 60}


def test_contacts_ask_only_for_what_changed() -> None:
    logs = identities(300, 2)
    giver, taker = held(*(log[:1] for log in logs)), Node(2)
    give(giver, taker)
    giver.hold(*(log[1:] for log in logs[:7]))
    assert give(giver, taker).asked(1) == {Mode.FROM: 7}


# --- trips to the store ---


def test_a_giver_reads_once_for_each_frame() -> None:
    meeting = give(held(*identities(10, 384)), Node(2))
    reads = meeting.trips[0][Spans.__name__]
    assert reads <= meeting.number(0, Data) + 1
    assert reads <= 10 * 384 // TURN_BLOCKS + 1


def test_a_giver_reads_short_logs_many_at_once() -> None:
    meeting = give(held(*identities(600, 2)), Node(2))
    assert meeting.trips[0][Spans.__name__] <= 600 * 2 // TURN_BLOCKS + 3


def test_a_taker_stores_half_a_window_at_once() -> None:
    logs = identities(20, 384)
    meeting = give(held(*logs), Node(2))
    window = Node(2).policy.limits.window
    size = sum(len(frame) for frame in meeting.ends[0].sent)
    assert meeting.trips[1]["Keep"] <= 2 * size // window + 1
    assert meeting.trips[1][Bodiless.__name__] == 0


def test_only_what_was_processed_is_kept_durably_and_once() -> None:
    meeting = give(held(*identities(20, 100)), Node(2))
    assert meeting.trips[1]["durable"] <= 1
    assert meeting.trips[0]["durable"] == 0


def test_a_store_is_gone_to_once_a_batch_and_once_for_its_new_devices() -> None:
    store = CountedStore()
    taker = Node(2, store=store)
    store.calls.clear()
    meeting = Counted(held(*identities(200, 4)), taker)
    meeting.run()
    batches = sum(meeting.trips[1].values())
    assert store.calls["absorb"] == batches
    assert store.calls["read_spans"] <= batches
    assert set(store.calls) <= {"note", "absorb", "read_spans"}


def test_a_batch_that_brings_no_device_is_not_read_again() -> None:
    logs = identities(20, 30)
    store = CountedStore()
    taker = Node(2, store=store)
    taker.hold(*(log[:1] for log in logs))
    store.calls.clear()
    meeting = Counted(held(*logs), taker)
    meeting.run()
    assert store.calls["read_spans"] == 0
    assert store.calls["absorb"] == sum(meeting.trips[1].values())


def test_an_unchanged_meeting_reads_nothing_and_writes_one_note_a_side() -> None:
    left, right = Node(1), Node(2)
    left.hold(*identities(30, 2))
    give(left, right)
    meeting = give(left, right)
    for trips in meeting.trips:
        assert trips["Keep"] <= 1
        assert set(trips) <= {"Keep"}
    assert meeting.number(0, Bye) == meeting.number(1, Bye) == 1


def test_strangers_who_are_equal_go_to_no_store_either() -> None:
    left, right = Node(1), Node(2)
    for node in (left, right):
        node.hold(*identities(300, 1))
    meeting = Counted(left, right, contacts=False)
    meeting.run()
    assert meeting.trips == [Tally(), Tally()]
