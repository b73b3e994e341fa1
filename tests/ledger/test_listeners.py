from functools import partial

import pytest

from ledger.listeners import Listeners


def test_who_listens_is_told_until_he_stops() -> None:
    listeners: Listeners[int] = Listeners()
    heard, also = list[int](), set[int]()
    forget, forget_other = listeners.add(heard.append), listeners.add(also.add)
    listeners.tell(1)
    forget()
    forget()
    listeners.tell(2)
    forget_other()
    listeners.tell(3)
    assert (heard, also, len(listeners)) == ([1], {1, 2}, 0)


def test_who_was_added_twice_is_told_once() -> None:
    listeners: Listeners[int] = Listeners()
    heard: set[int] = set()
    told = partial(_once, heard)
    forget = [listeners.add(told) for _ in range(2)]
    listeners.tell(1)
    forget[0]()
    listeners.tell(2)
    assert heard == {1}


def _once(heard: set[int], news: int) -> None:
    assert news not in heard
    heard.add(news)


def test_who_stops_or_comes_while_others_are_told_is_told_too_or_next_time() -> None:
    listeners: Listeners[[]] = Listeners()
    heard: list[str] = []

    def first() -> None:
        heard.append("first")
        forget_second()
        listeners.add(partial(heard.append, "new"))

    listeners.add(first)
    forget_second = listeners.add(partial(heard.append, "second"))
    listeners.tell()
    assert heard == ["first", "second"]
    listeners.tell()
    assert heard == ["first", "second", "first", "new"]


def test_all_are_told_even_where_some_cannot_take_it() -> None:
    listeners: Listeners[str] = Listeners()
    heard: list[str] = []
    for take in (int, heard.append, float, heard.extend):
        listeners.add(take)  # type: ignore[arg-type]
    with pytest.raises(ExceptionGroup) as caught:
        listeners.tell("news")
    assert heard == ["news", *"news"]
    assert [type(one) for one in caught.value.exceptions] == [ValueError, ValueError]
