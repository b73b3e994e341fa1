"""Hostile bytes for every decoder, without atheris; ``tools/fuzz.py`` does the same with it."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.number import MAX_MESSAGE_BYTES
from ledger.codec import encode
from ledger.errors import InvalidError, MeaninglessError
from tools.fuzz_mutations import mutate
from tools.fuzz_readers import DisagreementError
from tools.fuzz_targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.fuzz_target import Target

ROOT = Path(__file__).parent.parent
RUNS = 1_000_000
SAMPLED_EVERY = 1_000
MEGABYTE = 1 << 20
EACH = pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
PROMISE = "No other exception leaves this function."


# --- the targets themselves ----------------------------------------------------------------------


def promising() -> Iterator[str]:
    """Yield every function of the packages that promises to raise one type of error only."""
    for package in ("ledger", "gossip", "transports", "mesh"):
        for path in sorted(ROOT.joinpath(package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield from promising_in(module, ast.parse(path.read_text("utf-8")).body)


def promising_in(scope: str, body: list[ast.stmt]) -> Iterator[str]:
    for item in body:
        match item:
            case ast.ClassDef():
                yield from promising_in(f"{scope}.{item.name}", item.body)
            case ast.FunctionDef() if PROMISE in " ".join((ast.get_docstring(item) or "").split()):
                yield f"{scope}.{item.name}"


def test_every_decoder_that_promises_one_error_is_a_target() -> None:
    promises = set(promising())
    assert len(promises) > 10
    assert promises <= {target.of for target in TARGETS}


def test_every_target_has_a_name_of_its_own() -> None:
    assert len({target.name for target in TARGETS}) == len(TARGETS)


@EACH
def test_every_seed_is_accepted(target: Target[Any]) -> None:
    seeds = target.seeds()
    assert seeds
    for seed in seeds:
        assert len(seed) <= target.max_bytes
        assert target(seed)


def one(target: Target[Any]) -> bytes:
    return target.seeds()[0]


def raising(error: Exception) -> Target[Any]:
    def decode(_data: bytes) -> object:
        raise error

    return replace(TARGETS[0], decode=decode)


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), MeaninglessError("no")])
def test_any_other_error_is_a_fault(error: Exception) -> None:
    with pytest.raises(type(error)):
        raising(error)(b"")
    assert raising(InvalidError("the documented one"))(b"") is False


@pytest.mark.parametrize("text", ["", "two\nlines", "\x1b[2J", "x" * 1_000])
def test_a_refusal_that_cannot_be_shown_is_a_fault(text: str) -> None:
    with pytest.raises(DisagreementError):
        raising(InvalidError(text))(b"")


def test_a_second_spelling_is_a_fault() -> None:
    codec = TARGETS[0]
    lenient = replace(codec, decode=lambda data: codec.decode(data.lstrip(b" ")))
    with pytest.raises(DisagreementError):
        lenient(b" " + one(codec))


def test_the_same_dice_spoil_in_the_same_way() -> None:
    seed = one(TARGETS[0])
    first, second = ([mutate(seed, Random(7), [seed], 0) for _ in range(9)] for _ in range(2))
    assert first == second
    assert len({mutate(seed, Random(number), [seed], 0) for number in range(99)}) > 20


# --- hypothesis -----------------------------------------------------------------------------------


@EACH
@given(data=st.data())
def test_any_bytes_are_read_or_refused_with_the_documented_error(
    target: Target[Any], data: st.DataObject
) -> None:
    target(data.draw(st.binary(max_size=target.max_bytes)))


@EACH
@given(data=st.data())
def test_spoilt_bytes_are_read_as_what_they_say_or_refused(
    target: Target[Any], data: st.DataObject
) -> None:
    seeds = target.seeds()
    dice = data.draw(st.randoms(use_true_random=False))
    target(mutate(data.draw(st.sampled_from(seeds)), dice, seeds, target.cbor_at))


# --- time and memory ------------------------------------------------------------------------------


def dense() -> dict[str, bytes]:
    """Inputs that cost the most for their size, or claim to."""
    full = MAX_MESSAGE_BYTES - 8
    arrays = b"\x99" + full.to_bytes(2, "big")
    blocks = (full - 8) // 3
    run = b"\x99" + (1 + 3 * blocks).to_bytes(2, "big") + b"\0" + b"\x40\x40\xf6" * blocks
    return {
        "empty arrays": arrays + b"\x80" * full,
        "nulls": arrays + b"\xf6" * full,
        "one-letter texts": b"\x99" + (full // 2).to_bytes(2, "big") + b"\x61a" * (full // 2),
        "deep arrays": b"\x81" * full,
        "an array of 2^64": b"\x9b" + b"\xff" * 8,
        "a text of 2^63": b"\x7b\x7f" + b"\xff" * 7 + b"a" * full,
        "DATA of the shortest blocks": b"\x82\x06\x81" + run,
        "DATA of 2^64 runs": b"\x82\x06\x9b" + b"\xff" * 8,
        "DATA of a run of 2^64": b"\x82\x06\x81\x9b" + b"\xff" * 8 + b"\0" + b"\x40\x40\xf6" * 99,
        "BODIES of nothing": encode([8, [[]] * (full // 2)]),
        "PROOFS of nothing": encode([10, [b""] * full]),
        "letters": b"a" * 65_000,
        "words": b"zoo " * 16_000,
        "spaces": b" " * 65_000,
        "a link without end": b"passalong:" + b"a" * 64_000,
        "half characters": b"\xff" * 65_000,
    }


DENSE = dense()
DIRECT = [t for t in TARGETS if t.name not in {"link-checksummed", "words-listed", "bundle-framed"}]


@pytest.mark.parametrize("target", DIRECT, ids=[target.name for target in DIRECT])
def test_dense_bytes_cost_8_megabytes_at_most(target: Target[Any]) -> None:
    for name, data in DENSE.items():
        assert peak_of(target, bytes(target.cbor_at or 0) + data) < 8 * MEGABYTE, name


def peak_of(target: Target[Any], data: bytes) -> int:
    """Return the most memory that reading ``data`` takes."""
    tracemalloc.start()
    try:
        target(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def resident() -> int:
    """Return the most memory this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


