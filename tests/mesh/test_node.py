"""Homes: made whole or not at all, restored by their words, and silent once they are old copies."""

from __future__ import annotations

import asyncio
import shutil
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from ledger.codec import encode
from ledger.errors import StoreError
from ledger.keys import PersonKey
from ledger.store.sqlite import SqliteStore
from mesh.config import ConfigError
from mesh.device_secrets import read_kept
from mesh.direct import DirectPort, confirm_words, init_home, open_port, restore_home
from mesh.home import HomeError, locked, make_folder
from mesh.node import open_node
from mesh.paths import CONFIG, LOCK, STORE, VAULT
from mesh.port import PortError
from mesh.writer import RolledBackError
from tests.mesh.places import World

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.direct import NewHome

DEVICE_NOTE, WORDS_NOTE = "device keys", "words to show"


@pytest.fixture
def world() -> World:
    """Give a clock and dice."""
    return World()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give where a home will be."""
    return tmp_path / "home"


def files(home: Path) -> dict[str, bytes]:
    """Return what stands in a home; nothing where there is no folder."""
    return {path.name: path.read_bytes() for path in home.iterdir()} if home.exists() else {}


async def notes_of(home: Path) -> tuple[bytes | None, bytes | None]:
    store = await SqliteStore.open(home / STORE, new_run=lambda: bytes(8))
    try:
        return await store.note(DEVICE_NOTE), await store.note(WORDS_NOTE)
    finally:
        await store.close()


async def set_note(home: Path, name: str, value: bytes | None) -> None:
    store = await SqliteStore.open(home / STORE, new_run=lambda: bytes(8))
    await store.set_note(name, value)
    await store.close()


async def export(home: Path, world: World) -> BytesIO:
    file = BytesIO()
    async with open_port(home, world.around) as port:
        await port.export_bundle(file)
    file.seek(0)
    return file


# --- a new home ---------------------------------------------------------------------------------


async def test_a_new_home_has_a_certified_device_and_a_profile(home: Path, world: World) -> None:
    new = await init_home(home, "Ada", world.around)
    assert (len(new.words), new.name, new.resumed) == (24, "Ada", False)
    person = PersonKey.from_words(" ".join(new.words)).signing.public
    async with open_port(home, world.around) as port:
        me = await port.whoami()
        kinds = [(row.log, row.seq, row.kind) for row in await port.log()]
    assert (me.person, me.device, me.name) == (person, new.device, "Ada")
    assert new.person == person
    assert kinds == [(0, 1, "device"), (1, 1, "profile")]


async def test_a_home_needs_no_name(home: Path, world: World) -> None:
    await init_home(home, None, world.around)
    async with open_port(home, world.around) as port:
        assert (await port.whoami()).name is None
        assert [row.kind for row in await port.log()] == ["device"]


async def test_words_are_kept_until_they_were_shown_and_no_longer(home: Path, world: World) -> None:
    new = await init_home(home, "Ada", world.around)
    entropy = PersonKey.from_words(" ".join(new.words)).entropy
    assert (await notes_of(home))[1] is not None
    await confirm_words(home, world.around)
    assert (await notes_of(home))[1] is None
    # nor are they anywhere in its files
    assert not any(entropy in raw for raw in files(home).values())


async def test_who_was_stopped_before_seeing_the_words_gets_the_same_home_again(
    home: Path, world: World
) -> None:
    first = await init_home(home, "Ada", world.around)
    again = await init_home(home, "another name", world.around)
    assert again.resumed
    assert (again.words, again.person, again.device) == (first.words, first.person, first.device)
    assert again.name == "Ada"


async def test_a_home_whose_words_were_shown_is_not_made_again(home: Path, world: World) -> None:
    new = await init_home(home, "Ada", world.around)
    await confirm_words(home, world.around)
    with pytest.raises(HomeError, match="there is a home in"):
        await init_home(home, "Eve", world.around)
    with pytest.raises(HomeError, match="there is a home in"):
        await restore_home(home, " ".join(new.words), None, world.around)
    async with open_port(home, world.around) as port:
        assert (await port.whoami()).device == new.device


async def test_who_was_stopped_before_the_home_was_there_begins_again(
    home: Path, world: World
) -> None:
    # given what is left of an init that was killed in its transaction: an empty store
    make_folder(home)
    store = await SqliteStore.open(home / STORE, new_run=lambda: bytes(8))
    await store.close()
    with pytest.raises(HomeError, match="was never finished; run `passalong init` again"):
        async with open_port(home, world.around):
            pass
    new = await init_home(home, "Ada", world.around)
    assert not new.resumed


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb", "\u202e", "half \ud800"])
async def test_a_name_that_shows_nothing_or_too_much_makes_no_home(
    home: Path, world: World, name: str
) -> None:
    with pytest.raises(PortError):
        await init_home(home, name, world.around)
    assert not files(home)


# --- a home that cannot be opened ---------------------------------------------------------------


async def refused(home: Path, world: World, kind: type[PortError], why: str) -> None:
    with pytest.raises(kind, match=why) as refusal:
        async with open_port(home, world.around):
            pass
    assert len(str(refusal.value).splitlines()) == 1


async def test_without_a_home_nothing_is_opened_or_made(home: Path, world: World) -> None:
    await refused(home, world, HomeError, "there is no home in .*; make one with `passalong init`")
    assert not files(home)
    await refused(home.with_name("n" * 300), world, HomeError, "File name too long")


async def test_settings_are_read_when_a_home_is_opened(home: Path, world: World) -> None:
    await init_home(home, "Ada", world.around)
    (home / CONFIG).write_text("lock_wait_s = 0\n")
    async with locked(home, 0):
        await refused(home, world, HomeError, "another passalong is using")
    (home / CONFIG).write_text("no setting = 1\n")
    await refused(home, world, ConfigError, "config.toml")


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"\xff",
        encode([2]),
        encode([1, b"seed", b"", b"", b""]),
        encode([1, 2, 3, 4, 5]),
        bytes(2_000),
    ],
)
async def test_damaged_keys_are_said(home: Path, world: World, kept: bytes) -> None:
    await init_home(home, "Ada", world.around)
    await set_note(home, DEVICE_NOTE, kept)
    await refused(home, world, StoreError, "keys are damaged; `passalong restore` into a new home")


async def test_secrets_come_back_as_they_were_and_are_not_shown(home: Path, world: World) -> None:
    await init_home(home, "Ada", world.around)
    async with open_node(home, world.around) as node:
        secrets = node.secrets
        key = node._vault.key
    assert read_kept(secrets.seal(key, world.dice.randbytes)).secrets(key) == secrets
    for secret in (secrets.keys.signing.seed, secrets.keys.sealing_secret):
        assert repr(secret)[2:-1] not in repr(secrets)
        assert secret.hex() not in repr(secrets)


# --- restored -----------------------------------------------------------------------------------


async def test_a_restored_person_has_a_new_device_and_gets_his_posts_back(
    home: Path, tmp_path: Path, world: World
) -> None:
    new = await init_home(home, "Ada", world.around)
    async with open_port(home, world.around) as port:
        await port.post("before")
    stick = await export(home, world)
    # when the home is lost, and the person restored from the words, in other case and spacing
    me = await restore_home(tmp_path / "other", "  ".join(new.words).upper(), None, world.around)
    # then it is the same person with another device, who has no words to show
    assert (me.person, me.name) == (new.person, None)
    assert me.device != new.device
    assert (await notes_of(tmp_path / "other"))[1] is None
    # and a bundle brings everything back
    async with open_port(tmp_path / "other", world.around) as port:
        await port.import_bundle(stick)
        await port.post("after")
        assert [row.text for row in await port.feed()] == ["after", "before"]
        assert (await port.whoami()).name == "Ada"
        assert {row.author for row in await port.log()} == {new.device, me.device}


async def test_words_that_are_wrong_restore_nothing(home: Path, world: World) -> None:
    words = PersonKey(bytes(32)).words
    wrong = [words[:23], [*words, "abandon"], [*words[:23], "zzz"], [*words[:23], words[0]], []]
    for given in wrong:
        with pytest.raises(PortError):
            await restore_home(home, " ".join(given), None, world.around)
        assert not files(home)


# --- an old copy of itself ----------------------------------------------------------------------


async def rolled_back(home: Path, world: World) -> tuple[NewHome, BytesIO]:
    """Return a home set back by two posts, and a bundle of what it held before."""
    new = await init_home(home, "Ada", world.around)
    await confirm_words(home, world.around)
    async with open_port(home, world.around) as port:
        await port.post("kept")
    shutil.copytree(home, home.with_name("copy"))
    async with open_port(home, world.around) as port:
        for text in ("lost", "lost too"):
            await port.post(text)
    stick = await export(home, world)
    shutil.rmtree(home)
    home.with_name("copy").rename(home)
    return new, stick


async def test_a_home_that_is_shown_what_it_lost_says_so_and_writes_no_more(
    home: Path, world: World
) -> None:
    _, stick = await rolled_back(home, world)
    async with open_port(home, world.around) as port:
        imported = await port.import_bundle(stick)
        assert imported.new_blocks == 2
        (warning,) = imported.warnings
        assert "passalong restore" in warning
        assert len(warning.splitlines()) == 1
        with pytest.raises(RolledBackError, match="passalong restore"):
            await port.post("a fork")
    # and so it stays
    async with open_port(home, world.around) as port:
        with pytest.raises(RolledBackError):
            await port.post("a fork")
        assert [row.text for row in await port.feed()] == ["lost too", "lost", "kept"]
        assert (await port.check()).problems == []


async def test_a_post_made_while_the_lost_blocks_come_in_is_no_fork(
    home: Path, world: World
) -> None:
    _, stick = await rolled_back(home, world)
    async with open_node(home, world.around) as node:
        port = DirectPort(node)
        # when many post at the moment others bring what was lost
        posts = [asyncio.create_task(port.post(str(number))) for number in range(3)]
        importing = asyncio.create_task(port.import_bundle(stick))
        outcomes = await asyncio.gather(*posts, importing, return_exceptions=True)
        # then either the posts came first, or they were refused
        logs = await node.store.logs()
        came_first = not isinstance(outcomes[0], BaseException)
        assert any(log.fork for log in logs) == came_first
        assert all(isinstance(one, RolledBackError) for one in outcomes[:3]) != came_first
        with pytest.raises(RolledBackError):
            await port.post("after")


async def test_importing_what_it_holds_is_no_reason_to_stop(home: Path, world: World) -> None:
    await init_home(home, "Ada", world.around)
    stick = await export(home, world)
    async with open_port(home, world.around) as port:
        assert (await port.import_bundle(stick)).warnings == []
        await port.post("goes on")


async def test_with_its_words_an_old_copy_goes_on_as_a_new_device_in_the_same_home(
    home: Path, world: World
) -> None:
    new, stick = await rolled_back(home, world)
    async with open_port(home, world.around) as port:
        await port.import_bundle(stick)
    me = await restore_home(home, " ".join(new.words), "Ada", world.around)
    assert me.person == new.person
    assert me.device != new.device
    async with open_port(home, world.around) as port:
        await port.post("on")
        assert [row.text for row in await port.feed()] == ["on", "lost too", "lost", "kept"]
        assert (await port.check()).problems == []
        # what the old device wrote is no longer its own
        stick.seek(0)
        assert (await port.import_bundle(stick)).warnings == []
        await port.post("and on")
    with pytest.raises(HomeError, match="there is a home in"):
        await restore_home(home, " ".join(new.words), None, world.around)


async def test_a_copy_that_wrote_on_before_it_learned_is_convicted_and_stops(
    home: Path, world: World
) -> None:
    _, stick = await rolled_back(home, world)
    async with open_port(home, world.around) as port:
        await port.post("unaware")
        imported = await port.import_bundle(stick)
        assert len(imported.warnings) == 1
        with pytest.raises(RolledBackError):
            await port.post("aware")


async def test_the_lock_file_stays_and_means_nothing(home: Path, world: World) -> None:
    await init_home(home, "Ada", world.around)
    assert files(home).keys() == {STORE, LOCK, VAULT}


async def test_an_old_copy_becomes_nobody_elses_home(home: Path, world: World) -> None:
    _, stick = await rolled_back(home, world)
    async with open_port(home, world.around) as port:
        await port.import_bundle(stick)
    stranger = " ".join(PersonKey(bytes(32)).words)
    with pytest.raises(HomeError, match="another person's"):
        await restore_home(home, stranger, None, world.around)
    with pytest.raises(HomeError, match="there is a home"):
        await init_home(home, "Mallory", world.around)


async def test_words_are_confirmed_in_a_home_only(home: Path, world: World) -> None:
    with pytest.raises(HomeError, match="no home"):
        await confirm_words(home, world.around)
    assert not (home / STORE).exists()


def test_a_home_in_an_open_folder_is_closed_to_others(home: Path, world: World) -> None:
    home.mkdir(mode=0o755)
    new = asyncio.run(init_home(home, "Ada", world.around))
    assert (home / STORE).stat().st_mode & 0o777 == 0o600
    assert new.words[0] not in repr(new)
