"""What was held as a stranger's and then is brought by a contact, and where the clock began."""

from __future__ import annotations

import pytest

from gossip.carried import STRANGER, MailChanges
from gossip.mail import Mail
from gossip.mail_room import MailLimits
from ledger.store.base import MailWhat
from tests.gossip.mail_builders import ALICE, BOB, ME, RUN, letter, make_mail, taken

FIRST = letter(1)


@pytest.mark.parametrize(
    ("brought", "said", "left"),
    [(0, 0, 0), (0, 9, 64), (9, 0, 0), (9, 9, 9), (9, 64, 9)],
)
def test_what_a_contact_brings_as_well_is_his_with_the_copies_that_are_left(
    brought: int, said: int, left: int
) -> None:
    mail = make_mail()
    taken(mail, FIRST, STRANGER, copies=brought)
    changes = mail.vouched(FIRST.id, ALICE, said)
    one = mail.carried[FIRST.id]
    assert (one.depositor, one.copies) == (ALICE, left)
    assert changes.puts == [one.row()]
    assert changes.puts[0].content == b""


def test_nobody_takes_over_what_another_contact_brought_or_one_sent() -> None:
    mail = make_mail()
    taken(mail, FIRST, ALICE)
    mail.deposit(letter(2).envelope, 8, 60, 0.0)
    before = dict(mail.carried)
    for one in (FIRST, letter(2), letter(3)):
        for who in (BOB, STRANGER):
            assert mail.vouched(one.id, who, 0) == MailChanges()
    assert mail.carried == before


def test_who_vouches_for_much_has_brought_more_than_his_share() -> None:
    mail = Mail(ME, RUN, MailLimits(envelopes=10, share=0.2, strangers=0.5))
    for number in range(4):
        taken(mail, letter(number), STRANGER, life=100 + number)
        mail.vouched(letter(number).id, ALICE, 0)
    for number in range(4, 10):
        taken(mail, letter(number), BOB if number < 6 else STRANGER, life=50)
    # two are Bob's and five the strangers'; only Alice has more than her share, so hers goes
    changes = taken(mail, letter(10), STRANGER, life=200)
    assert changes.drops == [(MailWhat.CARRIED, letter(0).id)]


@pytest.mark.parametrize("began", [0.0, 12.5, 5_000_000.25])
def test_elapsed_time_counts_from_where_the_clock_stood(began: float) -> None:
    mail = Mail(ME, RUN, elapsed=700, began=began)
    assert [mail.elapsed(began + later) for later in (0, 0.5, 1, 86_400)] == [
        700, 700, 701, 700 + 86_400,
    ]  # fmt: skip
    taken(mail, FIRST, life=10, now=began + 100)
    assert mail.carried[FIRST.id].until == 700 + 100 + 600
    assert mail.expire(began + 699).drops == []
    assert mail.expire(began + 700).drops == [(MailWhat.CARRIED, FIRST.id)]
