import asyncio
import errno
import resource
import socket
from typing import Any

import pytest

from tests.transports.tcp_ends import OPEN, door, end, has_ipv6, until
from transports.base import LinkClosedError, LinkError
from transports.gate import Entry, Gate, GateLimits
from transports.wifi import tcp_listener
from transports.wifi.tcp import TcpLink, dial
from transports.wifi.tcp_listener import TcpListener

pytestmark = pytest.mark.network


def ignore(_link: TcpLink, _entry: Entry) -> None:
    """Let a link live as long as the other side lets it."""


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
async def test_on_all_addresses_both_kinds_share_one_port() -> None:
    links: list[TcpLink] = []
    listener = await TcpListener.open(gate=Gate(OPEN), accepted=lambda link, _: links.append(link))
    for host in ("127.0.0.1", "::1"):
        near = await dial(host, listener.port)
        await near.send(b"hello")
        await until(lambda: bool(links))
        assert await links[0].receive() == b"hello"
        await end(links.pop())
        await end(near)
    await listener.close()


async def test_a_device_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    made = socket.socket

    def without_ipv6(family: int, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "failed")
        return made(family, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", without_ipv6)
        listener = await TcpListener.open(gate=Gate(OPEN), accepted=ignore)
    await end(await dial("127.0.0.1", listener.port))
    await listener.close()


async def test_a_port_that_is_taken_is_told() -> None:
    async with door() as there:
        with pytest.raises(LinkError, match=rf"cannot listen on 127.0.0.1:{there.port}: Address"):
            await TcpListener.open(["127.0.0.1"], there.port, gate=Gate(OPEN), accepted=ignore)


@pytest.mark.parametrize("host", ["192.0.2.1", "a" * 64, "fe80::1%nowhere"])
async def test_an_address_of_somebody_else_is_told(host: str) -> None:
    with pytest.raises(LinkError, match="cannot listen on") as caught:
        await TcpListener.open(["127.0.0.1", host], gate=Gate(OPEN), accepted=ignore)
    assert "\n" not in str(caught.value)


async def test_a_port_that_is_free_for_one_address_only_is_not_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match="Address already in use"):
            await TcpListener.open(
                ["127.0.0.1", "127.0.0.2"], port, gate=Gate(OPEN), accepted=ignore
            )
        listener = await TcpListener.open(
            ["127.0.0.1", "127.0.0.2"], gate=Gate(OPEN), accepted=ignore
        )
        assert listener.port != port
        await listener.close()


async def test_a_closed_listener_is_gone_and_its_links_live_on() -> None:
    async with door() as there:
        near = await dial("127.0.0.1", there.port)
        far = await there.next()
        await there.listener.close()
        with pytest.raises(LinkError, match="nobody listens"):
            await dial("127.0.0.1", there.port)
        await far.send(b"still here")
        assert await near.receive() == b"still here"
        await there.listener.close()
        await end(near)


async def test_who_is_refused_is_cut_off_at_once_and_without_an_answer() -> None:
    async with door(limits=GateLimits(half_open_each=8, links_each=2)) as there:
        links = [await dial("127.0.0.1", there.port) for _ in range(2)]
        with pytest.raises(LinkError, match="broke off"):
            await (await dial("127.0.0.1", there.port)).receive()
        assert there.listener.refused == 1
        assert there.gate.links == 2
        # when one leaves there is room again
        await links[0].close()
        await until(lambda: there.gate.links < 2)
        links.append(await dial("127.0.0.1", there.port))
        await links[2].send(b"hello")
        for _ in range(2):
            await there.next()
        assert await (await there.next()).receive() == b"hello"
        for link in links:
            await end(link)


async def test_who_does_not_set_up_a_session_in_time_is_broken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp_listener, "SECURE_S", 0.05)
    gate = Gate(OPEN)
    entries: list[Entry] = []
    listener = await TcpListener.open(
        ["127.0.0.1"], gate=gate, accepted=lambda _, entry: entries.append(entry)
    )
    quick, slow = [await dial("127.0.0.1", listener.port) for _ in range(2)]
    await until(lambda: len(entries) == 2)
    gate.secured(entries[0])
    assert gate.half_open == 1
    with pytest.raises(LinkClosedError, match="broke off"):
        await slow.receive()
    assert (gate.half_open, gate.links) == (0, 1)
    await listener.close()
    await quick.send(b"still here")
    await end(quick)


async def test_who_fails_in_taking_a_link_does_not_end_the_listener() -> None:
    loop = asyncio.get_running_loop()
    told: list[Any] = []
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def fail(link: TcpLink, _entry: Entry) -> None:
        link.cut("not wanted")
        raise RuntimeError("planted")

    listener = await TcpListener.open(["127.0.0.1"], gate=Gate(OPEN), accepted=fail)
    for _ in range(2):
        with pytest.raises(LinkError, match="broke off"):
            await (await dial("127.0.0.1", listener.port)).receive()
    assert [str(error) for error in told] == ["planted", "planted"]
    await listener.close()


async def test_without_files_it_pauses_and_then_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_listener, "PAUSE_S", 0.05)
    loop = asyncio.get_running_loop()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with door() as there:
        with socket.socket() as bare:
            bare.settimeout(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                await loop.sock_connect(bare, ("127.0.0.1", there.port))
                await until(lambda: there.listener.failed == 2)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert there.links == []
            far = await there.next()
            await loop.sock_sendall(bare, b"\0\5hello")
            assert await far.receive() == b"hello"


async def test_a_failure_to_accept_is_not_repeated_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    async def fail(_listening: socket.socket) -> None:
        nonlocal asked
        asked += 1
        raise OSError(errno.ENFILE, "failed")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", fail)
    async with door() as there:
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert asked == there.listener.failed == 1
