"""What is fuzzed of the control socket: greetings, frames, and what calls and answers hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ledger.codec import decode, encode
from ledger.errors import InvalidError
from mesh.rpc_frames import (
    HEAD_BYTES,
    MAX_FRAME_BYTES,
    Answer,
    Broken,
    Call,
    End,
    Far,
    Items,
    Next,
    Piece,
    Refused,
    decode_asked,
    decode_said,
    encode_frame,
)
from mesh.rpc_greeting import Hello, decode_hello
from mesh.rpc_methods import METHODS
from tools.fuzz_readers import one_spelling, same
from tools.fuzz_target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh.rpc_frames import Asked, Said
    from mesh.rpc_values import Held

_BYTES: Final = 2_048


def _encoded(frame: Asked | Said) -> bytes:
    return encode_frame(frame)[HEAD_BYTES:]


def read_call(data: bytes) -> tuple[str, dict[str, Any]]:
    """Read a call and its arguments.

    Raises:
        InvalidError: It is none that there is.
    """
    call = decode_asked(data)
    if not isinstance(call, Call) or call.method not in METHODS:
        raise InvalidError("another frame")
    return call.method, METHODS[call.method].read(call.arguments)


def check_call(data: bytes, call: tuple[str, dict[str, Any]]) -> None:
    """Refuse a call that is spelled in another way."""
    name, arguments = call
    same(_encoded(Call(name, METHODS[name].write(arguments))), data)


def read_answer(data: bytes) -> tuple[str, Held]:
    """Read the name of a method and a short answer to it.

    Raises:
        InvalidError: It is none.
    """
    match decode(data, MAX_FRAME_BYTES):
        case [str(name), value] if name in METHODS:
            return name, METHODS[name].answer.read(value)
        case _:
            raise InvalidError("an answer to nothing")


def check_answer(data: bytes, answer: tuple[str, Held]) -> None:
    """Refuse an answer that is spelled in another way."""
    name, value = answer
    same(encode([name, METHODS[name].answer.write(value)]), data)


def _calls() -> list[bytes]:
    calls: list[Call] = [
        Call("whoami", []),
        Call("post", ["text", b"\xed\xa0\x80"]),
        Call("feed", [1, 0, None, 1 << 40]),
        Call("log", ["Ann", str(10**20)]),
        Call("export_bundle", [b"/a/b", ["Ann"], 1, 100, None, 0]),
        Call("import_bundle", [0, None]),
    ]
    return [_encoded(call) for call in calls]


def _asked() -> list[bytes]:
    return [*_calls(), *(_encoded(one) for one in (Piece(b"bytes"), End(None), End(5), Next()))]


def _said() -> list[bytes]:
    frames: list[Said] = [
        Items(0, [b"one", b""]),
        Answer(None),
        Answer(b"\xf6"),
        Far(1, None),
        Far(1, 2),
        Piece(b"bytes"),
        Refused("no"),
        Refused(b"\xed\xa0\x80"),
        Broken(2, "No such file or directory", b"/a"),
    ]
    return [_encoded(frame) for frame in frames]


def _answers() -> list[bytes]:
    key = bytes(32)
    imported = [1, 2, 0, 0, 0, 1, None, ["warning"]]
    return [
        encode(one)
        for one in (
            ["whoami", [key, key, "Ann", "passalong:a"]],
            ["post", [key, 7]],
            ["feed", [[key, key, key, None, 1, "text", key, [[key, 5, "a/b", "c"]], 2, "forked"]]],
            ["contacts", [[key, "Ann", 1, 0, 1, 0, 1]]],
            ["log", [[key, key, 1, 2, "x/y", None, encode([1, b"", ["t", None]])]]],
            ["import_folder", [[["a", "taken", imported, None], ["b", "no", None, "x"]], 3]],
            ["changes", ["contacts", "feed"]],
            ["check", [1, 2, ["problem"]]],
        )
    ]


CONTROL_TARGETS: Final[Sequence[Target[Any]]] = (
    Target(
        name="control-hello",
        of="mesh.rpc_greeting.decode_hello",
        error=InvalidError,
        decode=decode_hello,
        agree=one_spelling(Hello.encode),
        seeds=lambda: [Hello.own(bytes(32)).encode(), Hello(2, bytes(8), bytes(32), "").encode()],
        max_bytes=400,
        cbor_at=None,
    ),
    Target(
        name="control-asked",
        of="mesh.rpc_frames.decode_asked",
        error=InvalidError,
        decode=decode_asked,
        agree=one_spelling(_encoded),
        seeds=_asked,
        max_bytes=_BYTES,
    ),
    Target(
        name="control-said",
        of="mesh.rpc_frames.decode_said",
        error=InvalidError,
        decode=decode_said,
        agree=one_spelling(_encoded),
        seeds=_said,
        max_bytes=_BYTES,
    ),
    Target(
        name="control-call",
        of="mesh.rpc_methods.Method.read",
        error=InvalidError,
        decode=read_call,
        agree=check_call,
        seeds=_calls,
        max_bytes=_BYTES,
    ),
    Target(
        name="control-answer",
        of="mesh.rpc_spelling.spelling",
        error=InvalidError,
        decode=read_answer,
        agree=check_answer,
        seeds=_answers,
        max_bytes=_BYTES,
    ),
)
