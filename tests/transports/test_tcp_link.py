from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from typing_extensions import override

from tests.transports.link_contract import LinkContract
from tests.transports.tcp_ends import has_ipv6, joined
from transports.base import Link
from transports.wifi import tcp_connection

pytestmark = pytest.mark.network


class OverLoopback(LinkContract):
    holds = 8 * 1024 * 1024  # the kernels are generous; each bound of ours has a test of its own
    patience = 0.7  # a kernel that waits for another one still moves a little now and then
    host: ClassVar[str]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _short_wait(cls) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tcp_connection, "LINGER_S", 0.05)
            yield

    @override
    @asynccontextmanager
    async def pair(self) -> AsyncIterator[tuple[Link, Link]]:
        async with joined(self.host) as (near, far):
            yield near, far


class TestOverTcp(OverLoopback):
    host: ClassVar[str] = "127.0.0.1"


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
class TestOverTcp6(OverLoopback):
    host: ClassVar[str] = "::1"
