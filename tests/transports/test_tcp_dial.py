import asyncio
import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.transports.tcp_ends import door, end, has_ipv6
from transports.base import LinkError
from transports.wifi import tcp
from transports.wifi.tcp import dial
from transports.wifi.tcp_connect import LOOK_UPS, _by_turns

pytestmark = pytest.mark.network
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def deaf(host: str, port: int = 0) -> Iterator[int]:
    """The port of somebody at that address who lets everybody wait."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind((host, port))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


async def refusal(host: str, port: int, patience_s: float = 5.0) -> str:
    with pytest.raises(LinkError) as caught:
        await dial(host, port, patience_s=patience_s)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6), "localhost"])
async def test_who_listens_is_reached_by_address_and_by_name(host: str) -> None:
    async with door("localhost" if host == "localhost" else host) as there:
        near = await dial(host, there.port)
        far = await there.next()
        await near.send(b"hello")
        assert await far.receive() == b"hello"
        assert near.info.transport == far.info.transport == "wifi"
        assert near.info.max_frame == 65_535
        assert str(near.info.address).endswith(f":{there.port}")
        assert str(far.info.address).startswith("[::1]:" if "[" in str(near.info) else "127.0.0.1:")
        await end(near)


async def test_small_frames_go_at_once() -> None:
    async with door() as there:
        near = await dial("127.0.0.1", there.port)
        for link in (near, await there.next()):
            opened = link._connection._transport.get_extra_info("socket")  # type: ignore[union-attr]
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 64 * 1024
        await end(near)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_where_nobody_listens_it_says_so(host: str) -> None:
    port = free_port()
    assert await refusal(host, port) == f"cannot reach {host}:{port}: nobody listens there"


async def test_who_does_not_answer_is_given_up() -> None:
    with deaf("127.0.0.1") as port:
        said = await refusal("127.0.0.1", port, patience_s=0.2)
    assert said == f"cannot reach 127.0.0.1:{port}: it did not answer in time"


async def test_of_several_addresses_the_first_that_answers_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with door() as there:
        hosts = ["127.0.0.9", "127.0.0.8", "127.0.0.1"]  # one is deaf, nobody is at the next

        def looked_up(_host: str, port: int, **_more: object) -> list[object]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

        monkeypatch.setattr(socket, "getaddrinfo", looked_up)
        monkeypatch.setattr(tcp, "HEAD_START_S", 0.01)
        with deaf("127.0.0.9", there.port):
            near = await dial("a.name", there.port, patience_s=60)
        assert near.info.address == f"127.0.0.1:{there.port}"
        await end(near)


async def test_of_several_addresses_that_fail_the_most_telling_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    failures = {"127.0.0.2": errno.ENETUNREACH, "127.0.0.3": errno.ECONNREFUSED}

    def looked_up(_host: str, port: int, **_more: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in failures]

    async def connected(_socket: socket.socket, address: tuple[str, int]) -> None:
        raise OSError(failures[address[0]], "failed")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(loop, "sock_connect", connected)
    assert await refusal("a.name", 80) == "cannot reach a.name:80: nobody listens there"


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EHOSTUNREACH, "there is no way to it"),
        (errno.ENETUNREACH, "there is no way to it from this network"),
        (errno.ETIMEDOUT, "it did not answer in time"),
        (errno.EACCES, "Permission denied"),
    ],
)
async def test_what_the_network_says_is_told(
    number: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connected(_socket: socket.socket, _address: tuple[str, int]) -> None:
        raise OSError(number, "failed")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connected)
    assert await refusal("127.0.0.1", 80) == f"cannot reach 127.0.0.1:80: {says}"


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (socket.EAI_NONAME, "there is no such host"),
        (socket.EAI_AGAIN, "names cannot be looked up now; is there a network?"),
    ],
)
async def test_a_name_that_is_not_found_is_told(
    number: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_up(*_args: object, **_more: object) -> list[object]:
        raise socket.gaierror(number, "failed")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    assert await refusal("box.local", 80) == f"cannot reach box.local:80: {says}"


@contextmanager
def slow_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Look names up without an answer until this is over; the names that are being looked up."""
    over = threading.Event()
    asked: list[str] = []

    def looked_up(host: str, *_args: object, **_more: object) -> list[object]:
        asked.append(host)
        over.wait(30)
        asked.remove(host)
        raise socket.gaierror(socket.EAI_AGAIN, "failed")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    try:
        yield asked
    finally:
        over.set()
        for thread in threading.enumerate():
            if thread.name.startswith("look up"):
                thread.join(30)


