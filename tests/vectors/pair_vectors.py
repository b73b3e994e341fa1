"""Vectors of two-party records: which proposals and agreements make a pair."""

from __future__ import annotations

from tests.vectors.cast import device, dice, person
from tests.vectors.collection import Collection

_ADA, _BEN, _EVE = (person(name).signing.public for name in ("ada", "ben", "eve"))
_NOBODY = bytes(32)


def _proposal(**changes: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "id": dice("proposal"),
        "device": device("ada").public,
        "seq": 5,
        "person": _ADA,
        "asked": _BEN,
        "kind": "help",
    }
    return usual | changes


def _agreement(**changes: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "id": dice("agreement"),
        "person": _BEN,
        "proposal": dice("proposal"),
        "proposer": _ADA,
        "kind": "help",
        "head": 8,
    }
    return usual | changes


def _withdrawal(**changes: object) -> dict[str, object]:
    usual = {"device": device("ada").public, "seq": 8, "proposal": dice("proposal")}
    return usual | changes


def pairs() -> Collection:
    file = Collection("pairs of a proposal and an agreement; a pair is [proposal id, agreement id]")
    one, yes, open_to_all = _proposal(), _agreement(), _proposal(asked=_NOBODY)
    twice = [yes, _agreement(id=dice("agreement again"))]
    from_eve = _agreement(id=dice("agreement of Eve"), person=_EVE)
    cases: dict[str, tuple[list[object], list[object], list[object]]] = {
        "a pair": ([one], [yes], []),
        "a proposal alone": ([one], [], []),
        "an agreement alone": ([], [yes], []),
        "another was asked": ([one], [from_eve], []),
        "anyone was asked": ([open_to_all], [yes, from_eve], []),
        "nobody agrees with himself": ([open_to_all], [_agreement(person=_ADA)], []),
        "of one person's two the smaller id": ([one], list(twice), []),
        "whatever came first": ([one], list(twice[::-1]), []),
        "another proposer is named": ([one], [_agreement(proposer=_EVE)], []),
        "another kind": ([one], [_agreement(kind="vouch")], []),
        "the head seen is the proposal itself": ([one], [_agreement(head=5)], []),
        "the head seen is before the proposal": ([one], [_agreement(head=4)], []),
        "withdrawn at the head seen": ([one], [yes], [_withdrawal()]),
        "withdrawn below the head seen": ([one], [yes], [_withdrawal(seq=6)]),
        "withdrawn after the head seen": ([one], [yes], [_withdrawal(seq=9)]),
        "withdrawn twice": ([one], [yes], [_withdrawal(seq=9), _withdrawal(seq=7)]),
        "withdrawn by another device": ([one], [yes], [_withdrawal(device=device("eve").public)]),
        "another proposal withdrawn": ([one], [yes], [_withdrawal(proposal=dice("another"))]),
        "the first of two agreements is void": (
            [one],
            [yes, _agreement(id=dice("agreement again"), head=7)],
            [_withdrawal()],
        ),
    }
    for name, (proposals, agreements, withdrawals) in cases.items():
        given = {"proposals": proposals, "agreements": agreements, "withdrawals": withdrawals}
        file.good("pairs", name, **given)
    return file
