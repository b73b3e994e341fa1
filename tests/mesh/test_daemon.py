"""A node that runs, over real sockets on loopback: it meets, keeps in touch, and ends in time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from ledger.errors import StoreError
from mesh import daemon, meeting
from mesh.daemon import AddressError, Options, Reception, run_node
from mesh.direct import DirectPort, init_home, open_port, real_world
from mesh.paths import CONFIG
from mesh.port import PortError
from transports import secure_link
from transports.base import LinkError
from transports.gate import GateLimits
from transports.secure import Credentials, secure
from transports.tickets import MemoryTickets
from transports.wifi import tcp_connection
from transports.wifi.tcp import TcpLink, dial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from ledger.store.base import Absorbed
    from transports.base import Link
    from transports.secure import SecureLink

pytestmark = pytest.mark.network
HERE = "127.0.0.1"
MANY = 10_000
PATIENCE_S = 60
"""What has not happened by then never will."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nobody who is away for long."""
    monkeypatch.setattr(daemon, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(daemon, "LONGEST_WAIT_S", 0.2)


@pytest.fixture
async def homes(tmp_path: Path) -> tuple[Path, Path]:
    """Make the homes of two who have added each other."""
    ada, ben = tmp_path / "ada", tmp_path / "ben"
    for home in (ada, ben):
        await init_home(home, home.name, real_world())
    async with open_port(ada) as one, open_port(ben) as other:
        await one.add_contact((await other.whoami()).link)
        await other.add_contact((await one.whoami()).link)
    return ada, ben


@asynccontextmanager
async def running(home: Path, *connect: str, port: int = 0) -> AsyncIterator[DirectPort]:
    async with (
        asyncio.timeout(PATIENCE_S),
        run_node(home, real_world(), Options(port=port, connect=connect)) as made,
    ):
        yield made


def place(port: DirectPort) -> str:
    (row,) = port.listening()
    assert row.port is not None
    return f"{HERE}:{row.port}"


async def until(port: DirectPort, ready: Callable[[], bool]) -> None:
    """Wait until something is so at a node; it is looked at whenever something changed there."""
    changed = asyncio.Event()
    port._inventory.listen_for_batches(lambda _: changed.set())
    async for _ in _woken(port, changed):
        if ready():
            return


async def _woken(port: DirectPort, changed: asyncio.Event) -> AsyncIterator[None]:
    changes = port.changes()
    news = asyncio.ensure_future(anext(changes))
    try:
        while True:
            yield
            batch = asyncio.ensure_future(changed.wait())
            await asyncio.wait([news, batch], return_when=asyncio.FIRST_COMPLETED)
            batch.cancel()
            changed.clear()
            if news.done():
                news = asyncio.ensure_future(anext(changes))
    finally:
        news.cancel()


async def held(port: DirectPort) -> int:
    logs = await port._store.logs()
    return sum(piece.high - piece.low + 1 for log in logs for piece in log.pieces)


def linked(port: DirectPort) -> bool:
    return any(one.peer is not None for one in port.peers_here)


# --- meeting ------------------------------------------------------------------------------------


async def test_ten_thousand_posts_and_then_one_that_is_written_while_they_are_linked(
    homes: tuple[Path, Path],
) -> None:
    async with running(homes[0]) as ada:
        await asyncio.gather(*(ada.post(f"post {number}") for number in range(MANY)))
        async with running(homes[1], place(ada)) as ben:
            came = 0

            def count(absorbed: Absorbed) -> None:
                nonlocal came
                came += absorbed.new

            ben._inventory.listen_for_batches(count)
            before = await held(ben)
            whole = await held(ada)
            await until(ben, lambda: before + came >= whole)
            (row,) = await ben.peers()
            assert (row.authenticated, row.name, row.address) == (True, "ada", place(ada))
            posted = await ada.post("now")
            await until(ben, lambda: before + came > whole)
            assert [one.id for one in await ben.feed(limit=1)] == [posted.id]
            (row,) = await ada.peers()
            assert (row.authenticated, row.transport) == (True, "wifi")
            assert (await ada.status()).peers == 1
        await until(ada, lambda: not len(ada.peers_here))
    async with open_port(homes[1]) as port:
        assert (await port.check()).problems == []


async def test_who_restarts_is_dialled_again(homes: tuple[Path, Path]) -> None:
    async with running(homes[0]) as ada:
        address, number = place(ada), int(place(ada).rpartition(":")[2])
        async with running(homes[1], address) as ben:
            await until(ben, lambda: linked(ben))
    async with running(homes[1], address) as ben:
        for _ in range(3):
            async with running(homes[0], port=number) as ada:
                await until(ben, lambda: linked(ben))
                await ada.post("again")
                await until(ada, lambda: linked(ada))
            await until(ben, lambda: not len(ben.peers_here))


async def test_the_settings_say_where_it_listens_and_with_whom_it_keeps_in_touch(
    homes: tuple[Path, Path],
) -> None:
    async with running(homes[0]) as ada:
        (homes[1] / CONFIG).write_text(f'port = 0\nconnect = ["{place(ada)}"]\n')
        async with run_node(homes[1], real_world(), Options()) as ben:
            await until(ben, lambda: linked(ben))
            number = place(ben).rpartition(":")[2]
    (homes[1] / CONFIG).write_text(f"port = {number}\n")
    async with run_node(homes[1], real_world(), Options()) as ben:
        assert place(ben) == f"{HERE}:{number}"
    async with run_node(homes[1], real_world(), Options(wifi=False)) as ben:
        (row,) = ben.listening()
        assert (row.state, row.port, row.problem) == ("off", None, None)


async def test_a_port_that_is_taken_is_said_and_the_node_runs_all_the_same(
    homes: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    async with running(homes[0]) as ada:
        number = int(place(ada).rpartition(":")[2])
        async with running(homes[1], place(ada), port=number) as ben:
            (row,) = (await ben.status()).transports
            assert (row.state, row.port) == ("failed", None)
            assert row.problem is not None
            assert f":{number}: Address already in use" in row.problem
            await until(ben, lambda: linked(ben))
    assert caplog.text.count("Address already in use") == 1


@pytest.mark.parametrize("given", ["nowhere", "host:0", "a b:1", ""])
async def test_an_address_that_is_none_stops_it_before_it_begins(
    homes: tuple[Path, Path], given: str
) -> None:
    options = Options(connect=(f"{HERE}:1", given))
    with pytest.raises(AddressError, match="in --connect, or connect of") as refusal:
        async with run_node(homes[0], real_world(), options):
            pass
    assert isinstance(refusal.value, PortError)
    assert len(str(refusal.value).splitlines()) == 1


async def test_a_store_that_fails_in_a_meeting_ends_that_and_nothing_else(
    homes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(homes[0]) as ada:
        absorb, failed = ada._store.absorb, asyncio.Event()

        async def fail_once(*args: object, **more: object) -> object:
            if failed.is_set():
                return await absorb(*args, **more)  # type: ignore[arg-type]
            failed.set()
            raise StoreError("the disk is full; free some space")

        async with running(homes[1]) as ben:
            await ben.post("from Ben")
            monkeypatch.setattr(ada._store, "absorb", fail_once)
            with pytest.raises(PortError, match="disk is full"):
                await ada.sync(place(ben))
            failed.clear()
            # when it is the other one who comes
            assert not (await ben.sync(place(ada))).complete
            assert failed.is_set()
            # then it goes on
            done = await ben.sync(place(ada))
            assert done.complete
            assert await held(ada) == await held(ben)
    assert "the disk is full" in caplog.text
    assert "fault of passalong" not in caplog.text


# --- the end ------------------------------------------------------------------------------------


@pytest.fixture
def _nobody_lingers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever waits for the other side wait for ever: nothing may wait for that at the end."""
    monkeypatch.setattr(tcp_connection, "LINGER_S", 1e6)
    monkeypatch.setattr(secure_link, "LINGER_S", 1e6)
    monkeypatch.setattr(secure_link.SecureLink, "_tick", lambda _: None)  # nor is silence an end
    monkeypatch.setattr(meeting, "LINGER_S", 1e6)
    monkeypatch.setattr(daemon, "END_S", 0.2)


async def stranger_at(address: str) -> tuple[TcpLink, SecureLink]:
    """Set up a session as somebody of whom nobody knows."""
    host, _, number = address.rpartition(":")
    link = await dial(host, int(number))
    who = Credentials(bytes(32), {}, MemoryTickets(lambda: 0.0))
    return link, await secure(link, is_initiator=True, who=who, random=real_world().random)


def stop_reading(link: TcpLink) -> None:
    """Read nothing more, not even that the other side has closed the link."""
    transport = link._connection._transport
    assert transport is not None
    transport.pause_reading()
    transport.resume_reading = lambda: None  # type: ignore[method-assign]


async def nobody(_ada: DirectPort, _ben: DirectPort) -> list[TcpLink]:
    return []


async def friend(ada: DirectPort, ben: DirectPort) -> list[TcpLink]:
    await ben.sync(place(ada))
    return []


async def dialled(ada: DirectPort, ben: DirectPort) -> list[TcpLink]:
    await ada.sync(place(ben))
    return []


async def half_open(ada: DirectPort, _ben: DirectPort) -> list[TcpLink]:
    host, _, number = place(ada).rpartition(":")
    return [await dial(host, int(number)) for _ in range(5)]


async def silent(ada: DirectPort, _ben: DirectPort) -> list[TcpLink]:
    link, _ = await stranger_at(place(ada))
    await until(ada, lambda: len(ada.peers_here) > 0)
    return [link]


async def deaf(ada: DirectPort, _ben: DirectPort) -> list[TcpLink]:
    link, _ = await stranger_at(place(ada))
    stop_reading(link)
    await until(ada, lambda: len(ada.peers_here) > 0)
    return [link]


async def deaf_friends(ada: DirectPort, ben: DirectPort) -> list[TcpLink]:
    """Two who met, of whom one then reads no more; who dialled whom makes no difference."""
    await ada.sync(place(ben))
    for one in ben.peers_here:
        assert isinstance(one.link._link, TcpLink)
        stop_reading(one.link._link)
    return []


@pytest.mark.timeout(60)  # what waits for the other side hangs
@pytest.mark.usefixtures("_nobody_lingers")
@pytest.mark.parametrize("comes", [nobody, friend, dialled, half_open, silent, deaf, deaf_friends])
async def test_whoever_is_there_and_whatever_he_does_the_end_comes(
    homes: tuple[Path, Path],
    comes: Callable[[DirectPort, DirectPort], Awaitable[list[TcpLink]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(homes[1]) as ben, AsyncExitStack() as later:
        before = asyncio.all_tasks()
        async with running(homes[0]) as ada:
            await asyncio.gather(*(ada.post(f"{number} ".ljust(8_000)) for number in range(600)))
            for link in await comes(ada, ben):
                later.push_async_callback(link.close)
                later.callback(link.cut, "the test is over")
            links = [one.link._link for one in ada.peers_here]
        # then nothing of it is left: no link, and no task but those of the other one
        assert len(ada.peers_here) == 0
        assert not ada.visits._links
        assert all(isinstance(link, TcpLink) and link._connection.is_over for link in links)
        assert len(asyncio.all_tasks() - before) <= 8
        async with open_port(homes[0]) as port:
            assert (await port.check()).problems == []
        await ben.peers_here.end(0)
        ben.visits.cut()
    assert "fault of passalong" not in caplog.text


async def test_at_the_end_half_open_links_are_cut_and_not_waited_for(
    homes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(homes[0]) as ada:
        has_come = asyncio.Event()
        secure = ada.peers_here.secure

        async def noticed(carrier: Link, *, is_initiator: bool) -> SecureLink:
            has_come.set()
            return await secure(carrier, is_initiator=is_initiator)

        monkeypatch.setattr(ada.peers_here, "secure", noticed)
        reception = Reception(ada.peers_here, GateLimits())
        await reception.open(0)
        assert reception.row.port is not None
        link = await dial(HERE, reception.row.port)
        await has_come.wait()
        (theirs,) = reception._links
        assert len(reception._tasks) == 1
        await reception.close()
        assert theirs._connection.gone == "this node ends"
        with pytest.raises(LinkError):
            await link.receive()
        await reception.finish()
        assert not reception._links
        await link.close()


# --- those who mean harm ------------------------------------------------------------------------


async def test_a_thousand_connections_of_one_address_leave_nothing_and_friends_get_in(
    homes: tuple[Path, Path],
) -> None:
    async with running(homes[0]) as ada:
        host, _, number = place(ada).rpartition(":")
        tasks = len(asyncio.all_tasks())
        most = 0
        for at in range(0, 1_000, 50):
            batch = [dial(host, int(number)) for _ in range(50)]
            links = await asyncio.gather(*batch, return_exceptions=True)
            most = max(most, len(asyncio.all_tasks()))
            for link in links:
                if isinstance(link, TcpLink):
                    link.cut(f"round {at}")
                    with suppress(LinkError):
                        await link.close()
        # the gate lets in 20 at once, and 8 that are half open
        assert most - tasks <= 60
        async with running(homes[1]) as ben:
            done = await ada.sync(place(ben))
            assert done.complete
    assert len(ada.peers_here) == 0


async def test_handshakes_are_bounded_and_who_sends_rubbish_is_gone_at_once(
    homes: tuple[Path, Path],
) -> None:
    async with running(homes[0]) as ada:
        host, _, number = place(ada).rpartition(":")
        for rubbish in (b"\0" * 200, b"GET / HTTP/1.1\r\n\r\n", bytes(range(256))):
            link = await dial(host, int(number))
            await link.send(rubbish)
            with pytest.raises(LinkError):
                await link.receive()
            await link.close()
        assert len(ada.peers_here) == 0
        (row,) = ada.listening()
        assert row.state == "listening"


def test_the_gate_of_a_node_leaves_room_for_contacts() -> None:
    from mesh.strangers import MAX_STRANGERS  # noqa: PLC0415

    assert GateLimits().links - MAX_STRANGERS >= GateLimits().links_each
    assert Options().gate == GateLimits()
