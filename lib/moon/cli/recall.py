"""moon-recall: find any of it again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from moon import output
from moon.cli.parser import Parser
from moon.cli.recall_reading import (
    form_of,
    print_around,
    print_conversation,
    print_original,
    shown_to_people,
    text_style,
    write_page,
)
from moon.errors import UsageWrong
from moon.text import dump_json

if TYPE_CHECKING:
    import argparse

    from moon.config import Config
    from moon.errors import MoonError
    from moon.paths import Home
    from moon.recall.recall_types import Request
    from moon.recall.search import Recall

EXAMPLES = """\
  moon-recall "when did we move the database?"            readable on a terminal, JSON in a pipe
  moon-recall '"connection refused" -staging tool:exec'    a phrase, not this word, only this tool's results
  moon-recall "deploy script" --since "last tuesday" --role user --context 2
  moon-recall "release checklist" | jq '.results[0]'
  moon-recall --event 7f3a9c10 --context 5                 read on: the messages around a result
  moon-recall --event 7f3a9c10 --json                      the original of a message, as OpenClaw stored it
  moon-recall --session agent:main:main --format md        a whole conversation
  moon-recall --session agent:main:main --format html > page.html
  moon-recall --queries questions.txt | jq -c .results[0]  one question a line in, one answer a line out
  moon-recall --bench 200                                  does it hold on this archive? beside SQLite's bm25()
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
    from moon import config as configuration
    from moon.paths import Home

    home = Home.from_environment()
    form = form_of(options.format)
    others = options.host not in ("", "own")
    if options.event and not others and (options.raw or (form == "json" and not options.context)):
        return print_original(home, options.event, options.session, raw=options.raw)
    config, wrong = configuration.load_to_read(home)
    if wrong is not None and options.inject:
        raise wrong  # what it puts into a session is for good
    doubts = _doubts(wrong)
    if options.bench is not None:
        from moon.cli.recall_bench import print_bench

        return print_bench(home, config, options.bench, options.seed, as_json=form == "json")
    if options.event:
        return print_around(home, config, options, form, doubts)
    if not (options.query or options.queries):
        output.say(*doubts)
        if options.output:
            return write_page(home, config, options.session, options.agent, options.output)
        return print_conversation(home, config, options.session, options.agent, form)
    return _answer(home, config, options, form, doubts)


def _doubts(wrong: MoonError | None) -> tuple[str, ...]:
    from moon.recall.search import doubts_about

    return doubts_about(wrong)


def _answer(home: Home, config: Config, options: argparse.Namespace, form: str, doubts: tuple[str, ...]) -> int:
    from moon.recall.search import Recall

    with Recall(home, config, doubts) as recall:
        if options.queries:
            return answer_all(recall, options)
        document = recall.ask(_request(options, " ".join(options.query), config.timezone))
        if options.inject:
            from moon.recall.inject import inject

            document["injected"] = inject(config, home, options.inject, document)
        show(document, form, recall.short_id)
    return 0