def test_a_name_that_takes_its_time_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        assert "in time" in await refusal("slow.example", 80, patience_s=0.05)
        assert await asyncio.to_thread(lambda: "other work") == "other work"

    with slow_names(monkeypatch) as asked:
        asyncio.run(scenario())
        assert asked == ["slow.example"]


async def test_so_many_names_are_looked_up_at_once_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with slow_names(monkeypatch) as asked:
        dials = [asyncio.create_task(dial(f"host{n}", 80)) for n in range(LOOK_UPS)]
        while len(asked) < LOOK_UPS:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert "names cannot be looked up now" in await refusal("one.more", 80)
        assert len(asked) == LOOK_UPS
    failed = await asyncio.gather(*dials, return_exceptions=True)
    assert {type(one) for one in failed} == {LinkError}
    monkeypatch.undo()
    assert "nobody listens" in await refusal("localhost", free_port())


async def test_without_a_thread_no_name_is_looked_up_and_later_one_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        for _ in range(LOOK_UPS + 1):
            assert "names cannot be looked up now" in await refusal("box.local", 80)
    assert "nobody listens" in await refusal("localhost", free_port())


async def test_a_fault_in_a_look_up_is_the_fault_of_the_dial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def looked_up(*_args: object, **_more: object) -> list[object]:
        raise ValueError("what should never be")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with pytest.raises(ValueError, match="never"):
        await dial("a.name", 80)


@pytest.mark.parametrize("host", ["a" * 64, "a..b", "fe80::1%nowhere"])
async def test_what_cannot_be_a_name_is_told(host: str) -> None:
    assert "host" in await refusal(host, 80)


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("", 80, "is no host"),
        ("a b", 80, "is no host"),
        ("box", 0, "there is no port 0"),
        ("box", 65_536, "there is no port 65536"),
    ],
)
async def test_what_is_no_address_is_not_dialled(host: str, port: int, says: str) -> None:
    assert says in await refusal(host, port)


async def test_a_dial_that_is_cancelled_leaves_nothing() -> None:
    with deaf("127.0.0.1") as port:
        dialling = asyncio.create_task(dial("127.0.0.1", port, patience_s=60))
        await asyncio.sleep(0.05)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling


async def test_a_dial_that_is_cancelled_as_it_comes_about_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    reach, opened = loop.sock_connect, list[socket.socket]()

    async def connected(one: socket.socket, address: tuple[str, int]) -> None:
        await reach(one, address)
        opened.append(one)
        dialling.cancel()

    async with door() as there:
        monkeypatch.setattr(loop, "sock_connect", connected)
        dialling = asyncio.create_task(dial("127.0.0.1", there.port))
        with pytest.raises(asyncio.CancelledError):
            await dialling
        assert [one.fileno() for one in opened] == [-1]


async def test_addresses_that_answer_later_than_another_leave_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    reach, opened = loop.sock_connect, list[socket.socket]()
    both = asyncio.Event()

    def looked_up(_host: str, port: int, **_more: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 2

    async def connected(one: socket.socket, address: tuple[str, int]) -> None:
        await reach(one, address)
        opened.append(one)
        if len(opened) == 2:
            both.set()
        await both.wait()

    async with door() as there:
        monkeypatch.setattr(socket, "getaddrinfo", looked_up)
        monkeypatch.setattr(loop, "sock_connect", connected)
        monkeypatch.setattr(tcp, "HEAD_START_S", 0.0)
        near = await dial("a.name", there.port)
        await asyncio.sleep(0)
        assert sorted(one.fileno() == -1 for one in opened) == [False, True]
        await end(near)


def test_addresses_of_both_families_are_tried_by_turns() -> None:
    first, second, third = (socket.AF_INET6, ("a",)), (socket.AF_INET6, ("b",)), (2, ("c",))
    assert _by_turns([first, second, third]) == [first, third, second]
    assert _by_turns([third, first, second]) == [third, first, second]
