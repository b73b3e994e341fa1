"""Bundles on real media: what a store gives to a file, and takes from one.

Memory grows with the number of logs, not with that of blocks. Whatever comes out of a file goes
through the same checks as what comes over a link; a person who imports consents, so only sizes are
bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from gossip.bundle_open import BundleWriter
from gossip.number import MAX_MESSAGE_BYTES
from gossip.packing import Packer
from mesh.acknowledging import Contents, acknowledge
from mesh.addressing import address
from mesh.blocking import admitted, open_to_all
from mesh.bundled_mail import Posted, PostIn, post_mail
from mesh.parts import LEAST_PART_BYTES, BundleError, PartWriter
from mesh.rows import BundledLog, Exported, Imported, Inspected
from mesh.serve import LEAST_BYTES, plan, serve
from mesh.stick import open_source

if TYPE_CHECKING:
    from gossip.policy import Policy
    from ledger.keys import DeviceKeys
    from ledger.run import Run
    from ledger.store.base import Absorbed, Batch, LogKey, Store
    from mesh.addressing import Address, Readers
    from mesh.intake import Intake
    from mesh.mailbag import Mailbag
    from mesh.meeting import Keeper
    from mesh.port import File, Progress
    from mesh.readers import Bearer
    from mesh.serve import Plan

__all__ = ["BundleError", "export_bundle", "import_bundle", "inspect_bundle"]

_PART_ROOM: Final = 72_000
"""Of a part: its header, and the headers of a unit whose bodies begin the part."""


async def export_bundle(  # noqa: PLR0913  all that may be asked of an export
    store: Store,
    target: File,
    *,
    max_bytes: int | None = None,
    part_bytes: int | None = None,
    policy: Policy | None = None,
    readers: Readers | None = None,
    mailbag: Mailbag | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write what ``store`` holds, or the newest of it up to ``max_bytes``, to ``target``.

    Args:
        store: Where from.
        target: Where to; of a bundle in parts, what these are named after.
        max_bytes: Of all parts together.
        part_bytes: Of each part; None for one file.
        policy: What is offered to everybody; None for all. Of what is for readers theirs says so.
        readers: For whom: only what they lack goes. None for everybody.
        mailbag: The mail that goes along; of a bundle of limited size it gets a quarter at most.
        progress: Told blocks.

    Raises:
        BundleError: ``max_bytes`` or ``part_bytes`` is too small, or the readers are too many.
        HomeError: The file cannot be written; what stood there before still does.
    """
    if part_bytes is not None and part_bytes < LEAST_PART_BYTES:
        raise BundleError(f"a part needs at least {LEAST_PART_BYTES:,} bytes")
    said = None if readers is None else await address(readers, part_bytes)
    room = _room(max_bytes, part_bytes, 0 if said is None else said.overhead)
    posted = Posted() if mailbag is None else await post_mail(mailbag, _quarter(room))
    room = None if room is None else room - posted.size
    chosen = await _choose(store, room, policy, said)
    limit = MAX_MESSAGE_BYTES
    if part_bytes is not None:
        limit = min(limit, part_bytes - _PART_ROOM)
    packer = Packer(limit)
    is_sealed = readers is not None and readers.is_sealed
    make = await said.begin(chosen) if said is not None and is_sealed else _open_writer
    with PartWriter(target, part_bytes, make) as parts:
        async for raw in serve(store, chosen, packer, posted.messages):
            parts.message(raw)
            if progress is not None:
                progress(packer.blocks, None)
        parts.end(packer.blocks, posted.envelopes)
    if mailbag is not None:
        await mailbag.keep(posted.changes)
    return Exported(packer.blocks, posted.envelopes, parts.size, parts.part)


async def _choose(
    store: Store, room: int | None, policy: Policy | None, said: Address | None
) -> Plan:
    if said is not None:
        return await plan(store, room, said.lacking)
    if policy is not None:
        return await plan(store, room, is_offered=await open_to_all(store, policy))
    return await plan(store, room)


def _quarter(room: int | None) -> int | None:
    return None if room is None else room // 4


def _open_writer(_: int) -> BundleWriter:
    return BundleWriter()


