"""Answers for people: text for a terminal, and Markdown."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moon.openclaw.events import Piece
from moon.projection import in_heading, quoted
from moon.recall.snippet import MARK
from moon.text import lines, one_line, shown

if TYPE_CHECKING:
    from moon.recall.reading import Message

Document = dict[str, Any]

BOLD, DIM, YELLOW, CYAN, OFF = "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[36m", "\x1b[0m"
_MARKED = re.compile(re.escape(MARK) + r"(.+?)" + re.escape(MARK))


READ_ON = 5
"""How many messages before and after a result the next command asks for."""


def next_command(event: str, host: str | None = None) -> str:
    """The command that reads on from an event, of another machine where one is named."""
    name = shlex.quote(shown(event))
    machine = f" --host {shlex.quote(shown(host))}" if host else ""
    return f"moon-recall --event{'=' if event.startswith('-') else ' '}{name} --context {READ_ON}{machine}"


def session_command(session_key: str) -> str:
    """The command that prints a whole conversation."""
    return f"moon-recall --session {shlex.quote(shown(session_key))}"


class TextStyle:
    """Readable text, coloured or not, as wide as the terminal."""

    def __init__(self, *, colour: bool, width: int, short: Callable[[str], str] = str) -> None:
        self.colour = colour
        self.width = max(40, min(width, 120))
        self.short = short

    def render(self, document: Document) -> str:
        """One answer."""
        lines = [self._paint(f"note: {shown(note)}", DIM) for note in document["notes"]]
        lines += [self._paint(f"degraded: {shown(each)}", YELLOW) for each in document["degraded"]]
        for result in document["results"]:
            lines += ["", *self._result(result)] if lines else self._result(result)
        return "\n".join(lines) + "\n"

    def _result(self, result: Document) -> list[str]:
        said = one_line(" ".join(filter(None, (result["role"], result["tool"]))))
        alike = f"  (+{result['alike']} alike)" if result["alike"] else ""
        head = f"{result['rank']:>2}  {_minute(result['timestamp'])}  {self._paint(said, CYAN)}  "
        machine = f" on {shown(result['host'])}" if result.get("host") else ""
        lines = [self._paint(head, BOLD) + shown(result["session_key"] or result["session_id"]) + machine + alike]
        lines += [self._neighbour(each) for each in result["before"]]
        lines += [self._marks(line) for line in self._wrapped(one_line(result["snippet"]))]
        lines += [self._neighbour(each) for each in result["after"]]
        command = next_command(self.short(result["event_id"]), result.get("host"))
        return [*lines, self._paint(f"    {command}", DIM)]

    def message(self, message: Message, *, asked: bool = False) -> str:
        """A message to read: a heading, and its text as it was written, marked where it is the one asked for."""
        said = one_line(" ".join(filter(None, (message["role"], message["tool"]))))
        mark = "> " if asked else "  "
        head = f"{mark}{_minute(message['timestamp'])}  {self._paint(said, CYAN)}  "
        body = [self._paint(head, BOLD) + self._paint(shown(self.short(message["event_id"])), DIM)]
        for line in lines(message["text"]).rstrip("\n").split("\n"):
            body += self._folded(line.expandtabs(4))
        return "\n".join(body) + "\n\n"

    def _folded(self, line: str) -> list[str]:
        """A line of a message, on several where the terminal is too narrow; its own indentation stays."""
        room = self.width - 4
        if len(line) <= room:
            return [f"    {line}".rstrip()]
        inner = line[: len(line) - len(line.lstrip())][: room // 2]
        folded = textwrap.wrap(line.strip(), room - len(inner), break_on_hyphens=False)
        return [f"    {inner}{each}" for each in folded]

    def note(self, words: str) -> str:
        """A line of Moon's own among messages."""
        return self._paint(shown(words), DIM) + "\n"

    def _neighbour(self, neighbour: Document) -> str:
        flat = one_line(f"{neighbour['role']}: {neighbour['text']}")
        return self._paint("    " + textwrap.shorten(flat, self.width - 4), DIM)

    def _wrapped(self, text: str) -> list[str]:
        return textwrap.wrap(text, self.width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)

    def _marks(self, line: str) -> str:
        return _MARKED.sub(lambda found: self._paint(found[1], BOLD + YELLOW), line)

    def _paint(self, text: str, codes: str) -> str:
        return f"{codes}{text}{OFF}" if self.colour else text


def _minute(timestamp: str | None) -> str:
    return timestamp[:16].replace("T", " ") if timestamp else "undated         "


def markdown(document: Document) -> str:
    """One answer as Markdown."""
    lines = [f"# {_escaped(document['query'])}", ""]
    lines += [f"> {_escaped(each)}\n" for each in (*document["notes"], *document["degraded"])]
    for result in document["results"]:
        said = _escaped(" ".join(filter(None, (result["role"], result["tool"]))))
        session = _escaped(shown(result["session_key"]))
        lines.append(f"{result['rank']}. {_minute(result['timestamp']).strip()} · {said} · {session}")
        lines += [f"   > {_escaped(each['role'] + ': ' + each['text'])[:400]}\n   >" for each in result["before"]]
        lines.append(f"   > {_escaped(result['snippet'])}")
        lines += [f"   >\n   > {_escaped(each['role'] + ': ' + each['text'])[:400]}" for each in result["after"]]
        source = f"{result['archive_path']}:{result['line']}"
        lines += ["", f"   {_literal(source)} event {_literal(result['event_id'])}", ""]
    return "\n".join(lines).rstrip() + "\n"


def message_markdown(message: Message) -> str:
    """A message to read, as Markdown; on pages and here text has the same form."""
    when = in_heading(message["timestamp"] or "no time")
    heading = f"## {in_heading(message['role'])} · {when} · event {in_heading(message['event_id'])}"
    text = lines(message["text"]).rstrip("\n")
    return f"{heading}\n{quoted(Piece(message['role'], text, message['tool']), text)}\n"


def heading_markdown(session_key: str) -> str:
    """The title of a conversation as Markdown."""
    return f"# {in_heading(session_key)}\n\n"


def session_markdown(session_id: str) -> str:
    """Where another window of the conversation begins, as Markdown."""
    return f"*session {_literal(session_id)}*\n\n"


def _escaped(text: str) -> str:
    """One line in which nothing but the marks of a match is Markdown."""
    return re.sub(r"([\\`_\[\]<>#|])", r"\\\1", one_line(text))


def _literal(text: str) -> str:
    """A name or path as Markdown code."""
    return "`" + shown(text).replace("`", "'") + "`"
