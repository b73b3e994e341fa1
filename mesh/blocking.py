"""What blocking somebody keeps out of files, in and out: what it keeps out of meetings.

Nothing of a blocked person goes out or is taken in, his evidence neither. Of a device that nobody
knows log 0 is taken: it says whose the device is, now and whenever more of it comes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gossip.policy import PUBLIC
from ledger.kinds.device import claimed_person, person_of
from ledger.store.base import Span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from gossip.policy import Policy
    from ledger.store.base import Batch, LogKey, Store
    from mesh.readers import Bearer

_SPANS: Final = 256


async def open_to_all(store: Store, policy: Policy) -> Callable[[LogKey], bool]:
    """Return what says of a log whether anybody may have it.

    Args:
        store: What is held.
        policy: Whom one blocks.
    """
    devices = {log.author for log in await store.logs()} if policy.blocked else set()
    persons = await _persons(store, policy, devices)
    return lambda key: policy.scope(key, persons.get(key[0])) == PUBLIC


async def admitted(bearer: Bearer | None, batch: Batch) -> AsyncIterator[Batch]:
    """Yield what of a batch is taken, in parts; each is to be in the store before the next.

    Args:
        bearer: The node that takes it; None for one that blocks nobody.
        batch: What came.
    """
    if bearer is None or not bearer.policy.blocked:
        yield batch
        return
    policy = bearer.policy
    authors = {key[0] for key in _keys(batch)}
    persons = known = await _persons(bearer.store, policy, authors)

    def is_beginning(key: LogKey) -> bool:
        return key[1] == 0 and key[0] not in known and key[0] not in policy.blocked

    beginnings = _part(batch, is_beginning)
    if _keys(beginnings):
        yield beginnings
        persons = known | await _persons(bearer.store, policy, authors - known.keys())
    rest = _part(batch, lambda key: not is_beginning(key))
    yield _part(rest, lambda key: policy.scope(key, persons.get(key[0])) is not None)


async def _persons(store: Store, policy: Policy, devices: Collection[bytes]) -> dict[bytes, bytes]:
    """Return whose devices are, as far as that is known; who is not blocked stands for himself."""
    found: dict[bytes, bytes] = {}
    todo = sorted(devices)
    for at in range(0, len(todo), _SPANS):
        some = todo[at : at + _SPANS]
        held = await store.read_spans([Span((device, 0), 1, 1) for device in some])
        for device, blocks in zip(some, held, strict=True):
            if blocks and blocks[0].body is not None:
                found[device] = _person(policy, device, blocks[0].body)
    return found


def _person(policy: Policy, device: bytes, body: bytes) -> bytes:
    return person_of(device, body) if claimed_person(body) in policy.blocked else device


def _keys(batch: Batch) -> set[LogKey]:
    keys = {(run.author, run.log) for run in batch.runs}
    keys |= {(late.author, late.log) for late in batch.bodies}
    keys |= {(proof.author, proof.log) for proof in batch.proofs}
    return keys | {(one.device, 0) for one in batch.revocations}


def _part(batch: Batch, belongs: Callable[[LogKey], bool]) -> Batch:
    return replace(
        batch,
        runs=[run for run in batch.runs if belongs((run.author, run.log))],
        bodies=[late for late in batch.bodies if belongs((late.author, late.log))],
        proofs=[proof for proof in batch.proofs if belongs((proof.author, proof.log))],
        revocations=[one for one in batch.revocations if belongs((one.device, 0))],
    )