def _room(max_bytes: int | None, part_bytes: int | None, overhead: int) -> int | None:
    """Return how many bytes there are for messages and their frames; None for any number."""
    if max_bytes is None:
        return None
    least = LEAST_BYTES + overhead
    if max_bytes < least:
        raise BundleError(f"a bundle needs at least {least:,} bytes")
    room = max_bytes - LEAST_BYTES // 2 - overhead
    if part_bytes is None or max_bytes <= part_bytes:
        return room
    # how much of a part stays empty nobody knows before: a message more may not have fitted
    wasted = overhead + LEAST_BYTES + _PART_ROOM
    filled = max(1, part_bytes - wasted - min(MAX_MESSAGE_BYTES, part_bytes - _PART_ROOM))
    return max(LEAST_BYTES, min(room, room * filled // (filled + wasted)))


@dataclass(slots=True)
class _Tally:
    """What the batches of a bundle came to.

    Attributes:
        blocked: Blocks that came, less those that were taken.
    """

    new: int = 0
    known: int = 0
    blocked: int = 0
    refused: int = 0
    is_rolled_back: bool = False
    contents: Contents = field(default_factory=Contents)

    def add(self, batch: Batch, absorbed: Absorbed, *, is_sealed: bool) -> None:
        self.blocked -= _blocks(batch)
        self.new += absorbed.new
        self.known += absorbed.known
        self.refused += len(absorbed.refused)
        self.is_rolled_back |= absorbed.rolled_back
        if is_sealed:
            self.contents.add(batch, absorbed)


async def import_bundle(  # noqa: PLR0913  what an import needs of its surroundings
    store: Keeper,
    source: File,
    *,
    seen: int,
    own: bytes | None = None,
    bearer: Bearer | None = None,
    mailbag: Mailbag | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Take in what ``source`` holds.

    Args:
        store: Where to.
        source: A bundle.
        seen: Now, ms since 1970.
        own: This node's device; others bringing blocks of it show that the home is an old copy.
        bearer: This node, which opens what is sealed to it, and knows whom it blocks; None for
            open bundles only, and all that is in them.
        mailbag: Takes the mail; without it that is passed over.
        progress: Told bytes read, and the file's size where there is one.

    Raises:
        NotABundleError: Nothing could be read.
        SealedForOthersError: Only others can.
        HomeError: The file cannot be read.
        StoreError: The store failed; what was committed before stays.
    """
    tally = _Tally()
    keys = None if bearer is None else bearer.keys
    with open_source(source) as stick:
        post = None if mailbag is None else PostIn(mailbag, store)
        intake = stick.take(progress, keys, None if post is None else post.take)
        if post is not None:
            post.reader = intake.reader
        for came in intake.batches():
            tally.blocked += _blocks(came)
            async for batch in admitted(bearer, came):
                absorbed = await (post or store).absorb(
                    replace(batch, own=own), seen=seen, durable=True
                )
                tally.add(batch, absorbed, is_sealed=intake.reader.header is not None)
    reader = intake.reader
    if post is not None:
        await post.end(bearer, seen=seen)
    refused = intake.refused + tally.refused + (0 if post is None else post.refused)
    is_whole = reader.trailer is not None and reader.damage is None
    notes = None
    if bearer is not None and is_whole and not refused and not intake.skipped:
        notes = await acknowledge(bearer, reader, tally.contents)
        if notes is not None:
            await store.absorb(notes, seen=seen, durable=True)
    return Imported(
        new_blocks=tally.new,
        known_blocks=tally.known,
        blocked=tally.blocked,
        envelopes=0 if post is None else post.new,
        refused=refused,
        complete=is_whole,
        damage=stick.damage(intake),
        warnings=_warnings(intake, tally),
    )


def _blocks(batch: Batch) -> int:
    return sum(len(run.blocks) for run in batch.runs)


def _warnings(intake: Intake, tally: _Tally) -> list[str]:
    warnings: list[str] = []
    if intake.skipped:
        warnings.append(f"{intake.skipped} parts are of a newer version; update passalong")
    if tally.refused:
        warnings.append(
            "there was no room for blocks whose predecessors are missing; take in what else there"
            " is, then this again"
        )
    if tally.is_rolled_back:
        warnings.append(
            "this bundle holds blocks of this very device that this home had lost; it is an old"
            " copy: run `passalong restore --words-file FILE` to go on as a new device"
        )
    return warnings


def inspect_bundle(
    source: File, *, keys: DeviceKeys | None = None, progress: Progress | None = None
) -> Inspected:
    """Say what ``source`` holds, verified as for an import, and store nothing.

    Of a bundle that is sealed to others only the frames are looked at.

    Raises:
        NotABundleError: Nothing could be read.
        HomeError: The file cannot be read.
    """
    logs: dict[LogKey, BundledLog] = {}
    blocks = bodies = statements = proofs = 0
    with open_source(source) as stick:
        intake = stick.take(progress, keys, must_open=False)
        for batch in intake.batches():
            statements += len(batch.revocations)
            proofs += len(batch.proofs)
            bodies += len(batch.bodies)
            for run in batch.runs:
                blocks += len(run.blocks)
                bodies += sum(block.body is not None for block in run.blocks)
                _note(logs, run)
    reader = intake.reader
    return Inspected(
        bytes=intake.bytes,
        blocks=blocks,
        bodies=bodies,
        statements=statements,
        proofs=proofs,
        envelopes=reader.trailer.envelopes if reader.trailer else 0,
        refused=intake.refused,
        complete=reader.damage is None and (reader.trailer is not None or reader.is_locked),
        damage=stick.damage(intake),
        logs=[logs[key] for key in sorted(logs)],
        slots=reader.start.slot_count if reader.start is not None else 0,
        opened=not reader.is_locked,
        writer=reader.header.device if reader.header is not None else None,
        count=reader.header.count if reader.header is not None else 0,
        part=reader.header.part if reader.header is not None else 0,
    )


def _note(logs: dict[LogKey, BundledLog], run: Run) -> None:
    key = (run.author, run.log)
    before = logs.get(key, BundledLog(*key, run.low, run.high, 0))
    logs[key] = BundledLog(
        *key,
        min(before.low, run.low),
        max(before.high, run.high),
        before.blocks + len(run.blocks),
    )
