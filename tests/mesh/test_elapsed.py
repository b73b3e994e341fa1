"""The time that passes at a home, whatever its wall's clock says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import encode
from mesh.elapsed import MAX_GAP_MS, Elapsed
from mesh.node import Surroundings
from tests.mesh.mail_homes import DAY_S, TEN_YEARS_MS, Clocks

JUMPS = (TEN_YEARS_MS, -TEN_YEARS_MS)


def around(clocks: Clocks) -> Surroundings:
    return Surroundings(clocks.now, bytes, clocks.steady)


def passed_ms(elapsed: Elapsed) -> float:
    whole, began = elapsed.origin
    return whole * 1_000 + (elapsed.now - began) * 1_000


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_of_the_wall_s_clock_while_the_home_is_open_changes_nothing(jump: int) -> None:
    clocks = Clocks()
    elapsed = Elapsed.resume(None, around(clocks))
    clocks.wait(100 * DAY_S)
    clocks.error += jump
    clocks.wait(100 * DAY_S)
    assert passed_ms(elapsed) == pytest.approx(200 * DAY_S * 1_000)
    # nor does it later
    again = Elapsed.resume(elapsed.note(), around(clocks))
    assert again.before == 200 * DAY_S * 1_000


@pytest.mark.parametrize(("jump", "gone"), [(TEN_YEARS_MS, MAX_GAP_MS), (-TEN_YEARS_MS, 0)])
def test_a_jump_between_two_openings_takes_a_day_at_most(jump: int, gone: int) -> None:
    clocks = Clocks()
    note = Elapsed.resume(None, around(clocks)).note()
    clocks.error += jump
    assert Elapsed.resume(note, around(clocks)).before == gone


def test_many_short_openings_lose_no_time() -> None:
    clocks, note = Clocks(), None
    for _ in range(1_000):
        elapsed = Elapsed.resume(note, around(clocks))
        clocks.wait(0.15)
        note = elapsed.note()
        clocks.wait(0.15)
    assert Elapsed.resume(note, around(clocks)).before == 300_000


@pytest.mark.parametrize(
    "note", [None, b"", b"\xff", encode(7), encode((-1, 3)), encode((1, 2, 3)), b"\x82" * 80]
)
def test_of_a_note_that_is_missing_or_damaged_nothing_is_believed(note: bytes | None) -> None:
    assert Elapsed.resume(note, around(Clocks())).before == 0
    assert Elapsed.resume(note, around(Clocks()), least=70).before == 70_000


def test_what_is_known_otherwise_is_the_least() -> None:
    clocks = Clocks()
    note = encode((5_000, clocks.now()))
    assert Elapsed.resume(note, around(clocks), least=4).before == 5_000
    assert Elapsed.resume(note, around(clocks), least=6).before == 6_000


waits = st.integers(0, 40 * 3_600)
jumps = st.sampled_from([0, 0, *JUMPS])
lives = st.lists(st.tuples(waits, jumps, waits, jumps), min_size=1, max_size=8)


@given(days=lives)
def test_all_counts_that_passes_while_it_is_open_and_of_the_rest_what_the_clock_can_tell(
    days: list[tuple[int, int, int, int]],
) -> None:
    clocks, note, expected = Clocks(), None, 0
    for open_s, open_jump, shut_s, shut_jump in days:
        elapsed = Elapsed.resume(note, around(clocks))
        clocks.error += open_jump
        clocks.wait(open_s)
        assert passed_ms(elapsed) == pytest.approx(expected + open_s * 1_000, abs=1)
        note = elapsed.note()
        clocks.error += shut_jump
        clocks.wait(shut_s)
        clocks.restart()
        told_ms = shut_s * 1_000 + shut_jump
        expected += open_s * 1_000 + min(max(told_ms, 0), MAX_GAP_MS)
    assert Elapsed.resume(note, around(clocks)).before == pytest.approx(expected, abs=len(days))
