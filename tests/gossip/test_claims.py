"""Claims: of all who announce a log one is asked, and another only when that one brings nothing."""

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.claims import LONGEST_S, PATIENCE_S, Claims
from ledger.store.base import LogKey
from tests.strategies import Device

LOG: LogKey = (Device(1).public, 1)
OTHER: LogKey = (Device(2).public, 1)
Deed: TypeAlias = tuple[str, LogKey, int, float]


NEVER = float("-inf")


class Model:
    """Everything that ever happened, searched from its beginning for every answer."""

    def __init__(self) -> None:
        self.deeds: list[Deed] = []

    def holder(self, key: LogKey) -> tuple[int, float] | None:
        """Who took ``key`` and when; None once he dropped it or left."""
        held: tuple[int, float] | None = None
        for what, of, meeting, at in self.deeds:
            mine = held is not None and held[0] == meeting
            if what == "take" and of == key and not mine:
                held = meeting, at
            elif mine and what == "fail" and of == key:
                held = meeting, NEVER
            elif mine and (what == "leave" or (what == "drop" and of == key)):
                held = None
        return held

    def line(self, key: LogKey, now: float) -> list[tuple[int, float]]:
        """Who waits for ``key``, the longest first, and from when on each may try."""
        line: dict[int, float] = {}
        for what, of, meeting, at in self.deeds:
            if what.startswith("look ") and of == key:
                line = {m: t for m, t in line.items() if t + PATIENCE_S > float(what.split()[1])}
            elif what == "wait" and of == key:
                line[meeting] = at
            elif what == "leave" or (of == key and what in ("take", "drop", "fail")):
                line.pop(meeting, None)
        return [(m, t) for m, t in line.items() if t + PATIENCE_S > now]

    def free_at(self, key: LogKey, meeting: int) -> float:
        held = self.holder(key)
        if held is None or held[0] == meeting:
            return 0.0
        brought = [held[1]]
        for what, _, who, at in self.deeds:
            if who == held[0]:
                brought = [held[1]] if what == "leave" else brought
                brought += [at] if what == "progress" else []
        return min(max(brought) + PATIENCE_S, held[1] + LONGEST_S)

    def take(self, key: LogKey, meeting: int, now: float) -> float | None:
        free = self.free_at(key, meeting)
        if free <= now:
            line = self.line(key, now)
            self.deeds.append((f"look {now}", key, meeting, now))
            if line and line[0][0] != meeting:
                free = line[0][1] + PATIENCE_S
        if free > now:
            self.deeds.append(("wait", key, meeting, free))
            return free
        self.deeds.append(("take", key, meeting, now))
        return None


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "progress", "drop", "fail", "leave"]),
        st.sampled_from([LOG, OTHER]),
        st.integers(1, 3),
        st.sampled_from([0.0, 0.5, 1.0, 2.5, 3.0, 20.0]),
    ),
    max_size=40,
)


@given(deeds=DEEDS)
def test_whoever_asks_is_answered_as_all_that_happened_says(deeds: list[Deed]) -> None:
    claims, model, now = Claims(), Model(), 0.0
    for what, key, meeting, later in deeds:
        now += later
        match what:
            case "take":
                assert claims.take(key, meeting, now) == model.take(key, meeting, now)
                continue
            case "progress":
                claims.progress(meeting, now)
            case "drop" | "fail":
                claims.drop(key, meeting, failed=what == "fail")
            case _:
                claims.leave(meeting)
        model.deeds.append((what, key, meeting, now))


def test_every_meeting_has_a_number_of_its_own() -> None:
    claims = Claims()
    assert len({claims.enter() for _ in range(100)}) == 100


def test_who_waited_and_needs_it_no_more_keeps_nobody_waiting() -> None:
    claims = Claims()
    claims.take(LOG, 1, 0.0)
    assert claims.take(LOG, 2, 0.0) == 3.0
    # the first brings it, so the second has what it waited for
    claims.drop(LOG, 1)
    claims.drop(LOG, 2)
    # news of the same log are asked for at once
    assert claims.take(LOG, 1, 0.5) is None


def test_who_waits_goes_first_even_if_the_other_comes_back_with_a_new_name() -> None:
    claims = Claims()
    claims.take(LOG, 1, 0.0)
    assert claims.take(LOG, 2, 0.0) == 3.0
    claims.leave(1)
    assert claims.take(LOG, 3, 2.5) == 6.0
    assert claims.take(LOG, 2, 3.0) is None


# --- refusal ------------------------------------------------------------------------------------


def test_the_second_who_announces_is_asked_after_three_seconds_and_not_before() -> None:
    claims = Claims()
    assert claims.take(LOG, 1, 10.0) is None
    assert claims.take(LOG, 2, 10.0) == 13.0
    assert claims.take(LOG, 2, 12.999) == 13.0
    assert claims.take(LOG, 2, 13.0) is None
    # and now it is the first who waits
    assert claims.take(LOG, 1, 13.0) == 16.0


def test_who_brings_something_is_waited_for_but_no_longer_than_a_minute() -> None:
    claims = Claims()
    claims.take(LOG, 1, 0.0)
    for second in range(59):
        claims.progress(1, float(second))
        assert claims.take(LOG, 2, float(second)) == min(second + PATIENCE_S, LONGEST_S)
    claims.progress(1, 59.9)
    assert claims.take(LOG, 2, 59.9) == LONGEST_S
    assert claims.take(LOG, 2, LONGEST_S) is None


@pytest.mark.parametrize("gone", ["drop", "leave"])
def test_what_nobody_fetches_any_more_is_free_at_once(gone: str) -> None:
    claims = Claims()
    claims.take(LOG, 1, 0.0)
    claims.take(OTHER, 2, 0.0)
    if gone == "drop":
        claims.drop(LOG, 1)
    else:
        claims.leave(1)
    assert claims.take(LOG, 3, 0.0) is None
    assert claims.take(OTHER, 3, 0.0) == PATIENCE_S


def test_nobody_drops_what_another_fetches() -> None:
    claims = Claims()
    claims.take(LOG, 1, 0.0)
    claims.drop(LOG, 2)
    claims.leave(2)
    assert claims.take(LOG, 3, 0.0) == PATIENCE_S


def test_who_did_not_bring_a_log_lets_those_who_wait_go_first() -> None:
    claims = Claims()
    claims.take(LOG, 1, 0.0)
    assert claims.take(LOG, 2, 0.0) == PATIENCE_S
    claims.drop(LOG, 1, failed=True)
    # he brings other things, which does not make him any better at this one
    claims.progress(1, 0.5)
    assert claims.take(LOG, 2, 0.5) is None
    assert claims.take(LOG, 1, 0.5) == 0.5 + PATIENCE_S


def test_who_failed_and_is_the_only_one_may_try_again() -> None:
    claims = Claims()
    claims.take(LOG, 1, 0.0)
    claims.drop(LOG, 1, failed=True)
    assert claims.take(LOG, 1, 0.0) is None


# --- economy ------------------------------------------------------------------------------------


def test_nothing_is_remembered_of_meetings_that_are_over() -> None:
    claims = Claims()
    for _ in range(100):
        meeting = claims.enter()
        claims.take(LOG, meeting, 0.0)
        claims.progress(meeting, 0.0)
        claims.leave(meeting)
    assert (claims._claims, claims._progress) == ({}, {})
