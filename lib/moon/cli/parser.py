"""The argument parser that every executable shares, with its examples and exit codes."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from moon import __version__
from moon.errors import UsageWrong

EXIT_CODES = """\
exit codes:
  0 done, or nothing to do      75 locked: another Moon process is at work
  1 failed, try again           78 configuration or document invalid
  2 wrong usage                 128+n ended by signal n
  3 done in part
"""


# Asks a tool's `main` for its parser instead of work: completions and manual pages are made from it.
HAND_OVER = "--hand-over-the-parser"


class ParserHandedOver(Exception):
    """Carries the parser to whoever asked for it."""

    def __init__(self, parser: Parser) -> None:
        super().__init__()
        self.parser = parser


class _OfKnownWidth(argparse.RawDescriptionHelpFormatter):
    """Does not ask for the width of the terminal, which `argparse` would for each option, and load a module for it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises for wrong usage after printing the reason, as `argparse` does."""

    def __init__(self, tool: str, description: str, examples: str) -> None:
        super().__init__(
            prog=tool,
            description=description,
            epilog=f"examples:\n{examples.rstrip()}\n\n{EXIT_CODES}",
            formatter_class=_OfKnownWidth,
            allow_abbrev=False,
        )
        self._given: list[str] = []
        self.add_argument("--version", action="version", version=f"{tool} {__version__}")

    def format_help(self) -> str:
        """As `argparse` does, as wide as the terminal."""
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As `argparse` does, or hand over the parser."""
        if args == [HAND_OVER]:
            raise ParserHandedOver(self)
        self._given = list(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if "required" in message and (unknown := self._unknown_option()):
            # What is missing is most likely what was mistyped.
            message = f"unrecognized arguments: {unknown}"
        near = self.nearest_option(message)
        raise UsageWrong(
            message, hint=f"did you mean {near}? see `{self.prog} --help`" if near else f"see `{self.prog} --help`"
        )

    def _unknown_option(self) -> str:
        """The first word before `--` that looks like an option and is none."""
        for word in self._given:
            if word == "--":
                break
            if word.startswith("--") and word.partition("=")[0] not in self._option_string_actions:
                return word
        return ""

    def nearest_option(self, message: str) -> str:
        """What was most likely meant by the first option that this tool does not have."""
        unknown = re.search(r"unrecognized arguments: .*?(--[\w-]+)", message)
        import difflib

        near = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1) if unknown else []
        return near[0] if near else ""
