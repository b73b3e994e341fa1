from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.block import ZEROS, Block
from ledger.chain import (
    MAX_BRANCH_BLOCKS,
    MAX_DETACHED,
    BranchBlock,
    Conflict,
    Held,
    Log,
    Need,
    Piece,
    Placed,
    Placement,
    Refused,
    cut,
    grow,
    place,
)
from ledger.fork import ForkProof, Vouched, decode_proof
from ledger.keys import verify
from ledger.run import Run
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    Device,
    forked,
    make_block,
    run_of,
    spans,
    written,
)

ROOT = Device().root.id
Spans = list[tuple[int, int]]


def run(blocks: Sequence[Block], low: int, high: int) -> Run:
    """The run of a log's blocks from seq ``low`` to ``high``, as it comes in."""
    return run_of(blocks[low - 1 : high])


def ranges(seqs: Collection[int]) -> list[tuple[int, int]]:
    """The stretches of which a set of numbers consists."""
    starts = sorted(seq for seq in seqs if seq - 1 not in seqs)
    ends = sorted(seq for seq in seqs if seq + 1 not in seqs)
    return list(zip(starts, ends, strict=True))


def claims(blocks: Iterable[Block]) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """What blocks say of the ids in their log: by being there, and by what they follow."""
    there = {block.header.seq: block.id for block in blocks}
    follow = {block.header.seq - 1: block.header.previous for block in blocks}
    return there, follow


def contradictions(held: Collection[Block], came: Collection[Block]) -> list[int]:
    """Every s that two sets of blocks of one log prove, by the two forms of proof."""
    (ours, our_past), (theirs, their_past) = claims(held), claims(came)
    pairs = [(ours, theirs), (ours, their_past), (our_past, theirs)]
    return sorted(
        {seq for one, other in pairs for seq in one.keys() & other if one[seq] != other[seq]}
    )


class Shelf:
    """What is held of one log by somebody who does as ``place`` says, and checks it."""

    def __init__(
        self, number: int = SOCIAL, roots: Collection[bytes] = (ROOT,), *, forgets: bool = True
    ) -> None:
        self.log = Log(Device().public, number, frozenset(roots))
        self.blocks: dict[int, Block] = {}
        self.forgets = forgets
        """Whether each call is told only what the last ``Need`` asked for, or all so far."""

    def held(self, low: int, high: int) -> dict[int, Held]:
        return {
            seq: Held(block.id, bool(block.signature))
            for seq, block in self.blocks.items()
            if low <= seq <= high
        }

    def ask(self, came: Run) -> Placement:
        """Answer what ``place`` needs to know; it may ask twice."""
        told: dict[int, Held] = {}
        for _ in range(3):
            placement = place(self.log, came, told)
            if not isinstance(placement, Need):
                return placement
            assert 1 <= placement.low <= placement.high
            answer = self.held(placement.low, placement.high)
            assert answer.keys() == set(range(placement.low, placement.high + 1))
            told = answer if self.forgets else told | answer
        raise AssertionError("still asks after two answers")

    def offer(self, came: Run) -> Placement:
        """Take a run in, if it can be."""
        expected = contradictions(self.blocks.values(), came.blocks)
        placement = self.ask(came)
        if isinstance(placement, Conflict):
            assert [placement.seq] == expected[:1]
        else:
            assert not expected
        if isinstance(placement, Placed):
            self._obey(placement, came)
        return placement

    def offer_all(self, runs: Sequence[Run]) -> None:
        """Offer runs, and what was refused again, for as long as that helps."""
        while runs:
            refused = [came for came in runs if isinstance(self.offer(came), Refused)]
            assert len(refused) < len(runs), "nothing fits any more"
            runs = refused

    def _obey(self, placed: Placed, came: Run) -> None:
        joined, detached = self.log.head, self.log.detached
        fresh = {seq for low, high in placed.new for seq in range(low, high + 1)}
        assert list(placed.new) == ranges(fresh)
        assert fresh == set(range(came.low, came.high + 1)) - self.blocks.keys()
        self.blocks |= {seq: came.blocks[seq - came.low] for seq in fresh}
        if placed.sign is not None:
            assert placed.sign == came.high
            assert not self.blocks[came.high].signature
            self.blocks[came.high] = came.blocks[-1]
        self.log = placed.log
        # what joins is what was detached and no longer is
        assert list(placed.joins) == [p for p in detached if joined < p.low <= self.log.head]
        self.check()

    def check(self) -> None:
        """What holds at any time of what is held."""
        pieces = self.log.pieces
        assert [(piece.low, piece.high) for piece in pieces] == ranges(self.blocks.keys())
        for left, right in pairwise(pieces):
            assert left.high + 1 < right.low
        for piece in pieces:
            assert piece.previous == self.blocks[piece.low].header.previous
            assert piece.tip == self.blocks[piece.high].id
            inside = [self.blocks[seq] for seq in range(piece.low, piece.high + 1)]
            assert all(b.header.previous == a.id for a, b in pairwise(inside))
            if self.log.fork is None:  # a cut may take away the signature that vouched for a piece
                assert inside[-1].signature
                for at in range(len(inside)):
                    assert any(block.signature for block in inside[at : at + 64])
        assert len(self.log.detached) <= MAX_DETACHED
        if self.log.joined:
            assert self.log.joined.low == 1
            assert self.log.joined.previous in self.log.roots


