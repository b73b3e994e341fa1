"""One half of a meeting: what the peer told, and what is asked of it because of that.

Every log that was mentioned is looked at again whenever something changes, until it stands here as
it does there or nothing more can be done (``gossip.wanted``). At most one request is under way for
each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from gossip.comparison import Comparison
from gossip.control import (
    ID_BYTES,
    IDENT_BYTES,
    MAX_BODY_RANGES,
    MIN_FRAME_BYTES,
    Mode,
    Reason,
    Request,
    Want,
)
from gossip.effects import Bodiless, Spans
from gossip.inbox import Inbox
from gossip.policy import EVIDENCE_CLASS, REST_CLASS
from gossip.reading import Reading
from gossip.receiving import Receiving
from gossip.standing import standing_at
from gossip.talk import SilentError
from gossip.told import Told
from gossip.wanted import FETCHED, Ask, Compare, Get, Look, Settle, Wanted, lacking, next_step
from ledger.chain import Log
from ledger.store.base import Span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.control import Done, Entries, Ids, Mention
    from gossip.effects import Answer
    from gossip.talk import Talk
    from gossip.wire import Bulk
    from ledger.block import Block
    from ledger.store.base import Absorbed, LogKey

_CLAIMED: Final = FETCHED | {Mode.BODIES, Mode.BRANCHES}
_AFTER: Final = (Mode.FROM, Mode.HEADERS)
_REQUEST_BYTES: Final = 16
_ARG_BYTES: Final = 9


class Pulling:
    """What the peer told, and what becomes of it.

    Args:
        talk: The session's surroundings.

    Attributes:
        told: The logs it mentioned.
        inbox: What came of them.
        reading: Its pages.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.told = Told(talk)
        self.inbox = Inbox(talk, self._stored)
        self.reading = Reading(talk, self.told)
        self._receiving = Receiving(talk, self.told, self.inbox)
        self._asked: dict[int, Wanted] = {}
        self._retries: dict[int, Wanted] = {}
        self._held_back: dict[bytes, list[Wanted]] = {}
        self._begun: dict[bytes, set[int]] = {}
        self._after: dict[int, list[Wanted]] = {}
        self._requests: list[Request] = []
        self._looks: list[tuple[Wanted, Mention]] = []
        self._heard = 0.0
        self._retry_at: float | None = None

    def consider_all(self, logs: Iterable[Wanted]) -> None:
        """Look at logs that were just mentioned."""
        for wanted in logs:
            self._consider(wanted)

    def reconsider(self, keys: Iterable[LogKey]) -> None:
        """Look again at logs that changed here."""
        for key in keys:
            wanted = self.told.by_key.get(key)
            if wanted is not None:
                self._consider(wanted)

    def _consider(self, wanted: Wanted) -> None:
        if wanted.is_settled or wanted.is_looking:
            return
        if wanted.ask is not None and not self._has_come(wanted):
            return
        wanted.retry = None
        self._retries.pop(wanted.index, None)
        if wanted.asks >= self._talk.setting.policy.limits.asks:
            self._settle(wanted, clean=False)
        elif wanted.key is None:
            self._get(wanted, Get(Mode.ENTRY), EVIDENCE_CLASS)
        else:
            self._consider_log(wanted, wanted.key)

    def _consider_log(self, wanted: Wanted, key: LogKey) -> None:
        setting = self._talk.setting
        person = setting.catalogue.person(key[0])
        rank = setting.policy.rank(key, person)
        is_too_much = rank is not None and self._is_too_much(key, rank)
        if (is_too_much or setting.policy.cares) and self._awaits_device(key):
            self._held_back.setdefault(key[0], []).append(wanted)
        elif rank is None or is_too_much:
            self._decline(wanted, key)
        else:
            self._go_on(wanted, key, rank)

    def _go_on(self, wanted: Wanted, key: LogKey, rank: int) -> None:
        """Do what is next for a log that is wanted."""
        setting, salt = self._talk.setting, self._talk.salt
        mine = setting.catalogue.standing(key)
        check, said, missing = b"", (b"", b""), None
        if mine is not None:
            check, said = salt.check(mine), (salt.evidence(mine), salt.branches(mine))
            missing = mine.entry.missing
        if (check, said[0]) == (wanted.mention.check, wanted.mention.evidence):
            self._settle(wanted, clean=True)
            return
        if wanted.comparison is not None and self._compare(wanted, rank):
            return
        log = setting.catalogue.logs.get(key) or Log(*key)
        match next_step(wanted, log, missing, said, setting.policy.limits):
            case Settle(clean):
                self._settle(wanted, clean=clean)
            case Look():
                wanted.is_looking = True
                self._looks.append((wanted, wanted.mention))
            case Compare(ranges):
                wanted.comparison = Comparison(list(ranges))
                self._compare(wanted, rank)
            case Get() as get:
                self._get(wanted, get, rank)

    def _is_too_much(self, key: LogKey, rank: int) -> bool:
        """Whether a stranger writes more logs than anybody needs."""
        catalogue, limits = self._talk.setting.catalogue, self._talk.setting.policy.limits
        if rank < REST_CLASS or key in catalogue.logs:
            return False
        begun = self._begun.setdefault(key[0], set())
        if key[1] not in begun and len(begun | catalogue.numbers(key[0])) >= limits.logs:
            return True
        begun.add(key[1])
        return False

    def _decline(self, wanted: Wanted, key: LogKey) -> None:
        """Leave a log, unless it may turn out to be of somebody who matters."""
        policy, catalogue = self._talk.setting.policy, self._talk.setting.catalogue
        if policy.is_open(key, catalogue.person(key[0])):
            if self._awaits_device(key):
                self._held_back.setdefault(key[0], []).append(wanted)
                return
            if key[1] == 0 and not wanted.has_tried(Mode.FROM):
                self._get(wanted, Get(Mode.FROM, (0, 1, b""), 1), REST_CLASS)
                return
        is_open = policy.is_open(key, catalogue.person(key[0]))
        self._settle(wanted, clean=not is_open)

    def _awaits_device(self, key: LogKey) -> bool:
        """Whether it may still turn out whose device it is, and that he matters."""
        if key[1] == 0 or self._talk.setting.catalogue.person(key[0]) is not None:
            return False
        first = self.told.by_key.get((key[0], 0))
        return first is not None and not first.is_settled

    def _compare(self, wanted: Wanted, rank: int) -> bool:
        """Go on with a comparison; say whether something is to come of it."""
        comparison = wanted.comparison
        if comparison is None or comparison.is_fetched:
            return False
        if comparison.found is not None:
            comparison.is_fetched = True
            seq = comparison.found
            self._get(wanted, Get(Mode.FROM, (seq - 1, seq, b""), seq), rank)
            return True
        question = comparison.question()
        if question is not None:
            self._get(wanted, Get(Mode.IDS, question), rank)
        return question is not None

    def _look(self) -> None:
        """Read the blocks at which the peer's logs end that are longer here."""
        looks, self._looks = self._looks, []
        spans = tuple(Span(wanted.key, m.seq, m.seq) for wanted, m in looks if wanted.key)
        self._talk.load(Spans(spans), lambda found: self._looked(looks, found))

    def _looked(self, looks: list[tuple[Wanted, Mention]], answer: Answer) -> None:
        """Compare how such a log would stand there, were it merely shorter."""
        salt = self._talk.salt
        for (wanted, mention), rows in zip(looks, cast("list[list[Block]]", answer), strict=True):
            wanted.is_looking = False
            if rows and wanted.key is not None and wanted.mention is mention:
                shown = salt.check(standing_at(wanted.key, mention.seq, rows[0].id))
                wanted.is_behind = shown == mention.check
            self._consider(wanted)
        self.pump()

    def _has_come(self, wanted: Wanted) -> bool:
        """Close a request that ends unsaid: its last block is held, or can never be."""
        ask, key = wanted.ask, wanted.key
        if ask is None or key is None or not ask.ends_unsaid:
            return False
        log = self._talk.setting.catalogue.logs.get(key)
        if log is None:
            return False
        held = any(piece.low <= ask.target <= piece.high for piece in log.pieces)
        if not held and (log.fork is None or log.fork > ask.target):
            return False
        self._close(wanted)
        return True

    def _close(self, wanted: Wanted) -> None:
        wanted.ask = None
        self._asked.pop(wanted.index, None)

    def _get(self, wanted: Wanted, get: Get, rank: int) -> None:
        talk, key, mode = self._talk, wanted.key, get.mode
        if key is not None and mode in _CLAIMED:
            wanted.retry = talk.setting.claims.take(key, talk.meeting, talk.now)
            if wanted.retry is not None:
                wanted.last = None
                self._retries[wanted.index] = wanted
                self._retry_at = min(wanted.retry, self._retry_at or wanted.retry)
                return
        if mode is Mode.FROM and key in talk.setting.policy.headers_only:
            mode = Mode.HEADERS
        if key is not None and mode in FETCHED and not wanted.is_counted:
            wanted.is_counted = True
            log = talk.setting.catalogue.logs.get(key) or Log(*key)
            talk.counts.wanted += lacking(wanted, log)
        if not self._asked:
            self._heard = talk.now
        wanted.begin(Ask(mode, get.args, get.target, talk.now))
        args = get.args
        if mode in _AFTER:  # the id that is held becomes what is shown of it
            seq, until, tip = cast("tuple[int, int, bytes]", args)
            args = (seq, until, talk.salt.ident(tip, IDENT_BYTES) if tip else b"")
        self._asked[wanted.index] = wanted
        if mode is Mode.BODIES and key is not None:
            talk.load(Bodiless(key, 256), lambda seqs: self._get_bodies(wanted, rank, seqs))
        else:
            rank = EVIDENCE_CLASS if mode is Mode.EVIDENCE else self._shown(rank)
            self._requests.append(Request(wanted.index, rank, mode, args))

    def _shown(self, rank: int) -> int:
        """Return the class that is said: strangers need not know whom one follows."""
        return REST_CLASS if self._talk.setting.peer is None else rank

    def _get_bodies(self, wanted: Wanted, rank: int, answer: Answer) -> None:
        ranges: list[int] = []
        for seq in cast("list[int]", answer):
            if seq <= wanted.bodiless:
                continue
            if ranges and ranges[-1] == seq - 1:
                ranges[-1] = seq
            elif len(ranges) < 2 * MAX_BODY_RANGES:
                ranges += (seq, seq)
        if ranges:
            wanted.bodiless = ranges[-1]
            rank = self._shown(rank)
            self._requests.append(Request(wanted.index, rank, Mode.BODIES, tuple(ranges)))
        else:
            wanted.has_all_bodies = True
            self._close(wanted)
            self._consider(wanted)
        self.pump()

    def _settle(self, wanted: Wanted, *, clean: bool) -> None:
        wanted.is_settled = True
        self.reading.settle(wanted.index, clean=clean)
        key = wanted.key
        if key is not None:
            claims = self._talk.setting.claims
            claims.drop(key, self._talk.meeting, failed=not wanted.brought)
            wanted.brought = False
            if key[1] == 0:
                self.consider_all(self._held_back.pop(key[0], ()))

    # --- answers ---

    def _answered(self, index: int, mode: Mode) -> Wanted | None:
        """Return the log of an answer, None if nothing of the sort is under way (any more)."""
        wanted = self.told.at(index)
        if wanted.ask is None or wanted.ask.mode is not mode or wanted.ask.is_answered:
            return None
        wanted.ask = wanted.ask._replace(is_answered=True)
        self._heard = self._talk.now
        return wanted

    def entries(self, message: Entries) -> None:
        """Take what was asked about logs as a whole."""
        for row in message.rows:
            wanted = self._answered(row.index, Mode.ENTRY)
            if wanted is None:
                continue
            self.told.name(wanted, (row.entry.author, row.entry.log))
            wanted.entry = row
            self._close(wanted)
            self._consider(wanted)

    def ids(self, message: Ids) -> None:
        """Take ids, to be compared with those held here."""
        wanted = self._answered(message.index, Mode.IDS)
        if wanted is None:
            return
        if wanted.comparison is None or wanted.key is None:  # mentioned anew meanwhile
            self._close(wanted)
            self._consider(wanted)
            return
        spans = tuple(Span(wanted.key, seq, seq) for seq in wanted.comparison.seqs())
        self._talk.load(Spans(spans), lambda found: self._compared(wanted, message, found))

    def _compared(self, wanted: Wanted, message: Ids, answer: Answer) -> None:
        rows = cast("list[list[Block]]", answer)
        salt = self._talk.salt
        mine = [salt.ident(blocks[0].id, ID_BYTES) if blocks else None for blocks in rows]
        self._close(wanted)
        if wanted.comparison is not None and not wanted.comparison.answer(message, mine):
            wanted.comparison.is_fetched = True
        self._consider(wanted)
        self.pump()

    def done(self, message: Done) -> None:
        """Take ends of requests; what came before them is stored first."""
        for row in message.rows:
            wanted = self._answered(row.index, row.mode)
            if wanted is None:
                continue
            if row.reason is Reason.DIFFERS:
                wanted.differs = True
            elif row.mode is Mode.EVIDENCE:
                wanted.is_put_off = row.reason is not Reason.ALL
            elif row.reason is not Reason.ALL:
                wanted.ended = row.reason
            if self.inbox.is_empty:
                self._close(wanted)
                self._consider(wanted)
            else:
                self._after.setdefault(self.inbox.last, []).append(wanted)

    def receive(self, message: Bulk, size: int) -> None:
        """Take blocks or evidence in a message of ``size`` bytes."""
        now, claims = self._talk.now, self._talk.setting.claims
        self.inbox.arrive(size)
        for wanted in self._receiving.receive(message):
            self._heard = now
            claims.progress(self._talk.meeting, now)
            wanted.brought = True
            if wanted.ask is not None:
                wanted.ask = wanted.ask._replace(since=now)
                self._asked.pop(wanted.index, None)
                self._asked[wanted.index] = wanted
        if self.inbox.is_half_full:
            self.inbox.flush()

    def _stored(self, absorbed: Absorbed) -> None:
        self._talk.counts.new += absorbed.new
        for key, _ in absorbed.refused:  # there is no room for it: that is a decision
            wanted = self.told.by_key.get(key)
            if wanted is None or wanted.ask is None:
                continue
            wanted.refused += () if wanted.last is None else (wanted.last,)
            if wanted.ask.ends_unsaid:
                self._close(wanted)
                self._consider(wanted)
        for wanted in self._after.pop(self.inbox.stored, ()):
            if wanted.ask is not None and wanted.ask.is_answered:  # else another is under way
                self._close(wanted)
                self._consider(wanted)
        self.reconsider([*absorbed.logs, *((device, 0) for device in absorbed.revoked)])
        self.pump()

    def pump(self) -> None:
        """Send what is to be asked and acknowledged."""
        if self._looks:
            self._look()
        some: list[Request] = []
        size = 0
        for request in self._requests:
            size += _REQUEST_BYTES + _ARG_BYTES * len(request.args)
            if size > MIN_FRAME_BYTES:
                self._talk.send(Want(some))
                some, size = [], _REQUEST_BYTES + _ARG_BYTES * len(request.args)
            some.append(request)
        if some:
            self._talk.send(Want(some))
        self._requests = []
        self.reading.acknowledge()

    # --- time ---

    def tick(self) -> None:
        """Try again what others were fetching; give up what does not come.

        Raises:
            SilentError: The peer answers nothing.
        """
        now, silence = self._talk.now, self._talk.setting.policy.limits.silence
        if self._retry_at is not None and self._retry_at <= now:
            self._retry_at = None
            for wanted in [w for w in self._retries.values() if (w.retry or 0.0) <= now]:
                self._consider(wanted)
            later = [w.retry for w in self._retries.values() if w.retry is not None]
            self._retry_at = min(later, default=None)
        while (oldest := self._oldest) is not None and self._ends(oldest) <= now:
            self._close(oldest)
            self._settle(oldest, clean=False)
        if self._asked and self.inbox.is_empty and now - self._heard >= silence:
            raise SilentError
        self.pump()

    @property
    def _oldest(self) -> Wanted | None:
        """The log whose request has been under way the longest."""
        return next(iter(self._asked.values()), None)

    def _ends(self, wanted: Wanted) -> float:
        since = wanted.ask.since if wanted.ask is not None else 0.0
        return since + self._talk.setting.policy.limits.stall

    @property
    def next_tick(self) -> float | None:
        """When ``tick`` is due."""
        due = [self._retry_at] if self._retry_at is not None else []
        if (oldest := self._oldest) is not None:
            due.append(self._ends(oldest))
            if self.inbox.is_empty:
                due.append(self._heard + self._talk.setting.policy.limits.silence)
        return min(due, default=None)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing that was asked for is still to come."""
        return not self._asked and self.inbox.is_empty

    @property
    def is_done(self) -> bool:
        """Whether all that was told is settled and stored."""
        return self.reading.is_done and self.inbox.is_empty
