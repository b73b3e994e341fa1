"""Whatever a peer sends, a node does not raise, keeps nothing unvouched and stays small.

The hostile side speaks after an honest HELLO, so that it gets far. It sends bytes, messages of
every sort in any order, what somebody else said in another meeting, and honest frames twice.
"""

import gc
import sys
from types import FunctionType, ModuleType

from hypothesis import event, given
from hypothesis import strategies as st

from gossip.control import (
    Ack,
    Announce,
    Buckets,
    Bye,
    Control,
    Credit,
    Done,
    DoneRow,
    Entries,
    EntryRow,
    Greeting,
    Hello,
    Ids,
    Mention,
    Mode,
    New,
    Reason,
    Request,
    Root,
    ScopeRoot,
    Vector,
    Want,
)
from gossip.cursor import Seen
from gossip.effects import Finish
from gossip.frontier import FrontierEntry
from gossip.policy import Limits
from gossip.session import Session
from gossip.wire import Bodies, Bulk, Data, Proofs, RawRun, Statements, encode_message
from ledger.fork import ForkProof, Vouched
from ledger.store.base import LateBody
from tests.gossip.meetings import Node, Side, run_said
from tests.gossip.test_invariants import Watched, WatchedMeeting, hold_meeting, lacks
from tests.gossip.worlds import Author, part, statement
from tests.strategies import GROUP, Device, forked, items, material, written

SMALL = Limits(frame=24_000, window=48_000, page=8, unwanted=64)
MOST_BYTES = 2_000_000
"""What a session of these limits may hold: a window, a chunk of small blocks, and lists."""
MOST_ANSWERS = 2_000
"""From its store, or from the link, because of one message."""
LEFT, RIGHT = forked(2, 70, 3, number=10)
KEYS = [(Device(n).public, log) for n in (10, 11) for log in (0, 1, GROUP)]

keys = st.sampled_from(KEYS)
index = st.sampled_from([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 99])
seq = st.sampled_from([1, 2, 3, 63, 64, 65, 71, (1 << 40) - 1])
lsn = st.one_of(st.integers(1, 9), st.just((1 << 53) - 1))
small = st.binary(min_size=4, max_size=4)
eight = st.binary(min_size=8, max_size=8)
seen = st.builds(
    Seen,
    st.one_of(eight, st.just(run_said("run 0 1"))),
    st.sampled_from([((1, 1),), ((1, 1 << 50),), ((2, 3), (9, 9))]),
)
mentions = st.lists(
    st.builds(
        Mention,
        st.one_of(index, eight, keys),
        st.one_of(st.just(0), seq),
        st.booleans(),
        small,
        st.one_of(st.just(b""), small),
    ),
    max_size=12,
)
scopes = st.sampled_from([b"", material("no scope", 16)])
pages = st.tuples(lsn, lsn).map(sorted)
modes = st.sampled_from(Mode)


def asked(mode: Mode) -> st.SearchStrategy[tuple[int | bytes, ...]]:
    """Arguments a want of this mode may have."""
    match mode:
        case Mode.FROM | Mode.HEADERS:
            ident = st.one_of(st.just(b""), eight)
            return st.tuples(st.integers(0, 70), st.just(0), ident)
        case Mode.NEWEST:
            return st.tuples(seq)
        case Mode.BODIES:
            return st.sampled_from([(1, 1), (1, 1 << 39), (1, 2, 4, 70)])
        case Mode.IDS:
            return st.tuples(seq, seq, st.integers(1, 64))
        case _:
            return st.just(())


requests = modes.flatmap(
    lambda mode: st.builds(Request, index, st.integers(0, 6), st.just(mode), asked(mode))
)
entries = st.builds(
    lambda key, at, ids, missing: FrontierEntry(
        key[0], key[1], at if ids else 0, tuple(ids), (), missing
    ),
    keys,
    st.integers(1, 80),
    st.lists(st.binary(min_size=32, max_size=32), max_size=1),
    st.none() | st.integers(1, 80),
)
chains = st.sampled_from([LEFT, RIGHT, written(70, number=10), written(5, number=11)])
runs = st.builds(
    lambda chain, low, count, bad, hops: RawRun(
        [(r, s if bad != 1 else b"\1" * 64, b if bad != 2 else None) for r, s, b in items(chain)][
            low : low + count
        ]
        or items(chain)[:1],
        hops,
    ),
    chains,
    st.integers(0, 72),
    st.integers(1, 72),
    st.integers(0, 5),
    st.integers(0, 255),
)
proof = ForkProof.of(Vouched.of(LEFT[1:]), Vouched.of(RIGHT[1:]))
said = statement(Author(10, social=2, revoked=1))
bodies = st.builds(
    lambda block, body: LateBody(
        block.header.author, block.header.log, block.header.seq, body or block.body or b""
    ),
    chains.flatmap(st.sampled_from),
    st.sampled_from([b"", b"", b"another body"]),
)
messages: st.SearchStrategy[Bulk | Control] = st.one_of(
    st.builds(
        lambda v, p, last, m: New(v, p[0], p[1], last, m), lsn, pages, st.booleans(), mentions
    ),
    st.builds(Vector, scopes, st.booleans(), mentions),
    st.builds(
        lambda run, p, m: Announce(run, p[0], p[1], m), st.just(b"") | eight, pages, mentions
    ),
    st.builds(
        Root,
        st.booleans(),
        st.lists(
            st.builds(ScopeRoot, scopes, st.binary(min_size=16, max_size=16), st.integers(0, 999)),
            min_size=1,
            max_size=1,
        ),
    ),
    st.builds(Buckets, scopes, st.just(bytes(1_024)) | st.just(b"\1" * 1_024)),
    st.builds(Want, st.lists(requests, min_size=1, max_size=8)),
    st.builds(Credit, lsn),
    st.builds(Ack, st.integers(0, 5), st.none() | seen),
    st.builds(
        Entries, st.lists(st.builds(EntryRow, index, entries, eight), min_size=1, max_size=4)
    ),
    st.builds(Ids, index, seq, seq, st.integers(0, 64).map(lambda n: b"\1" * 8 * n)),
    st.builds(
        Done,
        st.lists(st.builds(DoneRow, index, modes, st.sampled_from(Reason)), min_size=1, max_size=4),
    ),
    st.just(Bye()),
    *3 * [st.builds(Data, st.lists(runs, min_size=1, max_size=2))],
    st.builds(Bodies, st.lists(bodies, min_size=1, max_size=3)),
    st.just(Proofs([proof.encode()])),
    st.just(Statements([(said.raw, said.signature)])),
)
frames = st.one_of(messages.map(encode_message), st.binary(max_size=64))
hellos = st.builds(
    Hello,
    st.just((1,)),
    st.integers(0, 1),
    st.just(24_000),
    st.sampled_from([0, 48_000, 1 << 50]),
    st.none() | st.sampled_from([0, 1_000]),
    st.none() | st.builds(Greeting, st.just(material("run 9 1", 8)), lsn, st.none() | seen),
)


