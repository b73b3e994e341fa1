"""Told: which logs a peer mentioned, by what name, and what it need not be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import Mention
from gossip.policy import Peer
from gossip.standing import Salt, place_of
from gossip.talk import ProtocolError, Setting, Talk
from gossip.told import Told
from tests.gossip.meetings import BINDING, Node
from tests.strategies import SOCIAL, Device, material

if TYPE_CHECKING:
    from ledger.store.base import LogKey

SALT = Salt(BINDING)
KNOWN: LogKey = (Device(10).public, SOCIAL)
OTHER: LogKey = (Device(11).public, SOCIAL)


def told(node: Node | None = None, *, contact: bool = True) -> Told:
    node = node if node is not None else holding(5)
    peer = Peer(Device(2).public, Device(2).person.signing.public) if contact else None
    held = node.holdings
    return Told(Talk(Setting(held.catalogue, held.claims, node.policy, BINDING, peer=peer), 1))


def holding(count: int, **policy: Any) -> Node:  # noqa: ANN401
    """A node that holds so many blocks of the known log."""
    node, device = Node(1, **policy), Device(10)
    device.write_many(count)
    node.hold_device(device)
    return node


def short(key: LogKey) -> bytes:
    return SALT.short(key, place_of(key)[0])


def mention(name: int | bytes | LogKey, seq: int = 1) -> Mention:
    return Mention(name, seq, plain=True, check=b"chck")


# --- names --------------------------------------------------------------------------------------


def test_a_short_name_of_a_log_that_is_held_is_understood() -> None:
    ours = told()
    wanted = ours.take(mention(short(KNOWN)))
    assert (wanted.key, wanted.index, ours.by_key[KNOWN]) == (KNOWN, 0, wanted)


def test_a_short_name_of_a_log_that_is_wanted_by_name_is_understood() -> None:
    ours = told(Node(1, named=frozenset({OTHER})))
    assert ours.take(mention(short(OTHER))).key == OTHER


def test_a_short_name_that_means_nothing_here_is_asked_about() -> None:
    ours = told()
    assert ours.take(mention(short(OTHER))).key is None
    assert ours.take(mention(OTHER)).key == OTHER


def test_a_short_name_that_two_logs_share_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Salt, "short", lambda _, __, bucket: bytes((bucket,)) + bytes(7))
    node = holding(1, named=frozenset({OTHER}))
    monkeypatch.setattr(node.holdings.catalogue, "in_bucket", lambda _: {KNOWN, OTHER})
    ours = told(node)
    assert ours.take(mention(bytes((0,)) + bytes(7))).key is None


def test_a_log_is_mentioned_again_by_its_index() -> None:
    ours = told()
    first = ours.take(mention(KNOWN, seq=1))
    again = ours.take(mention(0, seq=4))
    assert (again is first, again.mention.seq) == (True, 4)
    assert ours.at(0) is first


@pytest.mark.parametrize("again", [KNOWN, short(KNOWN), 1, 7])
def test_a_log_under_another_name_or_no_index_is_refused(again: int | bytes | LogKey) -> None:
    ours = told()
    ours.take(mention(KNOWN))
    if isinstance(again, bytes):  # it cannot be told from one that is not known
        assert ours.take(mention(again)).key is None
        with pytest.raises(ProtocolError):
            ours.name(ours.at(1), KNOWN)
        return
    with pytest.raises(ProtocolError):
        ours.take(mention(again))


@pytest.mark.parametrize("contact", [True, False])
def test_so_many_logs_are_listened_to(
    monkeypatch: pytest.MonkeyPatch,
    *,
    contact: bool,
) -> None:
    monkeypatch.setattr("gossip.talk.MAX_TOLD", 9)
    monkeypatch.setattr("gossip.talk.MAX_STRANGE", 4)
    ours = told(holding(1), contact=contact)
    for number in range(9 if contact else 4):
        ours.take(mention((material(f"{number}"), 1)))
    with pytest.raises(ProtocolError):
        ours.take(mention((material("last"), 1)))
    # one more word about a log that was mentioned is no further log
    ours.take(mention(0, seq=9))


# --- what it need not be told -------------------------------------------------------------------


@given(theirs=st.integers(0, 12), mine=st.integers(1, 12), plain=st.booleans())
def test_one_who_holds_as_much_or_more_knows(theirs: int, mine: int, plain: bool) -> None:  # noqa: FBT001
    ours, standing = told(), holding(mine).holdings.catalogue.standing(KNOWN)
    assert standing is not None
    assert not ours.knows(KNOWN, standing)
    check = SALT.check(standing) if theirs == mine else b"othr"
    ours.take(Mention(KNOWN, theirs, plain=plain, check=check))
    assert ours.knows(KNOWN, standing) == (theirs == mine or (plain and theirs > mine))


def test_one_whose_blocks_are_others_does_not_know() -> None:
    ours, standing = told(), holding(5).holdings.catalogue.standing(KNOWN)
    assert standing is not None
    ours.take(Mention(KNOWN, 5, plain=True, check=b"othr"))
    assert not ours.knows(KNOWN, standing)


@pytest.mark.parametrize("evidence", [b"", b"othr"])
def test_one_who_has_other_evidence_does_not_know(evidence: bytes) -> None:
    ours, standing = told(), holding(5).holdings.catalogue.standing(KNOWN)
    assert standing is not None
    standing = standing._replace(evidence=material("a statement"))
    ours.take(Mention(KNOWN, 9, plain=True, check=b"othr", evidence=evidence))
    assert not ours.knows(KNOWN, standing)
    ours.take(Mention(0, 9, plain=True, check=b"othr", evidence=SALT.evidence(standing)))
    assert ours.knows(KNOWN, standing)
