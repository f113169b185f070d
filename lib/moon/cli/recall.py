"""moon-recall: find any of it again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moon import output
from moon.cli.parser import Parser
from moon.errors import UsageWrong
from moon.text import dump_json, escape_json

if TYPE_CHECKING:
    import argparse

    from moon.recall.recall_types import Request
    from moon.recall.search import Recall

EXAMPLES = """\
  moon-recall "when did we move the database?"            readable on a terminal, JSON in a pipe
  moon-recall '"connection refused" -staging tool:exec'    a phrase, not this word, only this tool's results
  moon-recall "deploy script" --since "last tuesday" --role user --context 2
  moon-recall "release checklist" | jq '.results[0]'
  moon-recall --event EVENT_ID                             the original message, from the archive
  moon-recall --queries questions.txt | jq -c .results[0]  one question a line in, one answer a line out
  moon-recall "what did we decide about ports" --inject agent:main:main --pick 1,3
"""
DESCRIPTION = "Answer a question from everything archived. Reads only; never waits for a cycle."


def main(arguments: list[str]) -> int:
    """Search and print; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.mcp:
        from moon.recall.mcp_server import serve

        return serve()
    _check_usage(options)
    if options.event:
        return print_event(options.event, options.session, raw=options.raw)
    from moon import config as configuration
    from moon.paths import Home
    from moon.recall.search import Recall

    home = Home.from_environment()
    config = configuration.load(home)
    if options.queries:
        with Recall(home, config) as recall:
            return answer_all(recall, options)
    with Recall(home, config) as recall:
        document = recall.ask(_request(options, " ".join(options.query), config.timezone))
    if options.inject:
        from moon.recall.inject import inject

        document["injected"] = inject(config, home, options.inject, document)
    show(document, options.format)
    return 0


def _parser() -> Parser:
    parser = Parser("moon-recall", DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add("query", nargs="*", help='words or a question; "exact phrase", -word, role:user, tool:exec are understood')
    add("--limit", type=int, default=10, metavar="N", help="at most N results (default 10)")
    add("--agent", metavar="A", help="only this agent")
    add("--session", metavar="S", help="only this session, by key or id")
    add(
        "--role",
        action="append",
        default=[],
        metavar="R",
        help="only this role: user, assistant, toolResult, toolCall, …",
    )
    add("--since", metavar="TIME", help='not before: 2026-05-08, "last tuesday", "3 days ago"')
    add("--until", metavar="TIME", help="before the end of: the same forms")
    add("--context", type=int, default=0, metavar="N", help="N neighbouring messages before and after each result")
    add("--format", choices=("text", "json", "md"), help="how to print (default: text on a terminal, json in a pipe)")
    add("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    add(
        "--max-tokens",
        type=int,
        default=2000,
        metavar="N",
        help="size of `pack`, the block for a prompt (default 2000)",
    )
    add("--pick", metavar="1,3", help="only these results, also in the pack")
    add("--inject", metavar="SESSION_KEY", help="bring the pack into this live session as a message, at most once")
    add("--queries", metavar="FILE", help="one query a line (- for standard input), one JSON answer a line")
    add("--event", metavar="ID", help="print the original event as JSON; the beginning of its id is enough")
    add("--raw", action="store_true", help="with --event: its exact bytes, not for a terminal")
    add("--mcp", action="store_true", help="serve search to MCP clients on standard input and output")
    return parser


def _check_usage(options: argparse.Namespace) -> None:
    from moon.recall.recall_types import MAX_LIMIT

    if not 1 <= options.limit <= MAX_LIMIT:
        raise UsageWrong(
            f"--limit must lie between 1 and {MAX_LIMIT}, not {options.limit}", hint="see `moon-recall --help`"
        )
    if options.context < 0 or options.max_tokens < 0:
        raise UsageWrong("--context and --max-tokens cannot be negative", hint="see `moon-recall --help`")
    asked = [bool(options.query), bool(options.queries), bool(options.event)]
    if sum(asked) > 1:
        raise UsageWrong("give a query, or --queries, or --event, not several", hint="see `moon-recall --help`")
    if options.raw and not options.event:
        raise UsageWrong("--raw goes with --event", hint="see `moon-recall --help`")
    if options.inject == "":
        raise UsageWrong("--inject needs a session key, not an empty text", hint="for instance agent:main:main")
    if options.inject and not options.query:
        raise UsageWrong("--inject needs a query whose results it brings in", hint="see `moon-recall --help`")


def _request(options: argparse.Namespace, text: str, zone: str) -> Request:
    from moon.fulltext.index_rows import Filters
    from moon.recall.recall_types import Request

    since = until = None
    if options.since or options.until:
        from moon.recall.limits import begin_of, end_of

        since = begin_of(options.since, zone) if options.since else None
        until = end_of(options.until, zone) if options.until else None
    filters = Filters(options.agent, options.session, tuple(options.role), (), since, until)
    return Request(text, options.limit, filters, options.context, options.max_tokens, _picked(options.pick))


def _picked(text: str | None) -> tuple[int, ...]:
    if not text:
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageWrong(f"--pick takes numbers like 1,3, not {text!r}", hint="the rank of each result") from error


def answer_all(recall: Recall, options: argparse.Namespace) -> int:
    """Answer one question a line; each answer is written before the next line is read."""
    for text in _lines(options.queries):
        document = recall.ask(_request(options, text, recall.config.timezone))
        output.put(dump_json(document) + "\n")
    return 0


def _lines(name: str) -> Iterator[str]:
    if name == "-":
        yield from _without_ends(sys.stdin)
        return
    try:
        with Path(name).open(encoding="utf-8", errors="replace") as stream:
            yield from _without_ends(stream)
    except OSError as error:
        raise UsageWrong(f"cannot read {name}: {error.strerror}", path=name, hint="one query a line") from error


def _without_ends(stream: Iterable[str]) -> Iterator[str]:
    for line in stream:
        yield line.rstrip("\r\n")


def print_event(event: str, session: str | None, *, raw: bool) -> int:
    """Write an event as JSON, each distinct version once: its exact value, or with `raw` its exact bytes."""
    from moon.paths import Home
    from moon.recall.original import originals

    for line in originals(Home.from_environment(), event, session):
        if raw:
            output.put_bytes(line + b"\n")
        else:
            output.put(escape_json(line.decode("utf-8", "surrogateescape")) + "\n")
    return 0


def show(document: dict[str, Any], form: str | None) -> None:
    """Print one answer in the asked form, or in the one that fits where it goes."""
    terminal = output.is_terminal()
    form = form or ("text" if terminal else "json")
    if form == "json":
        output.put(dump_json(document, indent=1) + "\n")
        return
    from moon.recall import render

    if form == "md":
        output.show(render.markdown(document))
        return
    import shutil

    size = shutil.get_terminal_size()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    text = render.TextStyle(colour=colour, width=size.columns).render(document)
    if terminal and text.count("\n") > size.lines:
        from moon.recall.pager import page

        page(text)
    else:
        output.show(text)
