"""What stations hand to each other, as types: rows, entries, records, lines of the ledger.

Each type mirrors a schema in `schemas/`, and `tests/contract/test_documents.py` holds the two together: a field that is
added in one place and forgotten in the other fails. Fields that may be missing stand in a base with `total=False`,
because Python 3.10 has no other way to say so. A type says what a document looks like; that one really does is checked
against its schema wherever it is read or written.
"""

from __future__ import annotations

from typing import TypedDict


class Problem(TypedDict):
    """An error as documents carry it."""

    code: str
    message: str
    hint: str
    path: str


class _RowFields(TypedDict, total=False):
    provider: str
    deferred: list[str]
    reason: str
    resume: bool
    places: list[str]
    whole: bool
    archives: list[str]


class Row(_RowFields):
    """A session of a usage document: how full it is, and what is due. Numbers that are not known are None."""

    agent: str
    session_key: str
    session_id: str
    used_tokens: int | None
    window_tokens: int | None
    budget_tokens: int | None
    ratio: float | None
    fresh: bool
    age_seconds: int | None
    active: bool
    state: str
    due: list[str]


class _UsageFields(TypedDict, total=False):
    problems: list[Problem]


class UsageDocument(_UsageFields):
    """`moon.usage/1`: what one look at all sessions found."""

    schema: str
    taken_at: str
    provider: str
    sessions: list[Row]


class _EntryFields(TypedDict, total=False):
    words: str
    reason: str
    hint: str
    code: str
    backoff: bool
    archives: list[str]
    ids: list[str]
    # archive
    seen: int
    new: int
    revisions: int
    malformed: int
    set_aside: int
    torn: bool
    unchanged: bool
    notes: list[str]
    # index
    indexed: list[str]
    messages: int
    pages: int
    # prune
    events_before: int
    events_after: int
    used_before: int | None
    used_after: int | None
    # distill
    memory_files: list[str]
    # rollover
    rollover_id: str
    to_session_key: str
    to_session_id: str


class SessionRecord(_EntryFields):
    """What a station did for one session, as a cycle document keeps it."""

    agent: str
    session_key: str
    session_id: str
    outcome: str


class _AuditFields(TypedDict, total=False):
    audit: dict[str, object]


class Entry(_EntryFields, _AuditFields):
    """What a station's work says of one session; the runner adds whose it is. `audit` goes into the audit line only."""

    outcome: str


class _QmdFields(TypedDict, total=False):
    reason: str
    hint: str
    files: int
    changed: int


class QmdOutcome(_QmdFields):
    """What telling QMD about new pages came to."""

    outcome: str


class _VectorsFields(TypedDict, total=False):
    reason: str
    hint: str
    vectors: int
    rows: int
    made: int
    removed: int


class VectorsOutcome(_VectorsFields):
    """What making sentence vectors came to. `vectors` of `rows` have one now; `made` and `removed` say what changed."""

    outcome: str


class StationExtra(TypedDict, total=False):
    """What a station adds to its record beside its sessions."""

    packed: str
    qmd: QmdOutcome
    vectors: VectorsOutcome
    rebuilt: str
    renewing: str
    other_sessions: str


class StationRecord(StationExtra):
    """What one station did in a cycle. `finished_at` is None while it is at work."""

    station: str
    started_at: str
    finished_at: str | None
    sessions: list[SessionRecord]


class _CycleFields(TypedDict, total=False):
    resumed: int


class CycleDocument(_CycleFields):
    """`moon.cycle/1`: one trip down the pipeline."""

    schema: str
    cycle_id: str
    origin: str
    created_at: str
    finished_at: str | None
    usage: UsageDocument
    stations: list[StationRecord]


class Member(TypedDict):
    """A segment as a `pack` line lists it; `archive_path` is the one of its own `archive` line."""

    archive_path: str
    sha256: str
    events: int
    bytes: int
    ordinal: int
    first_event_id: str
    last_event_id: str
    archived_at: str
    torn: bool


