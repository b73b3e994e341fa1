"""Real homes, real sticks, the command: whatever happens to a stick, in the end all is there."""

from __future__ import annotations

import asyncio
import random
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from gossip.envelope import MAX_LIFE_MIN
from gossip.notes import recall, seen_note
from mesh.direct import DirectPort, real_world
from mesh.node import open_node
from tests.crash.bundles import write_bundle
from tests.crash.media import pulled_out
from tests.ledger.stores import Derived, derived
from tests.mesh.cli_support import Passalong, settle
from tests.mesh.mail_homes import envelope

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.store.base import MailRow
    from tests.mesh.cli_support import Answer

STEP = 1_000


@dataclass(frozen=True)
class State:
    """What a home holds, whatever way it came.

    Attributes:
        held: Logs and statements.
        mail: But for when its life ends, which is later with each second.
        seen: What is processed of another's store.
    """

    held: Derived
    mail: list[MailRow]
    seen: object


@pytest.fixture
def settled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Passalong]:
    return lambda name: settle(tmp_path / name, name, capsys)


def state(home: Path, other: str) -> State:
    """Read a home, and what it has processed of the store of the device ``other``."""

    async def read() -> State:
        async with open_node(home, real_world()) as node:
            store = node.store
            wants = (await DirectPort(node)._inventory.policy()).wants
            mail = [row._replace(until=0) for row in await store.mail()]
            seen = recall(await store.note(seen_note(bytes.fromhex(other))), wants)
            return State(await derived(store), mail, seen)

    return asyncio.run(read())


def send(who: Passalong, *numbers: int, size: int = 400) -> None:
    """Have a home carry letters of its own; there is no command for that yet."""

    async def deposit() -> None:
        async with open_node(who.home, real_world()) as node:
            bag = await DirectPort(node)._inventory.mailbag()
            for number in numbers:
                change = bag.mail.deposit(envelope(number, size), 8, MAX_LIFE_MIN, bag.now)
                await bag.keep(change)

    asyncio.run(deposit())


def device(who: Passalong) -> str:
    return str(who.json("whoami")["device"])


def write(giver: Passalong, stick: Path, *to: Passalong, more: tuple[str, ...] = ()) -> Answer:
    """Export, sealed to others if there are any."""
    options = [o for one in to for o in ("--to", one.json("whoami")["link"])]
    return giver.json("bundle", "export", str(stick), *(["--seal"] if to else []), *options, *more)


def take(taker: Passalong, stick: Path) -> Answer:
    return taker.json("bundle", "import", str(stick))


def copied(one: Passalong, name: str) -> Passalong:
    """Return the same home, to go its own way."""
    home = one.home.with_name(name)
    shutil.copytree(one.home, home)
    return Passalong(home, one._capsys)


@pytest.fixture
def ann(settled: Callable[[str], Passalong], tmp_path: Path) -> Passalong:
    """One who holds logs of many, a fork, a statement, and mail."""
    ann = settled("Ann")
    news = tmp_path / "others.passalong"
    asyncio.run(write_bundle(news))
    take(ann, news)
    news.unlink()
    for number in range(5):
        ann.json("post", f"{number} " + "x" * 1_500)
    send(ann, *range(12))
    return ann


@pytest.fixture
def bob(settled: Callable[[str], Passalong]) -> Passalong:
    return settled("Bob")


# --- a stick that is pulled out -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("purpose", ["open", "sealed"])
@pytest.mark.parametrize("how", ["cut", "pulled"])
def test_a_bundle_that_ends_at_any_thousandth_byte_is_finished_later_as_if_it_never_had(
    ann: Passalong, bob: Passalong, tmp_path: Path, purpose: str, how: str
) -> None:
    stick, short = tmp_path / "news.passalong", tmp_path / "short.pal"
    # given that Bob follows Ann, so that her mail counts as hers, and a bundle of many messages
    bob.json("follow", ann.json("whoami")["link"])
    with mock.patch("gossip.packing.MAX_BLOCKS", 10):
        size = write(ann, stick, *([bob] if purpose == "sealed" else []))["bytes"]
    uncut = copied(bob, "uncut")
    whole = take(uncut, stick)
    wanted = state(uncut.home, device(ann))
    before = 0
    for at in range(STEP, size, STEP):
        one = copied(bob, f"at {at}")
        short.write_bytes(stick.read_bytes()[: at if how == "cut" else size])
        with pulled_out(at) if how == "pulled" else nullcontext():
            first = take(one, short)
        assert (first["complete"], first["refused"]) == (False, 0)
        assert first["new_blocks"] >= before
        before = first["new_blocks"]
        second = take(one, stick)
        assert second["complete"]
        assert first["new_blocks"] + second["new_blocks"] == whole["new_blocks"]
        assert first["envelopes"] + second["envelopes"] == whole["envelopes"] == 12
        assert state(one.home, device(ann)) == wanted
        shutil.rmtree(one.home)
    assert before > whole["new_blocks"] * 3 // 4


# --- parts --------------------------------------------------------------------------------------


def in_parts(ann: Passalong, bob: Passalong, tmp_path: Path) -> list[Path]:
    for number in range(30):
        ann.json("post", f"{number} " + "y" * 8_000)
    folder = tmp_path / "parts"
    folder.mkdir()
    write(ann, folder / "n.passalong", bob, more=("--parts", "100k"))
    return sorted(folder.iterdir())


