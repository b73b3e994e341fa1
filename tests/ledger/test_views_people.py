from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import MAX_SEQ, Block
from ledger.kinds.device import Device
from ledger.statement import Cut, Revocation
from ledger.views.people import Census, People
from ledger.views.weight import Weights
from tests.ledger.views_support import (
    SALT,
    Writer,
    census,
    entry,
    keys,
    person,
    revoke,
    root,
    without_body,
)

DEVICE = keys("phone").public
ADA = root("ada")


def _weights(
    *cuts: Cut, fork: int | None = None, by: str = "ada", ids: dict[int, bytes] | None = None
) -> Weights:
    """Of log 1 of ada's phone: forked at ``fork``, revoked ``by`` someone who names ``cuts``."""
    forks = {} if fork is None else {(DEVICE, 1): fork}
    statements = [Revocation.sign(person(by), DEVICE, cuts)] if cuts or by != "ada" else []
    held = {(DEVICE, 1, seq): ident for seq, ident in (ids or {}).items()}
    return Weights(forks, statements, {DEVICE: ADA}, held)


CUT = Cut(1, 5, b"i" * 32)


def test_an_untroubled_log_weighs_without_end() -> None:
    weights = _weights()
    assert weights.limit(DEVICE, 1) == MAX_SEQ
    assert weights.reason(DEVICE, 1, MAX_SEQ) is None
    assert not weights.is_revoked(DEVICE)


@pytest.mark.parametrize(
    ("fork", "cut", "limit"), [(9, None, 8), (1, None, 0), (9, CUT, 5), (3, CUT, 2), (6, CUT, 5)]
)
def test_a_log_weighs_up_to_the_smaller_of_fork_and_cut(
    fork: int, cut: Cut | None, limit: int
) -> None:
    weights = _weights(*([cut] if cut else []), fork=fork)
    assert weights.limit(DEVICE, 1) == limit
    for seq in range(1, 12):
        assert (weights.reason(DEVICE, 1, seq) is None) == (seq <= limit)
        assert (weights.reason(DEVICE, 1, seq) == "forked") == (seq >= fork)


def test_a_log_that_the_revocation_does_not_name_weighs_nothing() -> None:
    weights = _weights(CUT)
    assert weights.is_revoked(DEVICE)
    assert (weights.limit(DEVICE, 0), weights.limit(DEVICE, 2)) == (0, 0)
    assert weights.reason(DEVICE, 0, 1) == "revoked"


def test_another_block_where_the_log_was_cut_weighs_nothing_nor_what_led_to_it() -> None:
    assert _weights(CUT, ids={5: CUT.id}).limit(DEVICE, 1) == 5
    assert _weights(CUT, ids={4: b"o" * 32}).limit(DEVICE, 1) == 5
    assert _weights(CUT, ids={5: b"o" * 32}).limit(DEVICE, 1) == 0


def test_only_its_own_person_revokes_a_device() -> None:
    assert _weights(CUT, by="bob").limit(DEVICE, 1) == MAX_SEQ
    assert Weights({}, [revoke("ada", DEVICE)], {}, {}).limit(DEVICE, 1) == MAX_SEQ
    assert Weights({}, [revoke("ada", DEVICE)], {DEVICE: ADA}, {}).limit(DEVICE, 1) == 0


def test_nothing_of_a_device_that_began_twice_weighs() -> None:
    twice = Weights({(DEVICE, 0): 1}, [], {DEVICE: ADA}, {})
    assert [twice.limit(DEVICE, log) for log in (0, 1, 1 << 31)] == [0, 0, 0]
    assert twice.reason(DEVICE, 1, 1) == "forked"
    assert Weights({(DEVICE, 0): 2}, [], {DEVICE: ADA}, {}).limit(DEVICE, 1) == MAX_SEQ


def test_a_person_has_all_devices_he_certified() -> None:
    phone, laptop, other = Writer("phone", "ada"), Writer("laptop", "ada"), Writer("other", "bob")
    people = census(map(entry, [phone.first, other.first, laptop.first]))
    assert people.devices(ADA) == tuple(sorted([phone.device, laptop.device]))
    assert people.person(laptop.device) == ADA
    assert people.sealing(phone.device) == phone.keys.sealing_public
    assert list(people) == sorted([ADA, root("bob")])
    assert len(people) == 2
    assert phone.device not in people


def test_a_device_is_its_own_person_until_it_shows_a_right_certificate() -> None:
    lone, absent, bare = Writer("lone"), Writer("absent", "ada"), Writer("bare", "ada")
    stray = absent.post("who am I?")
    people = census([entry(lone.first), entry(stray), entry(without_body(bare.first))])
    for device in (lone.device, absent.device, bare.device, keys("nobody").public):
        assert people.person(device) == device
    assert people.devices(absent.device) == (absent.device,)
    assert people.devices(ADA) == ()
    assert people.sealing(lone.device) == lone.keys.sealing_public
    assert people.sealing(absent.device) is None


