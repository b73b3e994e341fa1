"""Drives one session over one link and one store, in asyncio.

Whoever holds a meeting reads the link. A task writes to it, and another works on the store, only
while there is something to do; a timer watches the time. They only feed the session and carry out
what it asks for. Whatever ends a meeting, what has come is stored before this returns, and the
link is closed.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from gossip.effects import Effect, End, Finish, Keep, Load, Send
from gossip.notes import (
    groups_note,
    mail_note,
    recall,
    recall_groups,
    recall_mail,
    recall_told,
    seen_note,
    told_note,
)
from gossip.session import Session, State
from gossip.talk import Setting
from ledger.errors import StoreError
from transports.base import LinkClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gossip.cursor import Seen
    from gossip.notes import MailSeen
    from gossip.policy import Peer
    from gossip.talk import Counts
    from ledger.store.base import Absorbed, Batch, LogKey, Store
    from mesh.holdings import Holdings
    from transports.base import Link

MAX_QUEUED: Final = 64
"""Frames or store calls that may wait before no more is read from the link."""
LINGER_S: Final = 5.0
"""How long the last frames may take to leave."""
LEAST_WAIT_S: Final = 0.001
"""The two clocks may round differently: a timer that comes too early is not set for that moment."""
_NOTES: Final = (seen_note, groups_note, mail_note, told_note)


class Keeper(Protocol):
    """Who takes batches into the store and lets the holdings know: they themselves, or a writer."""

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        """Take in a batch; see ``Store.absorb``."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a meeting went.

    Attributes:
        end: Why it ended.
        detail: What broke, if anything did.
        counts: What it came to.
        seconds: How long it took.
    """

    end: End
    detail: str
    counts: Counts
    seconds: float


class Meeting:
    """One meeting over one link.

    Args:
        link: To the peer; closed at the end.
        holdings: What this node holds.
        keeper: Takes what comes.
        clock: Gives ms since 1970, for display.
        binding: 32 bytes that both sides know of this link's session.
        is_initiator: Whether this side opened the link.
        secret: 32 random bytes for this meeting alone.
        peer: Whom the link authenticated, if anybody.
        seen: As ``gossip.notes.recall`` returns it.
        shared: As ``gossip.notes.recall_groups`` does.
        told: As ``gossip.notes.recall_told`` does.
        mail_seen: As ``gossip.notes.recall_mail`` does.
        is_invited: Whether a person asked for this very meeting.
        steady: Gives seconds that never go back; the clock by which carried mail is counted. None
            for that of the loop.

    Attributes:
        session: Its rules.
        was_equal: Whether both sides once had all they wanted of each other.

    Raises:
        ValueError: The link takes no frames as long as every node has to.
    """

    def __init__(  # noqa: PLR0913  what a meeting needs of its surroundings
        self,
        link: Link,
        holdings: Holdings,
        keeper: Keeper,
        *,
        clock: Callable[[], int],
        binding: bytes,
        is_initiator: bool,
        secret: bytes,
        peer: Peer | None = None,
        seen: Seen | None = None,
        shared: frozenset[bytes] = frozenset(),
        told: Seen | None = None,
        mail_seen: MailSeen | None = None,
        is_invited: bool = False,
        steady: Callable[[], float] | None = None,
    ) -> None:
        catalogue, claims, policy = holdings.catalogue, holdings.claims, holdings.policy
        frame = min(policy.limits.frame, link.info.max_frame)
        if frame != policy.limits.frame:
            policy = replace(policy, limits=replace(policy.limits, frame=frame))
        self.session = Session(
            Setting(
                catalogue,
                claims,
                policy,
                binding,
                is_initiator,
                peer,
                seen,
                shared,
                secret=secret,
                room=holdings.room,
                is_invited=is_invited,
                mail=holdings.mail,
                told=told,
                mail_seen=mail_seen,
            )
        )
        self._link = link
        self._holdings = holdings
        self._keeper = keeper
        self._clock = clock
        self._time = steady or asyncio.get_running_loop().time
        self._tasks: asyncio.TaskGroup | None = None
        self._frames: list[Send] = []
        self._writing: asyncio.Task[None] | None = None
        self._work: list[Load | Keep] = []
        self._storing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._finish: Finish | None = None
        self._news: asyncio.Event | None = None
        self._broken: StoreError | None = None
        self.was_equal = False

    async def hold(self) -> Outcome:
        """Hold the meeting to its end.

        Raises:
            StoreError: The store failed; what was stored before stays.
        """
        began = self._time()
        forget = self._holdings.listen(self._changed)
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._run(tasks, began)
        finally:
            try:
                self.stop()
            finally:
                self._drop_timer()
                forget()
                await self._wind_up()
        if self._broken is not None:
            raise self._broken
        finish = self._finish or Finish(End.STOPPED)
        seconds = self._time() - began
        return Outcome(finish.end, finish.detail, self.session.counts, seconds)

    async def _wind_up(self) -> None:
        try:
            await self._store_rest()
        finally:
            await self._link.close()

    async def _run(self, tasks: asyncio.TaskGroup, began: float) -> None:
        self._tasks = tasks
        try:
            self._carry_out(self.session.start(began))
            await self._read()
        finally:
            self._tasks = None  # a group that ends takes no more, and others still tell news

    async def until_equal(self) -> bool:
        """Wait until both sides have had all they want of each other, or it ends; say which."""
        while self._finish is None and not self.was_equal:
            await self._wait()
        return self.was_equal

    async def until_level(self) -> bool:
        """Wait until both sides have all that either has told of, or it ends; say which."""
        while self._finish is None and self.session.state is not State.LIVE:
            await self._wait()
        return self.session.state is State.LIVE  # a moment later there may be something new

    def stop(self) -> None:
        """End it, as soon as what came is stored."""
        self._carry_out(self.session.stop(self._time()))

    async def _wait(self) -> None:
        """Wait until the session was fed something."""
        self._news = self._news or asyncio.Event()
        await self._news.wait()

    def _changed(self, logs: Mapping[LogKey, bool]) -> None:
        self._hear(lambda now: self.session.changed(logs, now))

    def _hear(self, told: Callable[[float], Iterable[Effect]]) -> None:
        """Feed the session from outside; a fault of ours in that ends this meeting alone."""
        try:
            self._carry_out(told(self._time()))
        except Exception as exc:
            if self._tasks is None:
                raise
            tasks, self._tasks = self._tasks, None
            tasks.create_task(_fail(exc))

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._frames.append(effect)
                case Load() | Keep():
                    self._work.append(effect)
                case Finish():
                    self._finish = effect
        self.was_equal |= self.session.state in (State.LIVE, State.PARTING)
        if self._news is not None:
            self._news.set()
            self._news = None
        if self._tasks is not None:
            self._go_on(self._tasks)

    def _go_on(self, tasks: asyncio.TaskGroup) -> None:
        """See to it that what there is to do is being done."""
        if self._frames and self._writing is None:
            self._writing = tasks.create_task(self._write())
        if self._work and self._storing is None:
            self._storing = tasks.create_task(self._store())
        if self._finish is None:
            self._set_timer()
        else:
            self._tasks = None
            tasks.create_task(self._part())

    async def _part(self) -> None:
        """Let the last frames leave and what came be stored; the link ends, and so does reading."""
        leaving = [task for task in (self._writing, self._storing) if task is not None]
        if leaving:
            await asyncio.wait(leaving, timeout=LINGER_S)
        for task in leaving:
            task.cancel()
        await self._link.close()

    # --- the link ---

    async def _read(self) -> None:
        with suppress(LinkClosedError):
            while self._finish is None:
                frame = await self._link.receive()
                self._carry_out(self.session.receive(frame, self._time()))
                if not self._link.waiting():
                    self._carry_out(self.session.drained(self._time()))
                while self._is_behind:
                    await self._wait()
                await asyncio.sleep(0)  # frames that are there already must not hold up the rest
        self._carry_out(self.session.stop(self._time(), End.LOST))

    @property
    def _is_behind(self) -> bool:
        return self._finish is None and max(len(self._frames), len(self._work)) > MAX_QUEUED

    async def _write(self) -> None:
        try:
            while self._frames:
                send = self._frames.pop(0)
                await self._link.send(send.frame)
                self._carry_out(self.session.sent(self._time()) if send.bulk else ())
        except LinkClosedError:
            self._frames.clear()
            self._carry_out(self.session.stop(self._time(), End.LOST))
        except BaseException:
            self._tasks = None
            raise
        finally:
            self._writing = None

    # --- the store ---

    async def _store(self) -> None:
        try:
            while self._work:
                await self._step()
        except BaseException:
            self._tasks = None
            raise
        finally:
            self._storing = None

    async def _store_rest(self) -> None:
        """Store what the session still wanted kept when it ended; nobody needs what it reads."""
        self._work = [work for work in self._work if isinstance(work, Keep)]
        while self._work and self._broken is None:
            await self._step()

    async def _step(self) -> None:
        work = self._work[0]
        try:
            if isinstance(work, Load):
                answer = await self._holdings.answer(work.query)
                effects = self.session.loaded(work.ticket, answer, self._time())
            else:
                absorbed = await self._keeper.absorb(
                    work.batch, seen=self._clock(), durable=work.durable
                )
                effects = self.session.kept(work.ticket, absorbed, self._time())
        except StoreError as exc:
            self._broken = exc
            self._lose_work()
            effects = self.session.stop(self._time(), End.BROKEN)
        else:
            self._work.pop(0)
        self._carry_out(effects)

    def _lose_work(self) -> None:
        """Give up what the store did not take; what it brought of mail may come again."""
        if (mail := self._holdings.mail) is not None:
            for work in self._work:
                if isinstance(work, Keep):
                    mail.failed(work.batch.mail)
        self._work.clear()

    # --- time ---

    def _set_timer(self) -> None:
        """Have the session told when the time comes; a timer that is too early sets another."""
        if (due := self.session.next_tick()) is None:
            return
        loop = asyncio.get_running_loop()
        wait = due - self._time()
        at = loop.time() + (max(wait, LEAST_WAIT_S) if wait > 0 else 0.0)
        if self._timer is None or at < self._timer.when():
            self._drop_timer()
            self._timer = loop.call_at(at, self._tick)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = None
        self._hear(self._due)

    def _due(self, now: float) -> Iterable[Effect]:
        due = self.session.next_tick()
        return self.session.tick(now) if due is not None and due <= now else ()


async def _fail(fault: Exception) -> None:
    raise fault


async def _recalled(store: Store, peer: Peer | None) -> list[bytes | None]:
    """Return what is kept of a peer, as ``_NOTES`` name it."""
    if peer is None:
        return [None] * len(_NOTES)
    names = [named(peer.device) for named in _NOTES]
    kept = await store.notes(names)
    return [kept.get(name) for name in names]


async def open_meeting(  # noqa: PLR0913  as ``Meeting``
    link: Link,
    holdings: Holdings,
    store: Store,
    keeper: Keeper,
    *,
    clock: Callable[[], int],
    binding: bytes,
    is_initiator: bool,
    secret: bytes,
    peer: Peer | None = None,
    is_invited: bool = False,
    steady: Callable[[], float] | None = None,
) -> Meeting:
    """Return a meeting that begins where earlier ones with the same peer ended; see ``Meeting``.

    Where there can be none the link is closed.

    Raises:
        StoreError: What is known of the peer could not be read.
        ValueError: The link takes no frames as long as every node has to.
    """
    async with AsyncExitStack() as unless_opened:
        unless_opened.push_async_callback(link.close)
        seen, groups, mail, told = await _recalled(store, peer)
        meeting = Meeting(
            link,
            holdings,
            keeper,
            clock=clock,
            binding=binding,
            is_initiator=is_initiator,
            secret=secret,
            peer=peer,
            seen=recall(seen, holdings.policy.wants),
            shared=recall_groups(groups),
            told=recall_told(told),
            mail_seen=recall_mail(mail),
            is_invited=is_invited,
            steady=steady,
        )
        unless_opened.pop_all()
        return meeting
