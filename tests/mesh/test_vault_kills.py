"""kill -9 at every step: no key is lost, none is made twice, and none stays where it must not."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mesh.direct import init_home, wipe_home
from mesh.home import HomeError
from mesh.home_store import is_home
from mesh.login_session import keep_key
from mesh.passphrase import PassphraseError
from mesh.paths import STORE, VAULT
from mesh.store_key import StoreKey
from mesh.vault_file import VaultError, VaultFile, read_vault
from tests.mesh.places import World
from tests.mesh.vaults import (
    OTHER,
    PASSPHRASE,
    Hidden,
    make_cheap,
    make_old,
    notes,
    opened,
    settled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh.port import PortError

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MOST_STEPS = 200


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_cheap(monkeypatch, tmp_path / "login")
    return tmp_path / "login"


@pytest.fixture
def victims(login: Path) -> Iterator[Victims]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.mesh.vault_victim", str(login)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Victims(process)
        assert process.stdin is not None
        process.stdin.close()


class Victims:
    """Has a deed done in copies of a home, killed one step later each time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def each(self, deed: str, template: Path) -> Iterator[Path]:
        """Yield the home that each victim left; at last the one that nobody stopped."""
        for step in range(1, MOST_STEPS):
            home = template.with_name("home")
            shutil.rmtree(home, ignore_errors=True)
            if template.exists():
                shutil.copytree(template, home)
            status = self._do(f"{deed} {home} {step}")
            assert status in (0, -signal.SIGKILL), (deed, step)
            yield home
            if status == 0:
                return
        raise AssertionError("it has no end")

    def _do(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def template(tmp_path: Path, passphrase: str | None = None) -> tuple[Path, Hidden]:
    place = tmp_path / "template"
    return place, asyncio.run(settled(place, World(), passphrase))


def state(home: Path, hid: Hidden, *passphrases: str) -> str:
    """Open a home and write on in it; return ``open``, or the passphrase that opened it."""

    async def opens() -> str:
        async with opened(home, World(7)) as (port, node):
            assert node.me.device == hid.device
            by = await unlocked(port, node.is_locked, passphrases)
            await port.post("goes on")
            assert {row.author for row in await port.log()} == {hid.device}
            assert (await port.check()).problems == []
            assert node.secrets.keys.signing.seed == hid.seed
            return by

    return asyncio.run(opens())


async def unlocked(port: object, is_locked: bool, passphrases: tuple[str, ...]) -> str:  # noqa: FBT001
    for passphrase in passphrases if is_locked else ():
        try:
            await port.unlock(passphrase)  # type: ignore[attr-defined]
        except PassphraseError:
            continue
        return passphrase
    return "open"


def test_a_home_that_is_brought_over_has_its_keys_at_every_step(
    tmp_path: Path, victims: Victims
) -> None:
    place, hid = template(tmp_path)
    asyncio.run(make_old(place, World()))
    left: list[tuple[bool, bool]] = []
    for home in victims.each("open", place):
        left.append(((home / VAULT).exists(), hid.seed in stored(home)))
        assert state(home, hid) == "open"
        assert hid.seed not in stored(home)
        assert read_vault(home) is not None
    # neither too early nor too late: first nothing, then a vault, then the note under it
    assert left[0] == (False, True)
    assert (True, True) in left
    assert left[-1] == (True, False)
    assert left == sorted(left, key=lambda one: (one[0], not one[1]))


def stored(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(home.glob(f"{STORE}*")))


def test_a_home_that_is_locked_the_first_time_is_open_or_locked_at_every_step(
    tmp_path: Path, victims: Victims
) -> None:
    place, hid = template(tmp_path)
    states = [state(home, hid, PASSPHRASE) for home in victims.each("lock", place)]
    assert (states[0], states[-1]) == ("open", PASSPHRASE)
    assert states == sorted(states, key=lambda one: one != "open")


def test_a_passphrase_that_is_changed_is_the_old_or_the_new_at_every_step(
    tmp_path: Path, victims: Victims, login: Path
) -> None:
    place, hid = template(tmp_path, PASSPHRASE)
    states: list[str] = []
    for home in victims.each("change", place):
        shutil.rmtree(login / "passalong", ignore_errors=True)
        states.append(state_after_a_second(home, hid))
    assert (states[0], states[-1]) == (PASSPHRASE, OTHER)
    assert states == sorted(states, key=lambda one: one != PASSPHRASE)


def state_after_a_second(home: Path, hid: Hidden) -> str:
    vault = read_vault(home)
    assert vault is not None
    for passphrase in (PASSPHRASE, OTHER):
        try:
            vault.unwrap(passphrase)
        except PassphraseError:
            continue
        return state(home, hid, passphrase)
    raise AssertionError("neither")


def test_a_passphrase_that_is_forgotten_guards_or_does_not_at_every_step(
    tmp_path: Path, victims: Victims
) -> None:
    place, hid = template(tmp_path, PASSPHRASE)
    states: list[str] = []
    for home in victims.each("forget", place):
        states.append(state(home, hid, PASSPHRASE))
        # a key that was about to lie open, but does not, is nowhere
        assert states[-1] == "open" or not hid.found_in(home)
    assert (states[0], states[-1]) == (PASSPHRASE, "open")
    assert states == sorted(states, key=lambda one: one == "open")


def test_an_init_that_is_killed_leaves_no_home_or_one_whose_words_come_again(
    tmp_path: Path, victims: Victims
) -> None:
    resumed: list[bool] = []
    for home in victims.each("init", tmp_path / "nothing"):
        assert not lies_open(home)
        asyncio.run(init_again(home, resumed))
        asyncio.run(can_write(home))
    assert (resumed[0], resumed[-1]) == (False, True)
    assert resumed == sorted(resumed)


def lies_open(home: Path) -> bool:
    """Say whether there is a vault, finished or not, that needs no passphrase."""
    found = [
        path.read_bytes() for path in (home / VAULT, home / f".{VAULT}.partial") if path.exists()
    ]
    return any(isinstance(VaultFile.decode(raw).held, StoreKey) for raw in found if raw)


async def init_again(home: Path, resumed: list[bool]) -> None:
    if is_home(home) and await are_words_shown(home):
        with pytest.raises(HomeError, match="there is a home in"):
            await init_home(home, "Ann", World(3).around, passphrase=PASSPHRASE)
        resumed.append(True)
        return
    new = await init_home(home, "Ann", World(3).around, passphrase=PASSPHRASE)
    assert len(new.words) == 24
    resumed.append(new.resumed)


async def are_words_shown(home: Path) -> bool:
    device, words = await notes(home)
    return device is not None and words is None


async def can_write(home: Path) -> None:
    async with opened(home, World(4)) as (port, node):
        assert node.is_locked
        await port.unlock(PASSPHRASE)
        await port.post("first")


@pytest.mark.parametrize("kind", ["open", "locked", "unlocked for the login", "old"])
def test_a_home_that_is_wiped_is_whole_or_has_no_keys_at_every_step(
    tmp_path: Path, victims: Victims, login: Path, kind: str
) -> None:
    place, hid = template(tmp_path, None if kind in ("open", "old") else PASSPHRASE)
    if kind == "old":
        asyncio.run(make_old(place, World()))
    whole: list[bool] = []
    home = tmp_path / "home"
    if kind == "unlocked for the login":
        keep_key(home, hid.store_key)
    for home in victims.each("wipe", place):
        whole.append(is_whole(home, hid))
        if not whole[-1]:
            assert hid.found_in(tmp_path / "home", login) == []
        # whoever is asked again wipes to the end
        finish(home)
        assert not home.exists()
        if kind == "unlocked for the login":
            keep_key(home, hid.store_key)
    assert whole[0]
    assert not whole[-1]
    assert whole == sorted(whole, reverse=True)


def is_whole(home: Path, hid: Hidden) -> bool:
    """Say whether a home can be used; check that it says in a line why it cannot."""
    refusal: PortError | None = None
    try:
        assert state(home, hid, PASSPHRASE) in ("open", PASSPHRASE)
    except (VaultError, HomeError) as exc:
        refusal = exc
    assert refusal is None or len(str(refusal).splitlines()) == 1
    return refusal is None


def finish(home: Path) -> None:
    if home.exists() and any(home.iterdir()):
        assert asyncio.run(wipe_home(home, World().around)) == []
    elif home.exists():
        home.rmdir()
