"""What every executable shares: its parser, turning exceptions into sentences, and exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from moon import __version__
from moon.errors import MoonError, UsageWrong, unexpected
from moon.report import Report

EXIT_CODES = """\
exit codes:
  0 done, or nothing to do      75 locked: another Moon process is at work
  1 failed, try again           78 configuration or document invalid
  2 wrong usage                 128+n ended by signal n
  3 done in part
"""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises for wrong usage after printing the reason, as `argparse` does."""

    def __init__(self, tool: str, description: str, examples: str) -> None:
        super().__init__(
            prog=tool,
            description=description,
            epilog=f"examples:\n{examples.rstrip()}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument("--version", action="version", version=f"{tool} {__version__}")

    def error(self, message: str) -> NoReturn:
        raise UsageWrong(message, hint=f"see `{self.prog} --help`")


def run_tool(tool: str, tool_main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run a tool's `main`; say errors in words on stderr and, with `--json`, in a CommandReport on stdout."""
    report = Report(tool)
    failure: MoonError
    try:
        code = tool_main(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of our output went away, which is how `| head` ends a pipe: not an error worth a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        print(f"{tool}: interrupted; nothing was left half-written", file=sys.stderr)
        return 130
    except MoonError as error:
        failure = error
    except Exception as error:  # the last net: whatever it is, the user gets a sentence and a script gets a document
        failure = unexpected(error)
    if os.environ.get("MOON_DEBUG"):
        raise failure
    say_error(tool, failure)
    if "--json" in arguments:
        report.fail(failure)
        report.outcome = failure.code
        sys.stdout.write(report.as_json())
    return failure.exit_code


def say_error(tool: str, error: MoonError) -> None:
    """`tool: what happened (which file)` and, on a line of its own, the hint."""
    where = f" ({error.path})" if error.path and error.path not in error.message else ""
    print(f"{tool}: {error.message}{where}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
