"""Edwards25519, slowly: for signatures that no honest signer makes."""

from __future__ import annotations

from hashlib import sha512
from typing import NamedTuple

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, P) % P


class Point(NamedTuple):
    x: int
    y: int

    def plus(self, other: Point) -> Point:
        cross = _D * self.x * other.x * self.y * other.y % P
        x = (self.x * other.y + self.y * other.x) * pow(1 + cross, -1, P) % P
        y = (self.y * other.y + self.x * other.x) * pow(1 - cross, -1, P) % P
        return Point(x, y)

    def times(self, factor: int) -> Point:
        result, power = NEUTRAL, self
        while factor:
            if factor & 1:
                result = result.plus(power)
            power, factor = power.plus(power), factor >> 1
        return result

    def encode(self) -> bytes:
        return (self.y | (self.x & 1) << 255).to_bytes(32, "little")


def with_y(y: int) -> Point | None:
    """Return the point with this y and an even x, if the curve has one."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return Point(P - x if x & 1 else x, y)


def _of_order_8() -> Point:
    for y in range(2, 100):
        point = with_y(y)
        if point is not None and point.times(4 * ORDER) != NEUTRAL:
            return point.times(ORDER)
    raise AssertionError("the curve has points of order 8")


NEUTRAL = Point(0, 1)
_base = with_y(4 * pow(5, -1, P) % P)
assert _base is not None
BASE = _base
TORSION = _of_order_8()


def challenge(r: bytes, public: bytes, message: bytes) -> int:
    return int.from_bytes(sha512(r + public + message).digest(), "little") % ORDER


def scalar(value: int) -> bytes:
    return (value % (1 << 256)).to_bytes(32, "little")