# --- a log without forks ------------------------------------------------------------------------


@st.composite
def arrivals(draw: st.DrawFn, most: int = 40) -> tuple[int, Spans]:
    """The length of a log, and in which runs it comes."""
    length = draw(st.integers(1, most))
    return length, draw(spans(length))


@given(arrivals(), st.sampled_from([IDENTITY, SOCIAL, GROUP]), st.booleans())
@example(arrival=(9, [(n, n) for n in (9, 7, 5, 3, 1, 2, 4, 6, 8)]), number=SOCIAL, forgets=False)
@example(
    arrival=(12, [*((n, n) for n in (12, 10, 8, 6, 4, 2)), (1, 12)]), number=SOCIAL, forgets=True
)
@example(arrival=(6, [(2, 3), (5, 6), (1, 6), (1, 6)]), number=SOCIAL, forgets=True)
def test_a_log_is_whole_whatever_runs_it_came_in_and_in_whatever_order(
    arrival: tuple[int, Spans],
    number: int,
    forgets: bool,  # noqa: FBT001
) -> None:
    length, order = arrival
    blocks = written(length, number)
    shelf = Shelf(number, [ZEROS if number == IDENTITY else ROOT], forgets=forgets)
    shelf.offer_all([run(blocks, low, high) for low, high in order])
    previous = blocks[0].header.previous
    assert shelf.log.pieces == (Piece(1, length, previous, blocks[-1].id),)
    assert shelf.log.head == length
    assert shelf.log.detached == ()
    assert [shelf.blocks[seq].id for seq in range(1, length + 1)] == [b.id for b in blocks]


@given(st.data())
def test_a_log_of_many_signatures_is_whole_too(data: st.DataObject) -> None:
    order = data.draw(spans(200, extra=8))
    shelf = Shelf()
    shelf.offer_all([run(written(200), low, high) for low, high in order])
    assert shelf.log.head == 200
    assert shelf.blocks[64].signature
    assert shelf.blocks[128].signature


