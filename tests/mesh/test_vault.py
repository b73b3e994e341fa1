"""Homes whose keys are sealed: what a locked one can do, and what cannot be read on its disk."""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import threading
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from gossip.effects import End
from ledger.errors import StoreError
from ledger.keys import PersonKey
from ledger.link import Link
from ledger.store.base import ROLLED_BACK
from mesh.direct import (
    DirectPort,
    confirm_words,
    has_passphrase,
    init_home,
    open_port,
    restore_home,
)
from mesh.home import HomeError
from mesh.login_session import NowhereError, forget_key, is_in_memory, keep_key, kept_key
from mesh.meeting import Outcome, open_meeting
from mesh.node import SOCIAL_LOG, open_node
from mesh.passphrase import PassphraseError
from mesh.paths import STORE, VAULT
from mesh.port import NodePort, PortError
from mesh.store_key import StoreKey
from mesh.vault import LockedError
from mesh.vault_file import VaultError, VaultFile, WrongPassphraseError, read_vault, write_vault
from mesh.visits import VisitError
from mesh.writer import Draft
from tests.mesh.places import World
from tests.mesh.vaults import (
    OTHER,
    PASSPHRASE,
    hidden,
    make_cheap,
    make_old,
    notes,
    opened,
    put_notes,
    settled,
)
from transports.memory import MemoryLink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from mesh.node import Node

Question: TypeAlias = "Callable[[DirectPort], Awaitable[Any]]"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the login's folder, where a key lies between commands."""
    make_cheap(monkeypatch, tmp_path / "login")
    return tmp_path / "login"


async def says_locked(home: Path, world: World) -> None:
    async with opened(home, world) as (port, node):
        assert node.is_locked
        with pytest.raises(LockedError):
            await port.post("refused")


async def goes_on(home: Path, world: World, device: bytes, passphrase: str | None = None) -> None:
    """Check that the home's device, and no other, writes on."""
    async with opened(home, world) as (port, node):
        assert node.is_locked == (passphrase is not None)
        if passphrase is not None:
            await port.unlock(passphrase)
        posted = await port.post("on")
        assert posted.seq == 1 + max(row.seq for row in (await port.log())[:-1])
        assert (await port.whoami()).device == node.secrets.keys.public == device
        assert {row.author for row in await port.log()} == {device}
        assert (await port.check()).problems == []


# --- locked and unlocked ------------------------------------------------------------------------


async def test_a_home_without_a_passphrase_is_open(home: Path, world: World) -> None:
    hid = await settled(home, world)
    async with opened(home, world) as (_, node):
        assert (node.is_locked, node.has_passphrase) == (False, False)
    assert not has_passphrase(home)
    await goes_on(home, world, hid.device)


async def test_a_locked_home_stays_locked_until_its_passphrase_is_given(
    home: Path, world: World
) -> None:
    hid = await settled(home, world)
    async with opened(home, world) as (port, node):
        await port.lock(PASSPHRASE)
        assert (node.is_locked, node.has_passphrase) == (True, True)
        with pytest.raises(LockedError, match="the home is locked; run `passalong unlock`"):
            node.secrets  # noqa: B018
        await port.unlock(PASSPHRASE)
        await port.post("in between")
        await port.lock()
        await port.lock()
        with pytest.raises(LockedError):
            await port.post("refused")
    assert has_passphrase(home)
    await says_locked(home, world)
    await goes_on(home, world, hid.device, PASSPHRASE)


async def test_a_home_can_be_made_with_a_passphrase(home: Path, world: World) -> None:
    hid = await settled(home, world, PASSPHRASE)
    await says_locked(home, world)
    await goes_on(home, world, hid.device, PASSPHRASE)


