"""What a meeting weighs in bytes of messages, without what links and ciphers add.

Bounds come from the project's goals. Of a block that travels its header, signature and body are
counted apart: those have to go over the link anyway.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256

import pytest

from gossip.catalogue import Changes
from gossip.control import Bye, Hello
from gossip.cursor import Seen, run_name
from gossip.notes import remember, seen_note
from gossip.number import MAX_MESSAGE_BYTES
from ledger.block import Block
from ledger.chain import Log, Piece
from ledger.run import Run
from ledger.store.base import Batch, Newest, StoreRun
from tests.gossip.meetings import Meeting, Node, meet, now_run
from tests.strategies import IDENTITY, SOCIAL, Device, written

LOGS = 1_000
FIRST = 10
"""Number of the first device that is none of the two that meet."""


def raw_bytes(blocks: Iterable[Block]) -> int:
    return sum(len(b.raw) + len(b.signature) + len(b.body or b"") for b in blocks)


def sized(device: Device, count: int, log: int = IDENTITY, size: int = 300) -> list[Block]:
    """Write blocks of ``size`` bytes, until the log has ``count``."""
    blocks = device.logs.setdefault(log, [])
    while len(blocks) < count:
        bare = len(device.twin().write(body=b"", log=log).raw)
        device.write(body=bytes(size - 64 - bare - 1), log=log)
    return blocks


def hold_as_written(node: Node, *logs: Sequence[Block]) -> None:
    """Take logs into a store with every signature, as their authors hold them."""
    node.absorb(Batch(runs=[Run(tuple(log)) for log in logs]))


@cache
def shelf(count: int, length: int) -> tuple[tuple[Block, ...], ...]:
    """Logs 0 of ``count`` devices, ``length`` blocks each."""
    return tuple(written(length, IDENTITY, FIRST + number) for number in range(count))


def twins(logs: Sequence[Sequence[Block]]) -> tuple[Node, Node]:
    """Two nodes that hold all of each log but its last block."""
    left, right = Node(1), Node(2)
    for node in (left, right):
        node.hold(*(log[:-1] for log in logs))
    return left, right


def changed_cost(logs: Sequence[Sequence[Block]], count: int) -> int:
    """Let contacts who were equal meet after ``count`` logs got a block at one; blocks apart."""
    left, right = twins(logs)
    meet(left, right)
    news = [log[-1] for log in logs[:count]]
    left.hold(*([block] for block in news))
    meeting = meet(left, right)
    assert left.frontier() == right.frontier()
    return meeting.payload() - raw_bytes(news)


def stand_alike(count: int) -> tuple[Node, Node]:
    """Two contacts who processed all of each other's, straight in memory: no block is needed."""
    left, right = Node(1), Node(2)
    logs: dict[tuple[bytes, int], Log] = {}
    for number in range(count):
        author = sha256(b"author %d" % number).digest()
        piece = Piece(1, 1 + number % 300, bytes(32), sha256(author).digest())
        logs[author, IDENTITY] = Log(author, IDENTITY, pieces=(piece,))
    newest = {key: Newest(lsn, 0) for lsn, key in enumerate(logs, 1)}
    for node, other in ((left, right), (right, left)):
        run = StoreRun(node.new_run(), 1, count)
        node.holdings.catalogue.learn(Changes(logs=logs, newest=newest, runs=[run]))
        seen = Seen(run_name(run.run, node.offers(other.peer)), ((1, count),))
        note = remember(seen, other.policy.wants)
        now_run(other.store.set_note(seen_note(node.device.public), note))
    return left, right


def sent(meeting: Meeting) -> list[list[type]]:
    return [[type(message) for message in meeting.messages(side)] for side in (0, 1)]


# --- nothing has changed ---


@pytest.mark.parametrize("count", [10, 1_000, 100_000])
def test_contacts_who_are_equal_say_hello_and_goodbye_in_150_bytes(count: int) -> None:
    left, right = stand_alike(count)
    meeting = meet(left, right)
    assert meeting.payload() <= 150
    assert sent(meeting) == [[Hello, Bye], [Hello, Bye]]


def test_an_unchanged_meeting_weighs_the_same_however_much_is_held() -> None:
    few, many = (meet(*stand_alike(count)).payload() for count in (10, 10_000))
    assert many - few == 4 * 2, "each lsn is said twice a side, and takes 2 bytes more"


def test_contacts_who_held_a_real_meeting_are_known_to_be_equal_in_the_next() -> None:
    left, right = twins(shelf(20, 2))
    meet(left, right)
    meeting = meet(left, right)
    assert meeting.payload() <= 150
    assert sent(meeting) == [[Hello, Bye], [Hello, Bye]]


# --- something has ---


