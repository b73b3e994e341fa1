"""What is in memory: how many objects of each of our types, and how many bytes in all.

Both are exact for one moment and take no account of the allocator, so that two moments can be
compared to the byte. What is not an object of Python (SQLite's pages, the kernel's buffers) is not
seen here.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from functools import _lru_cache_wrapper
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType

OURS = ("mesh.", "gossip.", "transports.", "ledger.")
_ROOTS = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType, FrameType)
"""Where to stop on the way down from an object: from here on everything can be reached."""


def objects() -> Counter[str]:
    """Return how many objects of each type of ours there are; call ``sweep`` before."""
    kinds = Counter(type(one) for one in gc.get_objects())
    named = {f"{kind.__module__}.{kind.__qualname__}": many for kind, many in kinds.items()}
    return Counter({name: many for name, many in named.items() if name.startswith(OURS)})


def sweep() -> None:
    """Throw away what nobody can reach, and what is remembered only to be quick."""
    for one in gc.get_objects():
        if isinstance(one, _lru_cache_wrapper) and str(one.__module__).startswith(OURS):
            one.cache_clear()
    gc.collect()


def whole() -> int:
    """Return the bytes of all objects that can refer to others, and of what they refer to."""
    return _weigh(gc.get_objects(), stops_at=())


def weight(*roots: object) -> int:
    """Return the bytes of everything that is held by ``roots``, each object once."""
    return _weigh(list(roots), stops_at=(*_ROOTS, asyncio.AbstractEventLoop))


def _weigh(waiting: list[object], stops_at: tuple[type, ...]) -> int:
    seen = {id(waiting), id(stops_at)}
    total = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, stops_at):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        waiting += gc.get_referents(one)
    return total