@pytest.mark.slow
def test_parts_in_any_order_make_the_same_home_and_without_one_of_them_nothing_is_told(
    ann: Passalong, bob: Passalong, tmp_path: Path
) -> None:
    files = in_parts(ann, bob, tmp_path)
    assert len(files) >= 4
    uncut = copied(bob, "uncut")
    whole = tmp_path / "whole.passalong"
    write(ann, whole, bob)
    take(uncut, whole)
    wanted = state(uncut.home, device(ann))
    for missing in range(len(files)):
        one = copied(bob, f"without {missing}")
        order = [file for place, file in enumerate(files) if place != missing]
        random.Random(missing).shuffle(order)
        for file in order:
            assert take(one, file)["complete"]
        early = state(one.home, device(ann))
        assert early.seen is None
        assert early.held != wanted.held
        assert take(one, files[missing])["complete"]
        assert state(one.home, device(ann)) == wanted


# --- a stick with more on it --------------------------------------------------------------------


def test_a_stick_with_old_and_foreign_bundles_gives_what_it_has_and_twice_nothing_more(
    ann: Passalong, bob: Passalong, settled: Callable[[str], Passalong], tmp_path: Path
) -> None:
    cy, alone, stick = settled("Cy"), copied(bob, "alone"), tmp_path / "stick"
    stick.mkdir()
    # given three of Ann's, of which the newest comes first by name
    for name in ("7 oldest", "6 older", "5 newest"):
        ann.json("post", name)
        write(ann, stick / f"{name}.passalong", bob)
    write(cy, stick / "1 open.passalong")
    write(cy, stick / "2 for Ann.passalong", ann)
    (stick / "3 nothing.passalong").write_bytes(b"hello")
    whole = (stick / "1 open.passalong").read_bytes()
    (stick / "4 damaged.passalong").write_bytes(whole[:-40])
    # when Bob takes in the stick
    found = take(bob, stick)
    assert [(row["file"].split(".")[0], row["outcome"]) for row in found["files"]] == [
        ("1 open", "taken"),
        ("2 for Ann", "sealed for others"),
        ("3 nothing", "not a bundle"),
        ("4 damaged", "damaged"),
        ("5 newest", "taken"),
        ("6 older", "taken"),
        ("7 oldest", "taken"),
    ]
    # then he has what he would have by the newest, and the stick gives nothing more
    for name in ("1 open", "5 newest"):
        take(alone, stick / f"{name}.passalong")
    before = state(bob.home, device(ann))
    assert before == state(alone.home, device(ann))
    again = [row["imported"] for row in take(bob, stick)["files"] if row["imported"]]
    assert [(one["new_blocks"], one["envelopes"]) for one in again] == [(0, 0)] * 5
    assert state(bob.home, device(ann)) == before


def test_two_carriers_with_overlapping_bundles_bring_everything_once(
    ann: Passalong, bob: Passalong, settled: Callable[[str], Passalong], tmp_path: Path
) -> None:
    stick = tmp_path / "stick.passalong"
    carriers = [settled("Cy"), settled("Dora")]
    write(ann, stick)
    for number, carrier in enumerate(carriers):
        take(carrier, stick)
        carrier.json("post", f"mine, {number}")
        send(carrier, 100 + number)
    took = []
    for carrier in carriers:
        write(carrier, stick, bob)
        took.append(take(bob, stick))
    assert [one["refused"] for one in took] == [0, 0]
    # of the second only what he has beside: device block, profile, post; and his letter
    assert took[1]["new_blocks"] == 3
    assert took[1]["known_blocks"] == took[0]["new_blocks"] - 3
    assert [one["envelopes"] for one in took] == [13, 1]
    # each is sent what the other brought, and what Bob wrote; and once the whole of the log that is
    # forked, of which one may hold another branch
    for carrier in carriers:
        assert write(bob, stick, carrier)["blocks"] == 3 + 2 + 30
        answer = take(carrier, stick)
        assert (answer["new_blocks"], answer["known_blocks"]) == (3 + 2, 30)
        write(carrier, stick, bob)
        take(bob, stick)
        assert write(bob, stick, carrier)["blocks"] == 0


# --- mail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["open", "sealed"])
def test_mail_goes_along_in_bundles_of_both_purposes_and_importing_twice_changes_nothing(
    ann: Passalong, bob: Passalong, tmp_path: Path, purpose: str
) -> None:
    stick = tmp_path / "stick.passalong"
    wrote = write(ann, stick, *([bob] if purpose == "sealed" else []))
    assert wrote["envelopes"] == 12
    assert bob.json("bundle", "inspect", str(stick))["envelopes"] == 12
    first = take(bob, stick)
    assert (first["envelopes"], first["refused"], first["complete"]) == (12, 0, True)
    before = state(bob.home, device(ann))
    assert len(before.mail) == 12
    again = take(bob, stick)
    assert (again["new_blocks"], again["envelopes"]) == (0, 0)
    assert again["known_blocks"] == first["new_blocks"]
    assert state(bob.home, device(ann)) == before
