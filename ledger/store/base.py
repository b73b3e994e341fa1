"""What every store offers: batches in, pages out.

One call handles a batch, never one block. All that ``absorb`` is given is stored in one
transaction or not at all. Nothing here knows what a body means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
    from typing import Unpack

    from ledger.block import Block
    from ledger.chain import Log
    from ledger.fork import ForkProof
    from ledger.run import Run
    from ledger.statement import Revocation

LogKey: TypeAlias = "tuple[bytes, int]"
"""Device key and number of a log."""


MAX_RUNS: Final = 64
"""The newest runs a store remembers."""
MAX_SPAN: Final = 256
"""Seqs that one ``Span`` asks for."""
ROLLED_BACK: Final = "rolled back"
"""Note of a store whose device wrote more than the store held."""


class What(IntEnum):
    """Why a serial number was given."""

    BLOCKS = 0
    BODIES = 1
    JOINED = 2
    VERDICT = 3
    STATEMENT = 4


class Arrival(NamedTuple):
    """Something this store took in, under its local serial number.

    Attributes:
        lsn: Local serial number, from 1, never reused within a store.
        what: Why.
        author: Device key; of a statement, the revoked device.
        log: Which log; 0 for a statement.
        low: First seq concerned; of a verdict, s.
        high: Last seq concerned.
        hops: As the sender claimed.
        seen: When, ms since 1970 by this device's clock; for display only.
    """

    lsn: int
    what: What
    author: bytes
    log: int
    low: int
    high: int
    hops: int
    seen: int


class StoreRun(NamedTuple):
    """A run of a store: what it took in from one opening to the next.

    It begins with the first arrival after the store was opened. A serial number alone may mean
    two things where a store was set back to an old copy of itself; the name tells them apart.

    Attributes:
        run: Its name, 8 bytes.
        first: The first lsn it gave.
        last: The last; of the newest run, the newest lsn of the store.
    """

    run: bytes
    first: int
    last: int


def runs_of(begun: Sequence[tuple[int, bytes]], newest: int) -> list[StoreRun]:
    """Return the runs of a store.

    Args:
        begun: Of each run its first lsn and its name, ascending.
        newest: The newest lsn of the store.
    """
    starts = [first for first, _ in begun] + [newest + 1]
    return [
        StoreRun(run, first, after - 1)
        for (first, run), after in zip(begun, starts[1:], strict=True)
    ]


class Newest(NamedTuple):
    """The last that arrived of a log.

    Attributes:
        lsn: Of the newest arrival of any sort; a statement counts for log 0 of its device.
        hops: Of the newest arrival of blocks, 0 where there was none.
    """

    lsn: int
    hops: int


class Span(NamedTuple):
    """Blocks of one log that are asked for.

    Attributes:
        key: The log.
        low: First seq.
        high: Last seq; what is beyond ``last`` is not looked at.
    """

    key: LogKey
    low: int
    high: int

    @property
    def last(self) -> int:
        """The last seq that is looked at: no span is longer than ``MAX_SPAN``."""
        return min(self.high, self.low + MAX_SPAN - 1)


class Floor(NamedTuple):
    """That blocks of a log were let go for want of room.

    Attributes:
        seq: First seq that was kept; ``NEVER`` where nothing of the log is to be had again.
        rank: The class in which the log counted then; it counts as long as that is its class, or
            a higher number is.
    """

    seq: int
    rank: int


NEVER: Final = 1 << 40


class LateBody(NamedTuple):
    """A body that comes after its header."""

    author: bytes
    log: int
    seq: int
    body: bytes


class MailWhat(IntEnum):
    """What a row of mail is."""

    CARRIED = 0
    LETTER = 1
    EVICTED = 2
    TOKEN = 3


class MailRow(NamedTuple):
    """Something of the mail that a node carries; ``gossip.mail`` says what it means.

    Attributes:
        what: What it is.
        ident: Names it among its like, 32 bytes.
        tag: 16 bytes.
        lock: 32 bytes.
        hops: How often it may be passed on.
        copies: To how many it may.
        until: When its life ends, in seconds of the node's elapsed time.
        depositor: Who brought it.
        content: Its bytes; empty where ``Store.mail`` leaves them out, and where a row is put
            that only changes the rest of one that is held.
    """

    what: MailWhat
    ident: bytes
    tag: bytes = b""
    lock: bytes = b""
    hops: int = 0
    copies: int = 0
    until: int = 0
    depositor: bytes = b""
    content: bytes = b""


class Entry(NamedTuple):
    """A held block as views read it.

    Attributes:
        block: The block; its body may be missing.
        joined: Whether it is in the joined part, which alone weighs.
        hops: How many devices passed it on, as claimed.
        seen: When it arrived, ms since 1970 by this device's clock.
    """

    block: Block
    joined: bool
    hops: int
    seen: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction takes in; everything in it was checked.

    Attributes:
        runs: Vouched blocks.
        bodies: Bodies of blocks that are held, or come in ``runs``.
        proofs: Fork proofs.
        revocations: Person statements.
        notes: Private notes of this node to keep, or (None) to remove.
        mail: Rows of mail to put; one that is held is changed, but for its content.
        mail_drops: What and ident of rows of mail that go, before others are put.
        floors: Logs of which blocks are let go: those below the floor; of a forked log all, and
            what convicts it stays as long as log 0 of the device does. With log 0 of a device
            go all its others, or they stay detached.
        lift: Forget all floors that were before: what was let go may be wanted again.
        own: This node's device, when others bring the batch. If it changes one of the device's
            logs, this store is an old copy of itself; it keeps the note ``ROLLED_BACK``.
    """

    runs: Sequence[Run] = ()
    bodies: Sequence[LateBody] = ()
    proofs: Sequence[ForkProof] = ()
    revocations: Sequence[Revocation] = ()
    notes: Mapping[str, bytes | None] = field(default_factory=dict, repr=False)
    own: bytes | None = None
    mail: Sequence[MailRow] = ()
    mail_drops: Sequence[tuple[MailWhat, bytes]] = ()
    floors: Mapping[LogKey, Floor] = field(default_factory=dict)
    lift: bool = False


