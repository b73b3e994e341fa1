"""Standings: equal exactly where two nodes hold the same, and worth nothing outside a meeting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gossip.control import CHECK_BYTES, ROOT_BYTES, SCOPE_BYTES, SHORT_BYTES
from gossip.standing import Salt, Standing, branches_digest, place_of, standing_of
from ledger.block import HASH_BYTES
from ledger.chain import Log, Piece
from ledger.fork import ForkProof, Vouched
from ledger.run import verify_run
from ledger.statement import Cut, Revocation
from tests.gossip.meetings import Counter
from tests.strategies import SOCIAL, Device, forked, items, material, person_key

if TYPE_CHECKING:
    from ledger.store.base import LogKey

AUTHOR = Device().public
ROOT = Device().root.id
LEFT, RIGHT = forked(5, 70, 3)
STATEMENT = Revocation.sign(person_key(), AUTHOR, [Cut(SOCIAL, 3, bytes(32))])


def log_of(*pieces: tuple[int, int], tip: str = "", fork: int | None = None) -> Log:
    held = tuple(
        Piece(low, high, ROOT if low == 1 else material(f"{low}"), material(f"{tip}{high}"))
        for low, high in pieces
    )
    return Log(AUTHOR, SOCIAL, frozenset({ROOT}), held, fork)


def proof(left: int, right: int) -> ForkProof:
    return ForkProof.of(Vouched.of(LEFT[left - 1 :]), Vouched.of(RIGHT[right - 1 :]))


HELD = [
    standing_of(log_of(*pieces, tip=tip), (missing,) if missing else (), None, b"", ())
    for pieces in [(), ((1, 5),), ((1, 6),), ((1, 5), (8, 9)), ((3, 5),), ((1, 5), (7, 9))]
    for missing in (None, 3)
    for tip in ("", "other")
    if pieces or not (missing or tip)
]
SALTS = [Salt(material(f"meeting {number}")) for number in range(2)]


def test_whatever_differs_in_what_is_held_makes_another_standing() -> None:
    assert len({standing.held for standing in HELD}) == len(HELD)
    assert len({standing.digest for standing in HELD}) == len(HELD)


def test_only_a_whole_joined_log_is_plain() -> None:
    whole = standing_of(log_of((1, 5)), (), None, b"", ())
    assert whole.plain
    assert not standing_of(log_of((1, 5)), (3,), None, b"", ()).plain
    assert not standing_of(log_of((1, 5), (8, 9)), (), None, b"", ()).plain
    assert not standing_of(log_of((1, 4), fork=5), (), proof(5, 5), b"", ()).plain


def test_a_statement_or_a_proof_is_evidence_and_does_not_change_what_is_held() -> None:
    log = log_of((1, 5))
    bare, stated = (standing_of(log, (), None, b"", said) for said in ((), (STATEMENT,)))
    assert (bare.evidence, bare.held == stated.held) == (b"", True)
    assert len(stated.evidence) == 32
    assert bare.digest != stated.digest


def test_another_proof_of_the_same_fork_changes_nothing() -> None:
    # given two proofs that one log is forked at 5, with other headers
    third = Device()
    third.write_many(4, "trunk")
    other = third.write_many(1, "third")
    proofs = [
        proof(5, 5),
        ForkProof.of(Vouched.of(LEFT[4:]), Vouched.of(other[4:])),
    ]
    assert {p.seq for p in proofs} == {5}
    assert proofs[0].encode() != proofs[1].encode()
    # then a node with one and a node with the other stand the same
    cut = log_of((1, 4), fork=5)
    one, two = (standing_of(cut, (), p, b"branches", ()) for p in proofs)
    assert (one.held, one.evidence, one.plain) == (two.held, two.evidence, two.plain)
    assert one.evidence
    assert one.held != standing_of(cut, (), proofs[0], b"others..", ()).held


@given(signed=st.sets(st.integers(0, 69)))
def test_of_branches_only_what_can_be_passed_on_counts(signed: set[int]) -> None:
    branch = [
        block if at in signed else block._replace(signature=b"")
        for at, block in enumerate(LEFT[4:])
    ]
    last = max((at for at in range(len(branch)) if branch[at].signature), default=-1)
    # what follows the last signature might as well not be there
    assert branches_digest(branch) == branches_digest(branch[: last + 1])
    assert len(branches_digest(branch)) == (HASH_BYTES if last >= 0 else 0)
    # and which of those before are signed makes no difference
    few = verify_run(items(LEFT[4 : 5 + last]), Counter()).blocks if last >= 0 else ()
    assert branches_digest(branch) == branches_digest(few)


def test_the_order_of_branches_does_not_matter_and_each_of_them_does() -> None:
    both = [*LEFT[4:], *RIGHT[4:]]
    assert branches_digest(both) == branches_digest(both[::-1])
    assert branches_digest(both) != branches_digest(LEFT[4:])
    assert branches_digest(both) != branches_digest(both[:-1])


def test_a_branch_without_a_body_stands_otherwise_where_bodies_are_wanted() -> None:
    both = [*LEFT[4:], *RIGHT[4:]]
    bare = [both[0]._replace(body=None), *both[1:]]
    assert branches_digest(bare) != branches_digest(both)
    assert branches_digest(bare) != branches_digest([*both[:-1], both[-1]._replace(body=None)])
    assert branches_digest(bare, wants_bodies=False) == branches_digest(both, wants_bodies=False)


# --- what is said in a meeting ------------------------------------------------------------------


def said(salt: Salt, standing: Standing, key: LogKey) -> list[bytes]:
    """All that could be recognised of a log, and its sizes on the wire."""
    return [
        salt.short(key, place_of(key)[0]),
        salt.check(standing),
        salt.evidence(standing),
        salt.root(b"", standing.digest),
        salt.bucket(standing.digest),
        salt.scope(material("group", 16), of_initiator=True),
    ]


def test_nothing_that_is_said_in_one_meeting_is_said_in_another() -> None:
    standing = standing_of(log_of((1, 5)), (), None, b"", (STATEMENT,))
    here, there = (said(salt, standing, (AUTHOR, SOCIAL)) for salt in SALTS)
    # the bucket, which the first byte of a short name tells, is the same everywhere
    assert here[0][0] == there[0][0] == place_of((AUTHOR, SOCIAL))[0]
    assert here[0][1:] != there[0][1:]
    assert all(one != other for one, other in zip(here[1:], there[1:], strict=True))
    sizes = [SHORT_BYTES, CHECK_BYTES, CHECK_BYTES, ROOT_BYTES, 4, SCOPE_BYTES]
    assert [len(shown) for shown in here] == sizes


def test_what_differs_is_said_differently_and_the_same_the_same() -> None:
    for salt in SALTS:
        assert len({salt.check(standing) for standing in HELD}) == len(HELD)
        names = {salt.short((Device(n).public, log), 0) for n in range(20) for log in (0, 1)}
        assert len(names) == 40
    again = Salt(material("meeting 0"))
    assert [again.check(s) for s in HELD] == [SALTS[0].check(s) for s in HELD]


def test_a_group_has_another_name_in_each_direction_and_the_public_scope_none() -> None:
    # so that whoever says a name back shows nothing
    group, other = material("group", 16), material("other group", 16)
    names = [
        SALTS[0].scope(of, of_initiator=is_one) for of in (group, other) for is_one in (False, True)
    ]
    assert len(set(names)) == 4
    assert [SALTS[0].scope(b"", of_initiator=is_one) for is_one in (False, True)] == [b"", b""]


def test_nothing_is_said_of_evidence_where_there_is_none() -> None:
    assert SALTS[0].evidence(HELD[0]) == b""
    assert SALTS[0].bucket(bytes(32)) != bytes(4)
