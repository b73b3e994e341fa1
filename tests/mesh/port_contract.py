"""What every NodePort must do, whoever implements it.

``test_port_contract`` runs these against each implementation in its list.
"""

from __future__ import annotations

from asyncio import gather
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import pytest

from ledger.link import Link
from mesh import passphrase
from mesh.direct import confirm_words, init_home
from mesh.passphrase import Cost
from mesh.port import NodePort, PortError
from tests.mesh.places import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from mesh.node import Surroundings
    from mesh.rows import FeedRow

Opener: TypeAlias = "Callable[[Path, Surroundings], AbstractAsyncContextManager[NodePort]]"
"""Gives the port of the home in a folder, for as long as the context lasts."""


@dataclass
class Town:
    """People with a home each, and one clock.

    Attributes:
        folder: Where the homes are.
        opener: Opens them.
        world: Their clock and dice.
    """

    folder: Path
    opener: Opener
    world: World = field(default_factory=World)

    @asynccontextmanager
    async def port(self, name: str) -> AsyncIterator[NodePort]:
        """Open the home of a person, which is made the first time."""
        home = self.folder / name
        if not home.exists():
            await init_home(home, name, self.world.around)
            await confirm_words(home, self.world.around)
        async with self.opener(home, self.world.around) as port:
            yield port

    async def visit(self, giver: str, taker: str) -> None:
        """Carry all that one holds to another."""
        stick = BytesIO()
        async with self.port(giver) as port:
            await port.export_bundle(stick)
        stick.seek(0)
        async with self.port(taker) as port:
            imported = await port.import_bundle(stick)
        assert (imported.refused, imported.complete, imported.warnings) == (0, True, [])


def texts(rows: list[FeedRow]) -> list[str]:
    return [row.text for row in rows]