@given(arrivals(), st.data())
def test_what_came_before_changes_nothing_when_it_comes_again(
    arrival: tuple[int, Spans], data: st.DataObject
) -> None:
    # given a part of a log
    length, order = arrival
    blocks, shelf = written(length), Shelf()
    for low, high in order[: len(order) // 2 + 1]:
        shelf.offer(run(blocks, low, high))
    # when any part of what is held comes again
    piece = data.draw(st.sampled_from(shelf.log.pieces))
    low = data.draw(st.integers(piece.low, piece.high))
    high = data.draw(st.integers(low, piece.high))
    before, again = shelf.log, shelf.offer(run(blocks, low, high))
    # then at most a signature is new
    assert isinstance(again, Placed)
    assert (again.log, again.new, again.joins) == (before, (), ())
    assert shelf.offer(run(blocks, low, high)) == Placed(before, (), (), None)


@given(arrivals())
def test_any_order_leads_to_the_same_log(arrival: tuple[int, Spans]) -> None:
    length, order = arrival
    blocks, forth, back = written(length), Shelf(), Shelf()
    forth.offer_all([run(blocks, low, high) for low, high in order])
    back.offer_all([run(blocks, low, high) for low, high in order[::-1]])
    assert forth.log == back.log
    assert forth.blocks == back.blocks  # signatures too


def test_the_joined_part_has_no_hole() -> None:
    blocks, shelf = written(10), Shelf()
    shelf.offer(run(blocks, 1, 3))
    shelf.offer(run(blocks, 5, 9))
    assert shelf.log.head == 3
    assert [(piece.low, piece.high) for piece in shelf.log.detached] == [(5, 9)]


def test_what_fills_a_gap_joins_what_was_behind_it() -> None:
    blocks, shelf = written(12), Shelf()
    for low, high in [(1, 3), (5, 6), (8, 9), (11, 12)]:
        shelf.offer(run(blocks, low, high))
    behind = shelf.log.detached
    filled = shelf.offer(run(blocks, 4, 8))
    assert isinstance(filled, Placed)
    assert filled.new == ((4, 4), (7, 7))
    assert filled.joins == behind[:2]
    assert shelf.log.head == 9
    assert shelf.log.detached == behind[2:]


def test_a_run_over_everything_adds_what_was_between() -> None:
    blocks, shelf = written(12), Shelf()
    for low, high in [(2, 3), (5, 6), (8, 9), (11, 11)]:
        shelf.offer(run(blocks, low, high))
    placed = shelf.offer(run(blocks, 1, 12))
    assert isinstance(placed, Placed)
    assert placed.new == ((1, 1), (4, 4), (7, 7), (10, 10), (12, 12))
    assert [(piece.low, piece.high) for piece in placed.joins] == [(2, 3), (5, 6), (8, 9), (11, 11)]


def test_a_run_that_is_not_near_anything_asks_nothing() -> None:
    blocks, shelf = written(12), Shelf()
    shelf.offer(run(blocks, 1, 3))
    assert isinstance(place(shelf.log, run(blocks, 5, 7), {}), Placed)
    assert isinstance(place(shelf.log, run(blocks, 4, 7), {}), Placed)
    assert isinstance(place(shelf.log, run(blocks, 2, 7), {}), Placed)
    assert isinstance(place(shelf.log, run(blocks, 1, 3), {}), Placed)


# --- segments that are detached -----------------------------------------------------------------


def test_a_fifth_detached_segment_is_refused_and_changes_nothing() -> None:
    blocks, shelf = written(14), Shelf()
    for seq in (1, 3, 5, 7, 9):
        assert isinstance(shelf.offer(run(blocks, seq, seq)), Placed)
    before = shelf.log
    assert len(before.detached) == MAX_DETACHED == 4
    assert isinstance(shelf.offer(run(blocks, 11, 14)), Refused)
    assert shelf.log == before


def test_what_makes_no_fifth_segment_is_welcome() -> None:
    blocks, shelf = written(14), Shelf()
    for seq in (3, 5, 7, 9):
        shelf.offer(run(blocks, seq, seq))
    for low, high in [(10, 12), (2, 2), (6, 6), (9, 12), (1, 1), (14, 14)]:
        assert isinstance(shelf.offer(run(blocks, low, high)), Placed)
    assert shelf.log.head == 3


def test_the_joined_part_is_no_detached_segment() -> None:
    blocks, shelf = written(14), Shelf()
    for seq in (3, 5, 7, 9):
        shelf.offer(run(blocks, seq, seq))
    assert isinstance(shelf.offer(run(blocks, 1, 1)), Placed)
    assert len(shelf.log.pieces) == 5


def test_blocks_from_1_on_are_detached_while_their_root_is_unknown() -> None:
    # given the logs of a device whose device block has not come
    blocks, shelf = written(9), Shelf(roots=())
    shelf.offer_all([run(blocks, 1, 4), run(blocks, 6, 9)])
    assert (shelf.log.head, len(shelf.log.detached)) == (0, 2)
    # when it comes
    shelf.log = replace(shelf.log, roots=frozenset({ROOT}))
    # then what begins there is joined
    assert (shelf.log.head, len(shelf.log.detached)) == (4, 1)
    assert shelf.log.joined == Piece(1, 4, ROOT, blocks[3].id)
    shelf.offer(run(blocks, 5, 5))
    assert shelf.log.head == 9


def test_what_follows_another_root_is_never_joined() -> None:
    shelf = Shelf(roots=[b"r" * 32])
    shelf.offer(run(written(9), 1, 9))
    assert (shelf.log.head, shelf.log.joined) == (0, None)


def test_a_block_that_names_the_root_but_is_not_the_first_is_not_joined() -> None:
    # given a block of a hostile device at 5 that says the device block comes before it
    block = make_block(Device().keys.signing, SOCIAL, 5, ROOT)
    shelf = Shelf()
    shelf.offer(run_of([block]))
    assert (shelf.log.head, shelf.log.joined, len(shelf.log.detached)) == (0, None, 1)


def test_a_device_block_that_was_forked_leaves_two_roots() -> None:
    shelf = Shelf(roots=[b"r" * 32, ROOT])
    shelf.offer(run(written(9), 1, 9))
    assert shelf.log.head == 9


def test_log_0_needs_no_other_root_than_zeros() -> None:
    shelf = Shelf(IDENTITY, [ZEROS])
    assert Log(Device().public, IDENTITY).roots == {ZEROS}
    shelf.offer(run(written(3, IDENTITY), 1, 3))
    assert shelf.log.head == 3


@given(arrivals(12))
def test_without_a_root_at_most_four_segments_are_held_as_well(arrival: tuple[int, Spans]) -> None:
    length, order = arrival
    shelf = Shelf(roots=())
    shelf.offer_all([run(written(length), low, high) for low, high in order])
    assert shelf.log.head == 0
    assert len(shelf.log.detached) == 1


# --- signatures that come later -----------------------------------------------------------------


def test_a_block_without_signature_gets_that_of_a_run_that_ends_on_it() -> None:
    blocks, shelf = written(9), Shelf()
    shelf.offer(run(blocks, 1, 9))
    assert not shelf.blocks[5].signature
    later = shelf.offer(run(blocks, 3, 5))
    assert isinstance(later, Placed)
    assert (later.new, later.sign) == ((), 5)
    assert shelf.blocks[5].signature == blocks[4].signature


def test_a_block_with_a_signature_gets_no_other() -> None:
    blocks, shelf = written(9), Shelf()
    shelf.offer(run(blocks, 1, 5))
    shelf.offer(run(blocks, 1, 9))
    again = shelf.offer(run(blocks, 1, 5))
    assert isinstance(again, Placed)
    assert again.sign is None


# --- forks --------------------------------------------------------------------------------------


def vouched(blocks: Sequence[Block], seq: int) -> Vouched:
    return Vouched.of(blocks[seq - 1 : seq + 63])


class ForkedShelf(Shelf):
    """Meets two branches, proves what contradicts and cuts the log there."""

    def __init__(self, left: Sequence[Block], right: Sequence[Block], *, forgets: bool) -> None:
        super().__init__(forgets=forgets)
        self.branches = (left, right)

    def meet(self, came: Run, branch: Sequence[Block]) -> None:
        """Take a run of ``branch``, or what of it comes before the verdict."""
        fork = self.log.fork
        if fork is not None and came.low >= fork:
            return
        if fork is not None and came.high >= fork:
            came = Run(came.blocks[: fork - came.low])
        placement = self.offer(came)
        if isinstance(placement, Conflict):
            self.convict(placement, came, branch)
            self.meet(came, branch)

    def convict(self, found: Conflict, came: Run, branch: Sequence[Block]) -> None:
        ours = self.blocks[found.held_from]
        assert came.low <= found.run_from <= came.high
        mine = next(log for log in self.branches if ours.id in {block.id for block in log})
        proof = ForkProof.of(vouched(mine, found.held_from), vouched(branch, found.run_from))
        assert proof.seq == found.seq
        assert decode_proof(proof.encode(), verify) == proof
        assert self.log.fork is None or found.seq < self.log.fork
        self.log = cut(self.log, found.seq, self.held(found.seq - 1, found.seq - 1))
        self.blocks = {seq: b for seq, b in self.blocks.items() if seq < found.seq}


@given(
    st.integers(1, 8), st.integers(1, 8), st.integers(1, 8), st.booleans(), st.booleans(), st.data()
)
def test_a_fork_is_found_where_it_is_whatever_runs_come_in_whatever_order(
    fork: int,
    longer: int,
    shorter: int,
    forgets: bool,  # noqa: FBT001
    swapped: bool,  # noqa: FBT001
    data: st.DataObject,
) -> None:
    # given two branches, cut into runs that come in any order
    left, right = forked(fork, longer, shorter)[:: -1 if swapped else 1]
    lots = [
        (branch, span)
        for branch in (left, right)
        for span in data.draw(spans(len(branch), extra=2), label="spans")
    ]
    order = data.draw(st.permutations(lots), label="order")
    shelf = ForkedShelf(left, right, forgets=forgets)
    # when all have come, and those refused once more
    for _ in range(len(order)):
        for branch, (low, high) in order:
            shelf.meet(run(branch, low, high), branch)
    # then the verdict is the same, and what is before it is whole
    assert shelf.log.fork == fork
    assert shelf.log.head == fork - 1
    assert len(shelf.log.pieces) == (1 if fork > 1 else 0)
    assert not shelf.log.pieces or shelf.log.pieces[0].tip == left[fork - 2].id


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 8), st.integers(0, 8)
)
def test_a_run_that_reaches_a_fork_shows_it_to_who_holds_the_other_branch(
    fork: int, longer: int, shorter: int, before: int, after: int
) -> None:
    left, right = forked(fork, longer, shorter)
    shelf = Shelf()
    shelf.offer(run(left, 1, len(left)))
    low, high = max(1, fork - before), min(len(right), fork + after)
    assert shelf.offer(run(right, low, high)) == Conflict(fork, fork, fork)
    assert shelf.log.head == len(left)