@dataclass(slots=True)
class Absorbed:
    """What became of a batch.

    Attributes:
        new: Blocks that were not held.
        known: Blocks that were; one that belongs to no kept branch of a fork is neither.
        bodies: Bodies filled in later.
        forks: Logs whose verdict is new or smaller.
        revoked: Devices about which there is a new statement, or one less.
        grown: Logs that got new blocks.
        refused: Logs and why a run of theirs, or a body, was not taken.
        rolled_back: Whether the batch shows that this store is an old copy of itself.
        logs: Every log whose value changed, as ``Store.logs`` returns it from now on, ascending
            by key: those of a device whose (log 0, seq 1) came, went or was forked, too. Also
            one that is the same but for what is kept of its branches.
        arrivals: All that were given, ascending by lsn.
        run: Name of the store's run that they belong to, 8 bytes; None where there are none.
        devices: Blocks at (log 0, seq 1) that were not held, as far as they came with a body.
        dropped: Logs of which nothing is left.
        floors: Logs of which blocks were let go.
        lifted: Whether all floors that were before were forgotten.
        mail: Rows of mail that were put.
    """

    new: int = 0
    known: int = 0
    bodies: int = 0
    forks: list[LogKey] = field(default_factory=list)
    revoked: list[bytes] = field(default_factory=list)
    grown: list[LogKey] = field(default_factory=list)
    refused: list[tuple[LogKey, str]] = field(default_factory=list)
    rolled_back: bool = False
    logs: dict[LogKey, Log] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    run: bytes | None = None
    devices: list[Block] = field(default_factory=list)
    dropped: list[LogKey] = field(default_factory=list)
    floors: dict[LogKey, Floor] = field(default_factory=dict)
    lifted: bool = False
    mail: Sequence[MailRow] = ()

    @property
    def is_news(self) -> bool:
        """Whether any log is not what it was, or is wanted less."""
        return bool(self.arrivals or self.logs or self.floors or self.lifted)


class Marks(TypedDict, total=False):
    """Some of the marks of a ``Known``."""

    following: bool
    muted: bool
    blocked: bool
    added: bool


class Known(NamedTuple):
    """What this node keeps of a person for itself; nobody else learns it.

    Attributes:
        person: Root key, 32 bytes.
        following: Whether his posts are in the feed.
        muted: Whether they are hidden.
        blocked: Whether what he writes is neither wanted nor passed on.
        added: Whether his devices and this one recognise each other when they meet.
    """

    person: bytes
    following: bool = False
    muted: bool = False
    blocked: bool = False
    added: bool = False

    def marked(self, marks: Marks) -> Known:
        """Return the same with some marks changed."""
        return self._replace(**marks)

    @property
    def is_marked(self) -> bool:
        """Whether there is anything to keep."""
        return self.following or self.muted or self.blocked or self.added


