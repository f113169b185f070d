"""What `moon-recall` prints beside answers: an event, the messages around it, a whole conversation."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from moon import output
from moon.config import Config
from moon.errors import DONE, PARTIAL, IndexUnusable, UsageWrong
from moon.paths import Home
from moon.text import dump_json, escape_json

if TYPE_CHECKING:
    import argparse

    from moon.recall.reading import Conversation, Message, Transcripts
    from moon.recall.render import TextStyle

Write = Callable[[str], object]


def form_of(asked: str | None) -> str:
    """The asked form, or the one that fits where it goes: text on a terminal, JSON elsewhere."""
    return asked or ("text" if output.is_terminal() else "json")


def text_style(short: Callable[[str], str]) -> TextStyle:
    """The text style that fits where standard output goes."""
    import shutil

    from moon.recall.render import TextStyle

    colour = output.is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return TextStyle(colour=colour, width=shutil.get_terminal_size().columns, short=short)


@contextlib.contextmanager
def shown_to_people() -> Iterator[Write]:
    """Where text and Markdown go: through the pager on a terminal."""
    if not output.is_terminal():
        yield output.show
        return
    from moon.recall.pager import paging

    with paging() as write:
        yield write


# --- an event ---------------------------------------------------------------------------------------------------------


def print_original(home: Home, event: str, session: str | None, *, raw: bool) -> int:
    """Write an event as JSON, each distinct version once: its exact value, or with `raw` its exact bytes."""
    from moon.recall.original import originals

    if raw:
        output.refuse_terminal()
    for line in originals(home, event, session):
        if raw:
            output.put_bytes(line + b"\n")
        else:
            output.put(escape_json(line.decode("utf-8", "surrogateescape")) + "\n")
    return DONE


def print_around(
    home: Home, config: Config, options: argparse.Namespace, form: str, doubts: tuple[str, ...] = ()
) -> int:
    """Print an event with its neighbours, to be read or as a document."""
    from moon.recall.search import Recall

    with Recall(home, config, doubts) as recall:
        around = options.context
        found = recall.around(options.event, around, around, options.session, options.host)
        if form == "json":
            output.put(dump_json(found, indent=1) + "\n")
        else:
            with shown_to_people() as write:
                _write_around(found, form, recall.short_id, write)
    return DONE


def _write_around(found: Conversation, form: str, short: Callable[[str], str], write: Write) -> None:
    from moon.recall.render import session_command

    output.say(*(f"degraded: {each}" for each in found["degraded"]))
    pages = _pages(form, short, write, found["event_id"])
    pages.begin(found["session_key"])
    for message in found["messages"]:
        pages.message(message)
    pages.end(found["degraded"])
    if form == "text" and found["session_key"]:
        write(text_style(short).note(f"the whole conversation: {session_command(found['session_key'])}"))


def _pages(form: str, short: Callable[[str], str], write: Write, asked: str | None = None) -> _Pages | _HtmlPages:
    return _HtmlPages(write) if form == "html" else _Pages(form, short, write, asked)


class _HtmlPages:
    """Writes messages as one HTML page."""

    def __init__(self, write: Write) -> None:
        from moon.recall.html_page import HtmlPage

        self._page = HtmlPage()
        self._write = write

    def begin(self, name: str) -> None:
        """Write all that comes before the messages."""
        self._write(self._page.begin(name))

    def message(self, message: Message) -> None:
        """Write a message."""
        self._write(self._page.message(message))

    def end(self, degraded: Iterable[str]) -> None:
        """Write what closes the page."""
        self._write(self._page.end(degraded))


class _Pages:
    """Writes messages for people, as text or Markdown."""

    def __init__(self, form: str, short: Callable[[str], str], write: Write, asked: str | None = None) -> None:
        self.form = form
        self.style = text_style(short)
        self.write = write
        self.asked = asked
        self._session = ""

    def begin(self, name: str) -> None:
        """Write the title."""
        from moon.recall.render import heading_markdown

        self.write(heading_markdown(name) if self.form == "md" else self.style.note(name) + "\n")

    def message(self, message: Message) -> None:
        """Write a message, behind the id of its session where that is another than before."""
        from moon.recall.render import message_markdown, session_markdown

        if message["session_id"] != self._session:
            self._session = message["session_id"]
            is_page = self.form == "md"
            self.write(
                session_markdown(self._session) if is_page else self.style.note(f"session {self._session}") + "\n"
            )
        if self.form == "md":
            self.write(message_markdown(message))
        else:
            self.write(self.style.message(message, asked=message["event_id"] == self.asked))

    def end(self, degraded: Iterable[str]) -> None:
        """Text and Markdown need no end; what is missing goes to standard error."""


# --- a whole conversation ---------------------------------------------------------------------------------------------


def print_conversation(home: Home, config: Config, name: str, agent: str | None, form: str) -> int:
    """Print every archived transcript of a session key or id, message by message; 3 where an archive is damaged."""
    from moon.recall.reading import Transcripts
    from moon.vault.catalog import open_catalog

    with open_catalog(home) as catalog:
        transcripts = Transcripts(catalog, config.redact, name, agent)
        if form == "json":
            _write_document(transcripts)
        else:
            with shown_to_people() as write, _short_ids(home) as short:
                pages = _pages(form, short, write)
                pages.begin(transcripts.session_key)
                transcripts.read(pages.message)
                pages.end(transcripts.degraded)
    output.say(*(f"moon-recall: {each}" for each in transcripts.degraded))
    return PARTIAL if transcripts.degraded else DONE


def write_page(home: Home, config: Config, name: str, agent: str | None, target: str) -> int:
    """Write a conversation as a page to `FILE` or `FILE#EVENT`, and say the link to it, at that event.

    Only a page of Moon is written over. Raises `UsageWrong`, `SessionUnknown`.
    """
    from moon.files import atomic_writer, write_all
    from moon.html_text import anchor
    from moon.recall.reading import Transcripts
    from moon.vault.catalog import open_catalog

    file, _, wanted = target.partition("#")
    path = Path(file).expanduser().absolute()
    _refuse_to_replace(path)
    event = ""
    with open_catalog(home) as catalog:
        transcripts = Transcripts(catalog, config.redact, name, agent)
        with atomic_writer(path) as descriptor:
            pages = _HtmlPages(lambda piece: write_all(descriptor, piece.encode("utf-8", "replace")))

            def write(message: Message) -> None:
                nonlocal event
                if wanted and not event and message["event_id"].startswith(wanted):
                    event = message["event_id"]
                pages.message(message)

            pages.begin(transcripts.session_key)
            transcripts.read(write)
            pages.end(transcripts.degraded)
    if wanted and not event:
        output.say(f"moon-recall: no event {wanted} is on this page")
    output.show(path.as_uri() + (f"#{anchor(event)}" if event else "") + "\n")
    output.say(*(f"moon-recall: {each}" for each in transcripts.degraded))
    return PARTIAL if transcripts.degraded or (wanted and not event) else DONE


def _refuse_to_replace(path: Path) -> None:
    """Raise `UsageWrong` for a file that is no page of Moon, and for a folder that is not there."""
    from moon.html_text import POLICY

    if not path.parent.is_dir():
        raise UsageWrong(f"no folder {path.parent}", path=str(path), hint="make it, or name another")
    try:
        with path.open("rb") as stream:
            if POLICY.encode() in stream.read(1024):
                return
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageWrong(f"cannot write {path}: {error.strerror}", path=str(path)) from error
    raise UsageWrong(f"{path} is there and is no page of Moon", path=str(path), hint="name another file")


def _write_document(transcripts: Transcripts) -> None:
    """A `moon.conversation/1`, written while it is read."""
    from moon.recall.reading import conversation

    head, _, _ = dump_json(conversation(transcripts.session_key, None, [], [])).partition("[]")
    output.put(f"{head}[\n")
    between = ""

    def write(message: Message) -> None:
        nonlocal between
        output.put(between + dump_json(message))
        between = ",\n"

    transcripts.read(write)
    output.put(f'\n], "degraded": {dump_json(transcripts.degraded)}}}\n')


@contextlib.contextmanager
def _short_ids(home: Home) -> Iterator[Callable[[str], str]]:
    """How ids are shortened: not at all where there is no index that knows them."""
    from moon.fulltext import open_reader
    from moon.recall.original import short_id

    try:
        index = open_reader(home.text_index)
    except IndexUnusable:
        yield str
        return
    with index:
        yield functools.partial(short_id, index)
