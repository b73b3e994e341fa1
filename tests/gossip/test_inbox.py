"""The inbox: one batch into the store at a time, nothing forgotten, room for a window."""

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import Credit
from gossip.effects import Keep, Send
from gossip.inbox import Inbox
from gossip.policy import Limits
from gossip.talk import ProtocolError, Setting, Talk
from gossip.wire import decode_message
from ledger.run import Run
from ledger.store.base import Absorbed, LateBody
from tests.gossip.meetings import BINDING, Node
from tests.strategies import run_of, written

WINDOW = 65_000
RUNS = [run_of(written(3, number=number)) for number in range(8)]


class Store:
    """An inbox, and a store that answers when it is told to."""

    def __init__(self, receive: int | None = None, window: int = WINDOW) -> None:
        node = Node(1, limits=Limits(window=window, receive=receive))
        setting = Setting(node.holdings.catalogue, node.holdings.claims, node.policy, BINDING)
        self.talk = Talk(setting, 1)
        self.outcomes: list[tuple[Absorbed, int]] = []
        self.inbox = Inbox(self.talk, self._then)
        self.waiting: list[Keep] = []
        self.batches: list[Keep] = []
        self.credits: list[int] = []

    def _then(self, absorbed: Absorbed) -> None:
        self.outcomes.append((absorbed, self.inbox.stored))

    def look(self) -> None:
        for effect in self.talk.take_effects():
            if isinstance(effect, Keep):
                self.waiting.append(effect)
                self.batches.append(effect)
            else:
                assert isinstance(effect, Send)
                message = decode_message(effect.frame)
                assert isinstance(message, Credit)
                self.credits.append(message.total)

    def take(self, size: int, run: Run | None = None) -> None:
        self.inbox.arrive(size)
        if run is not None:
            self.inbox.add(run=run)

    def answer(self) -> None:
        self.look()
        if self.waiting:
            self.talk.kept(self.waiting.pop(0).ticket, Absorbed())
            self.look()

    def kept(self) -> list[Run]:
        return [run for keep in self.batches for run in keep.batch.runs]


# --- agreement ----------------------------------------------------------------------------------

Deed: TypeAlias = tuple[str, int]
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "bare", "drained", "answer"]), st.integers(1, 9_000)
    ),
    max_size=60,
)


@given(deeds=DEEDS, receive=st.none() | st.integers(1, 300_000))
def test_what_comes_is_stored_once_in_order_one_batch_at_a_time_and_within_a_window(
    deeds: list[Deed], receive: int | None
) -> None:
    store, came, received = Store(receive), list[Run](), 0
    inbox = store.inbox
    for what, size in deeds:
        if what in ("take", "bare") and received + size <= inbox.granted:
            run = RUNS[size % len(RUNS)] if what == "take" else None
            store.take(size, run)
            received += size
            came += [run] if run is not None else []
        elif what == "drained":
            inbox.flush()
        elif what == "answer":
            store.answer()
        store.look()
        assert len(store.waiting) <= 1
        # room is given for what was dealt with and one window more, and never for more than wanted
        assert inbox.granted <= received + WINDOW
        assert receive is None or inbox.granted <= receive
    inbox.flush()
    for _ in range(3):
        store.answer()
    assert store.kept() == came
    assert inbox.is_empty
    assert inbox.stored == inbox.batch == len(store.outcomes)
    # each outcome is reported as that of its batch, one after the other
    assert [number for _, number in store.outcomes] == list(range(1, inbox.stored + 1))


def test_what_comes_while_a_batch_is_under_way_is_stored_after_it() -> None:
    store = Store()
    store.take(100, RUNS[0])
    store.inbox.flush()
    store.take(100, RUNS[1])
    store.inbox.flush()
    store.look()
    # given one batch under way and another that gathers, and nothing more to come
    assert (len(store.waiting), store.inbox.last) == (1, 2)
    # when the first is stored
    store.answer()
    # then the second goes at once, without anything else happening
    assert [keep.batch.runs for keep in store.waiting] == [[RUNS[1]]]
    store.answer()
    assert (store.inbox.is_empty, store.inbox.stored) == (True, 2)


def test_what_gathers_while_more_is_coming_is_not_stored_yet() -> None:
    store = Store()
    store.take(100, RUNS[0])
    store.inbox.flush()
    store.take(100, RUNS[1])
    store.answer()
    assert (store.waiting, store.inbox.is_empty, store.inbox.last) == ([], False, 2)


@pytest.mark.parametrize(("size", "is_half"), [(WINDOW // 2 - 1, False), (WINDOW // 2, True)])
def test_half_a_window_is_stored_though_more_is_coming(size: int, *, is_half: bool) -> None:
    store = Store()
    store.take(size, RUNS[0])
    assert store.inbox.is_half_full == is_half


def test_half_a_window_that_came_meanwhile_is_stored_next() -> None:
    store = Store()
    store.take(10, RUNS[0])
    store.inbox.flush()
    store.take(WINDOW // 2, RUNS[1])
    store.answer()
    assert [keep.batch.runs for keep in store.waiting] == [[RUNS[1]]]


def test_all_sorts_of_things_are_one_batch() -> None:
    store = Store()
    late = LateBody(RUNS[1].author, RUNS[1].log, 1, RUNS[1].blocks[0].body or b"")
    store.take(10, RUNS[0])
    store.inbox.add(bodies=[late])
    store.inbox.flush()
    store.look()
    (keep,) = store.batches
    assert (keep.batch.runs, keep.batch.bodies, keep.durable) == ([RUNS[0]], [late], False)
    assert keep.batch.own == store.talk.setting.policy.device


def test_what_brings_nothing_gives_its_room_back_without_the_store() -> None:
    store = Store()
    store.take(WINDOW // 2)
    store.inbox.flush()
    store.look()
    assert (store.batches, store.inbox.is_empty) == ([], True)
    assert store.credits == [WINDOW + WINDOW // 2]


# --- room ---------------------------------------------------------------------------------------


def test_a_byte_more_than_there_is_room_for_ends_the_meeting() -> None:
    store = Store()
    store.take(WINDOW)
    with pytest.raises(ProtocolError):
        store.take(1)


def test_nobody_is_given_more_than_is_taken_in_one_meeting() -> None:
    store = Store(receive=WINDOW + 10)
    assert store.inbox.granted == WINDOW
    store.take(WINDOW, RUNS[0])
    store.inbox.flush()
    store.answer()
    assert store.credits == [WINDOW + 10]
    store.take(10, RUNS[1])
    store.inbox.flush()
    store.answer()
    assert store.credits == [WINDOW + 10]


def test_one_who_may_send_less_than_a_window_is_given_that() -> None:
    assert Store(receive=10).inbox.granted == 10


def test_little_is_not_worth_a_message_while_more_is_coming() -> None:
    store = Store()
    store.take(WINDOW // 4 - 2, RUNS[0])
    store.inbox.flush()
    store.take(1, RUNS[1])
    store.answer()
    assert store.credits == []
    store.inbox.flush()
    store.answer()
    assert store.credits == [WINDOW + WINDOW // 4 - 1]
