from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import encode
from ledger.kinds.body import Reference
from ledger.kinds.post import Attachment, Post
from ledger.store.base import Entry
from ledger.views.timeline import FeedPost, Timeline
from tests.ledger.views_support import (
    LATER,
    SALT,
    Writer,
    census,
    entry,
    revoke,
    root,
    without_body,
)

if TYPE_CHECKING:
    import pytest

    from ledger.block import Block
    from ledger.views.people import People

ADA = root("ada")


def _feed(
    entries: list[Entry],
    people: People | None = None,
    *,
    persons: list[bytes] | None = None,
    hidden: list[bytes] | None = None,
    limit: int | None = None,
) -> list[FeedPost]:
    timeline = Timeline(
        people or census(entries), persons=persons, hidden=hidden or (), limit=limit
    )
    timeline.add(entries)
    return timeline.posts()


def test_a_post_is_shown_with_all_that_is_known_of_it() -> None:
    phone = Writer("phone", "ada")
    picture = Attachment(bytes(32), 5, "image/png", "cat.png")
    target = Reference(bytes(32), 1, 7, b"t" * 32)
    said = Post(50, "look\nhere", target, (picture,))
    written = phone.write("post", said.encode(SALT))
    entries = [entry(phone.first), entry(phone.profile("Ada")), entry(written, hops=3)]
    entries[1:] = [entry(written, hops=3), entry(phone.profile("Ada"))]
    assert _feed(entries) == [
        FeedPost(
            id=written.id,
            person=ADA,
            device=phone.device,
            log=1,
            seq=1,
            name="Ada",
            time=50,
            text="look\nhere",
            reply_to=b"t" * 32,
            attachments=(picture,),
            hops=3,
            mark=None,
        )
    ]


def test_posts_of_hidden_persons_are_left_out_and_take_no_room() -> None:
    phone, laptop, other = Writer("phone", "ada"), Writer("laptop", "ada"), Writer("other", "bob")
    question = phone.post("a", 9)
    answer = other.write(
        "post", Post(3, "b", Reference(phone.device, 1, 1, question.id)).encode(SALT)
    )
    blocks = [w.first for w in (phone, laptop, other)] + [question, laptop.post("c", 8), answer]
    entries = list(map(entry, blocks))
    bob = root("bob")
    for persons in (None, [ADA, bob]):
        posts = _feed(entries, persons=persons, hidden=[ADA], limit=1)
        # what answers a hidden post stays, and still says what it answers
        assert [(post.text, post.reply_to) for post in posts] == [("b", question.id)]
    assert _feed(entries, persons=[ADA], hidden=[ADA]) == []
    assert [post.text for post in _feed(entries, hidden=[bob])] == ["a", "c"]


def test_a_device_hidden_by_its_own_key_stays_so_once_its_person_is_known() -> None:
    phone = Writer("phone", "ada")
    post = entry(phone.post("a", 9))
    assert _feed([post], hidden=[phone.device]) == []
    assert _feed([entry(phone.first), post], hidden=[phone.device]) == []


def test_newest_come_first_and_equal_times_go_by_device_log_and_seq() -> None:
    phone, laptop = Writer("phone", "ada"), Writer("laptop", "ada")
    blocks = [phone.post("a", 5), phone.post("b", 5), laptop.post("c", 5), phone.post("d", 5, 2)]
    blocks += [laptop.post("e", 4), phone.post("f", 6)]
    posts = _feed([entry(block) for block in blocks])
    assert [post.text for post in posts][::5] == ["f", "e"]
    order = [(post.time, post.device, post.log, post.seq) for post in posts]
    assert order == sorted(order, reverse=True)


def test_a_post_from_the_future_is_shown_as_first_seen() -> None:
    phone = Writer("phone", "ada")
    early, honest, future = phone.post("early", 1), phone.post("now", 105), phone.post("!", 999)
    entries = [entry(early, seen=100), entry(future, seen=100), entry(honest, seen=110)]
    posts = _feed(entries)
    assert [(post.text, post.time) for post in posts] == [("now", 105), ("!", 100), ("early", 1)]


def test_posts_that_do_not_weigh_are_shown_and_marked() -> None:
    phone = Writer("phone", "ada")
    one, two, three = (phone.post(text, time) for time, text in enumerate("abc"))
    entries = [entry(phone.first), entry(one), entry(two), entry(three, joined=False)]

    def marks(people: People) -> list[str | None]:
        return [post.mark for post in reversed(_feed(entries, people))]

    log = (phone.device, 1)
    cut = revoke("ada", phone.device, one)
    assert marks(census(entries)) == [None, None, "detached"]
    assert marks(census(entries, {log: 2})) == [None, "forked", "forked"]
    assert marks(census(entries, {}, [cut])) == [None, "revoked", "revoked"]
    assert marks(census(entries, {log: 3}, [cut])) == [None, "revoked", "forked"]
    assert marks(census(entries, {}, [revoke("bob", phone.device)])) == [None, None, "detached"]


