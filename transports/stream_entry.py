"""The handshake of a session over a stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from transports.opening import Agreed, HandshakeError, Opener, answer
from transports.recognition import ANSWER, ASK, CONFIRM, Gathering, Recognition, pieces
from transports.records import STREAM_OVERHEAD_BYTES, WHO
from transports.stream_session import StreamSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from transports.base import Link
    from transports.recognition import Credentials
    from transports.tickets import Ticket

LEAST_FRAME_BYTES: Final = 100


class StreamEntry:
    """What is said over a link before it is a secure one.

    Attributes:
        session: Seals and opens records, once ``open`` or ``answer`` is through.
        sent, received: Bytes so far.
    """

    def __init__(self, link: Link, who: Credentials, random: Callable[[int], bytes]) -> None:
        self.link = link
        self.who = who
        self.random = random
        self.session: StreamSession
        self.sent = self.received = 0

    async def open(self, ticket: Ticket | None) -> Agreed:
        """Speak first."""
        self._check_size()
        if ticket is not None and not await self._may_use(ticket):
            ticket = None
        opener = Opener(self.random, ticket, network=self.who.network)
        await self._send(opener.first)
        agreed = opener.read(await self._receive())
        self._begin(agreed, is_initiator=True)
        return agreed

    async def _may_use(self, ticket: Ticket) -> bool:
        is_known = ticket.name is None or ticket.name in self.who.pair_keys
        return is_known and await self.who.tickets.spend(ticket)

    async def answer(self) -> Agreed:
        """Wait for the other side to speak."""
        self._check_size()
        who, first = self.who, await self._receive()
        second, agreed = await answer(
            first, self.random, who.tickets, who.pair_keys, network=who.network
        )
        await self._send(second)
        self._begin(agreed, is_initiator=False)
        return agreed

    async def recognise(self, recognition: Recognition, *, is_initiator: bool) -> None:
        """Find out whether the two sides know each other."""
        if is_initiator:
            await self._say(ASK, recognition.ask())
            await self._say(CONFIRM, recognition.confirm(await self._hear(ANSWER)))
        else:
            await self._say(ANSWER, recognition.answer(await self._hear(ASK)))
            recognition.finish(await self._hear(CONFIRM))

    def _check_size(self) -> None:
        if (most := self.link.info.max_frame) < LEAST_FRAME_BYTES:
            raise HandshakeError(
                f"the link takes {most} bytes at a time; a session needs {LEAST_FRAME_BYTES}"
            )

    def _begin(self, agreed: Agreed, *, is_initiator: bool) -> None:
        self.session = StreamSession(
            agreed.keys,
            is_initiator=is_initiator,
            random=self.random,
            now=asyncio.get_running_loop().time(),
            network=self.who.network,
        )

    async def _say(self, step: int, message: bytes) -> None:
        room = self.link.info.max_frame - STREAM_OVERHEAD_BYTES
        for piece in pieces(step, message, room):
            await self._send(self.session.seal(WHO, piece))

    async def _hear(self, step: int) -> bytes:
        gathering = Gathering(step)
        while True:
            said = self.session.open(await self._receive())
            if said is None or said[0] != WHO:
                raise HandshakeError("the other side goes on before it has said who it is")
            if (message := gathering.add(said[1:])) is not None:
                return message

    async def _send(self, message: bytes) -> None:
        await self.link.send(message)
        self.sent += len(message)

    async def _receive(self) -> bytes:
        message = await self.link.receive()
        self.received += len(message)
        return message
