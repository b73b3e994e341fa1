"""Secure links keep what links promise."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any, ClassVar

from typing_extensions import override

from tests.transports.link_contract import LinkContract
from tests.transports.test_memory import Terms
from tests.virtual_time import run_virtual
from transports.base import Link
from transports.memory import MemoryLink
from transports.secure import Credentials, secure
from transports.tickets import MemoryTickets


def credentials() -> Credentials:
    return Credentials({}, MemoryTickets(lambda: 0.0))


class SecureContract(LinkContract):
    holds = 256 * 1024 + 16 * 1024
    patience = 100.0
    terms: ClassVar[Terms]

    @override
    def run(self, main: Coroutine[Any, Any, None]) -> None:
        run_virtual(main)

    @override
    @asynccontextmanager
    async def pair(self) -> AsyncIterator[tuple[Link, Link]]:
        one, other = MemoryLink.pair(**self.terms)
        near, far = await asyncio.gather(
            secure(one, is_initiator=True, who=credentials(), random=Random(1).randbytes),
            secure(other, is_initiator=False, who=credentials(), random=Random(2).randbytes),
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
