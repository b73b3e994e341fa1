"""A link whose frames nobody in between can read, change, or take for anybody else's.

It costs no task: whoever sends seals, whoever receives opens, and one timer per link watches over
silence. Between ``receive`` calls at most two frames, or a few small ones, are read ahead.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from transports.base import LinkClosedError, check_frame
from transports.noise import NoiseError
from transports.records import CLOSE, DATA, MAX_FRAME_BYTES, PING, PONG
from transports.session import CutError, Met, Session, received_already

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from transports.base import Link, LinkInfo

KEEP_ALIVE_S: Final = 15.0
DEAD_AFTER_S: Final = 45.0
LINGER_S: Final = 1.0
"""How long the word that a link ends may take to leave."""
HELD_S: Final = 0.05
"""How long the last record of a handshake may wait for a first frame to go with."""
ECHO_BYTES: Final = 8
_AHEAD_FRAMES: Final = 2
_AHEAD_SMALL_FRAMES: Final = 64
_AHEAD_BYTES: Final = 8 * 1024
_UNASKED: Final = bytes(ECHO_BYTES)
_CUT: Final = "the link was cut: the other side never said that it ends here"
_OWN: Final = "this side closed the link"
_OTHER: Final = "the other side closed the link"


class SecureLink:
    """A ``Link`` through another one; ``transports.secure.secure`` makes it.

    Args:
        link: What carries the records.
        session: Seals and opens them.
        met: What the handshake found out.
        held: A record that goes with the first one, or alone if there is none soon.
        keep_alive_s: After so long without anything sent, something is sent.
        dead_after_s: After so long without anything received, the link is closed.

    Attributes:
        bytes_in, bytes_out: Bytes of all that came and was genuine, and of all that went; handshake
            included.
        last_received, last_sent: When, on the loop's clock.
        dropped: Datagrams that were not genuine, or came twice.
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_chore",
        "_dead_after",
        "_echo",
        "_gone",
        "_info",
        "_is_cut",
        "_keep_alive",
        "_link",
        "_loop",
        "_met",
        "_owed",
        "_pending",
        "_pings",
        "_reading",
        "_session",
        "_timer",
        "_turn",
        "bytes_in",
        "bytes_out",
        "dropped",
        "last_received",
        "last_sent",
    )

    def __init__(
        self,
        link: Link,
        session: Session,
        met: Met,
        held: bytes | None = None,
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
        dead_after_s: float = DEAD_AFTER_S,
    ) -> None:
        most = min(MAX_FRAME_BYTES, link.info.max_frame - session.overhead)
        self._link = link
        self._session = session
        self._met = met
        self._info = replace(link.info, max_frame=most)
        self._keep_alive = keep_alive_s
        self._dead_after = dead_after_s
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._pending = held
        self._ahead: list[bytes] = []
        self._reading = 0
        self._owed: list[tuple[int, bytes, Hashable]] = []
        self._chore: asyncio.Task[None] | None = None
        self._gone: str | None = None
        self._is_cut = False
        self._echo: tuple[bytes, float, asyncio.Future[float | None]] | None = None
        self._pings = 0
        self.bytes_in, self.bytes_out = met.received, met.sent
        self.dropped = 0
        self.last_received = self.last_sent = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        if held is None:
            self._set_timer()
        else:
            self._timer = self._loop.call_later(HELD_S, self._tick)

    @property
    def info(self) -> LinkInfo:
        return self._info

    @property
    def binding(self) -> bytes:
        """32 bytes that the two sides of this session know, and nobody else."""
        return self._session.binding

    @property
    def peer(self) -> bytes | None:
        """The name of the other side as ``Credentials.pair_keys`` has it; None for a stranger."""
        return self._met.peer

    @property
    def shown(self) -> bytes | None:
        """The device key that the other side showed as everybody may see it, proven; or None."""
        return self._met.shown

    @property
    def was_resumed(self) -> bool:
        """Whether both sides used a ticket of an earlier session, or the secret of a group."""
        return self._met.was_resumed

    # --- frames ---

    async def send(self, frame: bytes) -> None:
        check_frame(frame, self._info.max_frame)
        async with self._turn:
            await self._put(DATA, frame)

    async def receive(self) -> bytes:
        while True:
            if self._ahead:
                return self._ahead.pop(0)
            if self._gone is not None:
                raise self._ended()
            self._reading += 1
            try:
                record = await self._link.receive()
            except LinkClosedError:
                self._lose(_CUT, is_cut=True)
                continue
            finally:
                self._reading -= 1
            frame = self._take(record)
            if frame is not None and not self._is_gone:
                return frame

    def waiting(self) -> int:
        self._read_ahead()
        return len(self._ahead) + (self._link.waiting() if self._gone is None else 0)

    async def close(self) -> None:
        was_open = self._gone is None
        self._lose(_OWN, is_cut=False)
        self._gone, self._is_cut = _OWN, False
        self._ahead.clear()
        try:
            if was_open:
                with suppress(TimeoutError, LinkClosedError):
                    async with asyncio.timeout(LINGER_S), self._turn:
                        await self._pass(CLOSE, b"")
        finally:
            await self._link.close()

    async def ping(self) -> float:
        """Return how many seconds a record takes there and back.

        The answer comes when the other side reads, and is seen when this side does: somebody has
        to be receiving, on either.

        Raises:
            LinkClosedError: The link is gone, or went before there was an answer.
        """
        async with self._turn:
            answer = self._loop.create_future() if self._echo is None else self._echo[2]
            self._pings += 1
            word = self._pings.to_bytes(ECHO_BYTES, "big")
            if not self._is_gone:  # before it is sent: the answer may be here before that returns
                self._echo = (word, self._loop.time(), answer)
            await self._put(PING, word)
        seconds: float | None = await asyncio.shield(answer)
        if seconds is None:
            raise self._ended()
        return seconds

    # --- out ---

    async def _put(self, kind: int, content: bytes) -> None:
        """Send a record; whoever calls this has the turn."""
        if self._gone is not None:
            raise self._ended()
        try:
            await self._pass(kind, content)
        except LinkClosedError:
            if not self._is_gone:
                raise  # what arrived before may still be received
            raise self._ended() from None

    async def _pass(self, kind: int, content: bytes) -> None:
        # Who is stopped while the link takes a record cannot know whether it did. So the same
        # bytes go again, ahead of the next record, and the other side overlooks the second ones.
        await self._say_again()
        self._pending = record = self._session.seal(kind, content)
        await self._link.send(record)
        self._pending = None
        self.bytes_out += len(record)
        self.last_sent = self._loop.time()

    async def _say_again(self) -> None:
        if self._pending is not None:
            await self._link.send(self._pending)
            self._pending = None

    def _owe(self, says: Sequence[tuple[int, bytes]], path: Hashable = None) -> None:
        """Send something soon, without anybody waiting for it; of one kind only the newest."""
        for kind, content in says:
            self._owed = [owed for owed in self._owed if owed[0] != kind]
            self._owed.append((kind, content, path))
        is_owing = bool(self._owed) or self._pending is not None
        if is_owing and (self._chore is None or self._chore.done()):
            self._chore = self._loop.create_task(self._settle())

    async def _settle(self) -> None:
        with suppress(LinkClosedError):  # whoever receives next is told
            async with self._turn:
                await self._say_again()
            while self._owed:
                async with self._turn:
                    if self._owed:
                        await self._pay(*self._owed.pop(0))

    async def _pay(self, kind: int, content: bytes, _path: Hashable) -> None:
        await self._put(kind, content)

    # --- in ---

    def _take(self, record: bytes) -> bytes | None:
        """Open a record and do what it says; return the frame, if it is one."""
        now = self._loop.time()
        try:
            said = self._session.open(record, now)
            if said is None:
                self.dropped += 1
                return None
            self.bytes_in += len(record)
            self.last_received = now
            if said[0] != DATA or len(said) == 1:
                self._heed(said[0], said[1:])
        except NoiseError as wrong:
            self._refuse(wrong)
            return None
        self._opened()
        return said[1:] if said[0] == DATA and len(said) > 1 else None

    def _opened(self) -> None:
        """Something genuine came."""

    def _refuse(self, wrong: NoiseError) -> None:
        if self._session.is_strict:
            self._lose(f"what came over the link does not hold: {wrong}", is_cut=True)
        self.dropped += 1

    def _heed(self, kind: int, content: bytes) -> None:
        if kind == DATA:
            raise NoiseError("an empty frame")
        if kind == PING:
            self._owe([(PONG, content[:ECHO_BYTES])])
        elif kind == PONG:
            self._echoed(content)
        elif kind == CLOSE:
            self._lose(_OTHER, is_cut=False)
        else:
            self._owe(self._session.hear(kind, content, self._loop.time()))

    def _echoed(self, word: bytes) -> None:
        if self._echo is not None and self._echo[0] == word:
            _, since, answer = self._echo
            self._echo = None
            answer.set_result(self._loop.time() - since)

    def _read_ahead(self) -> None:
        """Open what has arrived already, up to a few frames; nobody is waiting for it."""
        while (
            not self._reading
            and self._gone is None
            and self._has_room()
            and self._link.waiting()
            and (record := received_already(self._link)) is not None
        ):
            if (frame := self._take(record)) is not None:
                self._ahead.append(frame)

    def _has_room(self) -> bool:
        many = len(self._ahead)
        small = many < _AHEAD_SMALL_FRAMES and sum(map(len, self._ahead)) < _AHEAD_BYTES
        return many < _AHEAD_FRAMES or small

    # --- time and the end ---

    def _set_timer(self) -> None:
        now = self._loop.time()
        dues = [self.last_sent + self._keep_alive, self.last_received + self._dead_after]
        if (due := self._session.due()) is not None:
            dues.append(due)
        # What could not be done in time, as where nobody reads, is looked at again later.
        due = min(due if due > now else now + self._keep_alive for due in dues)
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._read_ahead()
        now = self._loop.time()
        if self._gone is not None:
            return
        if now - self.last_received >= self._dead_after and not self._link.waiting():
            self._lose(f"nothing came for {self._dead_after:g} s; out of reach", is_cut=True)
            return
        says = list(self._session.tick(now))
        if not says and now - self.last_sent >= self._keep_alive:
            says = [(PING, _UNASKED)]
        self._owe(says)
        self._set_timer()

    def _lose(self, why: str, *, is_cut: bool) -> None:
        """Note that the link is gone; the first reason stays."""
        if self._gone is not None:
            return
        self._gone, self._is_cut = why, is_cut
        if self._timer is not None:
            self._timer.cancel()
        if self._echo is not None:
            self._echo[2].set_result(None)
        if self._chore is not None:
            self._chore.cancel()
        if why is not _OWN:
            self._chore = self._loop.create_task(self._link.close())

    @property
    def _is_gone(self) -> bool:
        return self._gone is not None

    def _ended(self) -> LinkClosedError:
        why = self._gone or _CUT
        return CutError(why) if self._is_cut else LinkClosedError(why)
