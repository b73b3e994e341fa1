"""Policy: what is wanted in which class, and what is offered to whom."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import MIN_FRAME_BYTES
from gossip.number import MAX_MESSAGE_BYTES
from gossip.policy import MAX_PAGE, PUBLIC, Limits, Peer, Policy
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, material

if TYPE_CHECKING:
    from ledger.store.base import LogKey

ME = Device(1, 1)
FRIEND, NEAR, BAD, OTHER = (Device(number, number) for number in (2, 3, 4, 5))
CLOSED = material("closed group", 16)
POLICY = Policy(
    ME.public,
    ME.person.signing.public,
    followed=frozenset({FRIEND.person.signing.public}),
    near=frozenset({NEAR.person.signing.public}),
    blocked=frozenset({BAD.person.signing.public}),
    named=frozenset({(OTHER.public, GROUP + 1), (OTHER.public, 7)}),
    groups={GROUP: CLOSED},
    members={CLOSED: frozenset({FRIEND.public})},
)
PERSONS = [device.person.signing.public for device in (ME, FRIEND, NEAR, BAD, OTHER)]


@pytest.mark.parametrize(
    ("device", "log", "rank"),
    [
        (ME, SOCIAL, 3),
        (FRIEND, SOCIAL, 3),
        (FRIEND, IDENTITY, 3),
        (FRIEND, GROUP, 2),
        (NEAR, SOCIAL, 5),
        (OTHER, SOCIAL, 6),
        (OTHER, GROUP, 2),
        (OTHER, GROUP + 1, 2),
        (OTHER, 7, 3),
        (OTHER, GROUP + 2, 6),
        (BAD, SOCIAL, None),
        (BAD, GROUP, None),
    ],
)
def test_each_log_is_wanted_in_its_class(device: Device, log: int, rank: int | None) -> None:
    assert POLICY.rank((device.public, log), device.person.signing.public) == rank


@given(
    author=st.sampled_from([ME, FRIEND, NEAR, BAD, OTHER]),
    person=st.none() | st.sampled_from(PERSONS),
    log=st.sampled_from([IDENTITY, SOCIAL, 7, GROUP, GROUP + 1]),
    blocks=st.booleans(),
)
def test_what_is_blocked_is_neither_wanted_nor_offered_and_one_s_own_is_always_wanted(
    author: Device,
    person: bytes | None,
    log: int,
    blocks: bool,  # noqa: FBT001
) -> None:
    key: LogKey = (author.public, log)
    blocked = {author.public} if blocks else {PERSONS[3]}
    policy = Policy(ME.public, PERSONS[0], blocked=frozenset(blocked), groups={GROUP: CLOSED})
    is_mine = author is ME or person == PERSONS[0]
    is_blocked = person in blocked or author.public in blocked
    assert (policy.rank(key, person) is None) == (is_blocked and not is_mine)
    assert (policy.scope(key, person) is None) == is_blocked


def test_who_is_blocked_by_his_device_is_blocked_while_nobody_knows_whose_it_is() -> None:
    policy = Policy(ME.public, PERSONS[0], blocked=frozenset({OTHER.public}))
    assert policy.rank((OTHER.public, SOCIAL), None) is None
    assert policy.scope((OTHER.public, SOCIAL), None) is None


def test_what_strangers_wrote_is_wanted_only_by_who_cares_for_the_public() -> None:
    policy = Policy(ME.public, PERSONS[0], public=False)
    assert policy.rank((OTHER.public, SOCIAL), PERSONS[4]) is None
    assert policy.rank((OTHER.public, SOCIAL), PERSONS[0]) == 3


def test_a_closed_group_is_offered_to_its_members_alone() -> None:
    key = (OTHER.public, GROUP)
    assert POLICY.scope(key, PERSONS[4]) == CLOSED
    assert POLICY.scope((OTHER.public, GROUP + 1), PERSONS[4]) == PUBLIC
    assert POLICY.shares(CLOSED, Peer(FRIEND.public, PERSONS[1]))
    assert not POLICY.shares(CLOSED, Peer(NEAR.public, PERSONS[2]))
    assert not POLICY.shares(CLOSED, None)


def test_what_is_public_is_offered_to_all_and_what_is_nowhere_to_nobody() -> None:
    for peer in (None, Peer(NEAR.public, PERSONS[2])):
        assert POLICY.shares(PUBLIC, peer)
        assert not POLICY.shares(None, peer)


def test_it_is_checked_who_somebody_is_only_where_that_matters() -> None:
    assert [POLICY.may_matter(person) for person in PERSONS] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("frame", "window", "taken"),
    [
        (MIN_FRAME_BYTES, MIN_FRAME_BYTES, True),
        (MIN_FRAME_BYTES - 1, 1 << 20, False),
        (MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES, True),
        (MAX_MESSAGE_BYTES + 1, 1 << 20, False),
        (MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES - 1, False),
    ],
)
def test_a_frame_holds_the_longest_unit_and_a_window_a_frame(
    frame: int, window: int, *, taken: bool
) -> None:
    if taken:
        assert Limits(frame=frame, window=window).frame == frame
        return
    with pytest.raises(ValueError, match=r"frame limit|window"):
        Limits(frame=frame, window=window)


WIDER: list[dict[str, Any]] = [
    {"public": False, "followed": frozenset({PERSONS[4]})},
    {"public": False, "near": frozenset({PERSONS[4]})},
    {"public": False, "named": frozenset({(OTHER.public, 1)})},
    {"blocked": frozenset()},
    {"headers_only": frozenset({(OTHER.public, 1)})},
    {"groups": {GROUP + 1: CLOSED}},
]


@pytest.mark.parametrize("change", WIDER)
def test_whatever_makes_more_wanted_makes_another_answer_to_what_is_wanted(
    change: dict[str, Any],
) -> None:
    before = replace(POLICY, public=change.get("public", True))
    assert replace(before, **change).wants != before.wants


def test_whether_strangers_are_wanted_makes_another_answer() -> None:
    assert replace(POLICY, public=False).wants != POLICY.wants


def test_whom_one_follows_matters_even_where_everything_is_wanted() -> None:
    # of somebody followed more logs are taken than of anybody else
    assert replace(POLICY, followed=frozenset()).wants != POLICY.wants


@pytest.mark.parametrize(
    ("policy", "person", "is_open"),
    [
        (POLICY, None, True),
        (replace(POLICY, public=False), None, True),
        (replace(POLICY, public=False), PERSONS[4], False),
        (replace(POLICY, public=False, followed=frozenset(), near=frozenset()), None, False),
        (replace(POLICY, public=False, blocked=frozenset({OTHER.public})), None, False),
    ],
)
def test_a_log_of_nobody_known_may_be_of_somebody_followed(
    policy: Policy, person: bytes | None, *, is_open: bool
) -> None:
    assert policy.is_open((OTHER.public, SOCIAL), person) == is_open


@pytest.mark.parametrize("page", [0, MAX_PAGE + 1])
def test_a_page_has_room_for_a_mention_and_fits_into_any_frame(page: int) -> None:
    with pytest.raises(ValueError, match=f"a page has 1 to {MAX_PAGE} mentions, not {page}"):
        Limits(page=page)
    assert [Limits(page=least).page for least in (1, MAX_PAGE)] == [1, MAX_PAGE]
