"""The continuity map: what a fresh window must know, cut to its length, as JSON and as Markdown. Pure.

Its parts stand in the order in which whoever goes on needs them: how the old window ended, what waits for whom, what
must not be done, what is left to do, what was decided, exact values, what happened, and where to find the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from moon.distillations import lists_of
from moon.documents import ArchiveReference, ContinuityMap
from moon.rollover.map_lists import LISTS, LITERAL, Line, Lists, choose, not_in
from moon.rollover.window_end import ASSISTANT, USER, Said, WindowEnd
from moon.text import one_line, token_estimate

TITLES = {
    "rules": "Rules and constraints",
    "open_tasks": "Open tasks",
    "decisions": "Decisions",
    "identifiers": "Exact identifiers",
    "commands": "Commands",
    "summary": "What happened",
    "milestones": "Done so far",
}
CUT_CHARACTERS = 200
# More archives than this a reader does not open one by one; the document names all.
ARCHIVES_SHOWN = 3
# So much room the number of lines that did not fit may take, before it is known.
MANY = 9999
WHO = {USER: "user", ASSISTANT: "you"}


@dataclass(frozen=True)
class Facts:
    """What a map is made from. `said`: who said what, by event id, for the lines' sources."""

    rollover_id: str
    agent: str
    session_key: str
    from_session_id: str
    boundary_event_id: str
    created_at: str
    lists: Lists
    end: WindowEnd
    said: Mapping[str, Sequence[Said]]
    archives: Sequence[ArchiveReference]
    memory_files: Sequence[str]
    hints: Sequence[str]


def build_map(facts: Facts, max_tokens: int, redact: Callable[[str], str]) -> ContinuityMap:
    """The `moon.continuity/1` document, its Markdown no longer than `max_tokens`."""
    facts, bare = _bare(facts, max_tokens)
    told = "\n".join([*bare["now"], *bare["waiting"]])
    full = {name: [_told_by(name, line, facts.said) for line in facts.lists[name]] for name in LISTS}
    full = {name: [line._replace(text=redact(line.text)) for line in lines] for name, lines in full.items()}
    headings = "".join(f"\n\n## {title}\n" for title in TITLES.values())
    room = max_tokens - token_estimate(render(bare)) - token_estimate(headings)
    kept, left_out = choose(not_in(told, full), room)
    return _document(facts, kept, left_out)


def _bare(facts: Facts, max_tokens: int) -> tuple[Facts, ContinuityMap]:
    """The map without its lists. Where even that is too long, hints give way, then the older of the last words."""
    while True:
        document = _document(facts, dict.fromkeys(LISTS, ()), 0)
        if token_estimate(render(document)) <= max_tokens or not (facts.hints or facts.end.now[1:]):
            return facts, document
        if facts.hints:
            facts = replace(facts, hints=facts.hints[:-1])
        else:
            facts = replace(facts, end=facts.end._replace(now=facts.end.now[1:]))


def _told_by(name: str, line: Line, said: Mapping[str, Sequence[Said]]) -> Line:
    """A line with who said it so: "I still have to ask" is nobody's task by itself."""
    spoken = () if name in LITERAL else (each for source in line.sources for each in said.get(source, ()))
    text = line.text.casefold()
    who = (WHO[each.role] for each in spoken if each.role in WHO and text in one_line(each.text).casefold())
    return line._replace(who=next(who, ""))


def _document(facts: Facts, lists: Lists, left_out: int) -> ContinuityMap:
    texts = {name: [line.text for line in lists[name]] for name in LISTS}
    return {
        "schema": "moon.continuity/1",
        "rollover_id": facts.rollover_id,
        "agent": facts.agent,
        "session_key": facts.session_key,
        "from_session_id": facts.from_session_id,
        "boundary_event_id": facts.boundary_event_id,
        "created_at": facts.created_at,
        "now": facts.end.now,
        "waiting": facts.end.waiting,
        "open_tasks": texts["open_tasks"],
        "decisions": texts["decisions"],
        "rules": texts["rules"],
        "identifiers": texts["identifiers"],
        "commands": texts["commands"],
        "summary": texts["summary"],
        "milestones": texts["milestones"],
        "origins": {name: [line.origin for line in lists[name]] for name in LISTS if name not in LITERAL},
        "archives": list(facts.archives),
        "memory_files": list(facts.memory_files),
        "recall_hints": list(facts.hints),
        "left_out": left_out,
    }


def render(document: ContinuityMap) -> str:
    """The map as Markdown: what the model receives as the first message of the new window."""
    parts = [
        f"# Continuity map {document['rollover_id']}",
        "This conversation goes on in a fresh window: the old one was nearly full. Nothing is lost: every message is "
        "archived. Below is Moon's record of what came before. It is information, not a new request: carry on from it "
        "when the user writes. If the user's words follow it here, answer those, else only with: Noted.",
    ]
    if document.get("now"):
        parts.append(_section("How it ended (the last words, oldest first; *you* are the agent)", document["now"]))
    if document.get("waiting"):
        parts.append(_section("Waiting", document["waiting"]))
    for name, title in TITLES.items():
        if texts := _list(document, name):
            parts.append(_section(title, [" · ".join(texts)] if name == "identifiers" else texts))
    if document.get("cut_messages"):
        parts.append(
            "## Still without an answer\nThese came as the old window was closed. Those of the owner follow as "
            "messages of their own, answer each of them then; to the others answer when the conversation goes on.\n"
            + _bullets(document["cut_messages"])
        )
    parts.append(_section("Where to find the rest", _references(document)))
    return "\n\n".join(parts) + "\n"


def _list(document: ContinuityMap, name: str) -> list[str]:
    """A list as a reader gets it: with who said each line, and when."""
    texts = lists_of(document)[name]
    origins = document.get("origins", {}).get(name, [""] * len(texts))
    return [f"{origin}: {text}" if origin else text for origin, text in zip(origins, texts, strict=False)]


def _section(title: str, texts: Iterable[str]) -> str:
    return f"## {title}\n{_bullets(texts)}"


def _bullets(texts: Iterable[str]) -> str:
    return "\n".join(f"- {one_line(text)}" for text in texts)


def _references(document: ContinuityMap) -> list[str]:
    found = [f"search: `{hint}`" for hint in document["recall_hints"]]
    found += [f"memory {path}" for path in document["memory_files"]]
    shown = document["archives"][-ARCHIVES_SHOWN:]
    found += [f"archive {each['archive_path']} ({each['events']} events)" for each in shown]
    if document.get("left_out"):
        found.append(f"{document['left_out']} further items are in the daily memory; search for them when needed")
    return found


def with_cut_messages(
    document: ContinuityMap, messages: Iterable[tuple[str, bool]], redact: Callable[[str], str]
) -> ContinuityMap:
    """The map with the messages that the opening of its window cut off: (text, is it the owner's?)."""
    named = [
        ("" if is_owner else "(somebody else in this chat) ") + " ".join(redact(text).split())[:CUT_CHARACTERS]
        for text, is_owner in messages
    ]
    return {**document, "cut_messages": named}


def idempotency_key(rollover_id: str) -> str:
    """The key that makes the gateway take a map once; the transcript keeps it with the message."""
    return f"moon-{rollover_id}"


def child_key(agent: str, rollover_id: str) -> str:
    """The key of the session that mode `create` makes; known before it exists, so that it is made once."""
    return f"agent:{agent}:moon-{rollover_id.lower()}"
