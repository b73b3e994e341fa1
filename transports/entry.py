"""What is said over a link before it is a secure one, on a stream and in datagrams.

A stream loses nothing: each message is sent once, and what is wrong ends it. Of datagrams each
side sends its last ones again until the other goes on, and overlooks what is wrong: anybody may
have sent it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from transports.datagram_session import DatagramSession
from transports.noise import NoiseError
from transports.opening import Agreed, HandshakeError, Opener, answer
from transports.recognition import (
    ANSWER,
    ASK,
    CONFIRM,
    SHORT_PROOF_BYTES,
    Gathering,
    Recognition,
    pieces,
)
from transports.records import (
    DATAGRAM_OVERHEAD_BYTES,
    FIRST,
    PROOF,
    SECOND,
    SESSION_BYTES,
    STREAM_OVERHEAD_BYTES,
    WHO,
)
from transports.stream_session import StreamSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from transports.base import Link
    from transports.recognition import Credentials
    from transports.tickets import Ticket

LEAST_STREAM_FRAME: Final = 100
FIRST_DATAGRAM_BYTES: Final = 256
"""So that no answer is longer than three times what asked for it."""
AGAIN_AFTER_S: Final = 0.3
"""Then twice as long each time."""
_FIRST_HEAD_BYTES: Final = 1 + SESSION_BYTES
_EARLY: Final = "the other side goes on before it has said who it is"


class Entry(ABC):
    """What both kinds have in common.

    Attributes:
        sent, received: Bytes so far, and of ``held``.
        held: A record that goes ahead of the first one that is sent, and with it.
    """

    least_frame: int

    def __init__(self, link: Link, who: Credentials, random: Callable[[int], bytes]) -> None:
        if (most := link.info.max_frame) < self.least_frame:
            raise HandshakeError(
                f"the link takes {most} bytes at a time; a session needs {self.least_frame}"
            )
        self._link = link
        self._who = who
        self._random = random
        self.sent = self.received = 0
        self.held: bytes | None = None

    @property
    @abstractmethod
    def session(self) -> StreamSession | DatagramSession:
        """Seals and opens records, once ``open`` or ``answer`` is through."""

    @abstractmethod
    async def open(self, ticket: Ticket | None) -> Agreed:
        """Speak first."""

    @abstractmethod
    async def answer(self) -> Agreed:
        """Wait for the other side to speak."""

    @abstractmethod
    async def recognise(self, recognition: Recognition, *, is_initiator: bool) -> None:
        """Find out whether the two sides know each other."""

    @abstractmethod
    async def resume(self, recognition: Recognition, *, is_initiator: bool) -> None:
        """The same where a ticket has named the other side."""

    async def _usable(self, ticket: Ticket | None) -> Ticket | None:
        """Spend the ticket; return it if it may be used."""
        if ticket is None or not await self._who.tickets.spend(ticket):
            return None
        # Looked at last, as contacts may change meanwhile.
        return ticket if ticket.name is None or ticket.name in self._who.pair_keys else None

    async def _send(self, message: bytes) -> None:
        await self._link.send(message)
        self.sent += len(message)

    async def _receive(self) -> bytes:
        message = await self._link.receive()
        self.received += len(message)
        return message


def _is_proof(said: bytes) -> bool:
    return said[0] == PROOF and len(said) == 1 + SHORT_PROOF_BYTES


class StreamEntry(Entry):
    """The beginning of a session over a stream."""

    least_frame = LEAST_STREAM_FRAME
    _session: StreamSession

    @property
    @override
    def session(self) -> StreamSession:
        return self._session

    @override
    async def open(self, ticket: Ticket | None) -> Agreed:
        ticket = await self._usable(ticket)
        who = self._who
        opener = Opener(self._random, ticket, who.pair_keys, network=who.network)
        await self._send(opener.first)
        agreed = opener.read(await self._receive())
        self._begin(agreed, is_initiator=True)
        return agreed

    @override
    async def answer(self) -> Agreed:
        who, first = self._who, await self._receive()
        second, agreed = await answer(
            first, self._random, who.tickets, who.pair_keys, network=who.network
        )
        await self._send(second)
        self._begin(agreed, is_initiator=False)
        return agreed

    @override
    async def recognise(self, recognition: Recognition, *, is_initiator: bool) -> None:
        if is_initiator:
            await self._say(ASK, recognition.ask())
            await self._say(CONFIRM, recognition.confirm(await self._hear(ANSWER)))
        else:
            await self._say(ANSWER, recognition.answer(await self._hear(ASK)))
            recognition.finish(await self._hear(CONFIRM))

    @override
    async def resume(self, recognition: Recognition, *, is_initiator: bool) -> None:
        if is_initiator:
            self.held = self._session.seal(PROOF, recognition.vouch())
            self.sent += len(self.held)
            return
        said = self._session.open(await self._receive(), 0.0)
        if said is None or not _is_proof(said):
            raise HandshakeError(_EARLY)
        recognition.believe(said[1:])

    def _begin(self, agreed: Agreed, *, is_initiator: bool) -> None:
        self._session = StreamSession(
            agreed.keys,
            is_initiator=is_initiator,
            random=self._random,
            now=asyncio.get_running_loop().time(),
            network=self._who.network,
        )

    async def _say(self, step: int, message: bytes) -> None:
        for piece in pieces(step, message, self._link.info.max_frame - STREAM_OVERHEAD_BYTES):
            await self._send(self._session.seal(WHO, piece))

    async def _hear(self, step: int) -> bytes:
        gathering = Gathering(step)
        while True:
            said = self._session.open(await self._receive(), 0.0)
            if said is None or said[0] != WHO:
                raise HandshakeError(_EARLY)
            if (message := gathering.add(said[1:])) is not None:
                return message


class DatagramEntry(Entry):
    """The beginning of a session in datagrams."""

    least_frame = FIRST_DATAGRAM_BYTES
    _session: DatagramSession

    def __init__(self, link: Link, who: Credentials, random: Callable[[int], bytes]) -> None:
        super().__init__(link, who, random)
        self._own = random(SESSION_BYTES)
        self._raw: bytes | None = None
        self._said: list[bytes] = []

    @property
    @override
    def session(self) -> DatagramSession:
        return self._session

    @override
    async def open(self, ticket: Ticket | None) -> Agreed:
        opener = Opener(
            self._random,
            await self._usable(ticket),
            self._who.pair_keys,
            network=self._who.network,
            bound=self._own,
            size=FIRST_DATAGRAM_BYTES - _FIRST_HEAD_BYTES,
        )
        self._raw = bytes([FIRST]) + self._own + opener.first
        await self._repeat()
        head = bytes([SECOND]) + self._own
        while True:
            second = await self._next()
            if not second.startswith(head):
                continue
            with suppress(HandshakeError):
                agreed = opener.read(second[len(head) :], SESSION_BYTES)
                break
        self._begin(agreed, agreed.payload, is_initiator=True)
        return agreed

    @override
    async def answer(self) -> Agreed:
        who, first = self._who, await self._receive()
        if first[0] != FIRST:
            raise HandshakeError(f"it began with a datagram of kind {first[0]}; no passalong")
        remote, first = first[1:_FIRST_HEAD_BYTES], first[_FIRST_HEAD_BYTES:]
        second, agreed = await answer(
            first,
            self._random,
            who.tickets,
            who.pair_keys,
            network=who.network,
            bound=remote,
            least=FIRST_DATAGRAM_BYTES - _FIRST_HEAD_BYTES,
            payload=self._own,
        )
        self._raw = bytes([SECOND]) + remote + second
        await self._repeat()
        self._begin(agreed, remote, is_initiator=False)
        return agreed

    @override
    async def recognise(self, recognition: Recognition, *, is_initiator: bool) -> None:
        if is_initiator:
            await self._say(ASK, recognition.ask())
            await self._say(CONFIRM, recognition.confirm(await self._hear(ANSWER)))
            self._session.last_words = (WHO, self._said[0])
        else:
            await self._say(ANSWER, recognition.answer(await self._hear(ASK)))
            recognition.finish(await self._hear(CONFIRM))

    @override
    async def resume(self, recognition: Recognition, *, is_initiator: bool) -> None:
        if is_initiator:
            self._session.last_words = (PROOF, recognition.vouch())
            await self._send(self._session.seal(*self._session.last_words))
            return
        # Should it be lost, the second datagram is said again, and behind it what asks for it.
        self._said = [bytes([ANSWER])]
        while True:
            with suppress(NoiseError):
                said = self._session.open(await self._next(), 0.0)
                if _is_proof(said):
                    recognition.believe(said[1:])
                    return

    def _begin(self, agreed: Agreed, remote: bytes, *, is_initiator: bool) -> None:
        self._session = DatagramSession(
            agreed.keys,
            self._own,
            remote,
            is_initiator=is_initiator,
            random=self._random,
            now=asyncio.get_running_loop().time(),
            network=self._who.network,
        )

    async def _say(self, step: int, message: bytes) -> None:
        room = self._link.info.max_frame - DATAGRAM_OVERHEAD_BYTES
        self._raw, self._said = None, pieces(step, message, room)
        await self._repeat()

    async def _repeat(self) -> None:
        if self._raw is not None:
            await self._send(self._raw)
        for piece in self._said:
            await self._send(self._session.seal(WHO, piece))

    async def _hear(self, step: int) -> bytes:
        gathering = Gathering(step)
        while True:
            with suppress(NoiseError, HandshakeError):
                said = self._session.open(await self._next(), 0.0)
                if said[0] == WHO and (message := gathering.add(said[1:])) is not None:
                    return message

    async def _next(self) -> bytes:
        """Return the next datagram; say again what was said last until there is one."""
        pause = AGAIN_AFTER_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    return await self._receive()
            pause *= 2
            await self._repeat()
