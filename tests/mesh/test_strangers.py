"""Strangers who stay keep nobody out: who has most of them loses one."""

from __future__ import annotations

import pytest

from mesh.strangers import Strangers


def test_while_there_is_room_nobody_has_to_go() -> None:
    strangers: Strangers[int] = Strangers(3)
    assert [strangers.add(number, "192.0.2.1:5") for number in range(3)] == [None] * 3


def test_of_the_network_that_most_came_from_the_first_goes() -> None:
    strangers: Strangers[int] = Strangers(4)
    for number, host in enumerate(("198.51.100.9", "192.0.2.1", "192.0.2.1", "203.0.113.5")):
        assert strangers.add(number, f"{host}:{1_000 + number}") is None
    assert strangers.add(4, "203.0.113.77:1") == 1
    strangers.discard(1)
    assert len(strangers) == 4
    # all alike now: the one who is there for longest
    assert strangers.add(5, "198.51.100.8:1") == 0


def test_who_comes_again_and_again_crowds_out_nobody_but_himself() -> None:
    strangers: Strangers[int] = Strangers(10)
    for number in range(5):
        strangers.add(number, f"198.51.100.{number}:1")
    for number in range(5, 1_000):
        gone = strangers.add(number, "192.0.2.1:1")
        assert gone is None or gone >= 5
        if gone is not None:
            strangers.discard(gone)
    assert len(strangers) == 10


@pytest.mark.parametrize(
    "addresses",
    [
        ["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:0:9::]:7"],
        ["192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:3"],
        [None, None, "nowhere"],
    ],
)
def test_addresses_that_one_device_may_have_count_as_one(addresses: list[str | None]) -> None:
    strangers: Strangers[str] = Strangers(4)
    strangers.add("other", "198.51.100.1:1")
    names = "abc"
    for name, address in zip(names, addresses, strict=True):
        assert strangers.add(name, address) is None
    assert strangers.add("new", "203.0.113.1:1") == "a"


def test_who_has_gone_makes_room_and_going_twice_changes_nothing() -> None:
    strangers: Strangers[int] = Strangers(1)
    strangers.add(1, None)
    for _ in range(2):
        strangers.discard(1)
    assert strangers.add(2, None) is None
