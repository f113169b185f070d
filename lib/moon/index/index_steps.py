"""What an archive still needs to be found: its place in the text index, its Markdown page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moon.text import counted
from moon.vault.catalog import Segment

if TYPE_CHECKING:
    from moon.documents import Entry


@dataclass(frozen=True)
class Step:
    """One archive and what is to be made of it."""

    segment: Segment
    index: bool
    page: bool


@dataclass
class Made:
    """What was made so far. `archives` are the SHA-256 of those entered into the index."""

    archives: list[str] = field(default_factory=list)
    messages: int = 0
    pages: int = 0
    problems: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """One line in words."""
        words = f"{counted(len(self.archives), 'archive')} with {counted(self.messages, 'message')} indexed, "
        words += f"{counted(self.pages, 'page')} written"
        return words + "".join(f"; {problem}" for problem in self.problems)


def plan_steps(
    segments: Iterable[Segment], is_findable: Callable[[Segment], bool], has_page: Callable[[Segment], bool]
) -> Iterator[Step]:
    """A step for each archive that lacks something, oldest first."""
    for segment in segments:
        step = Step(segment, index=not is_findable(segment), page=not has_page(segment))
        if step.index or step.page:
            yield step


def entry_of(made: Made, segments: list[Segment], findable: set[str], fresh: Iterable[str]) -> Entry:
    """The session's entry in the station's record.

    `indexed` holds, of the archives that this cycle made or entered, those that a search can find.
    """
    entry: Entry = {
        "outcome": "done",
        "archives": made.archives,
        "indexed": [sha for sha in dict.fromkeys([*fresh, *made.archives]) if sha in findable],
        "messages": made.messages,
        "pages": made.pages,
        "words": made.describe(),
    }
    lost = [each.sha256 for each in segments if each.sha256 not in findable]
    if lost or made.problems:
        reason = "; ".join(made.problems) or f"{counted(len(lost), 'archive')} not found by a search"
        return {**entry, "outcome": "failed", "code": "not_indexed", "reason": reason, "hint": HINT}
    if made.archives or made.pages:
        return entry
    words = f"{counted(len(segments), 'archive')} indexed already" if segments else "no archive of this session yet"
    return {**entry, "outcome": "nothing", "words": words}


HINT = "the next tick tries again; `moon-index --rebuild` makes the index anew from the archives"
