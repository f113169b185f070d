"""Run a tool: exceptions become sentences, exit codes and, where asked for, a report."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from moon import output
from moon.clock import now_text
from moon.errors import MoonError, unexpected
from moon.files import unusable
from moon.home_format import refuse_newer
from moon.paths import Home

# What is asked of the tool itself, whatever its home is like.
OF_THE_TOOL = {"-h", "--help", "--version"}


class Terminated(BaseException):
    """SIGTERM came. Nothing but the end of the process catches it, and every `finally` on the way is run."""


@contextlib.contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into `Terminated`, so that programs are ended, files closed, and nothing is left half-written."""

    def end(*_: object) -> NoReturn:
        # A second one must not interrupt the ending; who cannot wait has SIGKILL.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread, to which signals come
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_tool(tool: str, tool_main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run a tool's `main`; say errors in words on stderr and, with `--json`, in a CommandReport on stdout."""
    started_at, started = now_text(), time.monotonic()
    failure: MoonError
    output.hold_descriptors()
    try:
        with ending_on_sigterm():
            return _ended(tool_main, arguments)
    except Terminated:
        output.say(f"{tool}: ended by SIGTERM; nothing was left half-written, the next run goes on")
        return 128 + signal.SIGTERM
    except BrokenPipeError:
        # The reader of our output went away, which is how `| head` ends a pipe: not an error worth a traceback.
        output.give_up()
        return 141
    except KeyboardInterrupt:
        output.say(f"{tool}: interrupted; nothing was left half-written")
        return 130
    except output.OutputGone as error:
        output.give_up()
        say_error(tool, error)
        return error.exit_code
    except MoonError as error:
        failure = error
    except OSError as error:
        failure = unusable(Path(error.filename), error) if isinstance(error.filename, str) else unexpected(error)
    except Exception as error:  # the last net: whatever it is, the user gets a sentence and a script gets a document
        failure = unexpected(error)
    if os.environ.get("MOON_DEBUG"):
        raise failure
    say_error(tool, failure)
    if "--json" in arguments:
        from moon.report import Report

        report = Report(tool, outcome=failure.code, started_at=started_at, started=started)
        report.fail(failure)
        with contextlib.suppress(output.OutputGone):
            output.put(report.as_json())
    return failure.exit_code


def _ended(tool_main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """The exit code, once everything is written out; `--help` and `--version` end by `SystemExit`."""
    try:
        if not OF_THE_TOOL.intersection(arguments):
            refuse_newer(Home.from_environment())
        code = tool_main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    output.flush()
    return code


def say_error(tool: str, error: MoonError) -> None:
    """`tool: what happened (which file)` and, on a line of its own, the hint."""
    where = f" ({error.path})" if error.path and error.path not in error.message else ""
    output.say(f"{tool}: {error.message}{where}", *([f"hint: {error.hint}"] if error.hint else []))
