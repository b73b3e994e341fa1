"""Whose turn it is: classes in order, nobody starved, no author ahead of the others."""

from collections import Counter, deque
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import MAX_CLASS
from gossip.fair import OWED_BYTES, SHARE, TURN_BYTES, FairQueue, Place
from tests.strategies import material

A, B, C = (material(f"author {name}") for name in "abc")
RANKS = range(MAX_CLASS + 1)
PLACES = st.builds(Place, st.sampled_from(RANKS), st.booleans(), st.sampled_from([A, B, C]))


def send(
    queue: FairQueue[Place], total: int, size: Callable[[Place], int]
) -> Iterable[tuple[Place, int]]:
    """Serve jobs that never end until ``total`` bytes are sent."""
    sent = 0
    while sent < total:
        taken = queue.take()
        assert taken is not None
        place, job = taken
        assert place == job
        queue.spend(place, size(place))
        sent += size(place)
        queue.put_back(place, job)
        yield place, size(place)


def queue_of(places: Iterable[Place]) -> FairQueue[Place]:
    queue = FairQueue[Place]()
    for place in places:
        queue.put(place, place)
    return queue


# --- agreement ----------------------------------------------------------------------------------


@given(
    deeds=st.lists(st.one_of(PLACES, st.sampled_from(["take", "back"])), max_size=60),
    sizes=st.lists(st.integers(0, 100_000), min_size=1, max_size=5),
)
def test_every_job_has_its_turn_once_and_those_of_one_place_in_order(
    deeds: list[Place | str], sizes: list[int]
) -> None:
    queue, waiting = FairQueue[int](), dict[Place, deque[int]]()
    for number, deed in enumerate(deeds):
        if isinstance(deed, Place):
            queue.put(deed, number)
            waiting.setdefault(deed, deque()).append(number)
            continue
        taken = queue.take()
        if taken is None:
            assert not any(waiting.values())
            continue
        place, job = taken
        assert waiting[place][0] == job
        queue.spend(place, sizes[number % len(sizes)])
        if deed == "back":  # it is not finished, so it is still the first of its place
            queue.put_back(place, job)
        else:
            waiting[place].popleft()
    left = [taken[1] for _ in deeds if (taken := queue.take()) is not None]
    assert sorted(left) == sorted(job for jobs in waiting.values() for job in jobs)
    assert not queue


@given(
    places=st.lists(PLACES, min_size=1, max_size=12),
    ahead=st.sets(st.sampled_from([A, B, C])),
    rank=st.sampled_from(RANKS),
)
def test_along_goes_only_what_is_of_the_same_class_and_of_authors_who_are_not_ahead(
    places: list[Place], ahead: set[bytes], rank: int
) -> None:
    queue = queue_of(places)
    for place in dict.fromkeys(places):
        if place.author in ahead:
            queue.spend(place, TURN_BYTES)
    of_class = [place for place in places if place.rank == rank]
    # newest first: while any wait, none of the older ones goes along
    older = all(place.older for place in of_class)
    may = {place for place in of_class if place.older == older and place.author not in ahead}
    found = queue.take_along(rank)
    assert found in may or (found is None and not may)


def test_the_first_class_goes_first_and_the_newest_before_the_older() -> None:
    places = [Place(rank, older=older, author=A) for rank in RANKS for older in (False, True)]
    queue = queue_of(reversed(places))
    taken = [found[0] for _ in places if (found := queue.take()) is not None]
    assert taken == places


def test_what_comes_late_and_is_urgent_is_next() -> None:
    queue = queue_of([Place(6, older=True, author=A), Place(3, older=False, author=B)])
    urgent = Place(0, older=True, author=C)
    queue.put(urgent, urgent)
    assert queue.take() == (urgent, urgent)


def test_nobody_has_a_turn_where_nothing_waits() -> None:
    queue = queue_of([Place(3, older=False, author=A)])
    assert (queue.take_along(2), queue.rank) == (None, 3)
    assert queue.take() is not None
    assert (queue.take_along(3), queue.take(), bool(queue)) == (None, None, False)
    assert queue.rank is None