class PortContract:
    """The tests; a subclass gives the fixture ``town``."""

    async def test_it_is_locked_until_its_passphrase_is_given(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passphrase, "USUAL", Cost(1, 8 << 10))
        async with town.port("Ada") as ada:
            with pytest.raises(PortError, match="no passphrase is set yet"):
                await ada.lock()
            await ada.lock("five words or more")
            with pytest.raises(PortError, match="the home is locked; run `passalong unlock`"):
                await ada.post("refused")
            with pytest.raises(PortError, match="not the passphrase") as refusal:
                await ada.unlock("six words or more")
            assert len(str(refusal.value).splitlines()) == 1
            with pytest.raises(PortError, match="wait a second"):
                await ada.unlock("five words or more")
            town.world.seconds += 1
            await ada.unlock("five words or more")
            await ada.post("unlocked")
            await ada.lock("other words", new=True)
            assert texts(await ada.feed()) == ["unlocked"]
        async with town.port("Ada") as ada:
            with pytest.raises(PortError, match="the home is locked"):
                await ada.post("refused")
            await ada.unlock("other words", forget=True)
            await ada.post("open")
        async with town.port("Ada") as ada:
            await ada.post("still open")
            assert texts(await ada.feed()) == ["still open", "open", "unlocked"]

    async def test_it_ends_only_where_it_runs_until_it_is_told_to(self, town: Town) -> None:
        async with town.port("Ada") as ada:
            assert not await ada.stop()
            await ada.post("still here")

    async def test_it_says_whose_node_it_is(self, town: Town) -> None:
        async with town.port("Ada") as ada:
            me = await ada.whoami()
        link = Link.parse(me.link)
        assert me.name == "Ada"
        assert (link.person, link.device) == (me.person, me.device)

    async def test_a_post_is_there_when_the_home_is_opened_again(self, town: Town) -> None:
        async with town.port("Ada") as ada:
            posted = [await ada.post(text) for text in ("first", "second")]
        async with town.port("Ada") as ada:
            feed = await ada.feed()
            assert [row.id for row in feed] == [posted[1].id, posted[0].id]
            assert posted[1].seq == posted[0].seq + 1
            assert feed[0].author == (await ada.whoami()).person
            assert (feed[0].name, feed[0].hops, feed[0].mark) == ("Ada", 0, None)
            assert town.world.ms - 100 < feed[0].time <= town.world.ms

    @pytest.mark.parametrize("text", ["x", "x" * 8_192, "ä" * 4_096, "\U0001f33b", "a\nb"])
    async def test_any_text_up_to_8192_bytes_is_a_post(self, town: Town, text: str) -> None:
        async with town.port("Ada") as ada:
            await ada.post(text)
            assert texts(await ada.feed()) == [text]

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "empty; write something"),
            ("x" * 8_193, "8193 bytes where 8192 fit; shorten it"),
            ("ä" * 4_097, "shorten it"),
            ("half \ud800", "half a character; type it again"),
        ],
    )
    async def test_other_text_is_refused_and_nothing_written(
        self, town: Town, text: str, why: str
    ) -> None:
        async with town.port("Ada") as ada:
            with pytest.raises(PortError, match=why):
                await ada.post(text)
            assert await ada.feed(everyone=True) == []

    async def test_a_reply_names_what_it_answers_by_its_id_or_its_first_digits(
        self, town: Town
    ) -> None:
        async with town.port("Ada") as ada:
            question = (await ada.post("question?")).id
            spelled = question.hex()
            for digits in (spelled, spelled[:8], spelled[:9], spelled.upper(), f" {spelled} "):
                await ada.post("answer", reply_to=digits)
            assert [row.reply_to for row in await ada.feed()] == [question] * 5 + [None]

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ("", "is not an id; ids are hex digits"),
            ("question", "is not an id; ids are hex digits"),
            ("ab\nab", "is not an id; ids are hex digits"),
            ("12 34 56 7", "is not an id; ids are hex digits"),
            ("0" * 65, "is not an id; ids are hex digits"),
            ("abcdef1", "too short; give at least 8 digits"),
            ("a", "too short; give at least 8 digits"),
            ("00000000", "no post has the id 00000000; see `feed`"),
            ("0" * 64, "no post has the id 0{64}; see `feed`"),
        ],
    )
    async def test_a_reply_to_nothing_is_refused_and_nothing_written(
        self, town: Town, given: str, why: str
    ) -> None:
        async with town.port("Ada") as ada:
            with pytest.raises(PortError, match=why) as refusal:
                await ada.post("answer", reply_to=given)
            assert len(str(refusal.value).splitlines()) == 1
            assert await ada.feed() == []

    async def test_a_feed_is_of_oneself_and_whom_one_follows(self, town: Town) -> None:
        for name in ("Ben", "Cleo"):
            async with town.port(name) as port:
                await port.post(f"{name} was here")
            await town.visit(name, "Ada")
        async with town.port("Ada") as ada:
            await ada.post("my own")
            assert texts(await ada.feed()) == ["my own"]
            assert texts(await ada.feed(everyone=True)) == [
                "my own",
                "Cleo was here",
                "Ben was here",
            ]
            await ada.follow("Ben")
            assert texts(await ada.feed()) == ["my own", "Ben was here"]
            assert texts(await ada.feed(author="Cleo")) == ["Cleo was here"]
            await ada.unfollow("Ben")
            assert texts(await ada.feed()) == ["my own"]

    async def test_a_feed_has_no_more_than_its_limit_and_they_are_the_newest(
        self, town: Town
    ) -> None:
        async with town.port("Ada") as ada:
            for number in range(7):
                await ada.post(str(number))
            assert texts(await ada.feed(limit=3)) == ["6", "5", "4"]
            assert len(await ada.feed(limit=100)) == len(await ada.feed(limit=None)) == 7

    async def test_nearby_is_who_was_heard_of_within_3_hops_and_24_hours(self, town: Town) -> None:
        # given a post that goes through three hands, to a fourth
        async with town.port("Ada") as ada:
            await ada.post("hello")
        path = ["Ada", "Ben", "Cleo", "Dan", "Eve"]
        for giver, taker in pairwise(path):
            await town.visit(giver, taker)
        # then three hops are near, four are not, and oneself is not nearby
        for name, hops in zip(path, range(5), strict=True):
            async with town.port(name) as port:
                (row,) = await port.feed(everyone=True)
                assert row.hops == hops
                assert texts(await port.feed(nearby=True)) == (["hello"] if 0 < hops < 4 else [])
        # and a day later nobody is
        town.world.ms += 24 * 3_600_000 - 10_000
        async with town.port("Dan") as dan:
            assert texts(await dan.feed(nearby=True)) == ["hello"]
            town.world.ms += 10_000
            assert await dan.feed(nearby=True) == []

    async def test_a_person_is_followed_by_name_digits_key_or_link(self, town: Town) -> None:
        async with town.port("Ben") as ben:
            him = await ben.whoami()
        await town.visit("Ben", "Ada")
        spelled = [him.person.hex(), him.device.hex(), him.link, him.link.upper(), "Ben", " ben "]
        spelled += [him.person.hex()[:8], him.person.hex()[:9].upper(), him.device.hex()[:20]]
        async with town.port("Ada") as ada:
            for text in spelled:
                row = await ada.follow(text)
                assert (row.person, row.name, row.following) == (him.person, "Ben", True)
                assert [row.person for row in await ada.contacts()] == [him.person]
                assert not (await ada.unfollow(text)).following
                assert await ada.contacts() == []

    async def test_following_outlasts_the_home_being_closed_and_twice_is_once(
        self, town: Town
    ) -> None:
        await town.visit("Ben", "Ada")
        async with town.port("Ada") as ada:
            await ada.follow("Ben")
            await ada.follow("Ben")
        async with town.port("Ada") as ada:
            (row,) = await ada.contacts()
            assert (row.name, row.following, row.blocked, row.muted) == ("Ben", True, False, False)

    async def test_a_person_of_whom_nothing_is_held_is_followed_by_link(self, town: Town) -> None:
        async with town.port("Ben") as ben:
            him = await ben.whoami()
        async with town.port("Ada") as ada:
            row = await ada.follow(him.link)
            assert (row.person, row.name) == (him.person, None)

    async def test_who_is_nobody_is_refused(self, town: Town) -> None:
        async with town.port("Ben") as ben:
            link = (await ben.whoami()).link
        async with town.port("Ada") as ada:
            me = await ada.whoami()
            for text in (
                "",
                "nobody",
                "0" * 8,
                f"{link[:-1]}{'a' if link[-1] != 'a' else 'b'}",
                "passalong:",
                "a\nb",
                me.link,
                me.person.hex(),
                "Ada",
            ):
                with pytest.raises(PortError) as refusal:
                    await ada.follow(text)
                assert len(str(refusal.value).splitlines()) == 1
            with pytest.raises(PortError, match="you do not follow"):
                await ada.unfollow(link)
            assert await ada.contacts() == []

    async def test_a_name_that_two_have_asks_for_digits(self, town: Town) -> None:
        await init_home(town.folder / "Ben 2", "Ben", town.world.around)
        for giver in ("Ben", "Ben 2"):
            await town.visit(giver, "Ada")
        async with town.port("Ada") as ada:
            with pytest.raises(PortError, match="give more digits"):
                await ada.follow("Ben")

    async def test_who_is_muted_is_not_shown_but_carried_and_shown_by_name(
        self, town: Town
    ) -> None:
        # given two whose posts are held, one of them followed, and an answer to hers
        async with town.port("Ben") as ben:
            question = await ben.post("Ben asks")
        await town.visit("Ben", "Cleo")
        async with town.port("Cleo") as cleo:
            await cleo.post("Cleo answers", reply_to=question.id.hex())
        await town.visit("Cleo", "Ada")
        async with town.port("Ada") as ada:
            await ada.follow("Ben")
            # when he is muted, once or twice
            for _ in range(2):
                row = await ada.mute("ben")
                assert (row.name, row.following, row.muted, row.blocked) == (
                    ("Ben", True, True, False)
                )
            # then no list shows him, what answers him stays, and one may still look
            assert await ada.feed() == []
            (answer,) = await ada.feed(everyone=True)
            assert (answer.text, answer.reply_to) == ("Cleo answers", question.id)
            assert texts(await ada.feed(nearby=True, limit=1)) == ["Cleo answers"]
            assert texts(await ada.feed(author="Ben")) == ["Ben asks"]
        # and others get him from here
        await town.visit("Ada", "Dan")
        async with town.port("Dan") as dan:
            assert texts(await dan.feed(everyone=True)) == ["Cleo answers", "Ben asks"]
        async with town.port("Ada") as ada:
            row = await ada.unmute("Ben")
            assert (row.following, row.muted) == (True, False)
            assert texts(await ada.feed()) == ["Ben asks"]

    async def test_who_is_blocked_is_followed_no_longer_nor_shown_nor_passed_on(
        self, town: Town
    ) -> None:
        async with town.port("Ben") as ben:
            await ben.post("from Ben")
        await town.visit("Ben", "Ada")
        async with town.port("Ada") as ada:
            await ada.follow("Ben")
            row, again = await ada.block("Ben"), await ada.block("Ben")
            assert (row.following, row.muted, row.blocked) == (False, False, True)
            assert await ada.contacts() == [row] == [again]
            with pytest.raises(PortError, match="you have blocked Ben; `passalong unblock` first"):
                await ada.follow("Ben")
            assert await ada.feed(everyone=True) == await ada.feed(nearby=True) == []
            assert texts(await ada.feed(author="Ben")) == ["from Ben"]
        await town.visit("Ada", "Cleo")
        async with town.port("Cleo") as cleo:
            assert await cleo.feed(everyone=True) == []
            with pytest.raises(PortError, match="nobody is known"):
                await cleo.follow("Ben")
        # when he is unblocked, all of it can be had again, but he is not followed
        async with town.port("Ada") as ada:
            row = await ada.unblock("Ben")
            assert (row.following, row.blocked) == (False, False)
            assert await ada.contacts() == []
            assert texts(await ada.feed(everyone=True)) == ["from Ben"]
        await town.visit("Ada", "Cleo")
        async with town.port("Cleo") as cleo:
            assert texts(await cleo.feed(everyone=True)) == ["from Ben"]

    async def test_nothing_of_a_blocked_person_is_taken_from_a_file_until_he_is_unblocked(
        self, town: Town, tmp_path: Path
    ) -> None:
        path = tmp_path / "stick.passalong"
        async with town.port("Ben") as ben:
            link = (await ben.whoami()).link
            await ben.post("from Ben")
            await ben.export_bundle(path)
        async with town.port("Ada") as ada:
            await ada.block(link)
            # his device is taken, to know it by; then it is known
            taken = await ada.import_bundle(path)
            assert (taken.new_blocks, taken.blocked, taken.refused) == (1, 2, 0)
            taken = await ada.import_bundle(path)
            assert (taken.new_blocks, taken.known_blocks, taken.blocked) == (0, 0, 3)
            assert await ada.feed(author=link) == []
            await ada.unblock(link)
            taken = await ada.import_bundle(path)
            assert (taken.new_blocks, taken.known_blocks, taken.blocked) == (2, 1, 0)
            assert texts(await ada.feed(everyone=True)) == ["from Ben"]

    async def test_marks_outlast_the_home_being_closed(self, town: Town) -> None:
        for name in ("Ben", "Cleo"):
            await town.visit(name, "Ada")
        async with town.port("Ada") as ada:
            rows = [await ada.mute("Ben"), await ada.block("Cleo")]
        async with town.port("Ada") as ada:
            assert await ada.contacts() == rows
            assert [(row.muted, row.blocked) for row in rows] == [(True, False), (False, True)]

    async def test_oneself_is_not_muted_or_blocked_and_what_is_not_so_not_undone(
        self, town: Town
    ) -> None:
        await town.visit("Ben", "Ada")
        async with town.port("Ada") as ada:
            me = await ada.whoami()
            for change in (ada.mute, ada.unmute, ada.block, ada.unblock):
                for text in ("Ada", me.link, me.device.hex()):
                    with pytest.raises(PortError, match="that is yourself") as refusal:
                        await change(text)
                    assert len(str(refusal.value).splitlines()) == 1
                with pytest.raises(PortError, match="nobody is known"):
                    await change("Cleo")
            with pytest.raises(PortError, match="you have not muted Ben; see `contacts`"):
                await ada.unmute("Ben")
            with pytest.raises(PortError, match="you have not blocked Ben; see `contacts`"):
                await ada.unblock("Ben")
            await ada.follow("Ben")
            with pytest.raises(PortError, match="you have not blocked Ben"):
                await ada.unblock("Ben")
            assert [row.following for row in await ada.contacts()] == [True]

    async def test_who_took_a_friends_name_is_named_by_it_only_to_be_let_back(
        self, town: Town
    ) -> None:
        await init_home(town.folder / "Mallory", "Ben", town.world.around)
        async with town.port("Mallory") as mallory:
            other = (await mallory.whoami()).person
        for giver in ("Ben", "Mallory"):
            await town.visit(giver, "Ada")
        async with town.port("Ben") as ben:
            friend = (await ben.whoami()).person
        async with town.port("Ada") as ada:
            await ada.follow(friend.hex())
            await ada.block(other.hex())
            assert (await ada.mute("Ben")).person == friend
            assert (await ada.unmute("Ben")).person == friend
            assert (await ada.unblock("Ben")).person == other

    async def test_follow_and_block_at_once_never_both_hold(self, town: Town) -> None:
        await town.visit("Ben", "Ada")
        async with town.port("Ada") as ada:
            for calls in ((ada.follow, ada.block), (ada.block, ada.follow)):
                await gather(*(call("Ben") for call in calls), return_exceptions=True)
                (row,) = await ada.contacts()
                assert (row.following, row.blocked) == (False, True)
                await ada.unblock("Ben")

    async def test_a_log_is_every_block_of_a_persons_devices(self, town: Town) -> None:
        async with town.port("Ada") as ada:
            posted = await ada.post("hello")
            rows = await ada.log()
            assert [(row.log, row.seq, row.kind) for row in rows] == [
                (0, 1, "device"),
                (1, 1, "profile"),
                (1, 2, "post"),
            ]
            assert rows[2].id == posted.id
            assert rows[2].body == ["hello", None, []]
            assert rows[1].body == ["Ada", ""]
            assert [row.seq for row in await ada.log(first=2)] == [2]
        await town.visit("Ada", "Ben")
        async with town.port("Ben") as ben:
            assert await ben.log("Ada") == rows
            with pytest.raises(PortError, match="nobody is known"):
                await ben.log("Cleo")

    async def test_a_bundle_can_be_looked_into_and_imported_twice(
        self, town: Town, tmp_path: Path
    ) -> None:
        path = tmp_path / "bundle.pal"
        async with town.port("Ada") as ada:
            await ada.post("hello")
            exported = await ada.export_bundle(path)
        assert (exported.blocks, exported.bytes) == (3, path.stat().st_size)
        async with town.port("Ben") as ben:
            found = await ben.inspect_bundle(path)
            assert (found.blocks, found.complete) == (3, True)
            assert await ben.feed(everyone=True) == []
            first, again = [await ben.import_bundle(path) for _ in range(2)]
        assert (first.new_blocks, first.known_blocks) == (3, 0)
        assert (again.new_blocks, again.known_blocks) == (0, 3)

    async def test_a_bundle_keeps_to_the_size_it_is_given(self, town: Town) -> None:
        async with town.port("Ada") as ada:
            for _ in range(20):
                await ada.post("x" * 500)
            for limit in (256, 1_000, 5_000, 100_000):
                file = BytesIO()
                exported = await ada.export_bundle(file, max_bytes=limit)
                assert exported.bytes == len(file.getvalue()) <= limit
            with pytest.raises(PortError, match="at least 256 bytes"):
                await ada.export_bundle(BytesIO(), max_bytes=255)

    async def test_a_sealed_bundle_is_for_its_readers_and_acknowledged(
        self, town: Town, tmp_path: Path
    ) -> None:
        stick = tmp_path / "stick.passalong"
        await town.visit("Ada", "Ben")
        await town.visit("Ben", "Ada")
        for giver, taker, blocks in (("Ada", "Ben", 4), ("Ben", "Ada", 0), ("Ada", "Ben", 0)):
            async with town.port(giver) as port:
                assert (await port.export_bundle(stick, to=[taker], seal=True)).blocks == blocks
            async with town.port(taker) as port:
                assert (await port.import_bundle(stick)).complete
        async with town.port("Cleo") as cleo:
            assert not (await cleo.inspect_bundle(stick)).opened
            with pytest.raises(PortError, match="sealed for others"):
                await cleo.import_bundle(stick)
        async with town.port("Ben") as ben:
            assert (await ben.inspect_bundle(stick)).opened

    async def test_a_bundle_in_parts_is_taken_in_from_a_folder(
        self, town: Town, tmp_path: Path
    ) -> None:
        async with town.port("Ada") as ada:
            for _ in range(30):
                await ada.post("x" * 8_000)
            done = await ada.export_bundle(tmp_path / "news.passalong", part_bytes=100_000)
            with pytest.raises(PortError, match="name a file"):
                await ada.export_bundle(BytesIO(), part_bytes=100_000)
        assert done.parts >= 3
        folder = tmp_path / "stick"
        folder.mkdir()
        for part in range(1, done.parts + 1):
            name = f"news.{part}.passalong"
            (tmp_path / name).rename(folder / name)
        async with town.port("Ben") as ben:
            found = await ben.import_folder(folder)
            assert [row.outcome for row in found.files] == ["taken"] * done.parts
            assert len(await ben.feed(everyone=True)) == 30
            with pytest.raises(PortError, match="no bundle in"):
                await ben.import_folder(town.folder)

    async def test_sealing_needs_somebody_who_can_read_it(self, town: Town) -> None:
        async with town.port("Ada") as ada:
            with pytest.raises(PortError, match="you have no other device"):
                await ada.export_bundle(BytesIO(), seal=True)
            with pytest.raises(PortError, match="nobody is known"):
                await ada.export_bundle(BytesIO(), to=["Ben"], seal=True)

    async def test_a_check_of_a_sound_store_finds_nothing(self, town: Town) -> None:
        await town.visit("Ben", "Ada")
        async with town.port("Ada") as ada:
            checked = await ada.check()
        assert (checked.blocks, checked.logs, checked.problems) == (4, 4, [])
