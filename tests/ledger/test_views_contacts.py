from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidError, PassalongError
from ledger.kinds.profile import Profile
from ledger.link import Link
from ledger.store.base import Known
from ledger.views.contacts import (
    AmbiguousPersonError,
    Contact,
    UnknownPersonError,
    list_contacts,
    name_key,
    resolve,
)
from ledger.views.people import People
from ledger.views.weight import Weights
from tests.ledger.views_support import Writer, census, entry, keys, person, revoke, root

PHONE, LAPTOP = Writer("phone", "ada"), Writer("laptop", "ada")
OTHER, LONE = Writer("other", "bob"), Writer("lone")
ADA, BOB = root("ada"), root("bob")
BLOCKS = [w.first for w in (PHONE, LAPTOP, OTHER, LONE)]
BLOCKS += [PHONE.profile("Ada"), OTHER.profile("Bob"), LONE.profile("Ada")]
PEOPLE = census(map(entry, BLOCKS))


def test_contacts_are_listed_by_name_with_the_nameless_last() -> None:
    known = [Known(ADA, following=True), Known(root("new"), following=True)]
    known += [Known(BOB, muted=True, blocked=True)]
    assert list_contacts(known, PEOPLE) == [
        Contact(ADA, "Ada", following=True, devices=PEOPLE.devices(ADA)),
        Contact(BOB, "Bob", following=False, devices=(OTHER.device,), muted=True, blocked=True),
        Contact(root("new"), None, following=True, devices=()),
    ]
    assert list_contacts([], PEOPLE) == []


def test_a_revoked_device_is_no_longer_a_contacts() -> None:
    people = census(map(entry, BLOCKS), {}, [revoke("ada", PHONE.device)])
    [row] = list_contacts([Known(ADA, following=True)], people)
    assert row.devices == (LAPTOP.device,)


def _find(text: str, *contacts: bytes) -> bytes:
    rows = list_contacts([Known(one, following=True) for one in contacts], PEOPLE)
    return resolve(text, PEOPLE, rows)


def test_a_whole_key_means_its_person_known_or_not() -> None:
    assert _find(ADA.hex()) == ADA
    assert _find(ADA.hex().upper()) == ADA
    assert _find(f" {PHONE.device.hex()}\n") == ADA
    assert _find(LONE.device.hex()) == LONE.device
    assert _find(root("never seen").hex()) == root("never seen")


