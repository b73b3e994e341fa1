"""One half of a meeting: sending what the peer asked for, in order of worth, as room allows.

Blocks are read a message's worth at a time, of many logs at once. At most two frames wait in the
link, so that what is urgent waits for little; how much may be sent at all is for the peer to say
(CREDIT), and for the byte budgets of both.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from gossip.chunks import cut_chunk
from gossip.control import ID_BYTES, Done, DoneRow, Entries, Ids, Mode, Reason
from gossip.effects import Branches, Spans
from gossip.fair import FairQueue, Place
from gossip.packing import Packer, block_bytes, branch_units, pack_bodies
from gossip.talk import ProtocolError
from gossip.wanted import FETCHED
from gossip.wire import Proofs, Statements, encode_message
from ledger.run import SIGNED_EVERY
from ledger.store.base import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gossip.control import Credit, EntryRow, Request, Want
    from gossip.mentioning import Mentioning
    from gossip.talk import Talk
    from ledger.block import Block
    from ledger.store.base import LogKey

CHUNK_BLOCKS: Final = 192
"""Read at once, for a message or a few."""
TURN_BLOCKS: Final = 64
"""Of one log in a chunk where others wait; among any so many there is a signature."""
FRAMES: Final = 2
"""Waiting in the link."""
MAX_JOBS: Final = 4
"""Under way for one log; an honest peer asks for one thing of a log at a time."""
_LAST: Final = (1 << 40) - 1
_ENTRIES: Final = 128


@dataclass(slots=True)
class Job:
    """A request being answered.

    Attributes:
        request: What was asked.
        key: Of which log.
        next: Seq of the next block to send.
        until: Last seq wanted; what vouches for it comes along.
        ident: Beginning of the id that the peer holds at ``next`` - 1, until that was compared.
    """

    request: Request
    key: LogKey
    next: int = 1
    until: int = _LAST
    ident: bytes = b""

    @property
    def place(self) -> Place:
        """Where it waits."""
        return Place(self.request.rank, self.request.mode is not Mode.NEWEST, self.key[0])


def _behind_a_signature(seq: int) -> int:
    """Return where the newest blocks begin: what is before them can then come without them."""
    return max(seq - 1, 0) // SIGNED_EVERY * SIGNED_EVERY + 1


class _Out(NamedTuple):
    """A frame to be sent; or the end of a request, which must not overtake the frames before.

    An end that the peer can see by itself is only said if the budget takes its frames away.
    """

    frame: bytes
    blocks: int
    done: DoneRow | None = None
    is_unsaid: bool = False


class Serving:
    """What the peer asked for and has not got.

    Args:
        talk: The session's surroundings.
        mentioned: The logs it was told of.

    Attributes:
        is_spent: Whether a byte budget is.
    """

    def __init__(self, talk: Talk, mentioned: Mentioning) -> None:
        self._talk = talk
        self._mentioned = mentioned
        self._queue: FairQueue[Job] = FairQueue()
        self._jobs: dict[int, int] = {}
        self._ready: deque[_Out] = deque()
        self._dones: list[DoneRow] = []
        self._granted = 0
        self._budget: int | None = None
        self._sent = 0
        self._in_link = 0
        self._is_reading = False
        self._evidence = 0
        self._starved_since: float | None = None
        self.is_spent = False

    def begin(self, window: int, budget: int | None) -> None:
        """Take from the peer's HELLO how much it takes."""
        ours = self._talk.setting.policy.limits.send
        self._granted = window
        self._budget = min((b for b in (budget, ours) if b is not None), default=None)

    def credit(self, message: Credit) -> None:
        """Take more room; what was given is never taken back."""
        self._granted = max(self._granted, message.total)
        self.pump()

    def sent(self) -> None:
        """Note that the link has taken a frame of bulk."""
        self._in_link -= 1
        self.pump()

    # --- requests ---

    def want(self, message: Want) -> None:
        """Take requests."""
        entries: list[EntryRow] = []
        for request in message.requests:
            key = self._mentioned.key(request.index)
            if not self._talk.may_offer(self._talk.setting.catalogue.scope(key)):
                self._dones.append(DoneRow(request.index, request.mode, Reason.ALL))
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
        if self.is_spent and request.mode is not Mode.IDS:
            self._dones.append(DoneRow(request.index, request.mode, Reason.BUDGET))
            return
        self._jobs[request.index] = self._jobs.get(request.index, 0) + 1
        job = Job(request, key)
        match request.mode, request.args:
            case Mode.FROM | Mode.HEADERS, (int(seq), int(until), bytes(ident)):
                job.next, job.until, job.ident = seq + 1, until or _LAST, ident
            case Mode.NEWEST, (int(count),):
                log = self._talk.setting.catalogue.logs.get(key)
                job.next = _behind_a_signature((log.head if log is not None else 0) - count + 1)
            case _:
                pass
        self._queue.put(job.place, job)

    def _finish(self, job: Job, reason: Reason | None) -> None:
        """End a job; None where the peer sees by itself that it is done."""
        index = job.request.index
        self._jobs[index] -= 1
        if not self._jobs[index]:
            del self._jobs[index]
        row = DoneRow(index, job.request.mode, reason or Reason.ALL)
        self._ready.append(_Out(b"", 0, row, is_unsaid=reason is None))

    # --- sending ---

    def pump(self) -> None:
        """Send what may be sent, and read what comes next."""
        self._send_ready()
        while self._queue and not self._is_reading and not self._ready:
            self._begin_next()
            self._send_ready()
        if self._dones:
            rows, self._dones = self._dones, []
            self._talk.send(Done(rows))

    def _send_ready(self) -> None:
        while self._ready:
            out = self._ready[0]
            if out.done is not None:
                self._dones += [] if out.is_unsaid else [out.done]
            elif not self._may_send(len(out.frame)):
                return
            else:
                self._send(out)
            if self._ready:
                self._ready.popleft()

    def _may_send(self, size: int) -> bool:
        if self._budget is not None and self._sent + size > self._budget:
            self._spend_all()
            return False
        if self._sent + size > self._granted:
            if self._starved_since is None:
                self._starved_since = self._talk.now
            return False
        return self._in_link < FRAMES

    def _send(self, out: _Out) -> None:
        if self._dones:
            rows, self._dones = self._dones, []
            self._talk.send(Done(rows))
        self._starved_since = None
        self._sent += len(out.frame)
        self._in_link += 1
        self._talk.counts.blocks_out += out.blocks
        self._talk.send_frame(out.frame, bulk=True)

    def _spend_all(self) -> None:
        """End everything: the budget is spent."""
        self.is_spent = True
        self._starved_since = None
        while (taken := self._queue.take()) is not None:
            self._finish(taken[1], Reason.BUDGET)
        ends = [out.done for out in self._ready if out.done is not None]
        self._ready.clear()
        self._dones += [replace(row, reason=Reason.BUDGET) for row in ends]

    # --- reading ---

    def _begin_next(self) -> None:
        taken = self._queue.take()
        if taken is None:
            return
        _, job = taken
        match job.request.mode, job.request.args:
            case Mode.EVIDENCE, _:
                self._send_evidence(job)
            case Mode.IDS, (int(low), int(step), int(count)):
                seqs = [low + step * number for number in range(count)]
                spans = [Span(job.key, seq, seq) for seq in seqs if seq <= _LAST]
                self._load(spans, lambda rows: self._send_ids(job, rows))
            case Mode.BODIES, ends:
                ranges = cast("tuple[int, ...]", ends)
                pairs = zip(ranges[::2], ranges[1::2], strict=True)
                spans = [Span(job.key, low, high) for low, high in pairs]
                self._load(spans, lambda rows: self._send_bodies(job, rows))
            case Mode.BRANCHES, _:
                self._is_reading = True
                self._talk.load(
                    Branches(job.key),
                    lambda blocks: self._send_branches(job, cast("list[Block]", blocks)),
                )
            case _:
                self._read_chunk(job)

    def _load(self, spans: Iterable[Span], then: Callable[[list[list[Block]]], None]) -> None:
        self._is_reading = True
        self._talk.load(Spans(tuple(spans)), lambda rows: then(cast("list[list[Block]]", rows)))

    def _have_read(self) -> Packer:
        self._is_reading = False
        return Packer(self._talk.frame)

    def _put(self, job: Job, frames: Iterable[bytes], blocks: int = 0) -> None:
        for frame in frames:
            self._ready.append(_Out(frame, blocks))
            self._queue.spend(job.place, len(frame))

    def _read_chunk(self, job: Job) -> None:
        """Read the next blocks of as many logs of one class as fill a message."""
        jobs, planned = [job], self._left(job)
        while planned < CHUNK_BLOCKS:
            more = self._queue.take(job.request.rank)
            if more is None:
                break
            if more[1].request.mode not in FETCHED:
                self._queue.put(more[1].place, more[1])
                break
            jobs.append(more[1])
            planned += self._left(more[1])
        turn = TURN_BLOCKS if len(jobs) > 1 else CHUNK_BLOCKS
        spans = [Span(j.key, j.next, min(j.next + turn, j.until + TURN_BLOCKS) - 1) for j in jobs]
        self._load(spans, lambda rows: self._send_chunk(jobs, rows))

    def _left(self, job: Job) -> int:
        log = self._talk.setting.catalogue.logs.get(job.key)
        high = log.pieces[-1].high if log is not None and log.pieces else job.next
        return max(1, min(TURN_BLOCKS, min(high, job.until) - job.next + 1))

    def _send_chunk(self, jobs: list[Job], rows: list[list[Block]]) -> None:
        packer, catalogue = self._have_read(), self._talk.setting.catalogue
        frames: list[bytes] = []
        ended: list[tuple[Job, Reason | None]] = []
        for job, blocks in zip(jobs, rows, strict=True):
            chunk = cut_chunk(
                job, blocks, catalogue.logs.get(job.key), self._mentioned.seq(job.key)
            )
            for unit in chunk.units:
                frames += packer.add(unit, catalogue.hops(job.key))
                self._queue.spend(job.place, sum(map(block_bytes, unit)))
            if chunk.is_last:
                ended.append((job, chunk.reason))
            else:
                self._queue.put(job.place, job)
        frames += packer.flush()
        self._talk.counts.blocks_out += packer.blocks
        self._ready += [_Out(frame, 0) for frame in frames]
        for job, reason in ended:
            self._finish(job, reason)
        self.pump()

    def _send_ids(self, job: Job, rows: list[list[Block]]) -> None:
        self._have_read()
        low, step, _ = cast("tuple[int, int, int]", job.request.args)
        held = b"".join(blocks[0].id[:ID_BYTES] if blocks else b"" for blocks in rows)
        self._talk.send(Ids(job.request.index, low, step, held))
        self._finish(job, None)
        self.pump()

    def _send_bodies(self, job: Job, rows: list[list[Block]]) -> None:
        self._have_read()
        blocks = [block for row in rows for block in row]
        self._put(job, pack_bodies(blocks, self._talk.frame))
        self._finish(job, Reason.ALL)
        self.pump()

    def _send_branches(self, job: Job, blocks: list[Block]) -> None:
        packer = self._have_read()
        log = self._talk.setting.catalogue.logs.get(job.key)
        fork = log.fork if log is not None and log.fork is not None else _LAST
        trunk = [block for block in blocks if block.header.seq < fork]
        kept = [block for block in blocks if block.header.seq >= fork]
        for unit in branch_units(trunk, kept):
            self._put(job, packer.add(unit, self._talk.setting.catalogue.hops(job.key)))
        self._put(job, packer.flush())
        self._talk.counts.blocks_out += packer.blocks
        self._finish(job, Reason.ALL)
        self.pump()

    def _send_evidence(self, job: Job) -> None:
        catalogue = self._talk.setting.catalogue
        messages: list[Statements | Proofs] = []
        if job.key in catalogue.proofs:
            messages.append(Proofs([catalogue.proofs[job.key].encode()]))
        if job.key[1] == 0:
            statements = catalogue.statements(job.key[0])
            messages += [Statements([(s.raw, s.signature)]) for s in statements]
        room = self._talk.setting.policy.limits.evidence - self._evidence
        now = messages[: max(room, 0)]
        self._evidence += len(now)
        self._put(job, map(encode_message, now))
        self._finish(job, Reason.ALL if len(now) == len(messages) else Reason.LATER)

    # --- its end ---

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was asked for is left to send."""
        return not (self._queue or self._is_reading or self._ready or self._in_link)

    @property
    def starved_since(self) -> float | None:
        """Since when frames wait for the peer's credit."""
        return self._starved_since