# --- shares -------------------------------------------------------------------------------------


@given(
    ranks=st.sets(st.sampled_from(RANKS), min_size=2),
    sizes=st.lists(st.integers(1_000, 65_000), min_size=7, max_size=7),
)
def test_every_class_that_waits_gets_a_twentieth_and_the_first_the_rest(
    ranks: set[int], sizes: list[int]
) -> None:
    total, sent = 5_000_000, Counter[int]()
    queue = queue_of(Place(rank, older=False, author=A) for rank in ranks)
    for place, size in send(queue, total, lambda place: sizes[place.rank]):
        sent[place.rank] += size
    longest = max(sizes)
    first, *others = sorted(ranks)
    # everyone who waits may be kept waiting while all the others have a turn
    slack = 2 * OWED_BYTES + len(ranks) * longest
    for rank in others:
        assert sent[rank] >= (total - sent[rank]) / SHARE - slack
        assert sent[rank] <= total / SHARE * 1.3 + total / SHARE * longest / OWED_BYTES + longest
    assert sent[first] == max(sent.values()) or longest > OWED_BYTES


def test_a_class_that_was_idle_is_owed_nothing() -> None:
    # given a class that is served for long while no other waits
    queue = queue_of([Place(3, older=False, author=A)])
    list(send(queue, 10_000_000, lambda _: 60_000))
    # when a lesser one comes
    late = Place(6, older=False, author=B)
    queue.put(late, late)
    # then it has its turn only after its twentieth of what is sent from now on
    sent = 0
    for place, size in send(queue, 2 * SHARE * OWED_BYTES, lambda _: 8_000):
        if place == late:
            break
        sent += size
    assert SHARE * OWED_BYTES <= sent <= SHARE * OWED_BYTES + 2 * 8_000


def test_an_author_with_many_logs_gets_no_more_than_one_with_a_single_log() -> None:
    queue = queue_of([*[Place(3, older=False, author=A)] * 20, Place(3, older=False, author=B)])
    sent = Counter(place.author for place, _ in send(queue, 1_000_000, lambda _: 10_000))
    assert abs(sent[A] - sent[B]) * 10_000 <= TURN_BYTES + 2 * 10_000


@given(sizes=st.lists(st.integers(100, 65_000), min_size=2, max_size=4))
def test_an_author_of_small_posts_gets_as_many_bytes_as_one_of_large_ones(
    sizes: list[int],
) -> None:
    # given authors of one class, each with blocks of another size and more of them than are sent
    authors = {material(f"author {number}"): size for number, size in enumerate(sizes)}
    queue = queue_of(Place(4, older=False, author=author) for author in authors)
    # when a lot is sent
    sent = Counter[bytes]()
    for place, size in send(queue, 2_000_000, lambda place: authors[place.author]):
        sent[place.author] += size
        # then at no moment is anybody ahead of another by more than a turn and a block of each
        if all(sent[author] for author in authors):
            most, least = max(sent.values()), min(sent[author] for author in authors)
            assert most - least <= TURN_BYTES + 2 * max(sizes)


def test_who_was_ahead_while_nobody_else_waited_is_not_kept_waiting_for_that() -> None:
    mine, other = (Place(3, older=False, author=author) for author in (A, B))
    queue = queue_of([mine])
    list(send(queue, 10_000_000, lambda _: 60_000))
    queue.put(other, other)
    sent = Counter(place.author for place, _ in send(queue, 1_000_000, lambda _: 10_000))
    assert abs(sent[A] - sent[B]) * 10_000 <= TURN_BYTES + 60_000 + 10_000


# --- economy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 1_000])
def test_nothing_is_kept_of_authors_who_are_served(count: int) -> None:
    queue = FairQueue[int]()
    for number in range(count):
        queue.put(Place(3, older=False, author=material(f"{number}")), number)
    while queue.take() is not None:
        pass
    assert not any(line.waiting or line.debts for line in queue._lines.values())
