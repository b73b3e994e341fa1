from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from transports.gate import Entry, Gate, GateLimits, Refusal, network_of

WIDE = GateLimits(1_000, 1_000, 2_000, 2_000, 60_000, 60_000, 4_096)


def let_in(gate: Gate, address: str | None, now: float = 0.0) -> Entry:
    entry = gate.admit(address, now)
    assert isinstance(entry, Entry), entry
    return entry


def visits(gate: Gate, addresses: Iterable[str | None], now: float = 0.0) -> int:
    """How many of these came in, each leaving before the next comes."""
    came = 0
    for address in addresses:
        entry = gate.admit(address, now)
        if isinstance(entry, Entry):
            came += 1
            gate.left(entry)
    return came


def v4(number: int) -> str:
    return str(IPv4Address(0x0A00_0000 + number))


def v6(network: int, host: int = 1) -> str:
    return str(IPv6Address((0x2001_0DB8 << 96) + (network << 64) + host))


# --- what an address is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "::ffff:10.0.0.1"),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_addresses_of_one_device_are_counted_together(one: str, other: str) -> None:
    assert network_of(one) == network_of(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10.0.0.1", "10.0.0.2"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2"),
        ("2001:db8::1", "2001:db8:0:1::1"),
        ("a00:1::", "10.0.0.1"),
        ("127.0.0.1", "127.0.0.2"),
    ],
)
def test_addresses_of_several_devices_are_counted_apart(one: str, other: str) -> None:
    assert network_of(one) != network_of(other)
    assert None not in {network_of(one), network_of(other)}


@pytest.mark.parametrize("unread", [None, "", "box.local", "10.0.0.1:80", "a socket"])
def test_who_has_no_address_shares_one_allowance_with_all_such(unread: str | None) -> None:
    gate = Gate(replace(WIDE, half_open_each=2))
    let_in(gate, None)
    let_in(gate, unread)
    assert gate.admit("what?", 0.0) is gate.admit(unread, 0.0) is Refusal.HALF_OPEN_EACH
    assert gate.remembered == 0


# --- each limit -----------------------------------------------------------------------------------


def test_half_open_links_of_one_address_are_limited_and_come_back() -> None:
    gate = Gate(GateLimits())
    entries = [let_in(gate, v4(1)) for _ in range(8)]
    assert gate.admit(v4(1), 0.0) is Refusal.HALF_OPEN_EACH
    let_in(gate, v4(2))
    # when one has proven itself and one is gone
    gate.secured(entries[0])
    gate.left(entries[1])
    # then there is room for two
    let_in(gate, v4(1))
    let_in(gate, v4(1))
    assert gate.admit(v4(1), 0.0) is Refusal.HALF_OPEN_EACH


def test_half_open_links_are_limited_in_all_and_come_back() -> None:
    gate = Gate(GateLimits())
    entries = [let_in(gate, v4(number)) for number in range(64)]
    assert gate.admit(v4(64), 0.0) is Refusal.HALF_OPEN
    assert gate.remembered == 64
    gate.left(entries[0])
    let_in(gate, v4(64))
    assert gate.admit(v4(65), 0.0) is Refusal.HALF_OPEN


def test_links_of_one_address_are_limited_however_long_they_stay() -> None:
    gate = Gate(replace(GateLimits(), burst=200))
    entries = []
    for _ in range(100):
        entries.append(let_in(gate, v4(1)))
        gate.secured(entries[-1])
    assert gate.admit(v4(1), 1e9) is Refusal.LINKS_EACH
    let_in(gate, v4(2), 1e9)
    gate.left(entries[50])
    let_in(gate, v4(1), 1e9)


def test_links_are_limited_in_all() -> None:
    gate = Gate(GateLimits())
    entries = []
    for number in range(600):
        entries.append(let_in(gate, v4(number)))
        gate.secured(entries[-1])
    assert gate.admit(v4(600), 0.0) is Refusal.LINKS
    gate.left(entries[3])
    let_in(gate, v4(600))


def test_one_address_opens_twenty_links_at_once_and_then_one_a_second() -> None:
    gate = Gate(GateLimits())
    assert visits(gate, [v4(1)] * 21 * 20) == 20
    assert gate.admit(v4(1), 0.5) is Refusal.RATE
    assert visits(gate, [v4(1)] * 20, 1.0) == 1
    assert [visits(gate, [v4(1)] * 20, now) for now in (2.0, 4.0, 4.5, 5.0)] == [1, 2, 0, 1]
    # who was away for long has twenty again, and no more
    assert visits(gate, [v4(1)] * 100, 1e6) == 20


def test_who_is_refused_pays_nothing_for_it() -> None:
    gate = Gate(GateLimits())
    entries = [let_in(gate, v4(1)) for _ in range(8)]
    assert visits(gate, [v4(1)] * 1_000) == 0
    for entry in entries:
        gate.left(entry)
    assert visits(gate, [v4(1)] * 1_000) == 12


