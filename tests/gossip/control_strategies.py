"""Hypothesis strategies for what nodes say in a meeting: any message that may be read."""

from hypothesis import strategies as st

from gossip.control import (
    BUCKET_BYTES,
    BUCKETS,
    CHECK_BYTES,
    ID_BYTES,
    IDENT_BYTES,
    MAIL_RUN_BYTES,
    MAX_BODY_RANGES,
    MAX_CLASS,
    MAX_COUNT,
    MAX_IDS,
    MAX_MENTIONS,
    MAX_SCOPES,
    MIN_FRAME_BYTES,
    PARTS,
    ROOT_BYTES,
    RUN_BYTES,
    SCOPE_BYTES,
    SHORT_BYTES,
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
    MailGreeting,
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
from gossip.cursor import MAX_RANGES, Seen
from gossip.frontier import FrontierEntry
from gossip.number import MAX_MESSAGE_BYTES
from ledger.block import MAX_SEQ
from ledger.chain import MAX_DETACHED
from tests.strategies import hashes, log_numbers, seqs


def exactly(size: int) -> st.SearchStrategy[bytes]:
    """Any ``size`` bytes."""
    return st.binary(min_size=size, max_size=size)


def numbers(low: int, high: int) -> st.SearchStrategy[int]:
    """Any number from ``low`` to ``high``, often one where an encoding grows by a byte."""
    steps = [
        low,
        high,
        *(n for n in (23, 24, 255, 256, 65_535, 65_536, 1 << 32) if low <= n <= high),
    ]
    return st.sampled_from(steps) | st.integers(low, high)


counts = numbers(0, MAX_COUNT - 1)
lsns = numbers(1, MAX_COUNT - 1)
indexes = numbers(0, MAX_MENTIONS - 1)
scopes = st.just(b"") | exactly(SCOPE_BYTES)
store_runs = exactly(RUN_BYTES)


@st.composite
def ranges(
    draw: st.DrawFn, most: int = MAX_RANGES, top: int = MAX_COUNT - 1, low: int = 1
) -> tuple[tuple[int, int], ...]:
    """Ranges of numbers, ascending, with a gap between any two."""
    found: list[tuple[int, int]] = []
    for _ in range(draw(st.integers(1, most))):
        if low > top:
            break
        start = draw(st.integers(low, min(low + 9, top)) | st.integers(low, top))
        end = draw(st.integers(start, min(start + 9, top)) | st.integers(start, top))
        found.append((start, end))
        low = end + 2
    return tuple(found)


seens = st.builds(Seen, store_runs, ranges())
mail_runs = exactly(MAIL_RUN_BYTES)
mail_seens = st.builds(Seen, mail_runs, ranges())


@st.composite
def entries(draw: st.DrawFn) -> FrontierEntry:
    """Any entry that holds together, the largest ones included."""
    ids = tuple(sorted(draw(st.sets(hashes, max_size=2))))
    ends = sorted(draw(st.sets(st.integers(1, MAX_SEQ), max_size=2 * MAX_DETACHED + 4)))
    seq = 0 if not ids else ends.pop() if len(ids) == 2 and ends else draw(st.integers(1, 9))
    pairs = [(low, high) for low, high in zip(ends[::2], ends[1::2], strict=False)]
    before = seq if len(ids) == 1 else -1
    held: list[tuple[int, int]] = []
    for low, high in pairs:
        if low >= before + 2 and (len(ids) < 2 or high < seq):
            held.append((low, high))
            before = high
    missing = draw(st.none() | st.integers(1, MAX_SEQ))
    most = MAX_DETACHED + (len(ids) == 2)
    return FrontierEntry(draw(hashes), draw(log_numbers), seq, ids, tuple(held[:most]), missing)


checks = exactly(CHECK_BYTES)
mentions = st.builds(
    Mention,
    indexes | exactly(SHORT_BYTES) | st.tuples(hashes, log_numbers),
    st.just(0) | seqs,
    st.booleans(),
    checks,
    st.just(b"") | checks,
)


@st.composite
def hellos(draw: st.DrawFn) -> Hello:
    """Any first message."""
    versions = tuple(sorted(draw(st.sets(numbers(1, (1 << 64) - 1), min_size=1, max_size=4))))
    greeting = st.none() | st.builds(Greeting, store_runs, lsns, st.none() | seens)
    nothing = st.builds(Greeting, st.just(b""), st.just(0), st.none() | seens)
    return Hello(
        versions,
        draw(numbers(0, (1 << 64) - 1)),
        draw(st.integers(MIN_FRAME_BYTES, MAX_MESSAGE_BYTES)),
        draw(numbers(MIN_FRAME_BYTES, MAX_COUNT - 1)),
        draw(st.none() | counts),
        draw(greeting | nothing),
        draw(st.none() | st.builds(MailGreeting, mail_runs, counts, st.none() | mail_seens)),
        draw(st.just(b"") | exactly(PARTS * BUCKET_BYTES)),
    )


@st.composite
def covered(draw: st.DrawFn) -> tuple[int, int]:
    """First and last lsn of what a page covers."""
    low = draw(lsns)
    return low, draw(st.integers(low, MAX_COUNT - 1))


pages = st.lists(mentions, max_size=5)


@st.composite
def news(draw: st.DrawFn) -> New:
    """Any page of what changed since."""
    return New(draw(counts), *draw(covered()), draw(st.booleans()), draw(pages))


@st.composite
def announces(draw: st.DrawFn) -> Announce:
    """Any page of what arrived during the meeting."""
    low, high = draw(st.just((0, 0)) | covered())
    return Announce(draw(st.just(b"") | store_runs), low, high, draw(pages))


roots = st.builds(
    Root,
    st.booleans(),
    st.lists(
        st.builds(ScopeRoot, scopes, exactly(ROOT_BYTES), counts),
        min_size=1,
        max_size=MAX_SCOPES // 8,
        unique_by=lambda row: row.scope,
    ),
)
buckets = st.builds(Buckets, scopes, exactly(BUCKETS * BUCKET_BYTES))
vectors = st.builds(Vector, scopes, st.booleans(), pages)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Any request, in any mode."""
    mode: Mode = draw(st.sampled_from(Mode))
    args: tuple[int | bytes, ...] = ()
    match mode:
        case Mode.FROM | Mode.HEADERS:
            seq = draw(st.just(0) | seqs)
            until = draw(
                st.just(0) | (st.integers(seq + 1, MAX_SEQ) if seq < MAX_SEQ else st.just(0))
            )
            args = (seq, until, draw(st.just(b"") | exactly(IDENT_BYTES)))
        case Mode.NEWEST:
            args = (draw(seqs),)
        case Mode.BODIES:
            found = draw(ranges(MAX_BODY_RANGES, MAX_SEQ))
            args = tuple(end for both in found for end in both)
        case Mode.IDS:
            args = (draw(seqs), draw(seqs), draw(st.integers(1, MAX_IDS)))
        case Mode.ENTRY | Mode.EVIDENCE | Mode.BRANCHES:
            pass
    return Request(draw(indexes), draw(st.integers(0, MAX_CLASS)), mode, args)


wants = st.builds(Want, st.lists(requests(), min_size=1, max_size=5))
rows = st.builds(EntryRow, indexes, entries(), st.just(b"") | exactly(ID_BYTES))
ids = st.builds(
    Ids, indexes, seqs, seqs, st.integers(0, MAX_IDS).flatmap(lambda n: exactly(n * ID_BYTES))
)
ends = st.builds(DoneRow, indexes, st.sampled_from(Mode), st.sampled_from(Reason))
controls: st.SearchStrategy[Control] = st.one_of(
    hellos(),
    news(),
    roots,
    buckets,
    vectors,
    wants,
    st.builds(Credit, counts),
    st.builds(Ack, counts, st.none() | seens),
    announces(),
    st.builds(Entries, st.lists(rows, min_size=1, max_size=3)),
    ids,
    st.builds(Done, st.lists(ends, min_size=1, max_size=5)),
    st.just(Bye()),
)
