"""What a session store must do, whichever generation of OpenClaw wrote it.

Stores are only ever read. An event is its bytes, exactly as OpenClaw keeps them; what can not be read is handed on with
a `problem`, never left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from moon.clock import parse_ms
from moon.errors import MoonError


class StoredEvent(NamedTuple):
    """One event of a transcript. `problem` says why it is not a sound event line; empty when it is."""

    data: bytes
    problem: str = ""


class SessionEntry(NamedTuple):
    """A session as its store lists it; times in milliseconds since the epoch, None where the store says nothing."""

    agent: str
    key: str
    session_id: str
    used_tokens: int | None = None
    window_tokens: int | None = None
    budget_tokens: int | None = None
    fresh: bool = False
    updated_at: int | None = None
    interacted_at: int | None = None
    running: bool = False
    compactions: int = 0

    @property
    def transcript(self) -> Transcript:
        """The live transcript of this session."""
        return Transcript(self.agent, self.key, self.session_id)


class Transcript(NamedTuple):
    """A transcript that the store holds, current or left over.

    `key` is empty when no session names it any more. `place` is the store's own business: where inside it these bytes
    lie when they are not the transcript that OpenClaw itself keeps under that session id.
    """

    agent: str
    key: str
    session_id: str
    place: str = ""


class Holding(NamedTuple):
    """What a store says of a transcript without reading it.

    `mark` changes whenever the events do. `changed_at` (milliseconds since the epoch) is None where that is not known.
    `live`: it is the current transcript of a session in use, so that more may come.
    """

    transcript: Transcript
    mark: str
    changed_at: int | None = None
    live: bool = False


class TranscriptPass:
    """One pass over a transcript, in order, as of one moment, in bounded memory.

    `resumed`: it begins behind what an earlier pass ended with. `bookmark` is where it ended, known once all events
    were taken; empty where the store has no way to tell later that nothing before it was changed.
    """

    def __init__(self, events: Iterator[StoredEvent], resumed: bool = False) -> None:
        self.events = events
        self.resumed = resumed
        self.bookmark = ""


class TranscriptStore(Protocol):
    """The sessions and transcripts of one agent."""

    agent: str
    generation: str

    @property
    def notice(self) -> MoonError | None:
        """Why nothing destructive may rely on this store, once it was looked into; None when it may."""

    def sessions(self) -> list[SessionEntry]:
        """Every session that is not archived by OpenClaw. Raises `StoreForeign`, `StoreBusy`."""

    def holdings(self) -> list[Holding]:
        """Every transcript in the store, in whatever form, at the cost of a few looks for all of them together."""

    def mark(self, transcript: Transcript) -> str:
        """The mark of one transcript, as in its `Holding`; empty when there is no such transcript."""

    def path_of(self, transcript: Transcript) -> str:
        """The file in which a transcript lies, for people."""

    def size(self, transcript: Transcript) -> int:
        """The transcript's bytes, at least roughly."""

    def read(self, transcript: Transcript, bookmark: str = "") -> TranscriptPass:
        """A pass from that bookmark on, where what lies before it is proven to be unchanged; else from the start."""

    def events(self, transcript: Transcript) -> Iterator[StoredEvent]:
        """All events in order, from one consistent moment, in bounded memory."""


def read_entry(agent: str, key: str, session_id: str, entry: dict[str, Any]) -> SessionEntry:
    """Take the numbers Moon uses out of a session entry; the fields are the same in every generation."""
    status = entry.get("contextBudgetStatus")
    budget = whole(status.get("promptBudgetBeforeReserve")) if isinstance(status, dict) else None
    return SessionEntry(
        agent=agent,
        key=key,
        session_id=session_id,
        used_tokens=whole(entry.get("totalTokens")),
        window_tokens=whole(entry.get("contextTokens")),
        budget_tokens=budget,
        fresh=entry.get("totalTokensFresh") is True,
        updated_at=parse_ms(entry.get("updatedAt")),
        interacted_at=parse_ms(entry.get("lastInteractionAt")),
        running=entry.get("status") == "running",
        compactions=whole(entry.get("compactionCount")) or 0,
    )


def storable(text: str) -> str:
    """The text without half surrogate pairs, which JavaScript leaves where it cuts a text and UTF-8 cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def whole(value: Any) -> int | None:
    """A non-negative whole number, or None for anything else that a store may hold there."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < 1 << 53 else None


def prompt_budget(window_tokens: int | None, budget_tokens: int | None) -> int | None:
    """The tokens a prompt may use: OpenClaw's own figure, else the window less its reserve.

    OpenClaw reserves 20,000 tokens, at most a quarter of the window, and compacts by itself beyond the rest; so this
    and not the window is what fills up (docs/openclaw.md).
    """
    if budget_tokens:
        return budget_tokens
    if not window_tokens:
        return None
    return window_tokens - min(20_000, window_tokens // 4)