class _QuestionParser(Parser):
    """Says how a question is quoted: the shell hands on words that `argparse` takes for options."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments:") and not self.nearest_option(message):
            raise UsageWrong(
                message,
                hint="give the question as one quoted text, in front of the options or behind --: "
                'moon-recall --limit 5 -- "lantern -garden"; or see `moon-recall --help`',
            )
        if message.startswith("argument --query:"):
            raise UsageWrong(message, hint='a question that begins with - is given as --query="-garden lantern"')
        super().error(message)


def _parser() -> Parser:
    parser = _QuestionParser("moon-recall", DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add("query", nargs="*", help='words or a question; "exact phrase", -word, role:user, tool:exec are understood')
    add("--query", dest="query_option", metavar="TEXT", help="the question, for scripts that give it so")
    add("--limit", type=int, default=10, metavar="N", help="at most N results (default 10)")
    add(
        "--host",
        metavar="H",
        default="",
        help="ask another machine by name, or `all` (needs a shared index); own: this one",
    )
    add("--agent", metavar="A", help="only this agent")
    add("--session", metavar="S", help="only this session, by key or id; without a question: print the whole of it")
    add(
        "--role",
        action="append",
        default=[],
        metavar="R",
        help="only this role: user, assistant, toolResult, toolCall, …",
    )
    add("--since", metavar="TIME", help='not before: 2026-05-08, "last tuesday", "3 days ago"')
    add("--until", metavar="TIME", help="before the end of: the same forms")
    add(
        "--context",
        type=int,
        default=0,
        metavar="N",
        help="N neighbouring messages before and after each result or event",
    )
    add(
        "--format",
        choices=("text", "json", "md", "html"),
        help="how to print (default: text on a terminal, json in a pipe)",
    )
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
    add("--event", metavar="ID", help="print an event (JSON: as it was stored); the beginning of its id is enough")
    add(
        "--output",
        metavar="FILE[#ID]",
        help="with --session and --format html: write the page there, and say the link to that event on it",
    )
    add("--raw", action="store_true", help="with --event: its exact bytes, not for a terminal")
    add(
        "--bench",
        nargs="?",
        type=int,
        const=100,
        metavar="N",
        help="how well N messages of this archive are found again",
    )
    add("--seed", type=int, default=1, metavar="S", help="with --bench: which messages are taken (default 1)")
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
    _check_what_is_asked(options)
    _check_output(options)
    if options.inject == "":
        raise UsageWrong("--inject needs a session key, not an empty text", hint="for instance agent:main:main")
    if options.inject and not options.query:
        raise UsageWrong("--inject needs a query whose results it brings in", hint="see `moon-recall --help`")


def _check_what_is_asked(options: argparse.Namespace) -> None:
    """One thing at a time; `--query` becomes the question."""
    if options.query_option is not None:
        if options.query:
            raise UsageWrong("give the question once, in words or with --query", hint="see `moon-recall --help`")
        options.query = [options.query_option]
    asked = [bool(options.query), bool(options.queries), bool(options.event), options.bench is not None]
    if sum(asked) > 1:
        raise UsageWrong("give a query, or --queries, --event or --bench, not several", hint="see `moon-recall --help`")
    if options.bench is not None and (options.bench < 1 or options.format in ("md", "html")):
        raise UsageWrong(
            "--bench asks for at least one message, and prints text or JSON", hint="for instance --bench 100"
        )
    if not any(asked):
        _check_without_question(options)
    if options.format == "html" and (options.query or options.queries):
        raise UsageWrong(
            "a page is made of a conversation, not of an answer",
            hint="--format html goes with --session KEY or --event ID",
        )
    if options.raw and not options.event:
        raise UsageWrong("--raw goes with --event", hint="see `moon-recall --help`")
    if options.host and (options.raw or not (options.query or options.queries or options.event)):
        raise UsageWrong(
            "--host goes with a question, or with --event", hint="the archives themselves lie on their machine only"
        )
    if options.raw and (options.format or options.context):
        raise UsageWrong("--raw gives exact bytes only", hint="leave out --format, --json and --context")


def _check_output(options: argparse.Namespace) -> None:
    """A file is written for a page of a conversation only."""
    if options.output and (options.format != "html" or options.query or options.queries or not options.session):
        raise UsageWrong("--output goes with --session KEY --format html", hint="elsewhere the shell's > does it")


def _check_without_question(options: argparse.Namespace) -> None:
    """Without a question a session is printed, all of it."""
    if not options.session:
        raise UsageWrong("there is no question", hint='for instance moon-recall "when did we move the database?"')
    if options.role or options.since or options.until or options.context or options.pick:
        raise UsageWrong(
            "--session without a question prints the whole of it",
            hint="leave out --role, --since, --until, --context and --pick, or ask a question",
        )


def _request(options: argparse.Namespace, text: str, zone: str) -> Request:
    from moon.fulltext.index_rows import Filters
    from moon.recall.recall_types import Request

    since = until = None
    if options.since or options.until:
        from moon.recall.limits import begin_of, end_of

        since = begin_of(options.since, zone) if options.since else None
        until = end_of(options.until, zone) if options.until else None
    filters = Filters(options.agent, options.session, tuple(options.role), (), since, until)
    picked = _picked(options.pick)
    return Request(text, options.limit, filters, options.context, options.max_tokens, picked, options.host)


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


def show(document: dict[str, Any], form: str, short: Callable[[str], str]) -> None:
    """Print one answer."""
    if form == "json":
        output.put(dump_json(document, indent=1) + "\n")
        return
    from moon.recall.render import markdown

    with shown_to_people() as write:
        write(markdown(document) if form == "md" else text_style(short).render(document))
        if form == "text" and document["results"] and document["results"][0]["page"]:
            write(text_style(short).note(f"the first as a page: {document['results'][0]['page']}"))
