"""Visits: dial somebody at an address, meet, and say what came of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gossip.effects import End
from ledger.codec import decode, encode
from ledger.errors import InvalidError, PassalongError
from mesh.rows import Synced
from mesh.tasks import Tasks
from transports.base import LinkError
from transports.wifi.tcp import dial
from transports.wifi.tcp_address import parse_address

if TYPE_CHECKING:
    from ledger.codec import Value
    from mesh.meeting import Meeting, Outcome
    from mesh.node import Node
    from mesh.peers import Peers, Presence
    from mesh.port import Progress

MAX_ADDRESSES: Final = 256
_MET_AT: Final = "contacts met at addresses"
_MAX_NOTE_BYTES: Final = 1 << 17
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

    async def begin(self, address: str) -> Presence:
        """Dial ``address`` and prepare the meeting there, which a person asked for.

        Raises:
            VisitError: That is no address, nobody is there, no session came of it, or a better
            link to them is there.
        """
        try:
            host, port = parse_address(address)
            link = await dial(host, port)
            device = (await self._met_at()).get(address)
            ticket = None if device is None else await self._peers.ticket(device)
            session = await self._peers.secure(link, is_initiator=True, ticket=ticket)
            presence = await self._peers.enter(session, is_initiator=True, is_invited=True)
        except LinkError as exc:
            raise VisitError(str(exc)) from exc
        if presence.peer is not None and presence.peer.device != device:
            await self._remember(address, presence.peer.device)
        return presence

    async def stay(self, address: str) -> bool:
        """Meet whoever is at ``address`` for as long as both stay; say whether all was settled.

        Raises:
            PortError: As ``begin``; or the store failed.
        """
        presence = await self.begin(address)
        await self._peers.hold(presence)
        return presence.meeting.was_equal

    async def sync(self, address: str, *, progress: Progress | None = None) -> Synced:
        """Meet whoever is at ``address``; see ``NodePort``."""
        began = asyncio.get_running_loop().time()
        presence = await self.begin(address)
        ending: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._tasks.begin(self._hold(presence, ending))
        try:
            await _watch(presence.meeting, ending, progress)
            if not presence.meeting.session.stays:
                await asyncio.wait([ending])
        except BaseException:
            presence.meeting.stop()
            raise
        outcome = ending.result() if ending.done() else None
        return _synced(presence, outcome, asyncio.get_running_loop().time() - began)

    async def _hold(self, presence: Presence, ending: asyncio.Future[Outcome]) -> None:
        try:
            outcome = await self._peers.hold(presence)
        except PassalongError as exc:
            ending.set_exception(exc)
        else:
            ending.set_result(outcome)
        finally:
            ending.cancel()

    async def finish(self, seconds: float) -> None:
        """Wait for the meetings that stayed; ``Peers.stop`` ends them."""
        await self._tasks.finish(seconds)

    async def _met_at(self) -> dict[str, bytes]:
        raw = await self._node.store.note(_MET_AT)
        with suppress(InvalidError):
            match None if raw is None else decode(raw, _MAX_NOTE_BYTES):
                case list(rows):
                    return dict(_met(row) for row in rows)
                case _:
                    pass
        return {}

    async def _remember(self, address: str, device: bytes) -> None:
        met = await self._met_at()
        met.pop(address, None)
        rows = [*met.items(), (address, device)][-MAX_ADDRESSES:]
        await self._node.store.set_note(_MET_AT, encode(rows))


def _met(row: Value) -> tuple[str, bytes]:
    match row:
        case [str(address), bytes(device)]:
            return address, device
        case _:
            raise InvalidError("no address and device")


async def _watch(
    meeting: Meeting, ending: asyncio.Future[Outcome], progress: Progress | None
) -> None:
    """Wait until both are equal, or the meeting is over."""
    waiting = asyncio.create_task(meeting.until_equal())
    try:
        while not waiting.done() and not ending.done():
            if progress is not None:
                progress(meeting.session.counts.new, None)
            either: list[asyncio.Future[Any]] = [waiting, ending]
            await asyncio.wait(either, timeout=_PROGRESS_S, return_when=asyncio.FIRST_COMPLETED)
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