@pytest.mark.soak
@EACH
def test_a_million_spoilt_inputs(target: Target[Any], capsys: pytest.CaptureFixture[str]) -> None:
    dice, seeds = Random(target.name), target.seeds()
    count = accepted = peak = 0
    slowest = 0.0
    before, start = resident(), time.perf_counter()
    runs = RUNS // target.cost
    while count < runs:
        data = mutate(dice.choice(seeds), dice, seeds, target.cbor_at)[: target.max_bytes]
        begin = time.perf_counter()
        accepted += target(data)
        slowest = max(slowest, time.perf_counter() - begin)
        count += 1
        if count % SAMPLED_EVERY == 0:
            peak = max(peak, peak_of(target, data))
    seconds, grown = time.perf_counter() - start, resident() - before
    with capsys.disabled():
        sys.stdout.write(
            f"\n{target.name:<20}{count:>10} inputs{accepted:>9} accepted{seconds:>6.0f} s"
            f"{slowest * 1e3:>7.1f} ms at most{peak >> 10:>6} KiB at most"
            f"{grown >> 10:>7} KiB grown"
        )
    assert count == runs
    assert accepted > 0
    assert peak < 4 * MEGABYTE
    assert grown < 64 * MEGABYTE
    assert slowest < 5


# --- the tool -------------------------------------------------------------------------------------


def tool(*arguments: str | Path, before: str = "") -> subprocess.CompletedProcess[str]:
    path = str(ROOT / "tools" / "fuzz.py")
    lines = [
        f"import runpy, sys; sys.argv = {['fuzz.py', *map(str, arguments)]}",
        before,
        f"runpy.run_path({path!r}, run_name='__main__')",
    ]
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_atheris_the_tool_says_how_to_get_it() -> None:
    done = tool(before="sys.modules['atheris'] = None")
    assert done.returncode == 1
    assert done.stderr == "error: atheris is not installed; `make fuzz` installs it\n"


def test_a_target_that_does_not_exist_is_refused() -> None:
    done = tool("--only", "nothing")
    assert done.returncode == 1
    assert done.stderr == "error: no target is called nothing\n"


def test_an_input_can_be_read_again(tmp_path: Path) -> None:
    codec, path = TARGETS[0], tmp_path / "input"
    for data, answer in ((one(codec), "accepted\n"), (b"\xff", "refused\n")):
        path.write_bytes(data)
        assert tool("--only", codec.name, "--replay", path).stdout == answer