async def test_a_passphrase_is_changed_and_forgotten(home: Path, world: World) -> None:
    hid = await settled(home, world, PASSPHRASE)
    async with opened(home, world) as (port, node):
        with pytest.raises(LockedError):
            await port.lock(OTHER, new=True)
        await port.unlock(PASSPHRASE)
        await port.lock(OTHER, new=True)
        assert node.is_locked
    async with opened(home, world) as (port, _):
        with pytest.raises(WrongPassphraseError):
            await port.unlock(PASSPHRASE)
    await goes_on(home, world, hid.device, OTHER)
    async with opened(home, world) as (port, node):
        await port.unlock(OTHER, forget=True)
        assert (node.is_locked, node.has_passphrase) == (False, False)
    await goes_on(home, world, hid.device)


async def test_what_makes_no_sense_is_refused_and_changes_nothing(home: Path, world: World) -> None:
    hid = await settled(home, world)
    before = read_vault(home)
    async with opened(home, world) as (port, node):
        refused: list[tuple[Awaitable[None], str]] = [
            (port.lock(), "no passphrase is set yet; give one"),
            (port.lock(new=True), "give the new passphrase"),
            (port.lock(""), "an empty passphrase"),
            (port.unlock(PASSPHRASE), "has no passphrase"),
            (port.unlock(PASSPHRASE, forget=True), "has no passphrase"),
        ]
        for asked, why in refused:
            with pytest.raises(PassphraseError, match=why):
                await asked
        assert not node.is_locked
        assert read_vault(home) == before
        await port.lock(PASSPHRASE)
        await port.unlock(PASSPHRASE)
        with pytest.raises(PassphraseError, match="a passphrase is set already"):
            await port.lock(OTHER)
        assert not node.is_locked
    await goes_on(home, world, hid.device, PASSPHRASE)


async def test_a_second_must_pass_after_a_wrong_passphrase(home: Path, world: World) -> None:
    await settled(home, world, PASSPHRASE)
    async with opened(home, world) as (port, node):
        with pytest.raises(WrongPassphraseError):
            await port.unlock(OTHER)
        for seconds in (0.0, 0.9):
            world.seconds = seconds
            with pytest.raises(PassphraseError, match="wait a second and try again") as refusal:
                await port.unlock(PASSPHRASE)
            assert not isinstance(refusal.value, WrongPassphraseError)
        assert node.is_locked
        world.seconds = 1.0
        await port.unlock(PASSPHRASE)
        assert not node.is_locked


