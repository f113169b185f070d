"""A conversation as one HTML page: turns to read, calls and results folded, a place to link to for each event. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from moon import html_text as h
from moon.recall.reading import Message

STYLE = """\
article{margin:.75rem 0;padding:.5rem .75rem;border-left:4px solid var(--line);background:var(--card)}
article.user{border-left-color:var(--mark)}article:target{outline:3px solid var(--mark)}
article header{display:flex;flex-wrap:wrap;gap:.25rem .75rem}article header b{text-transform:capitalize}
summary{cursor:pointer}article div{white-space:pre-wrap}
"""
# Said by people and models, and read; all else is work of tools, and folded.
SPOKEN = ("user", "assistant", "system")
PREVIEW = 100


class HtmlPage:
    """Makes the pieces of a page one after the other, so that a long conversation is never in memory."""

    def __init__(self) -> None:
        self._session = ""
        self._anchors: set[str] = set()

    def begin(self, name: str) -> str:
        """The page up to the first message."""
        return h.begin(name, STYLE)

    def message(self, message: Message) -> str:
        """A message, behind a heading where another window of the conversation begins."""
        heading = ""
        if message["session_id"] != self._session:
            self._session = message["session_id"]
            heading = f"<h2>session {h.text(self._session)}</h2>\n"
        role = message["role"]
        body = f"<div>{h.block(message['text'])}</div>" if self._is_spoken(message) else self._folded(message)
        kind = role if role in SPOKEN else "tool"
        return f'{heading}<article class="{kind}"{self._place(message)}>{self._head(message)}{body}</article>\n'

    def end(self, degraded: Iterable[str] = ()) -> str:
        """What closes the page, behind a line for each thing that is missing on it."""
        return "".join(f'<p class="bad">{h.text(each)}</p>\n' for each in degraded) + h.end()

    @staticmethod
    def _is_spoken(message: Message) -> bool:
        return message["role"] in SPOKEN and not message["tool"]

    def _place(self, message: Message) -> str:
        """The anchor, once for each event: a message of several parts is one place."""
        name = h.anchor(message["event_id"])
        if name in self._anchors:
            return ""
        self._anchors.add(name)
        return f' id="{name}"'

    @staticmethod
    def _head(message: Message) -> str:
        when = h.text(message["timestamp"] or "no time")
        tool = f"<span>{h.text(message['tool'])}</span>" if message["tool"] else ""
        link = f'<a class="faint" href="#{h.anchor(message["event_id"])}">{h.text(message["event_id"] or "no id")}</a>'
        who = h.text(message["role"])
        return f'<header><b>{who}</b>{tool}<time class="faint" datetime="{when}">{when}</time>{link}</header>'

    @staticmethod
    def _folded(message: Message) -> str:
        shown = h.text(message["text"][:PREVIEW])
        return f"<details><summary>{shown or '(nothing)'}</summary><pre>{h.block(message['text'])}</pre></details>"