def test_a_clock_that_stands_still_or_falls_back_gives_nothing() -> None:
    gate = Gate(GateLimits())
    assert visits(gate, [v4(1)] * 30, 100.0) == 20
    assert visits(gate, [v4(1)] * 30, 50.0) == 0
    assert visits(gate, [v4(1)] * 30, 100.0) == 0
    assert visits(gate, [v4(1)] * 30, 101.0) == 1


def test_what_is_told_twice_counts_once() -> None:
    gate = Gate(GateLimits())
    entry, other = let_in(gate, v4(1)), let_in(gate, v4(1))
    for _ in range(3):
        gate.secured(entry)
        assert (gate.half_open, gate.links) == (1, 2)
    for _ in range(3):
        gate.left(entry)
        gate.secured(entry)
        assert (gate.half_open, gate.links) == (1, 1)
    gate.left(other)
    assert (gate.half_open, gate.links) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"half_open": 0},
        {"half_open_each": 0},
        {"links": 0},
        {"links_each": 0},
        {"a_minute": 0},
        {"burst": 0},
        {"remembered": 600},
    ],
)
def test_a_gate_that_lets_nobody_in_cannot_be_made(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="gate"):
        replace(GateLimits(), **change)


def test_every_refusal_can_be_shown() -> None:
    assert len({refusal.value for refusal in Refusal}) == len(Refusal) == 5


# --- what is remembered ---------------------------------------------------------------------------

SMALL = GateLimits(
    half_open=8, half_open_each=4, links=10, links_each=5, a_minute=60, burst=2, remembered=16
)


def test_who_has_been_away_longest_is_forgotten_first() -> None:
    gate = Gate(SMALL)
    # given sixteen who came once, and the first of them again
    for number in [*range(16), 0]:
        visits(gate, [v4(number)], number)
    # when another one comes, the second of them is forgotten: only he may burst again at once
    visits(gate, [v4(99)], 16.0)
    assert gate.remembered == 16
    assert list(gate._absent) == [network_of(v4(n)) for n in [*range(2, 16), 0, 99]]


def test_who_is_kept_out_is_not_forgotten_whoever_else_comes() -> None:
    gate = Gate(SMALL)
    assert visits(gate, [v4(0)] * 3) == 2
    assert visits(gate, map(v4, range(1, 1_000))) == 999
    assert gate.admit(v4(0), 0.0) is Refusal.RATE
    assert gate.remembered == 16


def test_who_has_a_link_is_not_forgotten_whoever_else_comes() -> None:
    gate = Gate(SMALL)
    entries = [let_in(gate, v4(0), 2.0 * n) for n in range(4)]
    assert visits(gate, map(v4, range(1, 1_000)), 1e6) == 999
    assert gate.admit(v4(0), 1e6) is Refusal.HALF_OPEN_EACH
    for entry in entries:
        gate.left(entry)
    assert (gate.half_open, gate.links) == (0, 0)


def test_where_nobody_can_be_forgotten_newcomers_share_one_allowance() -> None:
    gate = Gate(SMALL)
    assert visits(gate, [v4(n) for n in range(16) for _ in range(2)]) == 32
    # given sixteen who are all kept out, newcomers have what one has, together
    assert visits(gate, map(v4, range(16, 100))) == 2
    assert gate.admit(v4(100), 0.0) is Refusal.RATE
    assert gate.remembered == 16
    # and a second later they are known each by himself again
    assert visits(gate, map(v4, range(16, 100)), 1.0) == 84


def test_who_is_refused_is_not_remembered() -> None:
    gate = Gate(SMALL)
    for number in range(8):
        let_in(gate, v4(number))
    assert visits(gate, map(v4, range(8, 10_000))) == 0
    assert gate.remembered == 8


# --- attackers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attackers",
    [[v4(1)] * 5_000, [v6(7, host) for host in range(5_000)], [None] * 5_000],
    ids=["one address", "one network of IPv6", "no address"],
)
def test_who_has_one_address_keeps_nobody_else_out(attackers: list[str | None]) -> None:
    gate = Gate(GateLimits())
    held = [e for a in attackers if isinstance(e := gate.admit(a, 0.0), Entry)]
    assert len(held) == 8
    assert visits(gate, [v4(n) for n in range(2, 500)]) == 498
    # nor does he when he goes through handshakes, to the end of time
    for half_open in held:
        gate.secured(half_open)
    for now in range(1, 400):
        for attacker in attackers[:50]:
            entry = gate.admit(attacker, now)
            if isinstance(entry, Entry):
                gate.secured(entry)
                held.append(entry)
        assert gate.links <= 100
        assert visits(gate, [v4(2), v6(8)], now) == 2
    assert len(held) == gate.links == 100
    assert gate.remembered < 600


def test_who_has_many_addresses_takes_the_places_in_all_and_no_more() -> None:
    gate = Gate(GateLimits())
    friend = let_in(gate, v6(99))
    gate.secured(friend)
    held = []
    for now, number in product(range(40), range(2_000)):
        entry = gate.admit(v6(100 + 2_000 * now + number), now)
        if isinstance(entry, Entry):
            held.append(entry)
        assert gate.half_open <= 64
    assert gate.remembered <= 4_096
    assert gate.admit(v4(1), 40.0) is Refusal.HALF_OPEN
    # who is in stays in, and as soon as handshakes have taken too long, others come in again
    assert friend.is_in
    for entry in held:
        gate.left(entry)
    assert visits(gate, map(v4, range(500)), 41.0) == 500
    assert (gate.half_open, gate.links) == (0, 1)