class Store(Protocol):
    """The logs of all devices this node holds, and a little that is private to it."""

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        """Take in a batch, in one transaction.

        Args:
            batch: Checked runs, bodies, proofs and statements, in any order.
            seen: Now, ms since 1970 by this device's clock.
            durable: Return only once it survives a power cut; otherwise it may be lost with what
                came after it, never without.

        Raises:
            StoreError: The disk is full, read-only or broken; nothing of the batch is stored.
        """
        ...

    def listen(self, heard: Callable[[Absorbed], None]) -> None:
        """Call ``heard`` with what became of every batch from now on, in their order.

        It is called when the batch is stored, before anybody reads what it changed, and even if
        whoever brought the batch is cancelled. It must not raise.
        """
        ...

    async def logs(self, keys: Collection[LogKey] | None = None) -> list[Log]:
        """Return the logs held (all, or those among ``keys``), ascending by key."""
        ...

    async def read(self, key: LogKey, low: int, high: int, *, limit: int = 256) -> list[Block]:
        """Return held blocks of the pieces of a log with ``low`` <= seq <= ``high``, ascending."""
        ...

    async def read_spans(self, spans: Sequence[Span]) -> list[list[Block]]:
        """Return for each span, in order, the blocks ``read`` would; none of an unknown log.

        One trip for up to 300 spans. A span gives at most ``MAX_SPAN`` blocks, so what is held
        in memory at once is bounded by the number of spans.
        """
        ...

    async def bodiless(self, key: LogKey, *, limit: int = 256) -> list[int]:
        """Return the lowest seqs of a log's pieces whose body is not held, ascending.

        It costs next to nothing where the log lacks no body.
        """
        ...

    def devices(self, *, page: int = 512) -> AsyncIterator[list[Block]]:
        """Yield the blocks held at (log 0, seq 1) in pieces, ascending by device key."""
        ...

    async def branches(self, key: LogKey) -> list[Block]:
        """Return the blocks kept from a fork on, by seq and id; see ``ledger.chain.grow``."""
        ...

    async def find(self, prefix: bytes) -> list[Block]:
        """Return the 16 smallest ids' held blocks whose id begins with ``prefix`` (>= 4 bytes)."""
        ...

    def entries(
        self, log: int | None = None, *, kinds: Collection[str] | None = None, page: int = 512
    ) -> AsyncIterator[list[Entry]]:
        """Yield entries log by log, by seq; what is kept of forked logs from the fork on, last.

        Args:
            log: Those of logs numbered so; None for any.
            kinds: Those of these kinds; None for any.
            page: At most how many at once.
        """
        ...

    async def arrivals(self, before: int | None = None, *, limit: int = 512) -> list[Arrival]:
        """Return arrivals with lsn below ``before`` (None: the newest), newest first."""
        ...

    async def newest(self) -> dict[LogKey, Newest]:
        """Return the last that arrived of every log that anything arrived of."""
        ...

    async def runs(self) -> list[StoreRun]:
        """Return the newest ``MAX_RUNS`` runs of this store, ascending.

        A run that was begun but gave no lsn yet is none.
        """
        ...

    async def proofs(self, keys: Collection[LogKey] | None = None) -> list[ForkProof]:
        """Return one proof a forked log (all, or those among ``keys``), ascending by key."""
        ...

    async def revocations(self, devices: Collection[bytes] | None = None) -> list[Revocation]:
        """Return the person statements held (all, or about ``devices``), by person and device."""
        ...

    async def known(self) -> list[Known]:
        """Return the persons of whom this node keeps any mark, ascending."""
        ...

    async def mark(self, person: bytes, **marks: Unpack[Marks]) -> Known:
        """Change marks of a person, all at once; return what was kept of him before. Durable."""
        ...

    async def note(self, name: str) -> bytes | None:
        """Return a private note of this node, e.g. that it was rolled back."""
        ...

    async def notes(self, names: Collection[str]) -> dict[str, bytes]:
        """Return those of at most 500 notes that there are, by name; in one go."""
        ...

    async def set_note(self, name: str, value: bytes | None, *, durable: bool = True) -> None:
        """Keep or remove (None) a private note.

        Where it is not ``durable``, a power cut may take it back, and never one from before it.
        """
        ...

    async def mail(self) -> list[MailRow]:
        """Return all rows of mail, by what and ident; of tokens alone with their content."""
        ...

    async def mail_sizes(self) -> dict[bytes, int]:
        """Return the bytes of each envelope carried, ascending by ident; none of them is read."""
        ...

    async def envelopes(self, idents: Sequence[bytes]) -> list[bytes]:
        """Return the envelopes carried or kept as letters; nothing in place of one not held."""
        ...

    async def floors(self) -> dict[LogKey, Floor]:
        """Return the logs of which blocks were let go."""
        ...

    async def size(self) -> int:
        """Return the bytes of all headers, bodies and fork proofs."""
        ...

    async def check(self) -> list[str]:
        """Verify everything again; return what is wrong, one line each."""
        ...

    async def close(self) -> None:
        """Finish; safe to call twice."""
        ...
