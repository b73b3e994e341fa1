"""One half of a meeting: what the peer told, and what is asked of it because of that.

Every log that was mentioned is looked at again whenever something changes, until it stands here as
it does there or nothing more can be done (``gossip.wanted``). At most one request is under way for
each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.asking import Asking
from gossip.comparing import Comparing
from gossip.control import Mode, Reason
from gossip.inbox import Inbox
from gossip.policy import EVIDENCE_CLASS, REST_CLASS
from gossip.reading import Reading
from gossip.receiving import Receiving
from gossip.talk import SilentError
from gossip.told import Told
from gossip.wanted import FETCHED, Bounds, Compare, Get, Look, Settle, Wanted, next_step
from ledger.chain import Log
from ledger.store.base import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.control import Done, Entries, Ids
    from gossip.talk import Talk
    from gossip.wire import Bulk
    from ledger.store.base import Absorbed, LogKey


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
        self._asking = Asking(talk, lambda wanted: self._go_on_with([wanted]))
        self._comparing = Comparing(talk, self._asking, self._go_on_with)
        self._held_back: dict[bytes, dict[int, Wanted]] = {}
        self._begun: dict[bytes, set[int]] = {}
        self._after: dict[int, list[Wanted]] = {}
        self._parked: dict[int, Wanted] = {}

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

    def _go_on_with(self, logs: Iterable[Wanted]) -> None:
        self.consider_all(logs)
        self.pump()

    def _resume(self, wanted: Wanted) -> None:
        """See what is next after a request that is over."""
        self._asking.close(wanted)
        self._consider(wanted)

    def _consider(self, wanted: Wanted) -> None:
        if wanted.is_settled or wanted.is_looking:
            return
        if wanted.ask is not None and not self._has_come(wanted):
            return
        self._asking.close(wanted)
        if wanted.asks >= self._talk.setting.policy.limits.asks:
            self._settle(wanted, clean=False)
        elif wanted.key is None:
            self._asking.ask(wanted, Get(Mode.ENTRY), EVIDENCE_CLASS)
        else:
            self._consider_log(wanted, wanted.key)

    def _consider_log(self, wanted: Wanted, key: LogKey) -> None:
        setting = self._talk.setting
        rank = setting.catalogue.rank(key)
        is_too_much = rank is not None and self._is_too_much(key, rank)
        if rank is not None and setting.catalogue.floor(key, rank) == NEVER:
            self._settle(wanted, clean=True)  # it was let go
        elif (is_too_much or setting.policy.cares) and self._awaits_device(key):
            self._held_back.setdefault(key[0], {})[wanted.index] = wanted
        elif rank is None or is_too_much:
            self._decline(wanted, key)
        elif self._is_equal(wanted, key):
            self._settle(wanted, clean=True)
        elif not self._comparing.goes_on(wanted, rank):
            self._miss_device(key, rank)
            self._pursue(wanted, key, rank)

    def _miss_device(self, key: LogKey, rank: int) -> None:
        """Have log 0 told again where it went, but would not have in this log's class."""
        catalogue, root = self._talk.setting.catalogue, (key[0], 0)
        if key[1] == 0 or root not in catalogue.floors or catalogue.holds(key[0]):
            return
        first = self.told.by_key.get(root)
        if catalogue.floor(root, rank) != NEVER and (first is None or first.is_settled):
            self.reading.processed.forget()

    def _is_equal(self, wanted: Wanted, key: LogKey) -> bool:
        """Say whether a log stands here as it does there."""
        mine, salt = self._talk.setting.catalogue.standing(key), self._talk.salt
        if mine is None or salt.check(mine) != wanted.mention.check:
            return False
        return salt.evidence(mine) == wanted.mention.evidence

    def _pursue(self, wanted: Wanted, key: LogKey, rank: int) -> None:
        """Do what is next for a log that is wanted."""
        setting, salt = self._talk.setting, self._talk.salt
        mine = setting.catalogue.standing(key)
        said, missing = (b"", b""), None
        if mine is not None:
            said, missing = (salt.evidence(mine), salt.branches(mine)), mine.entry.missing
        log = setting.catalogue.logs.get(key) or Log(*key)
        bounds = self._bounds(key, rank)
        if bounds is None:
            self._parked[wanted.index] = wanted
            return
        wanted.is_put_off |= bounds.most is not None
        match next_step(wanted, log, missing, said, setting.policy.limits, bounds):
            case Settle(clean):
                self._settle(wanted, clean=clean)
            case Look():
                self._comparing.look(wanted)
            case Compare(ranges):
                self._comparing.begin(wanted, ranges, rank)
            case Get() as get:
                self._asking.ask(wanted, get, rank)

    def _bounds(self, key: LogKey, rank: int) -> Bounds | None:
        """Return which blocks of a log are wanted: of a stranger few while there is no room.

        None where this link is to bring others first.
        """
        setting = self._talk.setting
        low, room = setting.catalogue.floor(key, rank), setting.room
        if room is None or rank < REST_CLASS or setting.is_invited or not room.is_tight:
            return Bounds(low)
        most = room.allowance(key, self._talk.link, self._talk.now)
        return None if most is None else Bounds(low, most)

    def _unpark(self) -> None:
        """Go on with logs that waited for others of this link; give up where nothing comes."""
        room = self._talk.setting.room
        while self._parked and room is not None:
            wanted = next(iter(self._parked.values()))
            if room.has_part(self._talk.link, self._talk.now):
                del self._parked[wanted.index]
                self._consider(wanted)
            elif self.is_quiet:
                del self._parked[wanted.index]
                self._settle(wanted, clean=False)
            else:
                break

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
        is_open = policy.is_open(key, catalogue.person(key[0]))
        if is_open and key[1] == 0 and not any(map(wanted.has_tried, FETCHED)):
            self._asking.ask(wanted, Get(Mode.FROM, (0, 1, b""), 1), REST_CLASS)
            return
        if is_open and key[1]:  # log 0 may yet be mentioned
            self._held_back.setdefault(key[0], {})[wanted.index] = wanted
        self._settle(wanted, clean=not is_open)

    def _awaits_device(self, key: LogKey) -> bool:
        """Whether it may still turn out whose device it is, and that he matters."""
        if key[1] == 0 or self._talk.setting.catalogue.person(key[0]) is not None:
            return False
        first = self.told.by_key.get((key[0], 0))
        return first is not None and not first.is_settled

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
        self._asking.close(wanted)
        return True

    def _settle(self, wanted: Wanted, *, clean: bool) -> None:
        wanted.is_settled = True
        self.reading.settle(wanted.index, clean=clean)
        key, room = wanted.key, self._talk.setting.room
        if key is not None and room is not None:
            room.release(key, self._talk.link, self._talk.now)
        if key is not None:
            claims = self._talk.setting.claims
            claims.drop(key, self._talk.meeting, failed=not wanted.brought)
            wanted.brought = False
            if key[1] == 0:
                self._take_up(key[0])

    def _take_up(self, device: bytes) -> None:
        """Look again at the logs that waited for the log 0 of their device."""
        waiting = self._held_back.pop(device, {}).values()
        for wanted in waiting:
            wanted.is_settled &= self._talk.setting.catalogue.person(device) is None
        self.consider_all(waiting)

    # --- answers ---

    def _answered(self, index: int, mode: Mode) -> Wanted | None:
        """Return the log of an answer, None if nothing of the sort is under way (any more)."""
        wanted = self.told.at(index)
        return wanted if self._asking.answered(wanted, mode) else None

    def entries(self, message: Entries) -> None:
        """Take what was asked about logs as a whole."""
        for row in message.rows:
            wanted = self._answered(row.index, Mode.ENTRY)
            if wanted is None:
                continue
            self.told.name(wanted, (row.entry.author, row.entry.log))
            wanted.entry = row
            self._resume(wanted)

    def ids(self, message: Ids) -> None:
        """Take ids, to be compared with those held here."""
        wanted = self._answered(message.index, Mode.IDS)
        if wanted is not None:
            self._comparing.ids(wanted, message)

    def done(self, message: Done) -> None:
        """Take ends of requests; what came before them is stored first."""
        for row in message.rows:
            wanted = self._answered(row.index, row.mode)
            if wanted is None:
                continue
            if row.reason is Reason.DIFFERS:
                wanted.differs = True
            elif row.mode is Mode.EVIDENCE:
                wanted.is_put_off |= row.reason is not Reason.ALL
            elif row.reason is not Reason.ALL:
                wanted.ended = row.reason
            if self.inbox.is_empty:
                self._resume(wanted)
            else:
                self._after.setdefault(self.inbox.last, []).append(wanted)

    def receive(self, message: Bulk, size: int) -> None:
        """Take blocks or evidence in a message of ``size`` bytes."""
        talk = self._talk
        self.inbox.arrive(size)
        for wanted in self._receiving.receive(message):
            talk.setting.claims.progress(talk.meeting, talk.now)
            wanted.brought = True
            self._asking.progress(wanted)
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
                self._resume(wanted)
        for wanted in self._after.pop(self.inbox.stored, ()):
            if wanted.ask is not None and wanted.ask.is_answered:  # else another is under way
                self._resume(wanted)
        self.reconsider([*absorbed.logs, *((device, 0) for device in absorbed.revoked)])
        self.pump()

    def pump(self) -> None:
        """Send what is to be asked and acknowledged."""
        self._unpark()
        self._comparing.send()
        self._asking.send()
        self.reading.acknowledge()

    def heard(self) -> None:
        """Note that something else that was asked for has come, or that bulk was in the way."""
        self._asking.heard = self._talk.now

    @property
    def heard_at(self) -> float:
        """When the peer answered anything last."""
        return self._asking.heard

    def leave(self) -> None:
        """Part from all that calls back, so that a meeting is freed the moment it is let go."""
        del self.inbox, self._receiving, self._asking, self._comparing

    # --- time ---

    def tick(self) -> None:
        """Try again what others were fetching; give up what does not come.

        Raises:
            SilentError: The peer answers nothing.
        """
        for wanted in self._asking.due():
            self._consider(wanted)
        while (late := self._asking.overdue()) is not None:
            self._asking.close(late)
            self._settle(late, clean=False)
        if (at := self._silent_at) is not None and at <= self._talk.now:
            raise SilentError
        self.pump()

    @property
    def _silent_at(self) -> float | None:
        """From when on the peer is silent; what it sent last may still be on its way in."""
        return self._asking.silent_at if self.inbox.is_empty else None

    @property
    def next_tick(self) -> float | None:
        """When ``tick`` is due."""
        due = (self._asking.next_tick, self._silent_at)
        return min((at for at in due if at is not None), default=None)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing that was asked for is still to come."""
        return self._asking.is_idle and self.inbox.is_empty

    @property
    def is_done(self) -> bool:
        """Whether all that was told is settled and stored."""
        return self.reading.is_done and self.inbox.is_empty