class Kept(TypedDict):
    """The file that holds what is left of a segment that was retired."""

    archive_path: str
    sha256: str
    events: int
    bytes: int


class KeptFile(Member):
    """The file that holds what of another was not forgotten."""

    segments: list[Member]


class Gone(TypedDict):
    """A segment that is no part of the archive any more."""

    archive_path: str
    sha256: str


class LedgerDamage(TypedDict):
    """A damaged line of the ledger that a later one accounts for."""

    line: int
    what: str
    sha256: str
    before: str


class LedgerLine(TypedDict, total=False):
    """A line of the ledger, of whatever `kind`; which fields each kind has is in `schemas/archive.schema.json`."""

    schema: str
    kind: str
    agent: str
    session_key: str
    session_id: str
    prev: str
    check: str
    # archive, and the measures of a pack and of what was retired
    archive_path: str
    sha256: str
    events: int
    bytes: int
    first_event_id: str
    last_event_id: str
    archived_at: str
    ordinal: int
    revisions: int
    malformed: int
    torn: bool
    # pack
    segments: list[Member]
    packed_at: str
    # aside
    event_id: str
    reason: str
    # retired
    lost: int
    retired_at: str
    kept: Kept
    # forgotten
    forgotten_at: str
    scope: str
    until: str
    event_ids: list[str]
    digests: list[str]
    gone: list[Gone]
    left: KeptFile
    # link
    from_session_id: str
    to_session_id: str
    to_session_key: str
    boundary_event_id: str
    continuity_path: str
    rollover_id: str
    linked_at: str
    # mended
    lines: list[LedgerDamage]
    mended_at: str


class Measures(TypedDict):
    """What a distillation was measured by, whoever made it."""

    values: float
    unfounded: int
    fragments: int
    characters: int


class _AttemptFields(TypedDict, total=False):
    model: str
    reason: str
    measures: Measures
    local_measures: Measures


class Attempt(_AttemptFields):
    """One provider's turn at a distillation."""

    provider: str
    outcome: str


class Spend(TypedDict):
    """What a distillation cost."""

    calls: int
    tokens_in: int
    tokens_out: int


class _DistillationFields(TypedDict, total=False):
    archives: list[str]
    archive_path: str
    agent: str
    session_key: str
    session_id: str
    first_event_at: str | None
    last_event_at: str | None
    events: int
    attempts: list[Attempt]
    dropped: dict[str, int]
    redacted: dict[str, int]
    spend: Spend
    memory_file: str | None


class DistillationRecord(_DistillationFields):
    """`moon.distillation/1`: what is worth carrying over from the archives of one session, day and window."""

    schema: str
    archive_sha256: str
    provider: str
    model: str
    summary: list[str]
    decisions: list[str]
    rules: list[str]
    milestones: list[str]
    open_tasks: list[str]
    commands: list[str]
    identifiers: list[str]
    sources: dict[str, list[list[str]]]
    created_at: str


class ArchiveReference(TypedDict):
    """An archive as a map names it; `archive_path` is relative to MOON_HOME."""

    sha256: str
    archive_path: str
    events: int


class _MapFields(TypedDict, total=False):
    boundary_event_id: str
    now: list[str]
    waiting: list[str]
    commands: list[str]
    origins: dict[str, list[str]]
    cut_messages: list[str]
    left_out: int


class ContinuityMap(_MapFields):
    """`moon.continuity/1`: what a fresh window opens with."""

    schema: str
    rollover_id: str
    agent: str
    session_key: str
    from_session_id: str
    created_at: str
    summary: list[str]
    decisions: list[str]
    rules: list[str]
    milestones: list[str]
    open_tasks: list[str]
    identifiers: list[str]
    archives: list[ArchiveReference]
    memory_files: list[str]
    recall_hints: list[str]