OPENING = [
    encode_message(Root(tells=True, scopes=[ScopeRoot(b"", bytes(16), 6)])),
    encode_message(
        Vector(
            b"", last=False, mentions=[Mention(key, 80, plain=True, check=bytes(4)) for key in KEYS]
        )
    ),
]
"""Says that the log of each of ``KEYS`` is held, so that it is asked for."""


def weight(session: Session) -> int:
    """Return how many bytes a session holds, without what it shares with its node."""
    setting = session._setting
    shared = [setting, setting.catalogue, setting.claims, setting.policy]
    known = {id(one) for one in shared}
    todo: list[object] = [session]
    total = 0
    while todo:
        one = todo.pop()
        if id(one) in known or isinstance(one, (type, ModuleType, FunctionType)):
            continue
        known.add(id(one))
        total += sys.getsizeof(one)
        todo += gc.get_referents(one)
    return total


def speak(node: Watched, said: list[tuple[bytes, bool]], *, contacts: bool) -> Side:
    """Let a stranger, or somebody who stole a contact's key, say things to a node.

    Args:
        node: Who listens.
        said: Frames, and whether the node's store is done with what came before.
        contacts: Whether the node takes him for a contact.
    """
    meeting = WatchedMeeting(node, Node(9), contacts=contacts)
    end = meeting.ends[0]
    ends = 0
    meeting._carry_out(end, end.session.start(0.0))
    for frame, is_stored in said:
        effects = end.session.receive(frame, 0.0)
        ends += sum(isinstance(effect, Finish) for effect in effects)
        meeting._carry_out(end, effects)
        answers = range(MOST_ANSWERS) if is_stored else ()
        assert not answers or not all(meeting._answer(end) for _ in answers), "it goes on and on"
        assert weight(end.session) <= MOST_BYTES
    meeting.sever()
    assert ends <= 1
    return end


def listener() -> Watched:
    node = Watched(0, limits=SMALL)
    node.hold(Device(10).logs[0], LEFT[:5])
    node.hold([Device(11).root], written(5, number=11)[:2])
    return node


@given(
    hellos.map(encode_message),
    st.lists(st.tuples(frames, st.booleans()), max_size=40),
    st.booleans(),
    st.sampled_from([OPENING, OPENING, []]),
)
def test_what_a_hostile_peer_says_does_no_harm(
    hello: bytes,
    said: list[tuple[bytes, bool]],
    contacts: bool,  # noqa: FBT001
    opening: list[bytes],
) -> None:
    node = listener()

    opened = [(frame, True) for frame in (hello, *opening)]
    end = speak(node, [*opened, *said], contacts=contacts)

    event("end", end.finish and end.finish.end.name)
    event("stored", len(node.absorbed) > 2)
    node.is_sound()
    honest = Watched(1, known=node.known)
    honest.hold(Device(10).logs[0], LEFT)
    hold_meeting(node, honest)
    assert lacks(node, honest) == lacks(honest, node) == []


@part(4)
@given(st.lists(requests, min_size=1, max_size=40))
def test_what_a_hostile_peer_asks_for_is_not_read_all_at_once(asked: list[Request]) -> None:
    node = listener()
    for number in range(20, 24):
        node.hold([Device(number).root], written(300, number=number))
    hello = encode_message(Hello((1,), 1, 24_000, 1 << 50, None, None))
    root = encode_message(Root(tells=False, scopes=[ScopeRoot(b"", bytes(16), 5)]))
    wants = [encode_message(Want([request])) for request in asked]

    end = speak(node, [(frame, True) for frame in (hello, root, *wants)], contacts=False)

    event("sent much", sum(map(len, end.sent)) > 100_000)
