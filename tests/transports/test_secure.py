"""Secure links keep what links promise."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any, ClassVar, Literal

from typing_extensions import override

from tests.transports.link_contract import LinkContract
from tests.transports.test_memory import Terms
from tests.virtual_time import run_virtual
from transports.base import Link
from transports.memory import MemoryLink
from transports.secure import Credentials, secure
from transports.tickets import MemoryTickets


def credentials() -> Credentials:
    return Credentials(b"", {}, MemoryTickets(lambda: 0.0))


class SecureContract(LinkContract):
    holds = 256 * 1024 + 16 * 1024
    patience = 100.0
    terms: ClassVar[Terms]
    mode: ClassVar[Literal["stream", "datagram"]] = "stream"

    @override
    def run(self, main: Coroutine[Any, Any, None]) -> None:
        run_virtual(main)

    @override
    @asynccontextmanager
    async def pair(self) -> AsyncIterator[tuple[Link, Link]]:
        one, other = MemoryLink.pair(**self.terms)
        near, far = await asyncio.gather(
            secure(
                one,
                is_initiator=True,
                who=credentials(),
                random=Random(1).randbytes,
                mode=self.mode,
            ),
            secure(
                other,
                is_initiator=False,
                who=credentials(),
                random=Random(2).randbytes,
                mode=self.mode,
            ),
        )
        yield near, far


class TestWithoutLatency(SecureContract):
    terms: ClassVar[Terms] = {}


class TestFarAndSlow(SecureContract):
    moment = 0.05
    terms: ClassVar[Terms] = {"latency": 0.05, "bandwidth": 10_000}


class TestFar(SecureContract):
    moment = 0.05
    terms: ClassVar[Terms] = {"latency": 0.05}


class TestTinyWindow(SecureContract):
    holds = 1200 + 16 * 1024
    terms: ClassVar[Terms] = {"window": 1200, "latency": 0.001}


class TestDatagramsWithoutLatency(TestWithoutLatency):
    mode = "datagram"


class TestDatagramsFarAndSlow(TestFarAndSlow):
    mode = "datagram"


class TestDatagramsFar(TestFar):
    mode = "datagram"


class TestDatagramsInATinyWindow(TestTinyWindow):
    mode = "datagram"
