"""Let a pack of the archive take over the rows of the segments in it: nothing is read or indexed anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from moon.fulltext.engine import Moved
from moon.fulltext.index_rows import SegmentSource

if TYPE_CHECKING:
    from moon.fulltext.index_writer import TextIndexWriter


def take_over(index: TextIndexWriter, pack: SegmentSource, segments: Sequence[Moved]) -> bool:
    """Point the rows of these segments to the pack, once; returns whether the pack is indexed now.

    Where the index lacks one of them, or has it as another session's, the pack has to be entered like any archive; what
    it has of them as this session's own is then taken out, so that nothing is found twice.
    """
    if index.has_segment(pack.sha256):
        return True
    first_lines: dict[str, int] = {}
    for each in segments:
        first_lines.setdefault(each.sha256, each.first_line)
    own = _own(index, pack, first_lines)
    if own.keys() != first_lines.keys() or len(first_lines) < len(segments):
        for sha256 in own:
            index.forget_segment(sha256)
        return False
    with index.transaction():
        _point(index, pack, [(number, first_lines[sha256]) for sha256, number in own.items()])
    return True


def _own(index: TextIndexWriter, pack: SegmentSource, wanted: dict[str, int]) -> dict[str, int]:
    """SHA-256 → number of those segments that the index has as this session's own."""
    rows = index.connection.execute(
        "SELECT segment.sha256, segment.id FROM segment JOIN session ON session.id = segment.session "
        "JOIN agent ON agent.id = session.agent WHERE agent.name = ? AND session.session_id = ?",
        (pack.agent, pack.session_id),
    )
    return {str(sha256): int(number) for sha256, number in rows if sha256 in wanted}


def _point(index: TextIndexWriter, pack: SegmentSource, old: Sequence[tuple[int, int]]) -> None:
    run = index.connection.execute
    marks = ",".join(str(number) for number, _ in old)
    cursor = run(
        "INSERT INTO segment (sha256, session, archive_path, rows) "
        f"SELECT ?, max(session), ?, sum(rows) FROM segment WHERE id IN ({marks})",
        (pack.sha256, pack.archive_path),
    )
    for number, first_line in old:
        run(
            "UPDATE span SET segment = ?, lines_before = lines_before + ? WHERE segment = ?",
            (cursor.lastrowid, first_line, number),
        )
    run(f"DELETE FROM segment WHERE id IN ({marks})")