@pytest.mark.parametrize(
    ("held", "came", "expected"),
    [
        # the fork is at 10; what is held is of one branch, what comes of the other
        ((1, 20), (1, 20), Conflict(10, 10, 10)),
        ((1, 20), (10, 10), Conflict(10, 10, 10)),
        ((1, 20), (11, 14), Conflict(10, 10, 11)),
        ((1, 20), (14, 16), Conflict(13, 13, 14)),
        ((1, 13), (14, 16), Conflict(13, 13, 14)),
        ((14, 16), (1, 20), Conflict(13, 14, 13)),
        ((14, 16), (1, 13), Conflict(13, 14, 13)),
        ((14, 16), (14, 16), Conflict(14, 14, 14)),
        ((14, 16), (15, 20), Conflict(14, 14, 15)),
        ((14, 16), (12, 14), Conflict(13, 14, 13)),
        ((5, 20), (3, 10), Conflict(10, 10, 10)),
        ((1, 10), (10, 10), Conflict(10, 10, 10)),
        ((10, 10), (1, 20), Conflict(10, 10, 10)),
        ((11, 20), (1, 10), Conflict(10, 11, 10)),
        ((1, 10), (11, 11), Conflict(10, 10, 11)),
    ],
)
def test_a_conflict_names_the_earliest_place_that_what_is_at_hand_can_prove(
    held: tuple[int, int], came: tuple[int, int], expected: Conflict
) -> None:
    left, right = forked(10, 11, 11)
    shelf = Shelf()
    shelf.offer(run(left, *held))
    assert shelf.offer(run(right, *came)) == expected


