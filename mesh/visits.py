"""Visits: dial somebody at an address, meet, and say what came of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gossip.effects import End
from ledger.codec import decode, encode
from ledger.errors import InvalidError, PassalongError
from mesh.rows import Synced
from mesh.tasks import Tasks
from transports.base import LinkError
from transports.wifi.tcp import TcpLink, dial
from transports.wifi.tcp_address import parse_address, spell

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ledger.codec import Value
    from mesh.meeting import Meeting, Outcome
    from mesh.node import Node
    from mesh.peers import Peers
    from mesh.port import Progress
    from mesh.presence import Presence

MAX_ADDRESSES: Final = 256
_MET_AT: Final = "contacts met at addresses"
_MAX_NOTE_BYTES: Final = 1 << 17
END_S: Final = 1.5
"""How long links may take to end."""
_PROGRESS_S: Final = 0.2
_PROBLEMS: Final = {
    End.LOST: "the link was lost; what came is kept, sync again for the rest",
    End.SILENT: "the other side stopped answering; what came is kept, sync again for the rest",
    End.HOSTILE: "the other side broke the rules of a meeting; what came before is kept",
    End.VERSION: "the other side speaks another version; update passalong on both",
    End.BROKEN: "the store failed; run `passalong check`",
    End.FULL: "there was too much for one meeting; sync again for the rest",
    End.SPENT: "a limit of bytes was reached; sync again for the rest",
    End.STOPPED: "the meeting was stopped here; sync again for the rest",
}


class VisitError(PassalongError):
    """Nobody could be met."""


class Visits:
    """Visits of an open home to others.

    Args:
        node: It.
        peers: Hold the meetings.
    """

    def __init__(self, node: Node, peers: Peers) -> None:
        self._node = node
        self._peers = peers
        self._tasks = Tasks()
        self._links: dict[TcpLink, None] = {}
        self._remembering = asyncio.Lock()

    async def _begin(self, address: str) -> tuple[Presence, TcpLink]:
        """Dial ``address`` and prepare the meeting there, which a person asked for.

        Raises:
            VisitError: That is no address, nobody is there, no session came of it, or a better
            link to them is there.
        """
        link: TcpLink | None = None
        try:
            host, port = parse_address(address)
            link = await dial(host, port)
            self._links[link] = None
            return await self._enter(link, spell(host, port)), link
        except BaseException as exc:
            if link is not None:
                del self._links[link]
                link.cut("this side has had enough")
            if isinstance(exc, LinkError):
                raise VisitError(str(exc)) from exc
            raise

    async def _enter(self, link: TcpLink, place: str) -> Presence:
        device = (await self._met_at()).get(place)
        ticket = None if device is None else await self._peers.ticket(device)
        session = await self._peers.secure(link, is_initiator=True, ticket=ticket)
        if session.peer is not None and session.peer != device:
            await self._remember(place, session.peer)
        return await self._peers.enter(session, is_initiator=True, is_invited=True)

    async def _hold(self, presence: Presence, link: TcpLink) -> Outcome:
        try:
            return await self._peers.hold(presence)
        finally:
            del self._links[link]

    async def _linked(self, address: str) -> Presence | None:
        """Return the contact's device at ``address``, if there is a link to it already."""
        try:
            place = spell(*parse_address(address))
        except LinkError as exc:
            raise VisitError(str(exc)) from exc
        device = (await self._met_at()).get(place)
        return None if device is None else self._peers.linked(device)

    async def stay(self, address: str) -> bool:
        """Meet whoever is at ``address`` for as long as both stay; say whether all was settled.

        Where there is a link to them already, however it came about, that will do.

        Raises:
            PortError: As ``_begin``; or the store failed.
        """
        while True:
            if (presence := await self._linked(address)) is not None:
                await presence.until_ended()
            else:
                presence, link = await self._begin(address)
                await self._hold(presence, link)
            if not presence.starts_over:
                return presence.meeting.was_equal

    async def sync(self, address: str, *, progress: Progress | None = None) -> Synced:
        """Meet whoever is at ``address``; see ``NodePort``."""
        began = asyncio.get_running_loop().time()
        presence = await self._linked(address)
        if presence is not None and await presence.is_alive():
            return await self._sync_again(presence, began, progress)
        presence, link = await self._begin(address)
        ending: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._tasks.begin(self._carry_on(presence, link, address, ending))
        try:
            await _watch(presence.meeting, presence.meeting.until_equal(), ending, progress)
            if not (presence.meeting.session.stays and presence.meeting.was_equal):
                await asyncio.wait([ending])
        except BaseException:
            await self._break_off(presence, link)
            raise
        outcome = ending.result() if ending.done() else None
        return _synced(presence, outcome, asyncio.get_running_loop().time() - began)

    async def _sync_again(
        self, presence: Presence, began: float, progress: Progress | None
    ) -> Synced:
        """Say what still comes over a link that is there.

        It has just answered: what the other side told before, this side knows of by now.
        """
        before = _synced(presence, None, 0.0)
        meeting = presence.meeting
        is_level = await _watch(meeting, meeting.until_level(), presence.ended, progress)
        now = _synced(presence, None, asyncio.get_running_loop().time() - began)
        return replace(
            now,
            complete=is_level,
            problem=None if is_level else _PROBLEMS[End.LOST],
            received=now.received - before.received,
            sent=now.sent - before.sent,
            bytes_in=now.bytes_in - before.bytes_in,
            bytes_out=now.bytes_out - before.bytes_out,
        )

    async def _break_off(self, presence: Presence, link: TcpLink) -> None:
        """End a meeting whose caller has had enough; what came is stored first."""
        presence.meeting.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await presence.until_ended()
        link.cut("this side has had enough")
        await presence.until_ended()

    async def _carry_on(
        self, presence: Presence, link: TcpLink, address: str, ending: asyncio.Future[Outcome]
    ) -> None:
        """Hold a meeting, and another one where it ended to start over."""
        try:
            outcome = await self._hold(presence, link)
        except PassalongError as exc:
            _tell(ending, exc)
        except Exception as exc:  # a fault of our own, which ``Tasks`` reports
            _tell(ending, exc)
            raise
        else:
            _tell(ending, outcome)
            starts_over = presence.starts_over
            del presence, link  # or they are kept for as long as the next meeting lasts
            if starts_over:
                with suppress(PassalongError):
                    await self.stay(address)
        finally:
            ending.cancel()

    def cut(self) -> None:
        """Break off all links."""
        for link in list(self._links):
            link.cut("this node ends")

    async def finish(self) -> None:
        """End the meetings that stayed; ``Peers.end`` does so without haste."""
        await self._tasks.cancel()

    async def _met_at(self) -> dict[str, bytes]:
        raw = await self._node.store.note(_MET_AT)
        with suppress(InvalidError):
            match None if raw is None else decode(raw, _MAX_NOTE_BYTES):
                case list(rows):
                    return dict(_met(row) for row in rows)
                case _:
                    pass
        return {}

    async def _remember(self, place: str, device: bytes) -> None:
        async with self._remembering:
            met = await self._met_at()
            met.pop(place, None)
            rows = [*met.items(), (place, device)][-MAX_ADDRESSES:]
            await self._node.store.set_note(_MET_AT, encode(rows))


