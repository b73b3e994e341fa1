"""From arguments to an exit status: 0 done, 1 refused or failed, 2 wrong usage.

Whatever goes wrong ends here, as one line on standard error.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

import click

from mesh.cli.call import Call
from mesh.cli.harmless import harmless, harmless_lines
from mesh.port import PortError

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
_TRACEBACK: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Do what ``argv`` (default: the process's own) asks for, and return the exit status."""
    from mesh.cli.tree import passalong  # noqa: PLC0415

    _speak_any_script()
    call = Call()
    try:
        given = list(sys.argv[1:] if argv is None else argv)
        with passalong.make_context("passalong", given, obj=call) as ctx:
            passalong.invoke(ctx)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except BrokenPipeError:
        _drop(sys.stdout)
        return DONE
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001  a traceback is for -vv
        return _fail(exc, call)
    return DONE


def _speak_any_script() -> None:
    """Show what the terminal's encoding lacks as an escape, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(exc: BaseException, call: Call) -> int:
    status = WRONG_USAGE if isinstance(exc, click.UsageError) else FAILED
    with suppress(OSError):
        if sys.stderr is not None:
            if call.verbosity >= _TRACEBACK:
                _trace(exc)
            sys.stderr.write(f"error: {harmless(_reason(exc))}\n")
            sys.stderr.flush()
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        _drop(sys.stdout)
    return status


def _trace(exc: BaseException) -> None:
    import traceback  # noqa: PLC0415

    trace = "".join(traceback.format_exception(exc))
    sys.stderr.write("\n".join(harmless_lines(trace)))


def _reason(exc: BaseException) -> str:
    match exc:
        case click.UsageError():
            return _usage(exc)
        case PortError():
            return str(exc)
        case KeyboardInterrupt() | click.Abort():
            return "interrupted; what was done so far stays, run it again for the rest"
        case OSError():
            place = f"{exc.filename}: " if exc.filename else ""
            return f"{place}{exc.strerror or exc}; see to that and try again"
        case _:
            return f"this is a fault of passalong ({type(exc).__name__}: {exc}); report it with -vv"


def _usage(exc: click.UsageError) -> str:
    said = exc.format_message().strip().rstrip(".")
    if said[:1].isupper() and not said[1:2].isupper():
        said = said[0].lower() + said[1:]
    command = exc.ctx.command_path if exc.ctx else "passalong"
    mark = " " if said.endswith("?") else "; "
    return f"{said}{mark}see {command} --help"


def _drop(stream: TextIO | None) -> None:
    """Let what ``stream`` still holds go nowhere, so that the end of the process is quiet."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)
