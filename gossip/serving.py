"""One half of a meeting: answering what the peer asks for, in order of worth.

Blocks are read about a message's worth at a time, of many logs at once, and only when nothing is
ready to be sent; what is urgent is read ahead of what is ready.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from gossip.chunks import cut_chunk
from gossip.control import ID_BYTES, MAX_EVIDENCE, DoneRow, Entries, Ids, Mode, Reason
from gossip.effects import Branches, EnvelopesOf, Spans
from gossip.fair import FairQueue
from gossip.jobs import job_of
from gossip.mail_giving import Errand
from gossip.outlet import Outlet
from gossip.packing import branch_units
from gossip.postal import Leave, Why
from gossip.shipping import Shipping
from gossip.talk import ProtocolError
from gossip.wanted import FETCHED
from gossip.wire import Proofs, Statements, encode_message
from ledger.block import MAX_SEQ
from ledger.store.base import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gossip.control import Credit, EntryRow, Request, Want
    from gossip.effects import Answer
    from gossip.jobs import Job
    from gossip.mailing import Mailing
    from gossip.mentioning import Mentioning
    from gossip.talk import Talk
    from ledger.block import Block
    from ledger.store.base import LogKey

CHUNK_BLOCKS: Final = 192
"""Read at once, for a message or two;"""
CHUNK_BYTES: Final = 130_000
"""fewer where blocks are long,"""
TURN_BLOCKS: Final = 64
"""but so many of a log, among which there is a signature; no more on a slow link."""
URGENT: Final = 1
"""Up to this class nothing waits for what is ready."""
MAX_JOBS: Final = 4
"""Under way for one log; an honest peer asks for one thing of a log at a time."""
UNITS_A_FRAME: Final = 16
"""Where each block has a signature, several make a unit: about so many units fill a frame."""
ENVELOPES_TOGETHER: Final = 4
TOKENS_TOGETHER: Final = 256
_ENTRIES: Final = 64


class Serving:
    """What the peer asked for and has not got.

    Args:
        talk: The session's surroundings.
        mentioned: The logs it was told of.
        mailing: The mail it was offered.

    Attributes:
        outlet: What is ready for it.
    """

    def __init__(self, talk: Talk, mentioned: Mentioning, mailing: Mailing | None = None) -> None:
        self._talk = talk
        self._mailing = mailing
        self._mentioned = mentioned
        self.outlet = Outlet(talk)
        self._queue: FairQueue[Job | Errand] = FairQueue()
        self._jobs: dict[int, int] = {}
        self._is_reading = False
        self._evidence = 0
        self._shipping = Shipping(talk, self.outlet, self._queue)

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
        job = job_of(request, key, self._talk.setting.catalogue.logs.get(key))
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
        if isinstance(job, Errand):
            self._run_errands(job)
            return
        match job.request.mode, job.request.args:
            case _ if job.is_broke:
                self._finish(job, Reason.BUDGET)
            case Mode.EVIDENCE, _:
                self._send_evidence(job)
            case Mode.IDS, (int(low), int(step), int(count)):
                seqs = [low + step * number for number in range(count)]
                spans = [Span(job.key, seq, seq) for seq in seqs if seq <= MAX_SEQ]
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

    # --- mail ---

    def errands(self, errands: Iterable[Errand]) -> None:
        """Take what the peer takes of the mail."""
        for errand in errands:
            self._queue.put(errand.place, errand)
        self.pump()

    def _run_errands(self, first: Errand) -> None:
        """Send a message's worth of envelopes, or of tokens."""
        giving = cast("Mailing", self._mailing).giving
        some, most = [first], TOKENS_TOGETHER if first.is_token else ENVELOPES_TOGETHER
        while len(some) < most and (more := self._queue.take_along(first.rank)) is not None:
            if not isinstance(more, Errand) or more.is_token is not first.is_token:
                self._queue.put_back(more.place, more)
                break
            some.append(more)
        wanted = [errand for errand in some if not giving.is_cancelled(errand)]
        if not wanted:
            return
        if first.is_token:
            frame = giving.token_frame(wanted)
            self._give(wanted, [frame] if frame else [])
        else:
            self._is_reading = True
            idents = tuple(giving.ident(errand) for errand in wanted)
            self._talk.load(EnvelopesOf(idents), lambda answer: self._send_mail(wanted, answer))

    def _send_mail(self, errands: list[Errand], answer: Answer) -> None:
        mailing = cast("Mailing", self._mailing)
        giving = mailing.giving
        for errand, raw in zip(errands, cast("list[bytes]", answer), strict=True):
            frames = giving.frames(errand, raw)
            if frames and self._give([errand], frames, partial(giving.arrived, errand)):
                mailing.keep(giving.given(errand))
        self._have_read()

    def _give(
        self, errands: list[Errand], frames: list[bytes], then: Callable[[], None] | None = None
    ) -> bool:
        """Put frames; say whether there was room for all, and to the peer if there was not."""
        fits = self._shipping.frames(errands[0].place, frames, then)
        if not fits:
            rows = [errand.row for errand in errands]
            self.outlet.end(errands[0].rank, Leave(Why.LATER, rows))
        return fits

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
        most = self._most_blocks
        logs = self._talk.setting.catalogue.logs
        jobs, planned = [job], job.due(logs.get(job.key), TURN_BLOCKS)
        while planned < most:
            more = self._queue.take_along(job.request.rank)
            if more is None:
                break
            if isinstance(more, Errand) or more.request.mode not in FETCHED or more.is_broke:
                self._queue.put_back(more.place, more)
                break
            jobs.append(more)
            planned += more.due(logs.get(more.key), TURN_BLOCKS)
        turn = TURN_BLOCKS if len(jobs) > 1 else most
        spans = [Span(j.key, j.next, min(j.next + turn, j.until + TURN_BLOCKS) - 1) for j in jobs]
        self._load(spans, lambda rows: self._send_chunk(jobs, rows))

    @property
    def _most_blocks(self) -> int:
        """How many blocks are read at once: nothing but what is urgent overtakes them."""
        if self.outlet.pace.is_slow:
            return TURN_BLOCKS
        return max(TURN_BLOCKS, min(CHUNK_BLOCKS, CHUNK_BYTES // self._shipping.mean))

    # --- what was read ---

    def _send_chunk(self, jobs: list[Job], rows: list[list[Block]]) -> None:
        catalogue, together = self._talk.setting.catalogue, self.outlet.pace.size // UNITS_A_FRAME
        units: list[tuple[Job, list[Block]]] = []
        ended: list[tuple[Job, Reason | None]] = []
        unfinished: list[Job] = []
        for job, blocks in zip(jobs, rows, strict=True):
            log, mentioned = catalogue.logs.get(job.key), self._mentioned.seq(job.key)
            chunk = cut_chunk(job, blocks, log, mentioned, self._talk.salt, together)
            units += [(job, unit) for unit in chunk.units]
            if chunk.is_last:
                ended.append((job, chunk.reason))
            else:
                unfinished.append(job)
                self._queue.put_back(job.place, job)
        broke = self._shipping.units(units)
        for job in unfinished:
            job.is_broke = job.request.index in broke
        for job, reason in ended:
            self._finish(job, Reason.BUDGET if job.request.index in broke else reason)
        self._have_read()

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
        fits = self._shipping.bodies(job, rows[0])
        if fits and job.ranges:
            self._queue.put_back(job.place, job)
        else:
            self._finish(job, Reason.ALL if fits else Reason.BUDGET)
        self._have_read()

    def _send_branches(self, job: Job, blocks: list[Block]) -> None:
        log = self._talk.setting.catalogue.logs.get(job.key)
        fork = log.fork if log is not None and log.fork is not None else MAX_SEQ
        trunk = [block for block in blocks if block.header.seq < fork]
        kept = [block for block in blocks if block.header.seq >= fork]
        units = [(job, unit) for unit in branch_units(trunk, kept)]
        broke = self._shipping.units(units)
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
        fits = self._shipping.frames(job.place, map(encode_message, now))
        reason = Reason.ALL if len(now) == len(messages) else Reason.LATER
        self._finish(job, reason if fits else Reason.BUDGET)

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was asked for is left to send."""
        return not (self._queue or self._is_reading) and self.outlet.is_empty