def test_only_the_first_block_of_log_0_says_whose_a_device_is() -> None:
    phone = Writer("phone", "ada")
    certificate = person("bob").certify(phone.device)
    later = Device(9, bytes(32), root("bob"), certificate).encode(SALT)
    blocks = [phone.first, phone.write("device", later, log=0), phone.write("device", later, log=1)]
    people = census(map(entry, blocks))
    assert people.person(phone.device) == ADA
    assert people.sealing(phone.device) == phone.keys.sealing_public


def test_the_latest_profile_of_any_device_is_shown() -> None:
    phone, laptop = Writer("phone", "ada"), Writer("laptop", "ada")
    old, new = phone.profile("Ada", 5), laptop.profile("Ada L.", 6, "counts")
    people = census(map(entry, [phone.first, laptop.first, new, old]))
    assert people.name(ADA) == "Ada L."
    said = people.profile(ADA)
    assert said is not None
    assert said.about == "counts"
    assert people.name(root("bob")) is None


def test_profiles_of_one_moment_go_by_device_log_and_seq() -> None:
    phone = Writer("phone", "ada")
    blocks = [phone.profile(name, 5) for name in ("one", "two", "three")]
    assert census(map(entry, [phone.first, *reversed(blocks)])).name(ADA) == "three"


def test_profiles_that_do_not_weigh_do_not_count() -> None:
    phone = Writer("phone", "ada")
    first, second = phone.profile("Ada", 1), phone.profile("Eve", 2)
    entries = [entry(phone.first), entry(first), entry(second)]
    detached = [*entries[:2], entry(second, joined=False)]
    assert census(entries).name(ADA) == "Eve"
    assert census(detached).name(ADA) == "Ada"
    assert census(entries, {(phone.device, 1): 2}).name(ADA) == "Ada"
    assert census(entries, {}, [revoke("ada", phone.device, first)]).name(ADA) == "Ada"
    assert census(entries, {}, [revoke("ada", phone.device)]).name(ADA) is None
    assert census(entries, {}, [revoke("bob", phone.device)]).name(ADA) == "Eve"


def test_a_revoked_device_still_belongs_to_who_revoked_it() -> None:
    phone = Writer("phone", "ada")
    people = census([entry(phone.first)], {}, [revoke("ada", phone.device)])
    assert people.person(phone.device) == ADA
    assert people.weights.is_revoked(phone.device)


def test_the_branch_a_revocation_means_is_recognised_by_its_id() -> None:
    phone = Writer("phone", "ada")
    good = phone.profile("Ada", 1)
    forged = phone.block_at(1, phone.first.id, "post", SALT)
    statement = revoke("ada", phone.device, good)
    assert census(map(entry, [phone.first, good]), {}, [statement]).name(ADA) == "Ada"
    other = census(map(entry, [phone.first, forged]), {}, [statement])
    assert other.weights.limit(phone.device, 1) == 0


def test_profiles_that_mean_nothing_leave_the_last_one_standing() -> None:
    phone = Writer("phone", "ada")
    blocks = [phone.first, phone.profile("Ada", 1), phone.write("profile", b"noise")]
    assert census(map(entry, blocks)).name(ADA) == "Ada"


def _town() -> tuple[list[Block], list[Revocation], dict[tuple[bytes, int], int]]:
    phone, laptop, lone = Writer("phone", "ada"), Writer("laptop", "ada"), Writer("lone")
    kept = phone.profile("Ada", 3)
    blocks = [phone.first, kept, phone.profile("Eve", 9), phone.profile("Ada", 9)]
    blocks += [laptop.first, laptop.profile("A", 2), laptop.profile("B", 8), lone.profile("L", 1)]
    return [*blocks, lone.first], [revoke("ada", phone.device, kept)], {(laptop.device, 1): 2}


BLOCKS, STATEMENTS, FORKS = _town()


def _facts(people: People) -> object:
    return [(one, people.profile(one), people.devices(one)) for one in people]


@given(order=st.permutations(BLOCKS), size=st.integers(1, 9))
def test_any_order_and_any_pages_give_the_same_people(order: list[Block], size: int) -> None:
    fold = Census(FORKS, STATEMENTS)
    for start in range(0, len(order), size):
        fold.add([entry(block) for block in order[start : start + size]])
    people = fold.people()
    assert _facts(people) == _facts(census(map(entry, BLOCKS), FORKS, STATEMENTS))
    assert people.name(ADA) == "Ada"


@given(body=st.binary(max_size=60), kind=st.sampled_from(["device", "profile"]))
def test_no_body_of_a_stranger_stops_the_census(body: bytes, kind: str) -> None:
    lone = Writer("lone")
    blocks = [lone.block_at(1, bytes(32), "device", body, 0), lone.write(kind, body)]
    assert census(map(entry, blocks)).person(lone.device) == lone.device
