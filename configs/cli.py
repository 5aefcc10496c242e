"""What the four commands share: one-line errors, exit codes, quiet libraries."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import typer

from configs.errors import StoppedError, VIDiffError

INTERRUPTED = StoppedError.exit_code
_LONGEST_NAME = 200
_STOPPED = "stopped"
_INVALID = re.compile(r"^Invalid value(?: for '(?P<option>[^']+)'[^:]*)?: ")
_CAPITALS = re.compile(r"(^|: |[(])(Missing|No such|Got|Option|Input should|Possible)\b")
_EPILOG = (
    "Exit codes: 0 done; 1 something failed and the rest is done, or a check found something; 2 wrong input, which one line on "
    "stderr names; 130 stopped. The guide is README.md, details are in docs/."
)


def run(app: typer.Typer) -> NoReturn:
    """Run a command line: wrong use and every `VIDiffError` end in one line on stderr and exit code 2."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _with_epilog(typer.main.get_command(app))(standalone_mode=False, help_option_names=["-h", "--help"])
    except VIDiffError as error:
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail(_STOPPED, INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.strerror is None:
            raise
        name = str(error.filename or "")
        name = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
        _fail(f"{name}: {error.strerror}" if name else error.strerror, 2)
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
            print(context.get_help(), file=sys.stderr)
            sys.exit(2)
        hint = f" (see '{context.command_path} --help')" if context else ""
        _fail(f"{_in_our_words(message())}{hint}", 2)
    if code == INTERRUPTED:  # typer turns the interrupt into a return value
        _fail(_STOPPED, INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def going_on(kept: str) -> Iterator[None]:
    """Where what runs within is stopped, end with an error that says what is kept, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError(f"{_STOPPED}; {kept}") from None


def application(help_text: str) -> typer.Typer:
    """Make an empty command line with the settings all four share."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def _in_our_words(message: str) -> str:
    """Say what the option parser found as our own errors do: `Invalid value for '--limit': Input` is `--limit: input`."""
    named = _INVALID.sub(lambda found: f"{found['option']}: " if found["option"] else "", message.rstrip("."))
    return _CAPITALS.sub(lambda found: found[0].lower(), named).replace(". Did", "; did")


def _with_epilog(command: Any) -> Any:
    command.epilog = _EPILOG
    for inner in getattr(command, "commands", {}).values():
        _with_epilog(inner)
    return command


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> NoReturn:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    if code == INTERRUPTED:
        # everything is cleared up by now; the threads of an interrupted Ray crash while Python takes itself apart
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