async def test_of_many_wrong_tries_at_once_one_is_made(
    home: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(home, world, PASSPHRASE)
    tries: list[str] = []
    unwrap = VaultFile.unwrap

    def counted(file: VaultFile, passphrase: str) -> StoreKey:
        tries.append(passphrase)
        return unwrap(file, passphrase)

    monkeypatch.setattr(VaultFile, "unwrap", counted)
    async with opened(home, world) as (port, _):
        asked = [port.unlock(f"{OTHER} {number}") for number in range(20)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert len(tries) == 1
    assert sum(isinstance(one, WrongPassphraseError) for one in outcomes) == 1


async def test_who_gives_up_waiting_has_tried(
    home: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(home, world, PASSPHRASE)
    began, may_end = threading.Event(), threading.Event()
    unwrap = VaultFile.unwrap

    def slow(file: VaultFile, passphrase: str) -> StoreKey:
        began.set()
        may_end.wait()
        return unwrap(file, passphrase)

    async with opened(home, world) as (port, node):
        with monkeypatch.context() as patch:
            patch.setattr(VaultFile, "unwrap", slow)
            trying = asyncio.create_task(port.unlock(PASSPHRASE))
            await asyncio.to_thread(began.wait)
            trying.cancel()
            may_end.set()
            with pytest.raises(asyncio.CancelledError):
                await trying
        with pytest.raises(PassphraseError, match="wait a second"):
            await port.unlock(PASSPHRASE)
        assert node.is_locked


async def test_who_listens_hears_of_locking_and_unlocking(home: Path, world: World) -> None:
    await settled(home, world)
    heard: list[bool] = []
    async with opened(home, world) as (port, node):
        node.listen(lambda: heard.append(node.is_locked))
        news = port.changes()
        await anext(news)
        await port.lock(PASSPHRASE)
        assert await anext(news) == {"status"}
        await port.unlock(PASSPHRASE)
        assert await anext(news) == {"status"}
        with pytest.raises(PassphraseError):
            await port.lock(OTHER)
    assert heard == [True, False]


async def test_a_listener_that_fails_keeps_no_key_in_use(home: Path, world: World) -> None:
    await settled(home, world)

    def fail() -> None:
        raise RuntimeError("what should never be")

    async with opened(home, world) as (port, node):
        node.listen(fail)
        with pytest.raises(ExceptionGroup, match="listen"):
            await port.lock(PASSPHRASE)
        assert node.is_locked
        with pytest.raises(LockedError):
            await node.writer.write(Draft(SOCIAL_LOG, "post", b"x" * 16))


async def test_who_gives_up_while_a_home_is_being_unlocked_leaves_it_unlocked(
    home: Path, world: World
) -> None:
    await settled(home, world, PASSPHRASE)
    async with opened(home, world) as (port, node):
        unlocking = asyncio.create_task(port.unlock(PASSPHRASE, forget=True))
        while node._vault.is_locked:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert node._secrets is None
        unlocking.cancel()
        await asyncio.gather(unlocking, return_exceptions=True)
        async with asyncio.timeout(10):
            while node.is_locked:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await port.post("unlocked")


@pytest.mark.parametrize("forget", [True, False])
@pytest.mark.parametrize("fails", [1, 2])
async def test_a_home_that_could_not_be_unlocked_is_locked_as_before(
    home: Path, world: World, monkeypatch: pytest.MonkeyPatch, *, fails: int, forget: bool
) -> None:
    await settled(home, world, PASSPHRASE)
    async with opened(home, world) as (port, node):
        read, asked = node.store.note, count(1)

        async def note(name: str) -> bytes | None:
            if next(asked) == fails:
                raise StoreError("the disk cannot be read")
            return await read(name)

        monkeypatch.setattr(node.store, "note", note)
        turned: list[bool] = []
        node.listen(lambda: turned.append(node.is_locked))
        with pytest.raises(StoreError):
            await port.unlock(PASSPHRASE, forget=forget)
        assert (node.is_locked, node._vault.is_locked, node.has_passphrase) == (True, True, True)
        await port.unlock(PASSPHRASE, forget=forget)
        await port.post("unlocked")
        assert (turned, node.has_passphrase) == ([False], not forget)


async def test_a_passphrase_that_cannot_be_forgotten_leaves_all_as_it_was(
    home: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(home, world, PASSPHRASE)

    def full(*_: object) -> None:
        raise HomeError("the disk is full")

    async with opened(home, world) as (port, node):
        with monkeypatch.context() as patched:
            patched.setattr("mesh.vault.write_vault", full)
            with pytest.raises(HomeError):
                await port.unlock(PASSPHRASE, forget=True)
        assert (node.is_locked, node.has_passphrase) == (True, True)
        with pytest.raises(LockedError):
            await node.writer.write(Draft(SOCIAL_LOG, "post", b"x" * 16))
        # one that is unlocked already stays so
        await port.unlock(PASSPHRASE)
        with monkeypatch.context() as patched:
            patched.setattr("mesh.vault.write_vault", full)
            with pytest.raises(HomeError):
                await port.unlock(PASSPHRASE, forget=True)
        await port.post("unlocked")
        await port.unlock(PASSPHRASE, forget=True)
        assert not node.has_passphrase


# --- what a locked node does --------------------------------------------------------------------


async def bundle_of(port: DirectPort, *to: str) -> BytesIO:
    file = BytesIO()
    await port.export_bundle(file, to=to, seal=bool(to))
    file.seek(0)
    return file


async def next_news(port: DirectPort) -> None:
    await anext(port.changes())


async def test_a_locked_node_does_all_that_needs_no_keys_and_nothing_else(
    home: Path, tmp_path: Path, world: World
) -> None:
    # given Ben, of whom Ann holds an open bundle and one that is sealed to her
    await settled(home, world)
    ben = tmp_path / "Ben"
    await init_home(ben, "Ben", world.around)
    async with opened(home, world) as (port, _):
        ann = (await port.whoami()).link
    async with opened(ben, world) as (port, _):
        await port.post("from Ben")
        him, seen = (await port.whoami()).link, await bundle_of(port)
        to_her = await bundle_of(port, ann)
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "a.passalong").write_bytes(seen.getvalue())
    (stick / "b.passalong").write_bytes(to_her.getvalue())
    digits = Link.parse(him).person.hex()
    free: list[tuple[str, Question]] = [
        ("whoami", lambda port: port.whoami()),
        ("import_bundle", lambda port: port.import_bundle(BytesIO(seen.getvalue()))),
        ("import_folder", lambda port: port.import_folder(stick)),
        ("inspect_bundle", lambda port: port.inspect_bundle(BytesIO(seen.getvalue()))),
        ("feed", lambda port: port.feed(everyone=True)),
        ("log", lambda port: port.log()),
        ("follow", lambda port: port.follow(digits)),
        ("unfollow", lambda port: port.unfollow(digits)),
        ("mute", lambda port: port.mute(digits)),
        ("unmute", lambda port: port.unmute(digits)),
        ("block", lambda port: port.block(digits)),
        ("unblock", lambda port: port.unblock(digits)),
        ("add_contact", lambda port: port.add_contact(him)),
        ("contacts", lambda port: port.contacts()),
        ("export_bundle", bundle_of),
        ("export_bundle to", lambda port: port.export_bundle(BytesIO(), to=[him])),
        ("remove_contact", lambda port: port.remove_contact(digits)),
        ("status", lambda port: port.status()),
        ("peers", lambda port: port.peers()),
        ("sync", refused_elsewhere),
        ("check", lambda port: port.check()),
        ("changes", next_news),
        ("stop", lambda port: port.stop()),
        ("lock", lambda port: port.lock()),
    ]
    sealed: list[tuple[str, Question]] = [
        ("post", lambda port: port.post("refused")),
        ("export_bundle sealed", lambda port: bundle_of(port, him)),
        ("import_bundle sealed", lambda port: port.import_bundle(BytesIO(to_her.getvalue()))),
        ("inspect_bundle sealed", lambda port: port.inspect_bundle(BytesIO(to_her.getvalue()))),
        ("lock anew", lambda port: port.lock(OTHER, new=True)),
    ]
    last: list[tuple[str, Question]] = [("unlock", lambda port: port.unlock(PASSPHRASE))]
    # then nothing that a port can be asked is missing here
    said = {name.split()[0] for name, _ in (*free, *sealed, *last)}
    assert said == {name for name, _ in inspect.getmembers(NodePort, inspect.isfunction)} - {
        name for name in dir(NodePort) if name.startswith("_")
    }
    async with opened(home, world) as (port, _):
        await port.lock(PASSPHRASE)
    # when Ann's home is locked, it answers all that needs no keys
    async with opened(home, world) as (port, node):
        answers = {name: await question(port) for name, question in free}
        assert [row.text for row in answers["feed"]] == ["from Ben", "first"]
        assert answers["import_bundle"].new_blocks == 3
        outcomes = [row.outcome for row in answers["import_folder"].files]
        assert outcomes == ["taken", "sealed"]
        assert (answers["inspect_bundle"].blocks, answers["whoami"].link) == (3, ann)
        assert answers["check"].problems == []
        assert (answers["status"].locked, answers["status"].has_passphrase) == (True, True)
        # and nothing else
        for _, question in sealed:
            with pytest.raises(LockedError, match="is locked; run `passalong unlock`") as refusal:
                await question(port)
            assert len(str(refusal.value).splitlines()) == 1
        assert len(await node.store.read((node.me.device, 1), 1, 100)) == 2
        # and all once it is unlocked
        await port.unlock(PASSPHRASE)
        for name, question in sealed[:-1]:
            assert await question(port), name


async def refused_elsewhere(port: NodePort) -> None:
    """Sync with nobody, which is refused for that reason alone."""
    with pytest.raises(VisitError, match="is a number from 1"):
        await port.sync("127.0.0.1:0")


async def test_a_locked_home_is_met_as_a_stranger_and_carries(
    home: Path, tmp_path: Path, world: World
) -> None:
    # given Ann, whose home is locked, and Ben; they follow each other
    await settled(home, world)
    ben = tmp_path / "Ben"
    await settled(ben, world)
    async with opened(home, world) as (ann_port, ann), opened(ben, world) as (ben_port, him):
        await ann_port.follow(him.me.encode())
        await ben_port.follow(ann.me.encode())
        await ann_port.lock(PASSPHRASE)
        # when they meet, and neither knows whom
        ends = MemoryLink.pair()
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(
                meet(ends[0], ann_port, ann, is_initiator=True),
                meet(ends[1], ben_port, him, is_initiator=False),
            )
        # then each has what the other wrote
        assert [outcome.end for outcome in outcomes] == [End.DONE, End.DONE]
        assert len(await ann_port.log(him.me.encode())) == 3
        assert len(await ben_port.log(ann.me.encode())) == 3
        assert ann.is_locked


async def meet(link: MemoryLink, port: DirectPort, node: Node, *, is_initiator: bool) -> Outcome:
    meeting = await open_meeting(
        link,
        await port._inventory.holdings(),
        node.store,
        await port._inventory.keeper(),
        clock=node.around.now,
        binding=bytes(32),
        is_initiator=is_initiator,
        secret=node.around.random(32),
    )
    return await meeting.hold()


async def test_what_was_signed_before_is_written_and_what_waits_is_refused(
    home: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hid = await settled(home, world, PASSPHRASE)
    async with opened(home, world) as (port, node):
        await port.unlock(PASSPHRASE)
        began, may_end = asyncio.Event(), asyncio.Event()
        absorb = node.store.absorb

        async def slow(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as given
            began.set()
            await may_end.wait()
            return await absorb(*args, **kwargs)

        is_leaving = asyncio.Event()
        monkeypatch.setattr(node._vault, "leave_login", is_leaving.set)
        monkeypatch.setattr(node.store, "absorb", slow)
        # given a commit under way, and another post behind it
        first = asyncio.create_task(port.post("signed before"))
        await began.wait()
        second = asyncio.create_task(port.post("waits"))
        locking = asyncio.create_task(port.lock())
        await is_leaving.wait()
        is_waiting = not locking.done()
        may_end.set()
        await locking
        # then locking waited for the first
        assert is_waiting
        assert first.done()
        assert (await first).seq == 3
        with pytest.raises(LockedError):
            await second
        monkeypatch.undo()
        assert node.writer._heads.key is None
        assert node._secrets is None
        assert node._vault._key is None
    # and the log goes on behind it
    await goes_on(home, world, hid.device, PASSPHRASE)


def stands_in(home: Path, secret: bytes) -> bool:
    return any(secret in path.read_bytes() for path in home.iterdir())


def kept_in(login: Path) -> list[Path]:
    """Return the keys that lie in the login's folder."""
    return sorted(path for path in login.rglob("*") if path.is_file())


# --- what is on the disk ------------------------------------------------------------------------


async def test_with_a_passphrase_from_the_start_nothing_secret_was_ever_on_the_disk(
    home: Path, world: World, login: Path
) -> None:
    new = await init_home(home, "Ann", world.around, passphrase=PASSPHRASE)
    entropy = PersonKey.from_words(" ".join(new.words)).entropy
    assert not stands_in(home, entropy)
    async with opened(home, world) as (port, node):
        await port.unlock(PASSPHRASE)
        hid = hidden(node)
        await port.post("while the log of the store is there")
        assert (home / f"{STORE}-wal").stat().st_size > 0
        assert hid.found_in(home, login) == []
        await port.lock()
        assert hid.found_in(home, login) == []
    assert hid.found_in(home, login) == []


async def test_without_one_only_the_vault_gives_the_keys_away(home: Path, world: World) -> None:
    hid = await settled(home, world)
    assert hid.found_in(home) == [str(home / VAULT)]


async def test_after_lock_nothing_secret_is_on_the_disk_of_a_home_that_was_open(
    home: Path, world: World, login: Path
) -> None:
    hid = await settled(home, world)
    async with opened(home, world) as (port, _):
        await port.post("open")
        await port.lock(PASSPHRASE)
        assert hid.found_in(home, login) == []
    assert hid.found_in(home, login) == []


async def test_a_home_brought_over_shows_nothing_in_freed_pages_or_the_log(
    home: Path, world: World, login: Path
) -> None:
    hid = await settled(home, world)
    await make_old(home, world, words=b"w" * 32)
    assert hid.found_in(home) == [str(home / STORE)]
    async with opened(home, world) as (port, node):
        now = hidden(node)
        assert now.found_in(home) == [str(home / VAULT)]
        assert not stands_in(home, b"w" * 32)
        await port.lock(PASSPHRASE)
        assert now.found_in(home, login) == []
        assert (now.seed, now.device) == (hid.seed, hid.device)
    assert hid.found_in(home, login) == now.found_in(home, login) == []


async def test_a_vault_that_was_half_written_does_not_stay(home: Path, world: World) -> None:
    hid = await settled(home, world, PASSPHRASE)
    partial = home / f".{VAULT}.partial"
    partial.write_bytes(VaultFile.of(StoreKey(hid.store_key)).encode())
    await says_locked(home, world)
    assert not partial.exists()


# --- brought over -------------------------------------------------------------------------------


async def test_a_home_that_is_older_than_vaults_goes_on_as_the_same_device(
    home: Path, world: World
) -> None:
    hid = await settled(home, world)
    await make_old(home, world)
    await goes_on(home, world, hid.device)
    (vault,) = [read_vault(home)]
    assert vault is not None
    assert (home / VAULT).stat().st_mode & 0o777 == 0o600
    await goes_on(home, world, hid.device)
    assert read_vault(home) == vault


async def test_words_that_were_not_shown_before_are_shown_after(home: Path, world: World) -> None:
    new = await init_home(home, "Ann", world.around)
    entropy = PersonKey.from_words(" ".join(new.words)).entropy
    await make_old(home, world, words=entropy)
    again = await init_home(home, None, world.around)
    assert (again.words, again.device, again.resumed) == (new.words, new.device, True)


async def test_a_vault_that_was_made_before_the_kill_is_the_one_that_is_used(
    home: Path, world: World
) -> None:
    hid = await settled(home, world)
    await make_old(home, world)
    left = VaultFile.of(StoreKey(bytes(range(32))))
    write_vault(home, left)
    await goes_on(home, world, hid.device)
    assert read_vault(home) == left


# --- copies, old and new ------------------------------------------------------------------------


async def test_an_old_store_beside_a_locked_vault_is_locked_and_goes_on_as_the_same_device(
    home: Path, world: World
) -> None:
    hid = await settled(home, world)
    note = await make_old(home, world)
    async with opened(home, world) as (port, _):
        await port.lock(PASSPHRASE)
    # when the store is set back to before there were vaults
    await put_notes(home, note)
    await says_locked(home, world)
    assert (await notes(home))[0] == note
    await goes_on(home, world, hid.device, PASSPHRASE)
    # then it is sealed again
    assert hid.found_in(home) == []
    await goes_on(home, world, hid.device, PASSPHRASE)


async def test_an_old_vault_opens_a_newer_store_with_the_passphrase_of_then(
    home: Path, world: World
) -> None:
    hid = await settled(home, world, PASSPHRASE)
    before = (home / VAULT).read_bytes()
    async with opened(home, world) as (port, _):
        await port.unlock(PASSPHRASE)
        await port.lock(OTHER, new=True)
    (home / VAULT).write_bytes(before)
    await goes_on(home, world, hid.device, PASSPHRASE)


async def test_a_newer_vault_opens_an_old_copy_of_its_store(home: Path, world: World) -> None:
    hid = await settled(home, world)
    old = (home / STORE).read_bytes()
    async with opened(home, world) as (port, _):
        await port.lock(PASSPHRASE)
    (home / STORE).write_bytes(old)
    await goes_on(home, world, hid.device, PASSPHRASE)


async def test_the_vault_of_another_home_is_refused(
    home: Path, tmp_path: Path, world: World
) -> None:
    await settled(home, world, PASSPHRASE)
    await settled(tmp_path / "other", world, PASSPHRASE)
    mine = (home / VAULT).read_bytes()
    shutil.copy(tmp_path / "other" / VAULT, home / VAULT)
    with pytest.raises(VaultError, match="is another home's; put back the one of this home"):
        async with opened(home, world):
            pass
    (home / VAULT).write_bytes(mine)
    await says_locked(home, world)


async def test_a_vault_that_is_gone_is_said_and_none_is_made_in_its_place(
    home: Path, world: World
) -> None:
    await settled(home, world)
    (home / VAULT).unlink()
    for _ in range(2):
        with pytest.raises(VaultError, match=r"vault of .* is gone, and the keys with it"):
            async with opened(home, world):
                pass
    assert not (home / VAULT).exists()


async def test_no_home_is_made_over_a_vault_whose_store_is_gone(home: Path, world: World) -> None:
    hid = await settled(home, world)
    store = home / STORE
    store.rename(home.parent / STORE)
    with pytest.raises(HomeError, match=r"has a vault and no store; put store\.db back"):
        await init_home(home, "Eve", world.around)
    store.unlink(missing_ok=True)
    (home.parent / STORE).rename(store)
    await goes_on(home, world, hid.device)


async def test_a_note_whose_open_part_was_changed_gives_no_keys(home: Path, world: World) -> None:
    await settled(home, world)
    note, _ = await notes(home)
    assert note is not None
    for at in range(len(note)):
        await put_notes(home, note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :])
        with pytest.raises((StoreError, VaultError)):
            async with opened(home, world):
                pass


async def test_a_home_that_was_rolled_back_is_restored_once_it_is_unlocked(
    home: Path, world: World, login: Path
) -> None:
    new = await init_home(home, "Ann", world.around, passphrase=PASSPHRASE)
    await confirm_words(home, world.around)
    async with opened(home, world) as (_, node):
        await node.store.set_note(ROLLED_BACK, b"\x01")
    words = " ".join(new.words)
    with pytest.raises(LockedError):
        await restore_home(home, words, None, world.around)
    async with open_port(home, world.around, is_command=True) as port:
        await port.unlock(PASSPHRASE)
    me = await restore_home(home, words, None, world.around)
    assert (me.person, me.device != new.device) == (new.person, True)
    async with opened(home, world) as (port, node):
        hid = hidden(node)
        await port.post("on")
        await port.lock()
    assert hid.found_in(home, login) == []


# --- an init that was stopped -------------------------------------------------------------------


async def test_the_words_of_a_locked_home_come_again_for_its_passphrase(
    home: Path, world: World
) -> None:
    new = await init_home(home, "Ann", world.around, passphrase=PASSPHRASE)
    with pytest.raises(PassphraseError, match="run init again with its --passphrase-file"):
        await init_home(home, None, world.around)
    with pytest.raises(WrongPassphraseError):
        await init_home(home, None, world.around, passphrase=OTHER)
    again = await init_home(home, None, world.around, passphrase=PASSPHRASE)
    assert (again.words, again.device, again.resumed) == (new.words, new.device, True)


async def test_a_passphrase_given_the_second_time_guards_from_then_on(
    home: Path, world: World
) -> None:
    new = await init_home(home, "Ann", world.around)
    again = await init_home(home, None, world.around, passphrase=PASSPHRASE)
    assert again.words == new.words
    await goes_on(home, world, new.device, PASSPHRASE)


def test_a_passphrase_that_is_none_makes_no_home(home: Path, world: World) -> None:
    with pytest.raises(PassphraseError):
        asyncio.run(init_home(home, "Ann", world.around, passphrase=""))
    assert not home.exists()


# --- between commands ---------------------------------------------------------------------------


async def test_a_command_unlocks_for_the_commands_of_this_login(
    home: Path, world: World, login: Path
) -> None:
    hid = await settled(home, world, PASSPHRASE)
    async with open_port(home, world.around, is_command=True) as port:
        await port.unlock(PASSPHRASE)
    (kept,) = kept_in(login)
    assert kept.stat().st_mode & 0o777 == 0o600
    await goes_on(home, world, hid.device)
    async with opened(home, world) as (port, _):
        await port.lock()
    assert not kept_in(login)
    await says_locked(home, world)


async def test_a_node_that_stays_lets_no_login_know(home: Path, world: World, login: Path) -> None:
    await settled(home, world, PASSPHRASE)
    async with opened(home, world) as (port, _):
        await port.unlock(PASSPHRASE)
        assert not (login / "passalong").exists()
    await says_locked(home, world)


@pytest.mark.parametrize("why", ["not set", "relative", "not there", "open to others", "on a disk"])
def test_without_a_private_place_in_memory_a_command_does_not_unlock(
    home: Path, world: World, login: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    asyncio.run(settled(home, world, PASSPHRASE))
    match why:
        case "open to others":
            login.chmod(0o755)
        case "on a disk":
            monkeypatch.setattr("mesh.login_session.is_in_memory", lambda _: False)
        case _:
            places = {"not set": "", "relative": "relative", "not there": str(login / "none")}
            monkeypatch.setenv("XDG_RUNTIME_DIR", places[why])

    async def fails() -> None:
        async with open_node(home, world.around, is_command=True) as node:
            with pytest.raises(NowhereError, match="start `passalong run` first"):
                await DirectPort(node).unlock(PASSPHRASE)
            assert node.is_locked

    asyncio.run(fails())
    assert not kept_in(login)
    forget_key(home)  # nothing is no obstacle


def test_a_folder_on_a_disk_is_not_taken_for_one_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    mounts, device = tmp_path / "mounts", tmp_path.stat().st_dev
    monkeypatch.setattr("mesh.login_session._MOUNTS", mounts)
    assert not is_in_memory(tmp_path)
    number = f"{os.major(device)}:{os.minor(device)}"
    other = "0:1" if number != "0:1" else "0:2"
    for kind, at, is_so in (
        ("tmpfs", number, True),
        ("ramfs", number, True),
        ("ext4", number, False),
        ("tmpfs", other, False),
    ):
        mounts.write_text(f"1 2 {other} / /x rw - proc proc rw\n30 25 {at} / /y rw - {kind} a rw\n")
        assert is_in_memory(tmp_path) is is_so
    mounts.write_text("")
    assert not is_in_memory(tmp_path)


async def test_a_key_of_another_vault_or_in_the_open_is_not_taken(
    home: Path, world: World, login: Path
) -> None:
    hid = await settled(home, world, PASSPHRASE)
    for raw in (bytes(32), hid.store_key[:31], hid.store_key + b"\0", b""):
        keep_key(home, raw)
        await says_locked(home, world)
    keep_key(home, hid.store_key)
    assert kept_key(home) == hid.store_key
    (kept,) = kept_in(login)
    kept.chmod(0o644)
    await says_locked(home, world)
    kept.chmod(0o600)
    (login / "passalong").chmod(0o755)
    await says_locked(home, world)
    (login / "passalong").chmod(0o700)
    moved = kept.rename(login / "moved")
    kept.symlink_to(moved)
    await says_locked(home, world)
    kept.unlink()
    moved.rename(kept)
    async with opened(home, world) as (_, node):
        assert not node.is_locked


def test_a_refusal_is_a_line_for_people() -> None:
    for refusal in (LockedError(), WrongPassphraseError(), NowhereError()):
        assert isinstance(refusal, PortError)
        assert len(str(refusal).splitlines()) == 1
