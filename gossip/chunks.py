"""What of the blocks that were read for a request is sent, and whether that is its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from gossip.control import IDENT_BYTES, Mode, Reason
from gossip.packing import signed_units

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.control import Request
    from gossip.standing import Salt
    from ledger.block import Block
    from ledger.chain import Log


class Task(Protocol):
    """A request for blocks, as far as it is answered; ``cut_chunk`` moves it on."""

    request: Request
    next: int
    until: int
    ident: bytes


class Chunk(NamedTuple):
    """What is sent now.

    Attributes:
        units: Blocks, each unit ending on a signature.
        is_last: Whether nothing more comes.
        reason: Why, if the peer cannot know by itself.
    """

    units: list[list[Block]]
    is_last: bool
    reason: Reason | None = None


def cut_chunk(
    task: Task,
    blocks: list[Block],
    log: Log | None,
    mentioned: int,
    salt: Salt,
    together: int = 0,
) -> Chunk:
    """Say what of ``blocks`` to send for ``task``, and move it on.

    Args:
        task: The request.
        blocks: What is held from ``task.next`` on, as far as it was read.
        log: How the log is held now.
        mentioned: The seq that the peer was told last.
        salt: Of the session.
        together: Bytes of a unit, if there are more signatures in it than it needs.
    """
    if not blocks or blocks[0].header.seq != task.next or log is None:
        return Chunk([], is_last=True, reason=Reason.ALL)
    shown = salt.ident(blocks[0].header.previous, IDENT_BYTES) if task.ident else b""
    if shown != task.ident:
        return Chunk([], is_last=True, reason=Reason.DIFFERS)
    task.ident = b""
    units = _wanted_units(task, signed_units(_consecutive(blocks), together, task.until))
    if not units:
        return Chunk([], is_last=True, reason=Reason.ALL)
    reached = units[-1][-1].header.seq
    task.next = reached + 1
    if task.request.mode is Mode.HEADERS:
        units = [[block._replace(body=None) for block in unit] for unit in units]
    high = next((p.high for p in log.pieces if p.low <= reached <= p.high), reached)
    if reached < min(task.until, high):
        return Chunk(units, is_last=False)
    is_plain = task.request.mode is Mode.NEWEST or not task.request.args[1]
    ends_unsaid = is_plain and reached >= mentioned
    return Chunk(units, is_last=True, reason=None if ends_unsaid else Reason.ALL)


def _consecutive(blocks: list[Block]) -> Iterable[Block]:
    """Yield the blocks up to the first gap."""
    seq = blocks[0].header.seq
    for block in blocks:
        if block.header.seq != seq:
            return
        yield block
        seq += 1


def _wanted_units(task: Task, units: Iterable[list[Block]]) -> list[list[Block]]:
    """Return the units up to the one that holds the last block wanted."""
    wanted: list[list[Block]] = []
    for unit in units:
        wanted.append(unit)
        if unit[-1].header.seq >= task.until:
            break
    return wanted
