"""The argument parser that every executable shares, with its examples and exit codes."""

from __future__ import annotations

import argparse
from typing import NoReturn

from moon import __version__
from moon.errors import UsageWrong

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