@pytest.mark.parametrize("count", [1, 10, 100, 1_000])
def test_contacts_pay_40_bytes_a_changed_log(count: int) -> None:
    assert changed_cost(shelf(LOGS, 2), count) <= 40 * count + 1_100


def test_contacts_pay_the_same_whichever_of_them_changed() -> None:
    logs = shelf(100, 2)
    left, right = twins(logs)
    meet(left, right)
    mine, theirs = logs[:10], logs[50:70]
    left.hold(*(log[-1:] for log in mine))
    right.hold(*(log[-1:] for log in theirs))
    meeting = meet(left, right)
    assert left.frontier() == right.frontier()
    news = [log[-1] for log in (*mine, *theirs)]
    assert meeting.payload() - raw_bytes(news) <= 40 * len(news) + 1_100


def test_a_changed_log_of_more_than_255_blocks_costs_44_bytes() -> None:
    logs = shelf(20, 260)
    assert changed_cost(logs, 20) - changed_cost(logs, 10) <= 10 * 44


@pytest.mark.parametrize("behind", [1, 63, 150])
def test_a_log_that_is_further_behind_is_not_asked_for_more_dearly(behind: int) -> None:
    device = Device(FIRST)
    device.write_many(300, log=IDENTITY)
    blocks = device.logs[IDENTITY]
    left, right = Node(1), Node(2)
    hold_as_written(left, blocks)
    hold_as_written(right, blocks[:-behind])
    meeting = meet(left, right)
    assert right.ids() == left.ids()
    assert meeting.payload() - raw_bytes(blocks[-behind:]) <= 250 + 6 * behind


# --- strangers ---


def test_strangers_who_hold_the_same_find_out_in_1100_bytes() -> None:
    left, right = twins(shelf(LOGS, 2))
    assert meet(left, right, contacts=False).payload() <= 1_100


@pytest.mark.parametrize("at_both", [False, True])
def test_strangers_of_whose_logs_1_percent_differ_pay_a_quarter_of_scuttlebutt(
    *, at_both: bool
) -> None:
    logs = shelf(LOGS, 2)
    left, right = twins(logs)
    left.hold(*(log[-1:] for log in logs[:5]))
    (right if at_both else left).hold(*(log[-1:] for log in logs[5:10]))
    meeting = meet(left, right, contacts=False)
    assert left.frontier() == right.frontier()
    assert meeting.payload() <= 119_000 // 4
    assert meeting.payload() - raw_bytes(log[-1] for log in logs[:10]) <= 5_000


def test_a_contact_whose_state_is_lost_pays_as_a_stranger() -> None:
    logs = shelf(LOGS, 2)
    left, right = twins(logs)
    meet(left, right)
    now_run(right.store.set_note(seen_note(left.device.public), None))
    meeting = meet(left, right)
    assert meeting.payload() <= 1_100


# --- all is new ---


def test_long_runs_weigh_3_percent_more_than_their_blocks() -> None:
    left, right = Node(1), Node(2)
    logs = [sized(Device(FIRST + number), 200) for number in range(20)]
    hold_as_written(left, *logs)
    meeting = meet(left, right)
    assert right.ids() == left.ids()
    assert meeting.payload() <= 1.03 * raw_bytes(block for log in logs for block in log)


def test_a_long_log_of_which_the_newest_come_first_weighs_no_more() -> None:
    left, right, device = Node(1), Node(2), Device(FIRST)
    posts = sized(device, 2_000, SOCIAL)
    hold_as_written(left, [device.root], posts)
    meeting = meet(left, right)
    assert right.ids() == left.ids()
    assert meeting.payload() <= 1.03 * raw_bytes([device.root, *posts])


def test_runs_of_two_weigh_12_percent_more_than_their_blocks() -> None:
    left, right = Node(1), Node(2)
    logs = [sized(Device(FIRST + number), 2) for number in range(500)]
    hold_as_written(left, *logs)
    meeting = meet(left, right)
    assert right.ids() == left.ids()
    assert meeting.payload() <= 1.12 * raw_bytes(block for log in logs for block in log)


def test_an_unvouched_signature_is_not_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a link that is known to be fast, so that no frame ends before a signature is due
    monkeypatch.setattr("gossip.pace.FIRST_BYTES", MAX_MESSAGE_BYTES)
    left, middle, right = Node(1), Node(2), Node(3)
    blocks = sized(Device(FIRST), 128)
    hold_as_written(left, blocks)
    whole = meet(left, middle).payload()
    meeting = meet(middle, right)
    assert right.ids() == left.ids()
    unverified = len(blocks) - 2
    assert whole - meeting.payload() == 65 * unverified, "64 bytes each, and one more of its length"
