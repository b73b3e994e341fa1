"""One half of a meeting: answering what the peer asks for, in order of worth.

Blocks are read about a message's worth at a time, of many logs at once, and only when nothing is
ready to be sent; what is urgent is read ahead of what is ready.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from gossip.chunks import cut_chunk
from gossip.control import ID_BYTES, MAX_EVIDENCE, DoneRow, Entries, Ids, Mode, Reason
from gossip.effects import Branches, Spans
from gossip.fair import FairQueue, Place
from gossip.outlet import Outlet
from gossip.packing import (
    BODY_OVERHEAD_BYTES,
    FRAME_OVERHEAD_BYTES,
    Packer,
    branch_units,
    pack_bodies,
    unit_bytes,
)
from gossip.talk import ProtocolError
from gossip.wanted import FETCHED, common_ranges
from gossip.wire import Proofs, Statements, encode_message
from ledger.run import SIGNED_EVERY
from ledger.store.base import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gossip.control import Credit, EntryRow, Request, Want
    from gossip.mentioning import Mentioning
    from gossip.talk import Talk
    from ledger.block import Block
    from ledger.store.base import LogKey

CHUNK_BLOCKS: Final = 192
"""Read at once, for a message or two;"""
CHUNK_BYTES: Final = 130_000
"""fewer where blocks are long,"""
TURN_BLOCKS: Final = 64
"""but so many of a log, among which there is a signature."""
URGENT: Final = 1
"""Up to this class nothing waits for what is ready."""
MAX_JOBS: Final = 4
"""Under way for one log; an honest peer asks for one thing of a log at a time."""
_LAST: Final = (1 << 40) - 1
_ENTRIES: Final = 64


@dataclass(slots=True)
class Job:
    """A request being answered.

    Attributes:
        request: What was asked.
        key: Of which log.
        next: Seq of the next block to send.
        until: Last seq wanted; what vouches for it comes along.
        ident: Beginning of the id that the peer holds at ``next`` - 1, until that was compared.
        ranges: Bodies still to be sent.
        is_broke: Whether the budget had no room for it.
    """

    request: Request
    key: LogKey
    next: int = 1
    until: int = _LAST
    ident: bytes = b""
    ranges: list[tuple[int, int]] = field(default_factory=list)
    is_broke: bool = False

    @property
    def place(self) -> Place:
        """Where it waits."""
        is_older = self.request.mode is not Mode.NEWEST and self.key[1] != 0
        return Place(self.request.rank, is_older, self.key[0])


class Serving:
    """What the peer asked for and has not got.

    Args:
        talk: The session's surroundings.
        mentioned: The logs it was told of.

    Attributes:
        outlet: What is ready for it.
    """

    def __init__(self, talk: Talk, mentioned: Mentioning) -> None:
        self._talk = talk
        self._mentioned = mentioned
        self.outlet = Outlet(talk)
        self._queue: FairQueue[Job] = FairQueue()
        self._jobs: dict[int, int] = {}
        self._is_reading = False
        self._evidence = 0
        self._mean = 400

    def credit(self, message: Credit) -> None:
        """Take more room."""
        self.outlet.credit(message.total)
        self.pump()

    def sent(self) -> None:
        """Note that the link has taken a frame of bulk."""
        self.outlet.sent()
        self.pump()

    # --- requests ---

    def want(self, message: Want) -> None:
        """Take requests."""
        entries: list[EntryRow] = []
        for request in message.requests:
            key = self._mentioned.asked(request.index)
            if not self._talk.may_offer(self._talk.setting.catalogue.scope(key)):
                self.outlet.end_now(DoneRow(request.index, request.mode, Reason.ALL))
            elif request.mode is Mode.ENTRY:
                entries.append(self._mentioned.entry(request.index))
            else:
                self._enqueue(request, key)
        for at in range(0, len(entries), _ENTRIES):
            self._talk.send(Entries(entries[at : at + _ENTRIES]))
        self.pump()

    def _enqueue(self, request: Request, key: LogKey) -> None:
        if self._jobs.get(request.index, 0) >= MAX_JOBS:
            raise ProtocolError("the same log asked for again and again")
        self._jobs[request.index] = self._jobs.get(request.index, 0) + 1
        job = Job(request, key)
        match request.mode, request.args:
            case Mode.FROM | Mode.HEADERS, (int(seq), int(until), bytes(ident)):
                job.next, job.until, job.ident = seq + 1, until or _LAST, ident
            case Mode.NEWEST, (int(count),):
                log = self._talk.setting.catalogue.logs.get(key)
                job.next = _behind_a_signature((log.head if log is not None else 0) - count + 1)
            case Mode.BODIES, ends:
                seqs = cast("tuple[int, ...]", ends)
                wished = list(zip(seqs[::2], seqs[1::2], strict=True))
                log = self._talk.setting.catalogue.logs.get(key)
                job.ranges = list(common_ranges(log, tuple(wished))) if log is not None else []
            case _:
                pass
        self._queue.put(job.place, job)

    def _finish(self, job: Job, reason: Reason | None) -> None:
        """End a job; None where the peer sees by itself that it is done."""
        index = job.request.index
        self._jobs[index] -= 1
        if not self._jobs[index]:
            del self._jobs[index]
        if reason is not None:
            self.outlet.end(job.request.rank, DoneRow(index, job.request.mode, reason))

    # --- reading ---

    def pump(self) -> None:
        """Send what may be sent, and read what comes next."""
        self.outlet.pump()
        while not self._is_reading and self._may_read():
            self._begin_next()
            self.outlet.pump()

    def _may_read(self) -> bool:
        """Nothing is read ahead of what is ready, but for what is urgent."""
        ready, waiting = self.outlet.rank, self._queue.rank
        return waiting is not None and (ready is None or waiting <= URGENT < ready)

    def _begin_next(self) -> None:
        taken = self._queue.take()
        if taken is None:
            return
        _, job = taken
        match job.request.mode, job.request.args:
            case _ if job.is_broke:
                self._finish(job, Reason.BUDGET)
            case Mode.EVIDENCE, _:
                self._send_evidence(job)
            case Mode.IDS, (int(low), int(step), int(count)):
                seqs = [low + step * number for number in range(count)]
                spans = [Span(job.key, seq, seq) for seq in seqs if seq <= _LAST]
                self._load(spans, lambda rows: self._send_ids(job, rows))
            case Mode.BODIES, _:
                self._read_bodies(job)
            case Mode.BRANCHES, _:
                self._is_reading = True
                self._talk.load(
                    Branches(job.key),
                    lambda blocks: self._send_branches(job, cast("list[Block]", blocks)),
                )
            case _:
                self._read_chunk(job)

    def _read_bodies(self, job: Job) -> None:
        if not job.ranges:
            self._finish(job, Reason.ALL)
            return
        low, high = job.ranges.pop(0)
        end = min(high, low + TURN_BLOCKS - 1)
        if end < high:
            job.ranges.insert(0, (end + 1, high))
        self._load([Span(job.key, low, end)], lambda rows: self._send_bodies(job, rows))

    def _load(self, spans: Iterable[Span], then: Callable[[list[list[Block]]], None]) -> None:
        self._is_reading = True
        self._talk.load(Spans(tuple(spans)), lambda rows: then(cast("list[list[Block]]", rows)))

    def _read_chunk(self, job: Job) -> None:
        """Read the next blocks of as many logs of one class as fill a message."""
        most = max(TURN_BLOCKS, min(CHUNK_BLOCKS, CHUNK_BYTES // self._mean))
        jobs, planned = [job], self._due(job)
        while planned < most:
            more = self._queue.take_along(job.request.rank)
            if more is None:
                break
            if more.request.mode not in FETCHED or more.is_broke:
                self._queue.put_back(more.place, more)
                break
            jobs.append(more)
            planned += self._due(more)
        turn = TURN_BLOCKS if len(jobs) > 1 else most
        spans = [Span(j.key, j.next, min(j.next + turn, j.until + TURN_BLOCKS) - 1) for j in jobs]
        self._load(spans, lambda rows: self._send_chunk(jobs, rows))

    def _due(self, job: Job) -> int:
        """Return about how many blocks a turn of ``job`` brings."""
        log = self._talk.setting.catalogue.logs.get(job.key)
        high = log.pieces[-1].high if log is not None and log.pieces else job.next
        return max(1, min(TURN_BLOCKS, high - job.next + 1, job.until - job.next + TURN_BLOCKS))

    # --- what was read ---

    def _send_chunk(self, jobs: list[Job], rows: list[list[Block]]) -> None:
        catalogue = self._talk.setting.catalogue
        units: list[tuple[Job, list[Block]]] = []
        ended: list[tuple[Job, Reason | None]] = []
        unfinished: list[Job] = []
        for job, blocks in zip(jobs, rows, strict=True):
            log, mentioned = catalogue.logs.get(job.key), self._mentioned.seq(job.key)
            chunk = cut_chunk(job, blocks, log, mentioned, self._talk.salt)
            units += [(job, unit) for unit in chunk.units]
            if chunk.is_last:
                ended.append((job, chunk.reason))
            else:
                unfinished.append(job)
                self._queue.put_back(job.place, job)
        broke = self._send_units(units)
        for job in unfinished:
            job.is_broke = job.request.index in broke
        for job, reason in ended:
            self._finish(job, Reason.BUDGET if job.request.index in broke else reason)
        self._have_read()

    def _send_units(self, units: Sequence[tuple[Job, list[Block]]]) -> set[int]:
        """Make frames of ``units``, all of one class; return the logs the budget had no room for.

        Of a unit that does not fit headers go, and as many bodies as do: the rest comes next time.
        """
        packer, broke = Packer(self._talk.frame), set[int]()
        rank = units[0][0].request.rank if units else 0
        spent: dict[Place, int] = {}
        left = self.outlet.left
        for job, unit in units:
            if job.request.index in broke:
                continue
            size = unit_bytes(unit, self._talk.frame)
            if left is not None and size > left:
                broke.add(job.request.index)
                unit, size = _what_fits(unit, left)  # noqa: PLW2901
            if not unit:
                continue
            left = None if left is None else left - size
            spent[job.place] = spent.get(job.place, 0) + size
            self._mean = (7 * self._mean + size // len(unit)) // 8
            for frame in packer.add(unit, self._talk.setting.catalogue.hops(job.key)):
                self.outlet.put(rank, frame)
        for frame in packer.flush():
            self.outlet.put(rank, frame)
        for place, size in spent.items():
            self._queue.spend(place, size)
        self._talk.counts.blocks_out += packer.blocks
        self.outlet.is_spent |= bool(broke)
        return broke

    def _send_frames(self, job: Job, frames: Iterable[bytes]) -> bool:
        """Put frames of one request; say whether the budget had room for all."""
        for frame in frames:
            left = self.outlet.left
            if left is not None and len(frame) > left:
                self.outlet.is_spent = True
                return False
            self._queue.spend(job.place, len(frame))
            self.outlet.put(job.request.rank, frame)
        return True

    def _have_read(self) -> None:
        self._is_reading = False
        self.pump()

    def _send_ids(self, job: Job, rows: list[list[Block]]) -> None:
        low, step, _ = cast("tuple[int, int, int]", job.request.args)
        salt = self._talk.salt
        held = b"".join(salt.ident(row[0].id, ID_BYTES) if row else b"" for row in rows)
        self._talk.send(Ids(job.request.index, low, step, held))
        self._finish(job, None)
        self._have_read()

    def _send_bodies(self, job: Job, rows: list[list[Block]]) -> None:
        left = self.outlet.left
        room = self._talk.frame if left is None else min(self._talk.frame, left)
        room = max(room - FRAME_OVERHEAD_BYTES, 1)
        fits = self._send_frames(job, pack_bodies(rows[0], room))
        if fits and job.ranges:
            self._queue.put_back(job.place, job)
        else:
            self._finish(job, Reason.ALL if fits else Reason.BUDGET)
        self._have_read()

    def _send_branches(self, job: Job, blocks: list[Block]) -> None:
        log = self._talk.setting.catalogue.logs.get(job.key)
        fork = log.fork if log is not None and log.fork is not None else _LAST
        trunk = [block for block in blocks if block.header.seq < fork]
        kept = [block for block in blocks if block.header.seq >= fork]
        units = [(job, unit) for unit in branch_units(trunk, kept)]
        broke = self._send_units(units)
        self._finish(job, Reason.BUDGET if broke else Reason.ALL)
        self._have_read()

    def _send_evidence(self, job: Job) -> None:
        catalogue = self._talk.setting.catalogue
        messages: list[Statements | Proofs] = []
        if job.key in catalogue.proofs:
            messages.append(Proofs([catalogue.proofs[job.key].encode()]))
        if job.key[1] == 0:
            statements = catalogue.statements(job.key[0])
            messages += [Statements([(s.raw, s.signature)]) for s in statements]
        room = MAX_EVIDENCE - self._evidence
        now = messages[: max(room, 0)]
        self._evidence += len(now)
        fits = self._send_frames(job, map(encode_message, now))
        reason = Reason.ALL if len(now) == len(messages) else Reason.LATER
        self._finish(job, reason if fits else Reason.BUDGET)

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was asked for is left to send."""
        return not (self._queue or self._is_reading) and self.outlet.is_empty


def _what_fits(unit: list[Block], room: int) -> tuple[list[Block], int]:
    """Return a unit without the bodies that do not fit into ``room`` bytes, and its size.

    Nothing if not even the headers do.
    """
    bare = [block._replace(body=None) for block in unit]
    size = unit_bytes(bare, room)
    if size > room:
        return [], 0
    for at, block in enumerate(unit):
        size += len(block.body or b"") + 2 * BODY_OVERHEAD_BYTES
        if size > room:
            return [*unit[:at], *bare[at:]], room
    return unit, size


def _behind_a_signature(seq: int) -> int:
    """Return where the newest blocks begin: what is before them can then come without them."""
    return max(seq - 1, 0) // SIGNED_EVERY * SIGNED_EVERY + 1