def _tell(ending: asyncio.Future[Outcome], said: Outcome | Exception) -> None:
    """Let whoever waits for an end know of it, if he still does."""
    if ending.done():
        return
    if isinstance(said, Exception):
        ending.set_exception(said)
        ending.exception()  # whoever asked may be gone
    else:
        ending.set_result(said)


def _met(row: Value) -> tuple[str, bytes]:
    match row:
        case [str(address), bytes(device)]:
            return address, device
        case _:
            raise InvalidError("no address and device")


async def _watch(
    meeting: Meeting,
    settled: Coroutine[Any, Any, bool],
    ending: asyncio.Future[Any],
    progress: Progress | None,
) -> bool:
    """Wait until all is settled, or the meeting is over; say whether it was settled."""
    waiting = asyncio.create_task(settled)
    try:
        while not waiting.done() and not ending.done():
            if progress is not None:
                progress(meeting.session.counts.new, None)
            either: list[asyncio.Future[Any]] = [waiting, ending]
            await asyncio.wait(either, timeout=_PROGRESS_S, return_when=asyncio.FIRST_COMPLETED)
        return waiting.done() and waiting.result()
    finally:
        waiting.cancel()


def _synced(presence: Presence, outcome: Outcome | None, seconds: float) -> Synced:
    counts, link = presence.meeting.session.counts, presence.link
    is_complete = presence.meeting.was_equal if outcome is None else outcome.end is End.DONE
    return Synced(
        person=presence.peer and presence.peer.person,
        received=counts.new,
        sent=counts.blocks_out,
        bytes_in=link.bytes_in,
        bytes_out=link.bytes_out,
        seconds=seconds,
        complete=is_complete,
        problem=None if is_complete or outcome is None else _PROBLEMS[outcome.end],
    )
