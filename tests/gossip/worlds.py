"""Worlds that hypothesis draws: authors with their logs and forks, and nodes that hold parts of it.

A world is plain values, so a failing example reads as what it is about; ``build`` makes nodes of
it. Authors are numbered from ``FIRST``, nodes from 0, and each is his own person.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from gossip.policy import Limits
from ledger.block import ZEROS, Block, Counterparty
from ledger.statement import Cut, Revocation
from ledger.store.base import Batch
from tests.gossip.meetings import Node
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    Device,
    device_keys,
    make_body,
    material,
    person_key,
)

N = TypeVar("N", bound=Node)
FIRST = 10
SECRET = material("a closed group")
LENGTHS = st.sampled_from([0, 0, 1, 2, 3, 63, 64, 65, 130, 190, 201, 260])
SIZES = st.sampled_from([0, 0, 0, 300, 2_000, 16_000])
BIG = 600_000
"""An author writes no more bytes of bodies than this in a log, or a world takes too long."""


def part(of: int) -> settings:
    """Return settings with the profile's number of examples divided by ``of``."""
    return settings(max_examples=max(8, settings().max_examples // of))


@dataclass(frozen=True)
class Fork:
    """That an author said two things, or three, after the block at ``before`` of ``log``."""

    log: int
    before: int
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Author:
    """What somebody wrote.

    Attributes:
        number: Who.
        identity: Further blocks of log 0; each is half of a pair.
        social: Blocks of log 1.
        group: Blocks of the group's log.
        size: Bytes of each body.
        fork: Where he forked it.
        revoked: Seq of log 1 at which his person revoked the device.
        twice: Whether his device began twice, as two persons'.
    """

    number: int
    identity: int = 0
    social: int = 0
    group: int = 0
    size: int = 0
    fork: Fork | None = None
    revoked: int | None = None
    twice: bool = False

    @property
    def public(self) -> bytes:
        return device_keys(self.number).public

    @property
    def person(self) -> bytes:
        return person_key(self.number).signing.public


@dataclass(frozen=True)
class Piece:
    """What a node holds of a log: blocks ``low`` .. ``high`` of one copy, in thousandths of it."""

    author: int
    copy: int
    log: int
    low: int = 0
    high: int = 1_000
    bodies: bool = True


@dataclass(frozen=True)
class Cares:
    """What a node wants and offers, of authors by their number."""

    followed: frozenset[int] = frozenset()
    near: frozenset[int] = frozenset()
    blocked: frozenset[int] = frozenset()
    named: frozenset[tuple[int, int]] = frozenset()
    headers_only: frozenset[tuple[int, int]] = frozenset()
    in_group: bool = False
    public: bool = True

    def policy(self) -> dict[str, Any]:
        """Return the arguments of a policy."""
        return {
            "followed": frozenset(Author(n).person for n in self.followed),
            "near": frozenset(Author(n).person for n in self.near),
            "blocked": frozenset(Author(n).person for n in self.blocked),
            "named": frozenset((Author(n).public, log) for n, log in self.named),
            "headers_only": frozenset((Author(n).public, log) for n, log in self.headers_only),
            "groups": {GROUP: SECRET} if self.in_group else {},
            "public": self.public,
        }


@dataclass(frozen=True)
class World:
    """Authors, and what each node holds of what they wrote and cares about."""

    authors: tuple[Author, ...]
    nodes: tuple[tuple[Piece, ...], ...]
    cares: tuple[Cares, ...] = ()
    knows_revoked: frozenset[int] = frozenset()


@cache
def copies(author: Author) -> tuple[Device, ...]:
    """Return the author's device as it wrote, and each copy that wrote on differently."""
    device = Device(author.number, author.number)
    for _ in range(author.identity):
        device.write("asks", log=IDENTITY, counterparty=Counterparty(ZEROS, ZEROS))
    _write(device, SOCIAL, author.social, author.size)
    _write(device, GROUP, author.group, author.size)
    twins = [] if author.fork else [device]
    if author.twice:
        twins.append(Device(author.number, author.number + 50))
        _write(twins[-1], SOCIAL, 2, author.size, "another beginning")
    for number, length in enumerate(author.fork.lengths if author.fork else ()):
        assert author.fork is not None
        twin = device.twin()
        del twin.logs.setdefault(author.fork.log, [])[author.fork.before :]
        _write(twin, author.fork.log, length, author.size, f"copy {number}")
        twins.append(twin)
    return tuple(twins)


def _write(device: Device, log: int, count: int, size: int, text: str = "") -> None:
    for number in range(min(count, BIG // max(size, 1))):
        said = make_body(text or "hello", None, [], bytes(size), time=number)
        device.write(body=said, log=log)


def pick(blocks: Sequence[Block], piece: Piece) -> list[Block]:
    """Return the blocks of a log that are held, without their bodies if the piece says so."""
    low = piece.low * (len(blocks) - 1) // 1_000
    held = list(blocks[low : piece.high * (len(blocks) - 1) // 1_000 + 1])
    if not piece.bodies:
        held = [b if b.header[1:3] == (0, 1) else b._replace(body=None) for b in held]
    return held


def statement(author: Author) -> Revocation:
    """Return what the author's person says about his device."""
    blocks = copies(author)[0].logs.get(SOCIAL, [])[: author.revoked]
    cuts = [Cut(SOCIAL, len(blocks), blocks[-1].id)] if blocks else []
    return Revocation.sign(person_key(author.number), author.public, cuts)


def build(world: World, make: Callable[..., N], limits: Limits | None = None) -> list[N]:
    """Return the nodes of a world."""
    cares = world.cares or tuple(Cares() for _ in world.nodes)
    made = []
    for number, (pieces, cared) in enumerate(zip(world.nodes, cares, strict=True)):
        node = make(number, **cared.policy(), **({} if limits is None else {"limits": limits}))
        for piece in pieces:
            blocks = copies(world.authors[piece.author])[piece.copy].logs.get(piece.log, [])
            node.hold(pick(blocks, piece))
        if number in world.knows_revoked:
            revoked = [a for a in world.authors if a.revoked is not None]
            node.absorb(Batch(revocations=[statement(author) for author in revoked]))
        made.append(node)
    return made


# --- strategies ---------------------------------------------------------------------------------


@st.composite
def forks(draw: st.DrawFn, author: Author) -> Fork:
    log = draw(st.sampled_from([SOCIAL, IDENTITY, GROUP]))
    written = {SOCIAL: author.social, IDENTITY: 1 + author.identity, GROUP: author.group}[log]
    lengths = st.sampled_from([1, 2, 5, 63, 64, 70])
    before = draw(st.integers(min(1, written) if log == IDENTITY else 0, written))
    return Fork(log, before, tuple(draw(st.lists(lengths, min_size=2, max_size=3))))


@st.composite
def authors(draw: st.DrawFn, number: int, *, may_fork: bool) -> Author:
    size = draw(SIZES)
    author = Author(
        number,
        identity=draw(st.integers(0, 3)),
        social=draw(LENGTHS),
        group=draw(st.sampled_from([0, 0, 1, 70])),
        size=size,
        revoked=draw(st.none() | st.integers(0, 3)),
    )
    if may_fork and draw(st.integers(0, 9)) == 9:
        author = replace(author, twice=True)
    is_forked = may_fork and draw(st.booleans())
    return replace(author, fork=draw(forks(author))) if is_forked else author


@st.composite
def pieces(draw: st.DrawFn, authors: Sequence[Author]) -> tuple[Piece, ...]:
    """What one node holds: of each author nothing, all, the beginning, or one or two stretches."""
    held: list[Piece] = []
    for index, author in enumerate(authors):
        for copy in draw(st.sets(st.integers(0, len(copies(author)) - 1), max_size=2)):
            held += list(_of_copy(draw, index, copy))
    return tuple(draw(st.permutations(held))) if draw(st.booleans()) else tuple(held)


def _of_copy(draw: st.DrawFn, author: int, copy: int) -> Iterator[Piece]:
    for log in (IDENTITY, SOCIAL, GROUP):
        bodies = draw(st.integers(0, 3)) != 3
        match draw(st.sampled_from(["all", "all", "beginning", "stretch", "two", "nothing"])):
            case "all":
                yield Piece(author, copy, log, bodies=bodies)
            case "beginning":
                yield Piece(author, copy, log, 0, draw(st.integers(0, 1_000)), bodies)
            case "stretch":
                low, high = sorted(draw(st.tuples(*2 * [st.integers(0, 1_000)])))
                yield Piece(author, copy, log, low, high, bodies)
            case "two":
                a, b, c, d = sorted(draw(st.tuples(*4 * [st.integers(0, 1_000)])))
                yield Piece(author, copy, log, a, b, bodies)
                yield Piece(author, copy, log, c, d, bodies)
            case _:
                pass


@st.composite
def cares(draw: st.DrawFn, count: int) -> Cares:
    """What a node cares about among ``count`` authors."""
    numbers = st.frozensets(st.integers(FIRST, FIRST + count - 1), max_size=2)
    logs = st.tuples(
        st.integers(FIRST, FIRST + count - 1), st.sampled_from([IDENTITY, SOCIAL, GROUP])
    )
    named = st.frozensets(logs, max_size=2)
    return Cares(
        draw(numbers),
        draw(numbers),
        draw(numbers),
        draw(named),
        draw(named),
        draw(st.booleans()),
        draw(st.booleans()),
    )


@st.composite
def worlds(
    draw: st.DrawFn,
    nodes: int = 2,
    *,
    may_fork: bool = True,
    choosy: bool = False,
) -> World:
    count = draw(st.integers(1, 4))
    wrote = tuple(draw(authors(FIRST + n, may_fork=may_fork)) for n in range(count))
    held = tuple(draw(pieces(wrote)) for _ in range(nodes))
    wanted = tuple(draw(cares(count)) for _ in range(nodes)) if choosy else ()
    knows = draw(st.frozensets(st.integers(0, nodes - 1)))
    return World(wrote, held, wanted, knows)