def test_both_branches_of_a_fork_are_shown() -> None:
    phone = Writer("phone", "ada")
    yes = phone.post("yes", 5)
    no = phone.block_at(1, phone.first.id, "post", Post(5, "no").encode(SALT))
    entries = [entry(phone.first), entry(yes, joined=False), entry(no, joined=False)]
    posts = _feed(entries, census(entries, {(phone.device, 1): 1}))
    assert {(post.text, post.mark) for post in posts} == {("yes", "forked"), ("no", "forked")}


def test_only_the_persons_asked_for_are_shown_by_any_of_their_devices() -> None:
    phone, laptop, other = Writer("phone", "ada"), Writer("laptop", "ada"), Writer("other", "bob")
    lone = Writer("lone")
    writers = (phone, laptop, other, lone)
    entries = [entry(writer.first) for writer in writers]
    entries += [entry(writer.post(text, 1)) for writer, text in zip(writers, "abcd", strict=True)]

    def texts(persons: list[bytes] | None) -> set[str]:
        return {post.text for post in _feed(entries, persons=persons)}

    assert texts([ADA]) == {"a", "b"}
    assert texts([root("bob"), lone.device]) == {"c", "d"}
    assert texts(None) == {"a", "b", "c", "d"}
    assert texts([]) == set()
    assert texts([phone.device]) == set()  # a device is not a person


def test_what_is_no_post_is_not_shown_and_takes_no_place() -> None:
    phone = Writer("phone", "ada")
    good = phone.post("good", 1)
    noise = [
        phone.write("post", SALT + encode((0, 9, ""))),
        phone.write("post", SALT + encode((0, 9, "no more fields"))),
        phone.write("post", SALT + encode((1, bytes(16), b"sealed"))),
        phone.write("post", b"noise"),
        phone.write("note", Post(9, "of another kind").encode(SALT)),
        without_body(phone.post("dropped", 9)),
    ]
    entries = [entry(block) for block in [*noise, good]]
    assert [post.text for post in _feed(entries, limit=1)] == ["good"]
    assert [post.text for post in _feed(entries)] == ["good"]


def _wall() -> list[Entry]:
    phone, laptop = Writer("phone", "ada"), Writer("laptop", "bob")
    times = [5, 3, 9, 9, 1, 7]
    blocks = [phone.post(f"p{n}", time) for n, time in enumerate(times)]
    blocks += [laptop.post(f"l{n}", time) for n, time in enumerate(times)]
    blocks += [laptop.write("post", b"noise"), phone.write("post", SALT + encode((0, 99, "")))]
    return [entry(block, seen=8) for block in blocks]


WALL = _wall()


@given(
    order=st.permutations(WALL),
    size=st.integers(1, len(WALL)),
    limit=st.none() | st.integers(0, len(WALL)),
)
def test_any_order_pages_and_limit_give_the_top_of_the_same_list(
    order: list[Entry], size: int, limit: int | None
) -> None:
    timeline = Timeline(census(WALL), limit=limit)
    for start in range(0, len(order), size):
        timeline.add(order[start : start + size])
    assert timeline.posts() == _feed(WALL)[:limit]


def test_a_page_given_twice_shows_nothing_twice() -> None:
    timeline = Timeline(census(WALL), limit=3)
    timeline.add(WALL)
    timeline.add(WALL)
    assert timeline.posts() == _feed(WALL, limit=3)


def test_a_limited_feed_decodes_few_of_many_posts(monkeypatch: pytest.MonkeyPatch) -> None:
    # given 100 pages of 512 posts, each newer than the one before, and one decoder that counts
    phone = Writer("phone", "ada")
    sample = phone.post("sample", 1)
    decoded: list[bytes] = []
    decode = Post.decode

    def count(body: bytes) -> Post:
        decoded.append(body)
        return decode(body)

    monkeypatch.setattr(Post, "decode", count)
    timeline = Timeline(census([]), limit=20)
    # when they are folded
    for page in range(100):
        timeline.add([_copy(sample, page * 512 + n) for n in range(512)])
    # then only those that could be among the newest were decoded
    assert [post.time for post in timeline.posts()] == list(range(51_199, 51_179, -1))
    assert len(decoded) <= 100 * 20


def _copy(sample: Block, time: int) -> Entry:
    body = Post(1, "x").encode(SALT)[:17] + encode(0) + encode(time) + encode("x") + b"\xf6\x80"
    header = sample.header._replace(seq=time + 1)
    return Entry(sample._replace(header=header, body=body), joined=True, hops=0, seen=LATER)
