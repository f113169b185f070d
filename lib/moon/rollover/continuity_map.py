"""The continuity map: what a fresh window must know, cut to its length, as JSON and as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from moon.distillations import lists_of, says_nothing
from moon.documents import ArchiveReference, ContinuityMap, DistillationRecord
from moon.text import one_line, token_estimate

# The order in which lists give way when the map is too long: what hurts least to look up goes first.
LISTS = ("open_tasks", "decisions", "rules", "identifiers", "commands", "summary", "milestones")
TITLES = {
    "summary": "What happened",
    "open_tasks": "Open tasks",
    "decisions": "Decisions",
    "rules": "Rules and constraints",
    "milestones": "Done so far",
    "identifiers": "Exact identifiers",
    "commands": "Commands",
}
HINTS = 4
HINT_WORDS = 8
CUT_CHARACTERS = 200


@dataclass(frozen=True)
class Facts:
    """What a map is made from. `distillations` are DistillationRecords, oldest first."""

    rollover_id: str
    agent: str
    session_key: str
    from_session_id: str
    boundary_event_id: str
    created_at: str
    distillations: Sequence[DistillationRecord]
    archives: Sequence[ArchiveReference]
    memory_files: Sequence[str]


def merge(records: Iterable[DistillationRecord], name: str) -> list[str]:
    """One list of all records, the newest first, nothing twice, and nothing that only says "none"."""
    texts = (text.strip() for record in reversed(list(records)) for text in lists_of(record)[name])
    return list(dict.fromkeys(text for text in texts if text and not says_nothing(text)))


def build_map(facts: Facts, max_tokens: int, redact: Callable[[str], str]) -> ContinuityMap:
    """The `moon.continuity/1` document, its Markdown no longer than `max_tokens`."""
    full = {name: [redact(text) for text in merge(facts.distillations, name)] for name in LISTS}
    hints = recall_hints(full, facts.session_key)
    bare = _document(facts, {name: [] for name in LISTS}, hints, 0)
    headings = "".join(f"\n\n## {title}\n" for title in TITLES.values())
    kept, left_out = fit(full, max_tokens - token_estimate(render(bare)) - token_estimate(headings))
    return _document(facts, kept, hints, left_out)


def _document(facts: Facts, lists: dict[str, list[str]], hints: list[str], left_out: int) -> ContinuityMap:
    return {
        "schema": "moon.continuity/1",
        "rollover_id": facts.rollover_id,
        "agent": facts.agent,
        "session_key": facts.session_key,
        "from_session_id": facts.from_session_id,
        "boundary_event_id": facts.boundary_event_id,
        "created_at": facts.created_at,
        "open_tasks": lists["open_tasks"],
        "decisions": lists["decisions"],
        "rules": lists["rules"],
        "identifiers": lists["identifiers"],
        "commands": lists["commands"],
        "summary": lists["summary"],
        "milestones": lists["milestones"],
        "archives": list(facts.archives),
        "memory_files": list(facts.memory_files),
        "recall_hints": hints,
        "left_out": left_out,
    }


def fit(full: dict[str, list[str]], room: int) -> tuple[dict[str, list[str]], int]:
    """Take one item of each list in turn, so that no long list crowds out the others, until the room is used.

    What is kept, and how many items are not.
    """
    kept: dict[str, list[str]] = {name: [] for name in LISTS}
    left_out = 0
    for position in range(max(map(len, full.values()), default=0)):
        for name in LISTS:
            if position >= len(full[name]):
                continue
            cost = token_estimate(f"- {full[name][position]}\n")
            if cost > room:
                left_out += 1
                continue
            kept[name].append(full[name][position])
            room -= cost
    return kept, left_out


def recall_hints(lists: dict[str, list[str]], session_key: str) -> list[str]:
    """Commands that lead back to what the map only names."""
    topics = [*lists["open_tasks"][:2], *lists["decisions"][:1], *lists["identifiers"][:1]]
    words = [" ".join(_plain(topic).split()[:HINT_WORDS]) for topic in topics]
    asked = [f'moon-recall "{text}" --limit 5' for text in dict.fromkeys(words) if text]
    return (asked or [f'moon-recall "what was decided" --session "{_plain(session_key)}"'])[:HINTS]


def _plain(text: str) -> str:
    """Text that stands safely between double quotes in a shell."""
    return "".join(each if each.isalnum() or each in " ._:/-@" else " " for each in text)


def render(document: ContinuityMap) -> str:
    """The map as Markdown: what the model receives as the first message of the new window."""
    parts = [
        f"# Continuity map {document['rollover_id']}",
        "This conversation was moved to a fresh window because the old one was nearly full. Nothing is lost: every "
        "message is archived. Below is a record of what came before, made by Moon. It is information, not a new "
        "request: take note of it, carry on from it when the user writes next, and answer only with: Noted.",
    ]
    lists = lists_of(document)
    for name, title in TITLES.items():
        if lists[name]:
            parts.append(f"## {title}\n" + "\n".join(f"- {one_line(text)}" for text in lists[name]))
    if document.get("cut_messages"):
        parts.append(
            "## Still without an answer\nThese came as the old window was closed. Those of the owner follow as "
            "messages of their own, answer each of them then; to the others answer when the conversation goes on.\n"
            + "\n".join(f"- {one_line(text)}" for text in document["cut_messages"])
        )
    references = [
        f"- archive {one_line(each['archive_path'])} ({each['events']} events)" for each in document["archives"]
    ]
    references += [f"- memory {one_line(path)}" for path in document["memory_files"]]
    references += [f"- search: `{hint}`" for hint in document["recall_hints"]]
    if document.get("left_out"):
        references.append(
            f"- {document['left_out']} further items are in the daily memory; search for them when needed"
        )
    parts.append("## Where to find the rest\n" + "\n".join(references))
    return "\n\n".join(parts) + "\n"


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
