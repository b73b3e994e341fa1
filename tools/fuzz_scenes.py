"""Where the fuzzer's meetings take place: who meets, and what each of them holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from gossip.cursor import Seen
from gossip.policy import Limits
from gossip.talk import Setting
from ledger.keys import verify
from ledger.statement import Cut, Revocation
from ledger.store.base import Batch
from tests.gossip.meetings import BINDING, Node
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    Device,
    device_keys,
    forked,
    material,
    person_key,
    run_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.run import Run, Verify

_LIMITS: Final = Limits(frame=24_000, window=30_000, page=4, recent=4, newest=3, newest_above=6)
_FORKED: Final = 6


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a meeting takes place.

    Attributes:
        contact: Whether the peer is a contact.
        met: Whether both met before.
        live: Whether both stay.
        verify: Checks signatures; any hold where what is behind them is to be reached.
    """

    contact: bool
    met: bool
    live: bool
    verify: Verify


def _any(_public: bytes, _message: bytes, _signature: bytes) -> bool:
    return True


SCENES: Final = (
    Scene(contact=True, met=False, live=False, verify=verify),
    Scene(contact=False, met=False, live=False, verify=verify),
    Scene(contact=True, met=True, live=True, verify=verify),
    Scene(contact=True, met=True, live=False, verify=_any),
    Scene(contact=False, met=False, live=True, verify=_any),
)


def stage(scene: Scene) -> tuple[Node, Setting]:
    """Return the node that is to be harmed, and where it meets the other."""
    node = Node(1, live=scene.live, limits=_LIMITS)
    node.absorb(Batch(runs=_mine(), revocations=_statements()[:1]))
    return node, Setting(
        node.holdings.catalogue,
        node.holdings.claims,
        node.policy,
        BINDING,
        peer=Node(2).peer if scene.contact else None,
        seen=Seen(material("run 2 1", 8), ((1, 2),)) if scene.met else None,
        verify=scene.verify,
        secret=material("a secret"),
    )


def other(scene: Scene) -> Node:
    """Return an honest one: it has more of one log, another branch of one, and one of its own."""
    node = Node(2, live=scene.live, limits=_LIMITS)
    writer, third = Device(5, 5), Device(7, 7)
    right = forked(4, 2, 2, number=_FORKED, log=SOCIAL)[1]
    node.hold(writer.logs[IDENTITY], writer.write_many(14)[:4])
    node.hold(writer.logs[SOCIAL][4:], Device(_FORKED).logs[IDENTITY], right)
    node.hold(third.logs[IDENTITY], [b._replace(body=None) for b in third.write_many(3)])
    node.absorb(Batch(revocations=_statements()[1:]))
    return node


@cache
def _statements() -> Sequence[Revocation]:
    cut = Cut(SOCIAL, 1, material("a block"))
    return [
        Revocation.sign(person_key(owner), device_keys(owner).public, [cut]) for owner in (5, 7)
    ]


@cache
def _mine() -> Sequence[Run]:
    writer, left = Device(5, 5), forked(4, 2, 2, number=_FORKED, log=SOCIAL)[0]
    writer.write_many(3, log=GROUP)
    return [
        run_of(writer.logs[IDENTITY]),
        run_of(writer.write_many(9)),
        run_of(writer.logs[GROUP]),
        run_of(Device(_FORKED).logs[IDENTITY]),
        run_of(left),
    ]
