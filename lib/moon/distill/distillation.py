"""The distillation of one archive: short lists of plain sentences, each with the events it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from moon.distillations import LISTS
from moon.text import one_line

TITLES = {
    "summary": "Summary",
    "decisions": "Decisions",
    "rules": "Rules",
    "milestones": "Milestones",
    "open_tasks": "Open tasks",
    "commands": "Commands",
    "identifiers": "Exact identifiers",
}


@dataclass(frozen=True)
class Item:
    """One sentence, command or identifier, and the ids of the events that say it."""

    text: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Distillation:
    """What is worth carrying over. `lists` has an entry for each name in LISTS."""

    lists: Mapping[str, tuple[Item, ...]]
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many items were left out because a check failed, by reason."""

    @classmethod
    def of(cls, lists: Mapping[str, Iterable[Item]], dropped: Mapping[str, int] | None = None) -> Distillation:
        """Fill in the lists that are not given."""
        return cls({name: tuple(lists.get(name, ())) for name in LISTS}, dict(dropped or {}))

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was found worth carrying over."""
        return not any(self.lists.values())

    def texts(self) -> dict[str, list[str]]:
        """The lists as outside readers get them: plain strings."""
        return {name: [item.text for item in items] for name, items in self.lists.items()}

    def sources(self) -> dict[str, list[list[str]]]:
        """Beside each list of strings, the event ids of each."""
        return {name: [list(item.sources) for item in items] for name, items in self.lists.items()}


def code(text: str) -> str:
    """A text as one line of Markdown code, whatever backticks or marks of memory blocks it holds."""
    text = one_line(text).replace("<!-- moon:", "<!--moon:")
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
