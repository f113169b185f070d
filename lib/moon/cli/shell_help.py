"""Completions for bash, zsh and fish, and manual pages: all made from the parsers that the tools really use."""

from __future__ import annotations

import argparse
import importlib

from moon import __version__
from moon.cli.launch import TOOLS
from moon.cli.parser import HAND_OVER, Parser, ParserHandedOver

# Where each shell looks below a prefix that it knows; `~/.local` is one for bash and fish.
PLACES = {
    "bash": "share/bash-completion/completions/{0}",
    "zsh": "share/zsh/site-functions/_{0}",
    "fish": "share/fish/vendor_completions.d/{0}.fish",
}
MANUAL = "share/man/man1/{0}.1"


def parser_of(tool: str) -> Parser:
    """The parser of a tool, as its `main` makes it."""
    main = importlib.import_module(f"moon.cli.{tool.replace('-', '_')}").main
    try:
        main([HAND_OVER])
    except ParserHandedOver as handed:
        return handed.parser
    raise AssertionError(f"moon-{tool} read its command line without moon.cli.parser.Parser")


def parser_of_moon() -> Parser:
    """`moon VERB`, for the shell's eyes only: the launcher needs no parser."""
    parser = Parser(
        "moon", "moon TOOL [options] is the same as moon-TOOL [options].", "  moon status\n  moon recall x\n"
    )
    parser.add_argument("tool", choices=TOOLS, help="what to call; moon TOOL --help tells more")
    return parser


def pages() -> list[tuple[str, str]]:
    """(path below the prefix, content) for every tool: a completion for each shell, and a manual page."""
    import shtab

    made = []
    for parser in (parser_of_moon(), *map(parser_of, TOOLS)):
        made += [(place.format(parser.prog), shtab.complete(parser, shell=shell)) for shell, place in PLACES.items()]
        made.append((MANUAL.format(parser.prog), manual(parser)))
    return made


def manual(parser: argparse.ArgumentParser) -> str:
    """The manual page of one tool, the same each day, so that a second installation changes nothing."""
    from argparse_manpage.manpage import Manpage

    examples, _, codes = (parser.epilog or "").removeprefix("examples:\n").partition("\n\nexit codes:\n")
    parser.epilog = None
    page = Manpage(parser)
    page.date, page.manual, page.source, page.description = "", "Moon", f"Moon {__version__}", parser.description
    page.add_section("examples", ">", _as_it_stands(examples))
    page.add_section("exit status", ">", _as_it_stands(codes))
    return str(page)


def _as_it_stands(text: str) -> str:
    """Lines that a manual page shows as they are."""
    escaped = text.replace("\\", "\\\\").replace("-", "\\-")
    return ".nf\n" + "\n".join(f"\\&{line}" for line in escaped.splitlines()) + "\n.fi"
