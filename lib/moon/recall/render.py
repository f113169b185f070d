"""Answers for people: text for a terminal, and Markdown."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from moon.recall.snippet import MARK
from moon.text import one_line, shown

Document = dict[str, Any]

BOLD, DIM, YELLOW, CYAN, OFF = "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[36m", "\x1b[0m"
_MARKED = re.compile(re.escape(MARK) + r"(.+?)" + re.escape(MARK))


class TextStyle:
    """Readable text, coloured or not, as wide as the terminal."""

    def __init__(self, *, colour: bool, width: int) -> None:
        self.colour = colour
        self.width = max(40, min(width, 120))

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
        lines = [self._paint(head, BOLD) + shown(result["session_key"] or result["session_id"]) + alike]
        lines += [self._neighbour(each) for each in result["before"]]
        lines += [self._marks(line) for line in self._wrapped(one_line(result["snippet"]))]
        lines += [self._neighbour(each) for each in result["after"]]
        source = f"{result['archive_path']}:{result['line']}  event {result['event_id']}"
        return [*lines, self._paint(f"    {shown(source)}", DIM)]

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


def _escaped(text: str) -> str:
    """One line in which nothing but the marks of a match is Markdown."""
    return re.sub(r"([\\`_\[\]<>#|])", r"\\\1", one_line(text))


def _literal(text: str) -> str:
    """A name or path as Markdown code."""
    return "`" + shown(text).replace("`", "'") + "`"