@pytest.mark.parametrize(
    ("held", "came"), [((1, 9), (10, 20)), ((1, 5), (7, 20)), ((12, 20), (1, 10)), ((1, 9), (1, 9))]
)
def test_parts_of_two_branches_may_lie_beside_each_other_undiscovered(
    held: tuple[int, int], came: tuple[int, int]
) -> None:
    left, right = forked(10, 11, 11)
    shelf = Shelf()
    shelf.offer(run(left, *held))
    assert isinstance(shelf.offer(run(right, *came)), Placed)


def test_a_gap_between_two_branches_cannot_be_filled_by_either() -> None:
    left, right = forked(10, 11, 11)
    shelf = Shelf()
    shelf.offer_all([run(left, 1, 12), run(right, 15, 20)])
    assert shelf.offer(run(left, 13, 14)) == Conflict(14, 15, 14)
    assert shelf.offer(run(right, 13, 14)) == Conflict(12, 12, 13)


def test_two_first_blocks_with_different_roots_are_a_fork() -> None:
    # given a device that was certified twice and went on from both
    one, other = Device(0, 0), Device(0, 1)
    mine, yours = one.write_many(3), other.write_many(3)
    shelf = Shelf()
    shelf.offer(run(mine, 1, 3))
    assert shelf.offer(run(yours, 1, 2)) == Conflict(1, 1, 1)


