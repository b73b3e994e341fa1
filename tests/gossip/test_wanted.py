"""What to ask next of a log: nothing twice for nothing, and there is an end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.comparison import Comparison
from gossip.control import EntryRow, Mention, Mode, Reason
from gossip.frontier import FrontierEntry
from gossip.policy import Limits
from gossip.wanted import (
    FAILED,
    Ask,
    Compare,
    Get,
    Look,
    Settle,
    Wanted,
    common_ranges,
    missing_ranges,
    next_step,
)
from ledger.block import HASH_BYTES
from ledger.chain import MAX_DETACHED, Log, Piece
from tests.strategies import SOCIAL, Device, material

AUTHOR = Device().public
ROOT = Device().root.id
LIMITS = Limits()
IDS = tuple(sorted((material("one"), material("other"))))


def log_of(*pieces: tuple[int, int], fork: int | None = None, number: int = SOCIAL) -> Log:
    held = tuple(
        Piece(low, high, ROOT if low == 1 else material(f"id {low - 1}"), material(f"id {high}"))
        for low, high in pieces
    )
    return Log(AUTHOR, number, frozenset({ROOT}), held, fork)


def told(seq: int, *, plain: bool = True, evidence: bytes = b"") -> Wanted:
    return Wanted(0, Mention((AUTHOR, SOCIAL), seq, plain, b"othr", evidence), (AUTHOR, SOCIAL))


def entry_row(
    seq: int,
    *ranges: tuple[int, int],
    missing: int | None = None,
    branches: bytes = b"",
    fork: bool = False,
) -> EntryRow:
    ids = IDS if fork else (IDS[:1] if seq else ())
    return EntryRow(0, FrontierEntry(AUTHOR, SOCIAL, seq, ids, ranges, missing), branches)


def step(wanted: Wanted, log: Log, missing: int | None = None) -> object:
    return next_step(wanted, log, missing if log.pieces else None, (b"", b""), LIMITS)


# --- it ends ------------------------------------------------------------------------------------


@st.composite
def parts(draw: st.DrawFn, top: int = 60) -> tuple[tuple[int, int], ...]:
    ends = sorted(draw(st.sets(st.integers(1, top), max_size=2 * MAX_DETACHED)))
    pairs = list(zip(ends[::2], ends[1::2], strict=False))
    return tuple(
        p for p, before in zip(pairs, [(0, -1), *pairs], strict=False) if p[0] > before[1] + 1
    )


@st.composite
def rows(draw: st.DrawFn) -> EntryRow:
    seq = draw(st.integers(0, 60))
    ranges = tuple(r for r in draw(parts()) if r[0] > seq + 1)
    missing = draw(st.none() | st.integers(1, 60))
    return entry_row(
        seq, *ranges, missing=missing, branches=draw(st.sampled_from([b"", IDS[0][:8]]))
    )


@given(
    seq=st.integers(0, 60),
    plain=st.booleans(),
    evidence=st.sampled_from([b"", b"evid"]),
    row=rows(),
    held=parts(),
    missing=st.none() | st.integers(1, 60),
    ends=st.lists(st.sampled_from([None, *Reason]), max_size=12),
    finds=st.none() | st.integers(1, 60),
    is_prefix=st.booleans(),
)
def test_where_nothing_comes_nothing_is_asked_twice_and_it_ends(
    *,
    seq: int,
    plain: bool,
    evidence: bytes,
    row: EntryRow,
    held: tuple[tuple[int, int], ...],
    missing: int | None,
    ends: list[Reason | None],
    finds: int | None,
    is_prefix: bool,
) -> None:
    # given a log that a peer mentioned, and a peer that answers only with words
    wanted, log = told(seq, plain=plain, evidence=evidence), log_of(*held)
    asked: list[tuple[Mode, tuple[int | bytes, ...]]] = []
    compared = 0
    while not isinstance(now := step(wanted, log, missing), Settle):
        if isinstance(now, Compare):
            compared += 1
            wanted.comparison = Comparison(list(now.ranges), found=finds, is_fetched=True)
            continue
        if isinstance(now, Look):
            assert wanted.is_prefix is None
            wanted.is_prefix = is_prefix
            continue
        assert isinstance(now, Get)
        asked.append((now.mode, now.args))
        wanted.begin(Ask(now.mode, now.args, now.target, 0.0))
        wanted.ask = None
        if now.mode is Mode.ENTRY:
            wanted.entry = row
        if now.mode is Mode.BODIES:
            wanted.has_all_bodies = True  # as Pulling does, once none is left to ask for
        said = ends.pop() if ends else None
        wanted.differs |= said is Reason.DIFFERS
        wanted.ended = said if said in (Reason.BUDGET, Reason.LATER) else wanted.ended
        assert len(asked) <= len(Mode)
    # then everything was asked once at most
    assert len(set(asked)) == len(asked)
    assert compared <= 1


@given(held=parts(), seq=st.integers(0, 60))
def test_where_all_that_is_asked_for_comes_everything_comes(
    held: tuple[tuple[int, int], ...], seq: int
) -> None:
    wanted, log = told(seq), log_of(*held)
    have = {at for low, high in held for at in range(low, high + 1)}
    for _ in range(2 * MAX_DETACHED + 4):
        now = step(wanted, log)
        if not isinstance(now, Get):
            break
        assert now.mode is Mode.FROM
        after, until = now.args[0], now.args[1] or seq
        assert isinstance(after, int)
        assert isinstance(until, int)
        wanted.begin(Ask(now.mode, now.args, now.target, 0.0))
        new = set(range(after + 1, until + 1))
        # nothing that is held is asked for
        assert not new & have
        have |= new
        log = log_of(*stretches(have))
    assert have >= set(range(1, seq + 1))


def stretches(seqs: set[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found


# --- ranges -------------------------------------------------------------------------------------


@given(mine=parts(), theirs=parts(), fork=st.none() | st.integers(1, 60))
def test_what_is_missing_and_what_is_common_are_what_sets_of_numbers_say(
    mine: tuple[tuple[int, int], ...], theirs: tuple[tuple[int, int], ...], fork: int | None
) -> None:
    log = log_of(*mine, fork=fork)
    have = {at for low, high in mine for at in range(low, high + 1)}
    offered = {at for low, high in theirs for at in range(low, high + 1)}
    lacking = {at for low, high in missing_ranges(log, theirs) for at in range(low, high + 1)}
    assert lacking == {at for at in offered - have if fork is None or at < fork}
    both = common_ranges(log, theirs)
    assert {at for low, high in both for at in range(low, high + 1)} == have & offered
    assert list(both) == sorted(both)


# --- each step ----------------------------------------------------------------------------------


def test_a_log_of_which_nothing_is_held_is_asked_for_from_its_start_to_its_end() -> None:
    assert step(told(7), log_of()) == Get(Mode.FROM, (0, 0, b""), 7)


def test_what_follows_is_asked_for_with_the_id_that_it_must_follow() -> None:
    tip = material("id 5")
    assert step(told(7), log_of((1, 5))) == Get(Mode.FROM, (5, 0, tip), 7)


def test_a_gap_is_asked_for_up_to_its_end() -> None:
    assert step(told(7), log_of((1, 2), (5, 7))) == Get(Mode.FROM, (2, 4, material("id 2")), 4)


@pytest.mark.parametrize(("lacking", "mode"), [(201, Mode.NEWEST), (200, Mode.FROM)])
def test_of_a_long_log_the_newest_20_come_first(lacking: int, mode: Mode) -> None:
    now = step(told(300), log_of((1, 300 - lacking)))
    assert isinstance(now, Get)
    assert now.mode is mode
    assert mode is Mode.FROM or now.args == (LIMITS.newest,) == (20,)


def test_after_the_newest_the_older_ones_come() -> None:
    wanted = told(300)
    wanted.begin(Ask(Mode.NEWEST, (20,), 300, 0.0))
    assert step(wanted, log_of((281, 300))) == Get(Mode.FROM, (0, 280, b""), 280)


def test_the_newest_of_log_0_do_not_come_first_nor_where_there_is_no_place_for_them() -> None:
    identity = replace(log_of(), number=0)
    assert step(told(300), identity) == Get(Mode.FROM, (0, 0, b""), 300)
    full = log_of((10, 11), (20, 21), (30, 31), (40, 41))
    assert step(told(300), full) == Get(Mode.FROM, (0, 9, b""), 9)


def test_evidence_is_asked_for_before_anything_else() -> None:
    assert step(told(7, evidence=b"evid"), log_of()) == Get(Mode.EVIDENCE)
    assert step(told(7, plain=False), log_of()) == Get(Mode.ENTRY)


def test_a_peer_that_says_nothing_of_a_log_that_is_not_plain_is_not_believed_again() -> None:
    wanted = told(7, plain=False)
    wanted.tried |= 1 << Mode.ENTRY
    assert step(wanted, log_of((1, 7))) == FAILED


def test_branches_are_asked_for_once_the_fork_is_known_here() -> None:
    wanted = told(5, plain=False)
    wanted.entry = entry_row(5, (1, 4), branches=b"branches", fork=True)
    assert step(wanted, log_of((1, 4), fork=5)) == Get(Mode.BRANCHES)
    assert step(wanted, log_of((1, 4), fork=6)) == FAILED


def test_bodies_are_asked_for_until_all_that_are_missing_were() -> None:
    wanted = told(7)
    assert step(wanted, log_of((1, 7)), missing=3) == Get(Mode.BODIES)
    wanted.has_all_bodies = True
    assert isinstance(step(wanted, log_of((1, 7)), missing=3), Compare)
    wanted.renew(wanted.mention)
    assert step(wanted, log_of((1, 7)), missing=3) == Get(Mode.BODIES)


def test_equal_numbers_with_another_check_are_compared() -> None:
    assert step(told(7), log_of((1, 7))) == Compare(((1, 7),))


def test_one_who_ends_before_is_looked_at_and_compared_unless_he_is_merely_behind() -> None:
    wanted = told(6)
    assert step(wanted, log_of((1, 7))) == Look()
    wanted.is_prefix = True
    assert step(wanted, log_of((1, 7))) == Settle()
    wanted.is_prefix = False
    assert step(wanted, log_of((1, 7))) == Compare(((1, 6),))
    wanted.renew(wanted.mention)
    assert step(wanted, log_of((1, 7))) == Look()


def test_one_who_said_that_his_blocks_differ_is_compared_at_once() -> None:
    wanted = told(6)
    wanted.differs = True
    assert step(wanted, log_of((1, 7))) == Compare(((1, 6),))


@pytest.mark.parametrize(
    ("fork", "found", "clean"), [(None, 5, False), (5, 5, True), (4, 5, True), (6, 5, False)]
)
def test_a_difference_that_no_fork_explains_is_told_again_next_time(
    fork: int | None, found: int, *, clean: bool
) -> None:
    wanted = told(7)
    wanted.comparison = Comparison([], found=found, is_fetched=True)
    held = log_of((1, 7 if fork is None else fork - 1), fork=fork)
    assert step(wanted, held) == Settle(clean)


@pytest.mark.parametrize("reason", [Reason.BUDGET, Reason.LATER])
def test_what_the_peer_put_off_is_told_again_next_time(reason: Reason) -> None:
    wanted = told(7)
    wanted.ended = reason
    assert step(wanted, log_of((1, 5))) == FAILED


def test_evidence_that_was_put_off_leaves_the_blocks_to_come_and_is_told_again_next_time() -> None:
    wanted = told(7, evidence=b"evid")
    wanted.begin(Ask(Mode.EVIDENCE, (), 0, 0.0))
    wanted.is_put_off = True
    assert step(wanted, log_of()) == Get(Mode.FROM, (0, 0, b""), 7)
    wanted.comparison = Comparison([], is_fetched=True)
    assert step(wanted, log_of((1, 7))) == FAILED


def test_a_mention_is_looked_at_anew() -> None:
    wanted = told(7, evidence=b"evid")
    for mode in Mode:
        wanted.begin(Ask(mode, (), 0, 0.0))
    wanted.ended, wanted.last, wanted.is_settled = Reason.BUDGET, (1, 7), True
    wanted.renew(wanted.mention._replace(seq=9))
    assert step(wanted, log_of()) == Get(Mode.EVIDENCE)
    assert (wanted.asks, wanted.is_settled, wanted.ever) == (
        0,
        False,
        sum(1 << mode for mode in Mode),
    )


def test_hashes_are_as_long_as_these_tests_make_them() -> None:
    assert {len(ident) for ident in IDS} == {HASH_BYTES}
