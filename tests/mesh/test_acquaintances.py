"""Whom a device recognises, and whom it does not, whatever others say of themselves."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from ledger.block import ZEROS
from ledger.codec import encode
from ledger.kinds.device import KIND as DEVICE_KIND
from ledger.statement import Revocation
from mesh import acquaintances
from mesh.acquaintances import (
    Acquaintances,
    TakenDeviceError,
    TooManyContactsError,
    find_acquaintances,
    forget_links,
    keep_link,
    pair_key,
)
from tests.mesh.neighbours import hold, link_of, node_of, write_root
from tests.strategies import Device, device_keys, make_block, make_body, person_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ledger.store.base import Absorbed
    from mesh.node import Node

ADA, BEN, CLEO, MALLORY = 1, 2, 3, 4
"""Persons; each has a device of the same number."""
LINKS = "links of contacts"
PAIR = "9ddc4c6bbfba93f67b9cad991a6a77bbaca8886a87638bc3e897319c26c91066"
"""HKDF-SHA256 of X25519 4a5d9d5b...1e161742 with the label ``passalong/pair/1``."""


def person(number: int) -> bytes:
    return person_key(number).signing.public


async def ada(*added: int) -> Node:
    """Return a node that has added persons."""
    node = node_of(ADA, ADA)
    await write_root(node)
    for number in added:
        await node.store.mark(person(number), added=True)
    return node


async def recognised(node: Node) -> dict[bytes, tuple[bytes, bytes]]:
    return {one.device: (one.person, one.sealing) for one in await find_acquaintances(node)}


def said(
    number: int, owner: int, sealing: bytes | None = None
) -> tuple[bytes, tuple[bytes, bytes]]:
    keys = device_keys(number)
    return keys.public, (person(owner), keys.sealing_public if sealing is None else sealing)


def claiming(number: int, body: bytes) -> Device:
    """A device that says something of itself in its first block."""
    keys = device_keys(number)
    root = make_block(keys.signing, 0, 1, ZEROS, body=body, kind=DEVICE_KIND)
    return Device(number, number, {0: [root]})


# --- who is recognised --------------------------------------------------------------------------


async def test_nobody_is_recognised_who_was_not_added() -> None:
    node = await ada()
    await node.store.mark(person(BEN), following=True)
    await hold(node, Device(BEN, BEN), Device(CLEO, CLEO))
    assert await recognised(node) == {}


async def test_who_was_added_is_recognised_by_his_link_before_anything_is_held_of_him() -> None:
    node = await ada(BEN)
    await keep_link(node, link_of(BEN, BEN))
    assert await recognised(node) == dict([said(BEN, BEN)])


async def test_all_his_devices_are_once_their_first_blocks_are_held() -> None:
    node = await ada(BEN)
    await keep_link(node, link_of(BEN, BEN))
    await hold(node, Device(20, BEN), Device(21, BEN), Device(22, CLEO))
    assert await recognised(node) == dict([said(BEN, BEN), said(20, BEN), said(21, BEN)])


async def test_ones_own_other_devices_are_and_oneself_is_not() -> None:
    node = await ada()
    await hold(node, Device(10, ADA), Device(20, BEN))
    assert await recognised(node) == dict([said(10, ADA)])


async def test_what_a_device_says_of_itself_counts_more_than_its_link() -> None:
    node = await ada(BEN)
    await keep_link(node, link_of(BEN, BEN, sealing=device_keys(MALLORY).sealing_public))
    await hold(node, Device(BEN, BEN))
    assert await recognised(node) == dict([said(BEN, BEN)])


async def test_a_link_to_somebody_elses_device_is_void_once_that_device_is_known() -> None:
    # Mallory certifies Ben's device as hers: anybody can do that, with its public key alone
    node = await ada(MALLORY)
    await keep_link(node, link_of(BEN, MALLORY, sealing=device_keys(MALLORY).sealing_public))
    await hold(node, Device(BEN, BEN))
    assert await recognised(node) == {}


async def test_a_link_cannot_take_the_place_of_another_contacts_device() -> None:
    node = await ada(BEN, MALLORY)
    await keep_link(node, link_of(BEN, BEN))
    stolen = link_of(BEN, MALLORY, sealing=device_keys(MALLORY).sealing_public)
    with pytest.raises(TakenDeviceError, match="remove the other first"):
        await keep_link(node, stolen)
    assert await recognised(node) == dict([said(BEN, BEN)])
    # once Ben is removed it is hers to give
    await node.store.mark(person(BEN), added=False)
    await keep_link(node, stolen)
    assert [one.person for one in await find_acquaintances(node)] == [person(MALLORY)]


async def test_a_first_block_that_claims_a_person_without_his_signature_is_nobodys() -> None:
    node = await ada(BEN)
    keys = device_keys(MALLORY)
    forged = make_body(keys.sealing_public, person(BEN), bytes(64))
    borrowed = make_body(keys.sealing_public, person(BEN), link_of(BEN, BEN).certificate)
    for body in (forged, borrowed):
        await hold(node, claiming(MALLORY, body))
        assert await recognised(node) == {}


@pytest.mark.parametrize("body", [make_body(), make_body(bytes(31), bytes(32), bytes(64)), b"?"])
async def test_a_device_whose_first_block_says_nothing_is_not_recognised_by_link(
    body: bytes,
) -> None:
    node = await ada(BEN)
    await keep_link(node, link_of(BEN, BEN))
    await hold(node, claiming(BEN, body))
    assert await recognised(node) == {}


async def test_a_revoked_device_is_not_recognised_and_only_its_person_can_revoke_it() -> None:
    node = await ada(BEN)
    await keep_link(node, link_of(BEN, BEN))
    ben = device_keys(BEN).public
    await hold(node, but=[Revocation.sign(person_key(MALLORY), ben, [])])
    assert await recognised(node) == dict([said(BEN, BEN)])
    await hold(node, but=[Revocation.sign(person_key(BEN), ben, [])])
    assert await recognised(node) == {}


async def test_blocking_ends_it() -> None:
    node = await ada(BEN)
    await keep_link(node, link_of(BEN, BEN))
    await node.store.mark(person(BEN), blocked=True, following=False, added=False)
    assert await recognised(node) == {}


# --- links --------------------------------------------------------------------------------------


async def test_links_are_bounded_and_those_of_persons_who_went_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acquaintances, "MAX_LINKS", 8)
    numbers = range(100, 108)
    node = await ada(*numbers, 108)
    for number in numbers:
        await keep_link(node, link_of(number, number))
    with pytest.raises(TooManyContactsError, match="remove a contact first"):
        await keep_link(node, link_of(108, 108))
    assert len(await find_acquaintances(node)) == 8
    await keep_link(node, link_of(100, 100))  # one that is there already
    await node.store.mark(person(104), blocked=True, added=False)
    await keep_link(node, link_of(108, 108))
    assert {one.person for one in await find_acquaintances(node)} == {
        person(number) for number in (*numbers, 108) if number != 104
    }


def test_so_many_links_as_are_said_can_be_kept() -> None:
    # the note of that many is one that can be read again
    text = link_of(BEN, BEN).encode()
    assert len(encode([text] * acquaintances.MAX_LINKS)) <= acquaintances._MAX_NOTE_BYTES


async def test_links_given_at_the_same_moment_are_all_kept() -> None:
    numbers = range(100, 120)
    node = await ada(*numbers)
    await asyncio.gather(*(keep_link(node, link_of(number, number)) for number in numbers))
    assert len(await find_acquaintances(node)) == 20


@pytest.mark.parametrize(
    "note", [b"", b"\xff", encode(1), encode(["passalong:x"]), encode([[]])[:1], bytes(1 << 21)]
)
async def test_a_damaged_list_of_links_is_empty_and_can_be_filled_again(
    note: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    node = await ada(BEN)
    await node.store.set_note(LINKS, note)
    with caplog.at_level(logging.WARNING, "passalong"):
        assert await recognised(node) == {}
    assert "add your contacts again" in caplog.text
    await keep_link(node, link_of(BEN, BEN))
    assert await recognised(node) == dict([said(BEN, BEN)])


async def test_forgetting_the_links_of_one_leaves_those_of_others() -> None:
    node = await ada(BEN, CLEO)
    for link in (link_of(BEN, BEN), link_of(20, BEN), link_of(CLEO, CLEO)):
        await keep_link(node, link)
    await forget_links(node, person(BEN))
    assert await recognised(node) == dict([said(CLEO, CLEO)])


# --- bounds that a person with many devices meets -----------------------------------------------


async def test_of_a_person_with_many_devices_some_are_recognised_those_of_links_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acquaintances, "MAX_DEVICES", 4)
    node = await ada(BEN, CLEO)
    crowd = [Device(number, BEN) for number in range(30, 60)]
    given = max(crowd, key=lambda one: one.public)
    await keep_link(node, link_of(given.number, BEN))
    await hold(node, *crowd, Device(CLEO, CLEO))
    found = await find_acquaintances(node)
    assert [one.person for one in found].count(person(BEN)) == 4
    assert given.public in [one.device for one in found]
    assert device_keys(CLEO).public in [one.device for one in found]


async def test_in_all_no_more_are_recognised_than_a_session_can_tell_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acquaintances, "MAX_ACQUAINTANCES", 3)
    node = await ada(*range(30, 36))
    for number in (30, 31):
        await keep_link(node, link_of(number, number))
    await hold(node, Device(10, ADA), *(Device(number, number) for number in range(32, 36)))
    found = {one.device for one in await find_acquaintances(node)}
    assert found == {device_keys(number).public for number in (30, 31, 10)}


# --- keys ---------------------------------------------------------------------------------------


def test_a_pair_has_one_key_whichever_side_works_it_out() -> None:
    one, other = device_keys(BEN), device_keys(CLEO)
    key = pair_key(one.sealing_secret, other.sealing_public)
    assert key == pair_key(other.sealing_secret, one.sealing_public)
    assert key != pair_key(one.sealing_secret, one.sealing_public)


def test_a_pair_key_is_what_anybody_else_works_out_who_knows_the_rule() -> None:
    # of RFC 7748, section 6.1: a secret, the other's public key, and so the X25519 of both
    mine = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
    theirs = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert pair_key(bytes.fromhex(mine), bytes.fromhex(theirs)) == bytes.fromhex(PAIR)


SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ((1 << 255) - 20).to_bytes(32, "little"),
    ((1 << 255) - 19).to_bytes(32, "little"),
    ((1 << 255) - 18).to_bytes(32, "little"),
]


@pytest.mark.parametrize("sealing", SMALL_ORDER)
async def test_a_sealing_key_of_small_order_makes_no_key_and_nobody_recognised(
    sealing: bytes,
) -> None:
    assert pair_key(device_keys(ADA).sealing_secret, sealing) is None
    node = await ada(BEN, CLEO)
    await keep_link(node, link_of(BEN, BEN, sealing))
    await keep_link(node, link_of(CLEO, CLEO))
    assert list(await Acquaintances(node).all()) == [device_keys(CLEO).public]


# --- as things change ---------------------------------------------------------------------------


async def test_they_are_found_once_while_nothing_about_them_changes() -> None:
    node = await ada(BEN)
    known = Acquaintances(node)
    node.writer.heard = heard_by(known)
    first = await known.all()
    await hold(node, Device(CLEO, CLEO))  # of whom nobody has heard
    assert await known.all() is first
    assert known.are(first)
    await hold(node, Device(20, BEN))
    assert not known.are(first)
    assert list(await known.all()) == [device_keys(20).public]
    await hold(node, but=[Revocation.sign(person_key(BEN), device_keys(20).public, [])])
    assert await known.all() == {}


@pytest.mark.parametrize("news", ["a device", "a revocation", "somebody is removed"])
async def test_what_changes_while_they_are_being_found_is_not_missed(
    news: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given that they are being read from the store
    node = await ada(BEN)
    await hold(node, Device(20, BEN))
    known = Acquaintances(node)
    node.writer.heard = heard_by(known)
    find, has_read, go_on = find_acquaintances, asyncio.Event(), asyncio.Event()

    async def slowly(whose: Node) -> object:
        found = await find(whose)
        has_read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(acquaintances, "find_acquaintances", slowly)
    finding = asyncio.create_task(known.all())
    await has_read.wait()
    # when something about them changes that was not there to be read
    match news:
        case "a device":
            await hold(node, Device(21, BEN))
        case "a revocation":
            await hold(node, but=[Revocation.sign(person_key(BEN), device_keys(20).public, [])])
        case _:
            await node.store.mark(person(BEN), added=False)
            known.forget()
    go_on.set()
    # then what is found knows it
    now = {"a device": [20, 21]}.get(news, [])
    assert set(await finding) == {device_keys(number).public for number in now}


def heard_by(known: Acquaintances) -> Callable[[Absorbed], Awaitable[None]]:
    async def heard(absorbed: Absorbed) -> None:
        known.heard(absorbed)

    return heard