def test_a_fork_after_many_blocks_is_asked_about_in_two_steps() -> None:
    left, right = forked(10, 100, 100)
    log = Log(Device().public, SOCIAL, frozenset({ROOT}))
    placed = place(log, run(left, 1, 109), {})
    assert isinstance(placed, Placed)
    came = run(right, 5, 104)
    assert place(placed.log, came, {}) == Need(104, 104)
    told: Mapping[int, Held] = {104: Held(left[103].id, signed=False)}
    assert place(placed.log, came, told) == Need(4, 104)
    told = {seq: Held(left[seq - 1].id, signed=False) for seq in range(4, 105)}
    assert place(placed.log, came, told) == Conflict(10, 10, 10)


# --- after a verdict ----------------------------------------------------------------------------


def pieces(*spans: tuple[int, int]) -> tuple[Piece, ...]:
    blocks = written(30)
    return tuple(
        Piece(low, high, blocks[low - 1].header.previous, blocks[high - 1].id)
        for low, high in spans
    )


@pytest.mark.parametrize(
    ("fork", "left"),
    [
        (1, []),
        (2, [(1, 1)]),
        (5, [(1, 4)]),
        (10, [(1, 9)]),
        (11, [(1, 10)]),
        (12, [(1, 10)]),
        (13, [(1, 10), (12, 12)]),
        (16, [(1, 10), (12, 15)]),
        (17, [(1, 10), (12, 15)]),
        (21, [(1, 10), (12, 15), (20, 20)]),
        (25, [(1, 10), (12, 15), (20, 24)]),
        (26, [(1, 10), (12, 15), (20, 25)]),
    ],
)
def test_a_verdict_ends_the_pieces_before_it(fork: int, left: Spans) -> None:
    log = Log(Device().public, SOCIAL, frozenset({ROOT}), pieces((1, 10), (12, 15), (20, 25)))
    spanned = any(piece.low < fork <= piece.high for piece in log.pieces)
    tips = {fork - 1: Held(written(30)[fork - 2].id, signed=False)} if spanned else {}
    assert cut(log, fork, tips) == replace(log, pieces=pieces(*left), fork=fork)


def test_a_smaller_verdict_cuts_once_more() -> None:
    log = Log(Device().public, SOCIAL, frozenset({ROOT}), pieces((1, 10), (12, 15)))
    blocks = written(30)
    once = cut(log, 14, {13: Held(blocks[12].id, signed=False)})
    tips = {3: Held(blocks[2].id, signed=False)}
    assert cut(once, 4, tips) == cut(log, 4, tips)


def test_the_block_before_a_fork_can_get_its_signature_later() -> None:
    # given a log that came as one run, signed at its end only, and was cut at a fork
    left, _ = forked(10, 11, 11)
    shelf = Shelf()
    shelf.offer(run(left, 1, 20))
    assert not shelf.blocks[9].signature
    log = cut(shelf.log, 10, {9: Held(left[8].id, signed=False)})
    # when a run comes that ends there with a signature
    came, held = run(left, 1, 9), {9: Held(left[8].id, signed=False)}
    placement = place(log, came, {})
    if isinstance(placement, Need):
        placement = place(log, came, held)
    # then the signature is kept, for without one the log cannot be passed on
    assert placement == Placed(log, (), (), 9)


