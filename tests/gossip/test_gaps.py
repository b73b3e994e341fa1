"""Rules whose breach nothing else in this folder reports, as planted faults have shown."""

import pytest

from gossip.packing import Packer
from gossip.wire import Data, RawRun, decode_message, encode_message
from ledger.errors import InvalidError
from tests.strategies import items, written


@pytest.mark.parametrize("size", [0, 1, 23])
def test_a_short_header_travels_with_its_length_in_one_byte(size: int) -> None:
    raw = encode_message(Data([RawRun([(bytes([7]) * size, b"", None)], 0)]))
    assert isinstance(decode_message(raw), Data)
    at = raw.index(bytes([0x40 | size]) + bytes([7]) * size + b"\x40\xf6")
    with pytest.raises(InvalidError):
        decode_message(raw[:at] + bytes([0x58, size]) + raw[at + 1 :])


@pytest.mark.parametrize("hops", [(1, 7), (7, 1)])
def test_units_in_one_run_travel_with_the_most_hops_of_them(hops: tuple[int, int]) -> None:
    # given two units that follow each other and came over different numbers of hops
    blocks, packer = written(2), Packer()
    messages = [
        raw for block, far in zip(blocks, hops, strict=True) for raw in packer.add([block], far)
    ]
    (raw,) = [*messages, *packer.flush()]
    assert decode_message(raw) == Data([RawRun(items(blocks), 7)])
