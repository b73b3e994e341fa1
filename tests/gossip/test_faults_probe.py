"""Faults that were found once, and mended: who asks after a closed group's log learns nothing."""

import pytest

from gossip.control import Greeting, Mention, Mode, Request
from gossip.standing import Salt, place_of
from tests.gossip.liars import WRONG, Liar, again, claim
from tests.gossip.meetings import BINDING, Node
from tests.strategies import GROUP, Device, material

HIS_RUN = material("his run", 8)
OURS = {GROUP: material("group")}
CONTACT = pytest.mark.parametrize("is_contact", [False, True])


def written_in_the_group() -> Device:
    device = Device(10, 10)
    device.write_many(3, log=GROUP)
    return device


def a_member_and_another(device: Device) -> tuple[Node, Node]:
    """One who is in the group and holds what the device wrote there, and one who is not."""
    member, other = Node(1, groups=OURS), Node(1)
    member.hold_device(device)
    other.hold(device.logs[0])
    return member, other


def begun(node: Node, *, is_contact: bool) -> Liar:
    """Meet a node as somebody who is not known to be in the group."""
    liar = Liar(node, is_contact=is_contact)
    return liar.begin(Greeting(HIS_RUN, 9, None) if is_contact else None)


def probe(node: Node, *mentions: Mention, is_contact: bool) -> list[Request]:
    """Return what a node asks when such a one mentions logs."""
    return begun(node, is_contact=is_contact).mention(*mentions).asked()


@CONTACT
@pytest.mark.parametrize("seq", [2, 3, 5])
def test_whoever_is_not_in_a_group_does_not_learn_who_holds_its_log(
    seq: int, *, is_contact: bool
) -> None:
    device = written_in_the_group()
    said = claim((device.public, GROUP), seq)

    asked, asked_by_other = (
        probe(node, said, is_contact=is_contact) for node in a_member_and_another(device)
    )

    assert asked == asked_by_other
    assert [request.mode for request in asked] == [Mode.FROM]


@CONTACT
def test_a_short_name_of_a_group_s_log_is_asked_about_as_if_it_meant_nothing(
    *, is_contact: bool
) -> None:
    device = written_in_the_group()
    key = (device.public, GROUP)
    name = Salt(BINDING).short(key, place_of(key)[0])
    said = Mention(name, 5, plain=True, check=WRONG, evidence=b"")

    asked, asked_by_other = (
        probe(node, said, is_contact=is_contact) for node in a_member_and_another(device)
    )

    assert asked == asked_by_other
    assert [request.mode for request in asked] == [Mode.ENTRY]


@CONTACT
def test_who_wants_nothing_of_strangers_asks_for_a_group_s_log_and_shows_nothing_of_it(
    *, is_contact: bool
) -> None:
    device = written_in_the_group()
    said = claim((device.public, GROUP), 5)
    holding, lacking = (Node(1, groups=OURS, public=False) for _ in range(2))
    holding.hold_device(device)

    asked, asked_by_other = (
        probe(node, said, is_contact=is_contact) for node in (holding, lacking)
    )

    assert asked == asked_by_other
    assert [request.mode for request in asked] == [Mode.FROM]


@CONTACT
def test_a_log_that_is_mentioned_again_while_it_is_asked_for_is_waited_for(
    *, is_contact: bool
) -> None:
    device = written_in_the_group()
    asked: list[list[Request]] = []

    for node in a_member_and_another(device):
        liar = begun(node, is_contact=is_contact).mention(claim((device.public, GROUP), 2))
        asked.append(liar.mention(again(0, 2, 1)).asked())

    assert asked[0] == asked[1]
    assert len(asked[0]) == 1