# --- the two branches that are kept -------------------------------------------------------------


def branch_of(blocks: Iterable[Block]) -> list[BranchBlock]:
    return [BranchBlock(b.id, b.header.seq, b.header.previous) for b in blocks]


TRUNKS = (b"p" * 32, b"q" * 32, b"p" * 32)
"""What the blocks at the fork follow, in turn: the branches need not agree on the one before."""


def tree(shape: Sequence[int], fork: int = 10) -> list[BranchBlock]:
    """Blocks from a fork on: each follows the one that ``shape`` names, or stands at the fork."""
    grown: list[BranchBlock] = []
    for index, parent in enumerate(shape):
        # any order of ids that has nothing to do with the order of writing
        ident = (index * 7919 % 1009).to_bytes(32, "big")
        before = None if parent >= index else grown[parent]
        past = TRUNKS[index % 3]
        seq, previous = (fork, past) if before is None else (before.seq + 1, before.id)
        grown.append(BranchBlock(ident, seq, previous))
    return grown


shapes = st.integers(1, 30).flatmap(
    lambda size: st.lists(st.integers(0, size), min_size=size, max_size=size)
)


trunks = st.sampled_from([None, *TRUNKS[:2], b"r" * 32])


def kept(pool: Collection[BranchBlock], trunk: bytes | None = None) -> list[BranchBlock]:
    chosen = grow(pool, 10, trunk)
    return [member for member in pool if member.id in chosen]


def expected_of(pool: Collection[BranchBlock], trunk: bytes | None) -> set[bytes]:
    """The rule, word by word."""
    chosen: set[bytes] = set()
    roots = sorted(m.id for m in pool if m.seq == 10)[:2]
    roots += sorted(m.id for m in pool if m.seq == 10 and m.previous == trunk)[:1]
    for root in roots:
        ident, seq = root, 10
        while seq <= 10 + 64:
            chosen.add(ident)
            after = sorted(m.id for m in pool if m.previous == ident and m.seq == seq + 1)
            if not after:
                break
            ident, seq = after[0], seq + 1
    return chosen


@given(shapes, trunks, st.data())
def test_the_branches_kept_depend_on_what_came_and_not_on_its_order(
    shape: list[int], trunk: bytes | None, data: st.DataObject
) -> None:
    pool = tree(shape)
    chosen = grow(pool, 10, trunk)
    assert chosen == expected_of(pool, trunk)
    assert grow(data.draw(st.permutations(pool)), 10, trunk) == chosen
    assert grow(kept(pool, trunk), 10, trunk) == chosen


@given(shapes, trunks, st.data())
def test_branches_that_grow_block_by_block_end_as_those_that_came_at_once(
    shape: list[int], trunk: bytes | None, data: st.DataObject
) -> None:
    # given blocks that come in any order in which each follows one that came
    pool = tree(shape)
    waiting, held = data.draw(st.permutations(pool)), list[BranchBlock]()
    came: set[bytes] = set()
    while waiting:
        member = next(m for m in waiting if m.seq == 10 or m.previous in came)
        waiting.remove(member)
        came.add(member.id)
        # when only what belongs to the branches is kept each time
        held = kept([*held, member], trunk)
    # then in the end they are the same
    assert {member.id for member in held} == grow(pool, 10, trunk)


@given(shapes, trunks, st.data())
def test_what_was_dropped_too_early_is_kept_when_it_is_offered_again(
    shape: list[int], trunk: bytes | None, data: st.DataObject
) -> None:
    # given blocks in any order, of which some come before what they follow and are dropped
    pool, held = tree(shape), list[BranchBlock]()
    order = data.draw(st.permutations(pool))
    # when others go on offering all they have
    for _ in range(len(pool)):
        for member in order:
            if member not in held:
                held = kept([*held, member], trunk)
    # then the branches are those of everything that was offered
    assert {member.id for member in held} == grow(pool, 10, trunk)


