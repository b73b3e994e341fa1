"""What the fuzzer of meetings starts from: real conversations, and one message of each sort."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

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
from gossip.frontier import FrontierEntry
from gossip.session import Session
from gossip.standing import Salt, place_of
from gossip.wire import encode_message
from ledger.codec import encode
from tests.gossip.meetings import BINDING, Meeting
from tests.strategies import SOCIAL, device_keys, material
from tools import fuzz_seeds
from tools.fuzz_meetings import ANSWER, ANSWER_ALL, DRAINED, MOST_ANSWERS, TICK, WRITE
from tools.fuzz_scenes import SCENES, other, stage

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUN, _CHECK, _ID = material("a run", 8), material("a check", 4), material("an id", 8)
_KEY = (device_keys(5).public, SOCIAL)
_SEEN = Seen(_RUN, ((1, 5), (7, 7), (9, 40)))


def controls() -> list[bytes]:
    """Return a message of every sort that steers a meeting, with every sort of item."""
    return [encode_message(message) for message in _controls()]


def _controls() -> list[Control]:
    mentions = _mentions()
    entry = FrontierEntry(*_KEY, 12, (material("a block"),), ((20, 22),), 3)
    return [
        Hello((1,), 1, 65_000, 1 << 20, None, Greeting(material("run 2 1", 8), 40, _SEEN)),
        Hello((1, 2), 0, 24_000, 24_500, 1 << 20, None),
        New(2, 3, 40, last=False, mentions=mentions),
        Root(tells=True, scopes=[ScopeRoot(b"", material("root", 16), 3)]),
        Root(tells=True, scopes=[ScopeRoot(b"", material("root", 16), 300)]),
        Root(tells=False, scopes=[ScopeRoot(n * material("s", 16), bytes(16), n) for n in (0, 1)]),
        Buckets(b"", bytes(4) + material("buckets", 1_020)),
        Vector(b"", last=True, mentions=mentions),
        Want([Request(n, 3, mode, args) for n, (mode, args) in enumerate(_asks())]),
        *(Want([Request(0, 3, mode, args)]) for mode, args in _asks()),
        Credit(1 << 20),
        Ack(1, None),
        Ack(2, _SEEN),
        Announce(_RUN, 41, 42, mentions),
        Announce(b"", 0, 0, mentions[:1]),
        Entries([EntryRow(0, entry, _ID), EntryRow(1, entry, b"")]),
        Ids(0, 9, 1, _ID),
        Done([DoneRow(0, mode, reason) for mode in Mode for reason in Reason]),
        Bye(),
    ]


def _mentions() -> list[Mention]:
    short = Salt(BINDING).short(_KEY, place_of(_KEY)[0])
    return [
        Mention(short, 12, plain=True, check=_CHECK),
        Mention((device_keys(7).public, 0), 0, plain=True, check=_CHECK, evidence=_CHECK),
        Mention(0, 14, plain=False, check=_CHECK),
    ]


def _asks() -> list[tuple[Mode, tuple[int | bytes, ...]]]:
    return [
        (Mode.FROM, (2, 0, _ID[:4])),
        (Mode.NEWEST, (3,)),
        (Mode.HEADERS, (0, 9, b"")),
        (Mode.BODIES, (1, 5, 7, 7)),
        (Mode.ENTRY, ()),
        (Mode.EVIDENCE, ()),
        (Mode.BRANCHES, ()),
        (Mode.IDS, (1, 2, 64)),
    ]


def seens() -> list[bytes]:
    """Return what was seen of a store: of one range, of some, of as many as there may be."""
    many = tuple((3 * n, 3 * n + 1) for n in range(1, 33))
    return [Seen(_RUN, ranges).encode() for ranges in (((1, 1),), _SEEN.ranges, many)]


def monologues() -> list[bytes]:
    """Return meetings in which the peer says one message, or all, after it told of some logs."""
    others = [*controls()[2:], *fuzz_seeds.message()]
    starts = [_told(scene) for scene in range(len(SCENES))]
    single = [[*starts[n % len(starts)], one] for n, one in enumerate([*others, *others])]
    every = [[*start, *others, DRAINED, ANSWER_ALL, TICK] for start in starts]
    return [encode(steps) for steps in (*single, *every)]


def _told(number: int) -> list[int | bytes]:
    """Return a scene and how the peer begins there, so that it is asked about what it told."""
    scene = SCENES[number]
    met, hello, page, root = controls()[:4]
    told = [page] if scene.met else [root, _told_by_root()]
    return [number, met if scene.contact else hello, *told]


def _told_by_root() -> bytes:
    mentions = [m for m in _mentions() if not isinstance(m.name, int)]
    return encode_message(Vector(b"", last=True, mentions=mentions))


@cache
def conversations() -> Sequence[bytes]:
    """Return what a peer says in real meetings, answers of the store in between."""
    found = [[scene, *_recorded(scene)] for scene in range(len(SCENES))]
    found += [[*steps[:9], WRITE, *steps[9:]] for steps in found]
    return [encode(steps) for steps in found]


def _recorded(number: int) -> list[bytes | int]:
    """Hold a real meeting; return what the other side said, and what happened in between."""
    scene = SCENES[number]
    node, setting = stage(scene)
    meeting = Meeting(node, other(scene), contacts=scene.contact)
    meeting.ends[0].session = Session(setting)
    meeting.start()
    steps: list[bytes | int] = []
    for _ in range(MOST_ANSWERS):
        if not _goes_on(meeting, steps):
            break
    return steps


def _goes_on(meeting: Meeting, steps: list[bytes | int]) -> bool:
    mine, theirs = meeting.ends
    if meeting._answer(mine):  # noqa: SLF001  what happens when is what is recorded
        steps.append(ANSWER)
        return True
    if meeting._answer(theirs) or meeting._deliver(mine, theirs):  # noqa: SLF001
        return True
    frames = list(theirs.out)
    steps += frames[:1]
    steps += [DRAINED] if len(frames) == 1 else []
    return meeting._deliver(theirs, mine)  # noqa: SLF001
