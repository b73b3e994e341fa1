"""One log the peer mentioned, and what to ask of it next: a pure function of what is known.

Whatever is asked, a mention is asked about a bounded number of times, and a step that brought
nothing is not repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from gossip.control import Mode
from ledger.block import MAX_SEQ
from ledger.chain import MAX_DETACHED
from ledger.run import SIGNED_EVERY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.comparison import Comparison
    from gossip.control import EntryRow, Mention, Reason
    from gossip.policy import Limits
    from ledger.chain import Log
    from ledger.store.base import LogKey

_TAILS: Final = (Mode.FROM, Mode.HEADERS)
FETCHED: Final = frozenset({Mode.FROM, Mode.HEADERS, Mode.NEWEST})
"""Modes that bring new blocks of the part before any fork."""
Range: TypeAlias = "tuple[int, int]"


class Ask(NamedTuple):
    """A request that is under way.

    Attributes:
        mode: What of the log.
        args: As in ``control.Request``.
        target: Seq up to which blocks are to come.
        since: When it was sent, or brought something last, seconds.
        is_answered: Whether the answer has come, and waits for the store.
    """

    mode: Mode
    args: tuple[int | bytes, ...]
    target: int
    since: float
    is_answered: bool = False

    @property
    def ends_unsaid(self) -> bool:
        """Whether its last block says that it is done."""
        return self.mode is Mode.NEWEST or (self.mode in _TAILS and not self.args[1])


@dataclass(slots=True)
class Wanted:
    """A log the peer mentioned.

    Attributes:
        index: Its index among the peer's mentions.
        mention: How it stands there, as last told.
        key: Which log; None while only a short name is known.
        entry: All about it, once asked for.
        ask: What is under way.
        comparison: A search for the first block that differs.
        tried: What was asked since the last mention, a bit for each mode.
        asks: How often.
        last: The gap asked for last; if it is still there, asking again brings nothing.
        refused: Gaps that there is no room for.
        brought: Whether anything that was asked for came.
        is_settled: Nothing more is to be done until it is mentioned again.
        ever: What was asked in this meeting, so that it may come, likewise.
        differs: Whether the peer said that its blocks are others.
        bodiless: Up to which seq bodies were asked for.
        has_all_bodies: Whether all were that are missing.
        is_counted: Whether what is lacking was counted since the last mention.
        ended: Why the peer ended a request for blocks early, if not because that is all.
        is_put_off: Whether evidence is to come another time.
        is_looking: Whether the block is being read at which the peer ends.
        is_prefix: Whether what is held here begins with just that; None while nobody looked.
    """

    index: int
    mention: Mention
    key: LogKey | None
    entry: EntryRow | None = None
    ask: Ask | None = None
    comparison: Comparison | None = None
    tried: int = 0
    asks: int = 0
    last: Range | None = None
    refused: tuple[Range, ...] = ()
    brought: bool = False
    is_settled: bool = False
    ever: int = 0
    differs: bool = False
    bodiless: int = 0
    has_all_bodies: bool = False
    is_counted: bool = False
    ended: Reason | None = None
    is_put_off: bool = False
    is_looking: bool = False
    is_prefix: bool | None = None

    def begin(self, ask: Ask) -> None:
        """Note a request."""
        self.ask = ask
        self.asks += 1
        self.tried |= 1 << ask.mode
        self.ever |= 1 << ask.mode

    def has_tried(self, mode: Mode) -> bool:
        """Say whether something was asked since the last mention."""
        return bool(self.tried >> mode & 1)

    def renew(self, mention: Mention) -> None:
        """Take a newer mention; what is under way goes on."""
        self.mention = mention
        self.entry = self.comparison = self.last = self.ended = None
        self.is_prefix = None
        self.tried, self.refused = 0, ()
        self.asks = self.bodiless = 0
        self.differs = False
        self.has_all_bodies = False
        self.is_settled = self.is_counted = self.is_put_off = False


class Settle(NamedTuple):
    """Nothing more is to be had of this log now."""

    clean: bool = True


class Get(NamedTuple):
    """Ask the peer for something."""

    mode: Mode
    args: tuple[int | bytes, ...] = ()
    target: int = 0


class Look(NamedTuple):
    """See whether the peer is merely behind: read the block at which he ends."""


class Compare(NamedTuple):
    """Find out whether the blocks that both hold differ somewhere in these ranges."""

    ranges: tuple[Range, ...]


Step: TypeAlias = Settle | Get | Look | Compare
_CLEAN: Final = Settle()
FAILED: Final = Settle(clean=False)


class Bounds(NamedTuple):
    """Which blocks of a log are wanted at all.

    Attributes:
        low: First seq; what is below it was let go.
        most: How many blocks more may be taken now, or None.
    """

    low: int = 1
    most: int | None = None

    def clip(self, log: Log, theirs: Iterable[Range]) -> tuple[Range, ...]:
        """Return what of ``theirs`` is within them."""
        held = sum(piece.high - piece.low + 1 for piece in log.pieces)
        last = MAX_SEQ if self.most is None else max(self.low - 1, log.head) + self.most
        if self.most is not None and held > log.head:
            last = max(last, log.pieces[-1].high)
        return tuple(
            (max(low, self.low), min(high, last))
            for low, high in theirs
            if high >= self.low and low <= last
        )


UNBOUNDED: Final = Bounds()


def next_step(  # noqa: PLR0911  one line for each thing that may be lacking
    wanted: Wanted,
    log: Log,
    missing: int | None,
    said: tuple[bytes, bytes],
    limits: Limits,
    bounds: Bounds = UNBOUNDED,
) -> Step:
    """Say what to do about a log that does not stand here as it does at the peer.

    Args:
        wanted: What is known of it; its key is.
        log: What is held of it, maybe nothing.
        missing: Lowest seq whose body is wanted and not held.
        said: What this side would say of its evidence, and of its branches.
        limits: Of a meeting.
        bounds: Which blocks of it are wanted.
    """
    mention, entry, (evidence, branches) = wanted.mention, wanted.entry, said
    if mention.evidence not in (b"", evidence) and not wanted.has_tried(Mode.EVIDENCE):
        return Get(Mode.EVIDENCE)
    if not mention.plain and entry is None:
        return FAILED if wanted.has_tried(Mode.ENTRY) else Get(Mode.ENTRY)
    has_other = entry is not None and entry.branches not in (b"", branches)
    if entry is not None and has_other and not wanted.has_tried(Mode.BRANCHES):
        return Get(Mode.BRANCHES) if log.fork == entry.entry.seq else FAILED
    theirs = bounds.clip(log, _theirs(wanted))
    gaps = missing_ranges(log, theirs)
    gaps = [gap for gap in gaps if gap not in wanted.refused]
    if gaps and not wanted.differs:
        return _fetch(wanted, log, gaps, limits)
    if missing is not None and not wanted.has_all_bodies and wanted.ended is None:
        return Get(Mode.BODIES)
    shared = common_ranges(log, theirs)
    if not shared or wanted.comparison is not None or wanted.is_prefix:
        return _after(wanted, log)
    ends_before = mention.plain and mention.seq < log.head and not wanted.differs
    return Look() if ends_before and wanted.is_prefix is None else Compare(shared)


def _after(wanted: Wanted, log: Log) -> Settle:
    """Everything was tried; say whether a difference that was found is explained by a fork."""
    found = wanted.comparison.found if wanted.comparison is not None else None
    if (found or wanted.differs) and (log.fork is None or log.fork > (found or log.fork)):
        return FAILED
    return FAILED if wanted.ended is not None or wanted.is_put_off else _CLEAN


def _theirs(wanted: Wanted) -> tuple[Range, ...]:
    """Return what the peer says it holds."""
    if wanted.entry is None:
        return ((1, wanted.mention.seq),) if wanted.mention.seq else ()
    entry = wanted.entry.entry
    joined = ((1, entry.seq),) if len(entry.ids) == 1 else ()
    return joined + entry.ranges


def lacking(wanted: Wanted, log: Log, bounds: Bounds = UNBOUNDED) -> int:
    """Return how many blocks the peer says it holds that are not held here and could be."""
    theirs = bounds.clip(log, _theirs(wanted))
    return sum(high - low + 1 for low, high in missing_ranges(log, theirs))


def missing_ranges(log: Log, theirs: tuple[Range, ...]) -> list[Range]:
    """Return what of ``theirs`` is not held and could be, ascending."""
    gaps: list[Range] = []
    for low, high in theirs:
        start = low
        end = high if log.fork is None else min(high, log.fork - 1)
        for piece in log.pieces:
            if piece.high < start or piece.low > end:
                continue
            if start < piece.low:
                gaps.append((start, piece.low - 1))
            start = piece.high + 1
        if start <= end:
            gaps.append((start, end))
    return gaps


def common_ranges(log: Log, theirs: tuple[Range, ...]) -> tuple[Range, ...]:
    """Return what both hold, by seq, ascending."""
    both = [
        (max(piece.low, low), min(piece.high, high)) for piece in log.pieces for low, high in theirs
    ]
    return tuple(sorted((low, high) for low, high in both if low <= high))


def _fetch(wanted: Wanted, log: Log, gaps: list[Range], limits: Limits) -> Step:
    """Ask for the newest blocks first where many are missing, then for gap after gap."""
    if wanted.ended is not None:
        return FAILED
    seq, lacking = wanted.mention.seq, sum(high - low + 1 for low, high in gaps)
    low, high = gaps[0]
    if lacking > limits.newest_above and wanted.mention.plain and log.number and gaps[-1][1] == seq:
        low, high = gaps[-1]
        is_long = high - low >= limits.newest + SIGNED_EVERY - 1
        room = len(log.detached) < MAX_DETACHED and not wanted.has_tried(Mode.NEWEST)
        if is_long and room:
            return Get(Mode.NEWEST, (limits.newest,), seq)
        if len(gaps) == 1 or is_long:
            low, high = gaps[0]
    if (low, high) == wanted.last:
        is_forked = log.fork is not None and wanted.entry is not None
        return Get(Mode.BRANCHES) if is_forked and not wanted.has_tried(Mode.BRANCHES) else FAILED
    wanted.last = (low, high)
    tip = next((piece.tip for piece in log.pieces if piece.high == low - 1), b"")
    until = 0 if high == seq and wanted.mention.plain else high
    return Get(Mode.FROM, (low - 1, until, tip), high)