def test_eight_digits_of_a_person_or_device_are_enough() -> None:
    for key in (ADA, PHONE.device, LAPTOP.device):
        for size in (8, 9, 20, 63):
            assert _find(key.hex()[:size]) == ADA
    assert _find(root("new").hex()[:8], root("new")) == root("new")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\u200b",
        ADA.hex()[:7],
        "00000000",
        "nobody",
        "Ad",
        "zz" + ADA.hex(),
        "0x" + ADA.hex(),
        ADA.hex() + "00",
        "line\nbreak\u202e\x1b[31m" + "x" * 500,
    ],
)
def test_an_unknown_person_is_refused_in_one_line_that_says_what_to_do(text: str) -> None:
    with pytest.raises(UnknownPersonError, match="give a name") as caught:
        _find(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("text", ["Bob", "bob", "BOB", " bob ", "\uff22ob", "b\u200dob"])
def test_a_name_is_found_whatever_its_case_and_what_cannot_be_seen(text: str) -> None:
    assert _find(text) == BOB
    assert _find(text, BOB) == BOB


def test_a_name_that_several_bear_is_ambiguous() -> None:
    with pytest.raises(AmbiguousPersonError, match="more digits") as caught:
        _find("ada")
    for someone in (ADA, LONE.device):
        assert someone.hex()[:16] in str(caught.value)
    with pytest.raises(AmbiguousPersonError):
        _find("ada", ADA, LONE.device)


def test_a_stranger_with_a_contacts_name_does_not_get_in_the_way() -> None:
    assert _find("ada", ADA) == ADA
    assert _find("ada", LONE.device, BOB) == LONE.device


@pytest.mark.parametrize("marks", [{"muted": True}, {"blocked": True}])
def test_who_is_muted_or_blocked_for_a_friends_name_does_not_get_in_his_way(
    marks: dict[str, bool],
) -> None:
    # given that Ada is followed, and another who calls himself so was sent away
    known = [Known(ADA, following=True), Known(LONE.device, **marks)]
    rows = list_contacts(known, PEOPLE)
    assert resolve("ada", PEOPLE, rows) == ADA
    # then it is he who is meant where he is asked for first
    (mark,) = marks
    assert resolve("ada", PEOPLE, rows, lambda row: getattr(row, mark)) == LONE.device
    # and his key goes on meaning him
    assert resolve(LONE.device.hex()[:8], PEOPLE, rows) == LONE.device
    # while nobody of that name is followed, it is any of them
    with pytest.raises(AmbiguousPersonError):
        resolve("ada", PEOPLE, list_contacts(known[1:], PEOPLE))


def _crowd(*persons: bytes, names: tuple[str, ...] = ()) -> People:
    """People who are their own devices."""
    profiles = {key: Profile(1, name) for key, name in zip(persons, names, strict=False)}
    return People(Weights({}, [], {}, {}), {key: key for key in persons}, {}, profiles)


def test_digits_that_several_keys_begin_with_are_ambiguous() -> None:
    one, two = bytes.fromhex("deadbeef01") + bytes(27), bytes.fromhex("deadbeef02") + bytes(27)
    people = _crowd(one, two)
    with pytest.raises(AmbiguousPersonError):
        resolve("deadbeef", people, [])
    assert resolve("deadbeef02", people, []) == two


def test_a_contact_named_like_anothers_digits_is_ambiguous_and_a_stranger_is_not() -> None:
    one, two = bytes.fromhex("deadbeef01") + bytes(27), bytes(32)
    people = _crowd(two, one, names=("DeadBeef",))
    with pytest.raises(AmbiguousPersonError):
        resolve("deadbeef", people, list_contacts([Known(two, following=True)], people))
    assert resolve("deadbeef", people, []) == one


def test_a_crowd_of_one_name_is_listed_briefly() -> None:
    crowd = [bytes([n]) * 32 for n in range(50)]
    people = _crowd(*crowd, names=("Ann",) * 50)
    with pytest.raises(AmbiguousPersonError, match="and 46 more") as caught:
        resolve("ann", people, [])
    assert len(str(caught.value)) < 200


def test_a_key_that_is_a_person_and_a_device_means_the_person() -> None:
    key, other = bytes([1]) * 32, bytes([2]) * 32
    people = People(Weights({}, [], {}, {}), {key: other, bytes(32): key}, {}, {})
    assert resolve(key.hex(), people, []) == key


def test_a_link_means_the_person_who_certified_it() -> None:
    device = keys("far away")
    certificate = person("cleo").certify(device.public)
    link = Link(root("cleo"), device.public, device.sealing_public, certificate).encode()
    assert _find(link) == root("cleo")
    assert _find(f" {link.upper()} ") == root("cleo")
    with pytest.raises(InvalidError, match="copy it again"):
        _find(link[:-1])


@given(text=st.text(max_size=80))
def test_nothing_a_human_types_breaks_the_search(text: str) -> None:
    try:
        found: bytes | None = _find(text, ADA)
        said = ""
    except PassalongError as exc:
        found, said = None, str(exc)
    assert said.isprintable()
    assert found is None or found in PEOPLE


def test_names_are_compared_as_a_reader_would() -> None:
    assert name_key("Ada  Lovelace ") == name_key("ada lovelace") == name_key("ADA\u00a0Lovelace")
    assert name_key("Stra\u00dfe") == name_key("STRASSE")
    assert name_key("Ada") != name_key("Adam")