@given(shapes, trunks, st.integers(0, 29))
def test_growing_on_from_what_was_kept_is_growing_from_everything(
    shape: list[int], trunk: bytes | None, split: int
) -> None:
    pool = tree(shape)
    early = kept(pool[:split], trunk)
    assert grow([*early, *pool[split:]], 10, trunk) == grow(pool, 10, trunk)


@given(shapes, trunks)
def test_what_vouches_for_the_block_before_a_fork_is_always_kept(
    shape: list[int], trunk: bytes | None
) -> None:
    pool = tree(shape)
    chosen = [m for m in kept(pool, trunk) if m.seq == 10]
    smallest = sorted(m for m in pool if m.seq == 10)[:2]
    assert set(smallest) <= set(chosen)
    assert len(chosen) <= 3
    assert any(m.previous == trunk for m in chosen) == any(m.previous == trunk for m in pool)
    if any(m.previous == trunk for m in smallest):
        assert set(chosen) == set(smallest)


def test_the_two_smallest_ids_at_the_fork_are_kept_of_many() -> None:
    device, blocks = Device(), list[Block]()
    for number in range(8):
        twin = device.twin()
        blocks += twin.write_many(3, f"version {number}")
    chosen = grow(branch_of(blocks), 1)
    roots = sorted(block.id for block in blocks if block.header.seq == 1)[:2]
    assert {b.id for b in blocks if b.id in chosen and b.header.seq == 1} == set(roots)
    assert len(chosen) == 6


def test_a_branch_is_kept_for_64_blocks_after_the_fork() -> None:
    left, right = forked(10, 100, 30)
    pool = branch_of([*left[9:], *right[9:]])
    chosen = grow(pool, 10)
    assert MAX_BRANCH_BLOCKS == 64
    assert chosen == {b.id for b in left[9:74]} | {b.id for b in right[9:39]}


def test_where_a_branch_forks_again_the_smallest_id_goes_on() -> None:
    left, right = forked(12, 3, 3)
    pool = branch_of([*left[9:], *right[11:]])
    chosen = grow(pool, 10)
    ahead = min(left[11:], right[11:], key=lambda branch: branch[0].id)
    assert chosen == {b.id for b in [*left[9:11], *ahead]}


def test_blocks_that_follow_nothing_held_belong_to_no_branch() -> None:
    left, right = forked(10, 8, 8)
    assert grow(branch_of([left[9], *left[11:], *right[10:]]), 10) == {left[9].id}
    assert grow(branch_of(left[10:]), 10) == frozenset()
    assert grow([], 10) == frozenset()


def test_blocks_before_the_fork_belong_to_no_branch() -> None:
    left, right = forked(10, 3, 3)
    chosen = grow(branch_of([*left, *right]), 10)
    assert chosen == {b.id for b in [*left[9:], *right[9:]]}


@pytest.mark.parametrize("seq", [1, 9, 12, 13, 74])
def test_a_block_that_follows_out_of_turn_belongs_to_no_branch(seq: int) -> None:
    # given a block of a hostile device that names the one at 10 as the one before, but is not 11
    root = BranchBlock(b"root" * 8, 10, b"p" * 32)
    out_of_turn = BranchBlock(b"next" * 8, seq, root.id)
    # then the branch ends before it
    assert grow([root, out_of_turn], 10) == {root.id}


def test_a_block_that_follows_out_of_turn_does_not_displace_the_one_that_follows() -> None:
    root = BranchBlock(b"root" * 8, 10, b"p" * 32)
    smallest = BranchBlock(bytes(32), 12, root.id)
    follower = BranchBlock(b"next" * 8, 11, root.id)
    assert grow([root, smallest, follower], 10) == {root.id, follower.id}


def test_no_chain_whatever_its_numbers_makes_a_branch_longer_than_65() -> None:
    # given a thousand blocks of a hostile device, each after the one before, all of the same seq
    chain = [BranchBlock(b"root" * 8, 10, b"p" * 32)]
    for index in range(1000):
        chain.append(BranchBlock(index.to_bytes(32, "big"), 11, chain[-1].id))
    assert len(grow(chain, 10, b"p" * 32)) <= 3 * (1 + MAX_BRANCH_BLOCKS)
