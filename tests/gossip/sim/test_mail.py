"""Letters: carried as early as can be, within what everybody carries, through a night's sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gossip.mail_room import MailLimits
from gossip.sim.mailbox import Sealed
from gossip.sim.oracle import Oracle
from gossip.sim.scenario import Scenario, simulate
from gossip.sim.workload import Letter
from gossip.sim.world import Plan, World
from tests.gossip.sim.places import SETUP, letters_in, place, traces
from tests.gossip.worlds import part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.sim.trace import Trace

LINE = place(4, (0, 20, 0, 1), (100, 120, 1, 2), (200, 220, 2, 3))


def sent(trace: Trace, letters: Sequence[Letter], plan: Plan | None = None) -> World:
    """Let everything happen."""
    world = World(trace, [], plan or Plan(), letters)
    world.run()
    return world


@part(2)
@given(traces(), st.data())
def test_a_letter_is_there_as_early_as_can_be(trace: Trace, data: st.DataObject) -> None:
    letters = data.draw(letters_in(trace))
    oracle, best = Oracle(trace, SETUP), {}
    for number, letter in enumerate(letters):
        reached = oracle.earliest(letter.source, letter.born)
        if letter.destination in reached:
            best[number] = reached[letter.destination]
    assert sent(trace, letters).received == best


def test_a_letter_goes_on_after_its_carrier_was_switched_off() -> None:
    naps = {1: [(30.0, 50.0)], 3: [(1.0, 2.0)]}
    assert sent(LINE, [Letter(1.0, 0, 3)], Plan(asleep=naps)).received == {0: 205.0}


def test_who_has_no_room_carries_the_newest() -> None:
    letters = [Letter(float(at), 0, 2) for at in range(4)]
    world = sent(LINE, letters, Plan(mail=MailLimits(envelopes=1)))
    assert len(world.received) == 1
    assert len(sent(LINE, letters).received) == 4


def test_what_was_read_is_carried_no_more() -> None:
    """The reader tells whom he meets later, and these tell the others."""
    before = ((0, 20, 0, 1), (50, 70, 1, 2))
    after = ((100, 120, 2, 3), (200, 220, 1, 3), (300, 320, 0, 3))
    letters = [Letter(1.0, 0, 2)]
    carriers = [len(_carried(sent(place(4, *met), letters))) for met in (before, before + after)]
    assert carriers == [2, 0]


def _carried(world: World) -> list[bytes]:
    boxes = [node.mailbox for node in world.nodes]
    return [ident for box in boxes if box is not None for ident in box.mail.carried]


def test_letters_are_told_from_one_another() -> None:
    sealed = [Sealed.of(1, number, 400) for number in range(9)]
    assert len({one.envelope.id for one in sealed}) == 9
    assert len({one.envelope.tag for one in sealed}) == 9
    assert {one.hops for one in sealed} <= {7, 8, 9, 10}
    assert Sealed.of(1, 3, 400) == sealed[3] != Sealed.of(2, 3, 400)


def test_a_world_without_letters_carries_none() -> None:
    assert {node.mailbox for node in sent(LINE, []).nodes} == {None}


def test_mail_is_reported_beside_what_could_be() -> None:
    report = simulate(LINE, Scenario(posts=0, mail=12, churn=True))
    assert report.mail is not None
    assert (report.mail.messages, report.mail.pairs) == (12, 12)
    assert report.mail.delivery == report.mail.oracle
    assert 0 < report.mail.delivery["end"] < 1
    assert simulate(LINE, Scenario(posts=3)).mail is None