def test_who_comes_and_goes_from_many_addresses_takes_bounded_memory() -> None:
    gate = Gate(GateLimits())
    assert visits(gate, map(v6, range(20_000))) == 20_000
    assert gate.remembered == 4_096
    assert visits(gate, [v4(1)] * 30) == 20
    assert visits(gate, map(v6, range(20_000, 40_000))) == 20_000
    assert gate.admit(v4(1), 0.0) is Refusal.RATE
    assert gate.remembered == 4_096


# --- against a model that forgets nothing ---------------------------------------------------------


class Visits(RuleBasedStateMachine):
    """Seconds are quarters and a link a second is let in, so that all sums are exact."""

    @initialize(
        limits=st.builds(
            GateLimits,
            half_open=st.integers(1, 6),
            half_open_each=st.integers(1, 4),
            links=st.integers(1, 8),
            links_each=st.integers(1, 5),
            a_minute=st.sampled_from([15, 60, 120]),
            burst=st.integers(1, 5),
            remembered=st.integers(9, 20),
        )
    )
    def begin(self, limits: GateLimits) -> None:
        self.limits = limits
        self.gate = Gate(limits)
        self.now = 0.0
        self.let_in: list[tuple[bytes | None, float, Entry]] = []
        self.half_open: set[Entry] = set()
        self.present: set[Entry] = set()

    def expected(self, key: bytes | None) -> Refusal | None:
        """What the limits say, by counting everything that ever was."""
        mine = [entry for of, _, entry in self.let_in if of == key]
        for many, limit, refusal in (
            (len(self.half_open), self.limits.half_open, Refusal.HALF_OPEN),
            (len(self.present), self.limits.links, Refusal.LINKS),
            (len(self.half_open & {*mine}), self.limits.half_open_each, Refusal.HALF_OPEN_EACH),
            (len(self.present & {*mine}), self.limits.links_each, Refusal.LINKS_EACH),
            (1, self.tokens(key), Refusal.RATE),
        ):
            if many > limit or (many == limit and refusal is not Refusal.RATE):
                return refusal
        return None

    def tokens(self, key: bytes | None) -> float:
        left, seen = float(self.limits.burst), 0.0
        for of, when, _ in self.let_in:
            if of == key:
                left = min(self.limits.burst, left + (when - seen) * self.limits.a_minute / 60) - 1
                seen = when
        return min(self.limits.burst, left + (self.now - seen) * self.limits.a_minute / 60)

    @rule(number=st.integers(0, 8))
    def somebody_comes(self, number: int) -> None:
        somebody = [*map(v4, range(4)), *(v6(n, int(4 * self.now)) for n in range(4)), None]
        address = somebody[number]
        key = network_of(address)
        expected = self.expected(key)
        came = self.gate.admit(address, self.now)
        assert (came if isinstance(came, Refusal) else None) is expected
        if isinstance(came, Entry):
            self.let_in.append((key, self.now, came))
            self.half_open.add(came)
            self.present.add(came)

    @rule(data=st.data())
    def one_is_secured(self, data: st.DataObject) -> None:
        if self.let_in:
            entry = data.draw(st.sampled_from([e for _, _, e in self.let_in]))
            self.gate.secured(entry)
            self.half_open.discard(entry)

    @rule(data=st.data())
    def one_leaves(self, data: st.DataObject) -> None:
        if self.let_in:
            entry = data.draw(st.sampled_from([e for _, _, e in self.let_in]))
            self.gate.left(entry)
            self.half_open.discard(entry)
            self.present.discard(entry)

    @rule(quarters=st.integers(1, 12))
    def time_passes(self, quarters: int) -> None:
        self.now += quarters / 4

    @invariant()
    def the_sums_are_right(self) -> None:
        if hasattr(self, "gate"):
            assert self.gate.half_open == len(self.half_open)
            assert self.gate.links == len(self.present)
            assert self.gate.remembered <= self.limits.remembered


TestVisits = Visits.TestCase
TestVisits.settings = settings(stateful_step_count=40)


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.booleans(), st.sampled_from([0, 0, 0, 1])), max_size=200
    )
)
def test_forgetting_lets_nobody_in_who_was_just_kept_out(
    story: list[tuple[int, bool, int]],
) -> None:
    gate, now, entries = Gate(SMALL), 0.0, list[Entry]()
    kept_out: set[int] = set()
    for number, stays, later in story:
        now += later
        kept_out = set() if later else kept_out
        came = gate.admit(v4(number), now)
        if came is Refusal.RATE:
            kept_out.add(number)
        elif isinstance(came, Entry):
            assert number not in kept_out
            entries.append(came)
            if not stays:
                gate.left(came)
        assert gate.remembered <= SMALL.remembered
        if len(entries) > 6:
            gate.left(entries.pop(0))
