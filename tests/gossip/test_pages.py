"""Pages: acknowledged in order, and processed only where every log in them is settled for good."""

from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from gossip.control import Greeting
from gossip.cursor import Seen
from gossip.pages import Pages, Processed

RUN, OLDER = b"run now.", b"run past"


@dataclass
class Page:
    logs: set[int]
    covers: tuple[int, int] | None
    failed: bool = False


Begun: TypeAlias = tuple[frozenset[int], tuple[int, int] | None]
Settled: TypeAlias = tuple[int, bool]
DEEDS: st.SearchStrategy[list[Begun | Settled]] = st.lists(
    st.one_of(
        st.tuples(
            st.frozensets(st.integers(0, 5), max_size=4),
            st.none() | st.tuples(st.integers(1, 50), st.integers(0, 9)),
        ),
        st.tuples(st.integers(0, 5), st.booleans()),
    ),
    max_size=40,
)


@given(deeds=DEEDS)
def test_pages_are_done_and_processed_as_a_list_of_all_of_them_says(
    deeds: list[Begun | Settled],
) -> None:
    pages, model = Pages(), list[Page]()
    processed: list[tuple[int, int]] = []
    for what, how in deeds:
        if isinstance(what, frozenset):
            covers = (how[0], how[0] + how[1]) if isinstance(how, tuple) else None
            number = pages.begin(what, covers)
            model.append(Page(set(what), covers))
            processed += [] if what else pages.close(number)
        else:
            processed += pages.settle(what, clean=bool(how))
            for page in model:
                page.failed |= what in page.logs and not how
                page.logs.discard(what)
        is_open = [bool(page.logs) for page in model]
        assert pages.done == (is_open.index(True) if True in is_open else len(model))
        assert pages.waiting == len(model) - pages.done
    done = [page for page in model if not page.logs]
    assert sorted(processed) == sorted(p.covers for p in done if p.covers and not p.failed)
    assert pages.is_clean == (not any(page.failed for page in done))


def test_a_page_that_failed_is_acknowledged_and_not_processed() -> None:
    pages = Pages()
    pages.begin([0, 1], (1, 5))
    assert pages.settle(0, clean=False) == []
    assert pages.settle(1, clean=True) == []
    assert (pages.done, pages.waiting, pages.is_clean) == (1, 0, False)


def test_a_page_is_not_acknowledged_before_the_ones_before_it() -> None:
    pages = Pages()
    pages.begin([0], (6, 9))
    pages.begin([1], (1, 5))
    # what a later page tells is processed at once, but acknowledged only with the first
    assert pages.settle(1, clean=True) == [(1, 5)]
    assert (pages.done, pages.waiting) == (0, 2)
    assert pages.settle(0, clean=True) == [(6, 9)]
    assert (pages.done, pages.waiting) == (2, 0)


def test_nothing_is_kept_of_pages_that_are_done() -> None:
    pages = Pages()
    for number in range(100):
        pages.begin([number, number + 1], None)
        pages.settle(number, clean=True)
    pages.settle(100, clean=True)
    assert (pages.done, pages._open, pages._of_log) == (100, {}, {})


# --- news ---------------------------------------------------------------------------------------


@given(failed=st.sets(st.sampled_from([0, 1, 2])), order=st.permutations([0, 1, 2]))
def test_news_are_processed_by_the_page_that_covers_them_and_only_if_none_of_them_failed(
    failed: set[int], order: list[int]
) -> None:
    pages = Pages()
    for log in (0, 1):
        assert pages.announced([log], None) == log
    pages.announced([2], (7, 9))
    processed = [r for log in order for r in pages.settle(log, clean=log not in failed)]
    assert processed == ([] if failed else [(7, 9)])
    assert (pages.done, pages.waiting, pages.is_clean) == (3, 0, not failed)


@given(before=st.booleans())
def test_news_that_failed_before_the_covering_page_came_keep_it_from_counting(
    before: bool,  # noqa: FBT001
) -> None:
    pages = Pages()
    pages.announced([0], None)
    pages.settle(0, clean=before)
    number = pages.announced([], (7, 9))
    assert pages.close(number) == ([(7, 9)] if before else [])
    # the next ones are judged by themselves
    number = pages.announced([], (10, 11))
    assert pages.close(number) == [(10, 11)]


# --- what is processed --------------------------------------------------------------------------

RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), max_size=12)


def lsns(seen: Seen | None) -> set[int]:
    ranges = seen.ranges if seen is not None else ()
    return {lsn for low, high in ranges for lsn in range(low, high + 1)}


@given(before=RANGES, more=RANGES, reached=st.integers(1, 60), valid=st.integers(0, 60))
def test_what_was_seen_counts_as_far_as_it_is_valid_and_pages_add_to_it(
    before: list[tuple[int, int]], more: list[tuple[int, int]], reached: int, valid: int
) -> None:
    # given what was seen of an earlier run
    was = Processed(Greeting(OLDER, 70, None), None)
    for low, length in before:
        was.add(low, low + length)
    # when the store meanwhile is in another, says up to where that counts, and tells more
    now = Processed(Greeting(RUN, reached, None), was.seen)
    now.valid(valid)
    for low, length in more:
        now.add(low, low + length)
    # then that much of the old and all of the new is processed, in the name of the new run
    old = {lsn for lsn in lsns(was.seen) if lsn <= min(valid, reached)}
    assert lsns(now.seen) == old | {
        lsn for low, length in more for lsn in range(low, low + length + 1)
    }
    assert now.seen is None or now.seen.run == RUN
    assert now.is_changed == bool(more)


def test_what_is_claimed_of_a_run_beyond_its_end_is_void() -> None:
    seen = Seen(RUN, ((1, 9),))
    assert Processed(Greeting(RUN, 5, None), seen).seen == Seen(RUN, ((1, 5),))
    assert Processed(Greeting(OLDER, 5, None), seen).seen is None


def test_all_is_processed_only_if_it_is_of_this_run_and_from_the_first() -> None:
    def is_whole(seen: Seen | None, lsn: int = 9) -> bool:
        return Processed(Greeting(RUN if lsn else b"", lsn, None), seen).is_whole

    assert is_whole(Seen(RUN, ((1, 9),)))
    assert is_whole(None, lsn=0)
    assert not is_whole(None)
    assert not is_whole(Seen(RUN, ((1, 8),)))
    assert not is_whole(Seen(RUN, ((2, 9),)))
    assert not is_whole(Seen(RUN, ((1, 3), (5, 9))))
    assert not is_whole(Seen(OLDER, ((1, 9),)))


def test_nothing_of_a_stranger_is_remembered() -> None:
    processed = Processed(None, Seen(RUN, ((1, 9),)))
    processed.add(10, 12)
    processed.add_all()
    assert (processed.seen, processed.is_whole, processed.is_changed) == (None, False, False)


def test_what_was_processed_counts_for_the_run_that_goes_on() -> None:
    processed = Processed(Greeting(OLDER, 5, None), Seen(OLDER, ((1, 5),)))
    processed.goes_on(RUN)
    processed.add(6, 7)
    assert processed.seen == Seen(RUN, ((1, 7),))


def test_more_ranges_than_are_remembered_cost_the_lowest() -> None:
    processed = Processed(Greeting(RUN, 99, None), None)
    for lsn in range(2, 80, 2):
        processed.add(lsn, lsn)
    assert lsns(processed.seen) == set(range(2, 80, 2)) - set(range(2, 80 - 64, 2))
