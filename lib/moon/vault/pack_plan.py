"""Which files of the archive to join into packs. Pure.

A chat that is archived every quarter of an hour makes a hundred small files a day. Those of one session and one local
day become one pack once the day is over: today's stay as they are, so that an active chat never rewrites anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from moon.vault.catalog import Segment

# A pack stays small enough that one line of it can be read again without unpacking a gigabyte.
PACK_BYTES = 32 << 20


def plan_packs(
    files: Iterable[Segment],
    day_of: Callable[[str], str],
    today: str,
    links: Callable[[str, str], Sequence[str]],
    limit: int = PACK_BYTES,
) -> list[list[Segment]]:
    """Groups of two and more files to join, in order.

    `day_of`: archived_at → local date, `YYYY-MM-DD`. `links`: (agent, session key) → when its windows were rolled over;
    what lies before and behind such an instant stays apart. Once all groups are joined, a second plan is empty.
    """
    sessions: dict[tuple[str, str], list[Segment]] = {}
    for file in files:
        sessions.setdefault((file.agent, file.session_id), []).append(file)
    groups: list[list[Segment]] = []
    for (agent, _), found in sessions.items():
        boundaries = links(agent, found[-1].session_key)
        ordered = sorted(found, key=lambda file: file.ordinal)
        groups += _groups(ordered, lambda file, known=boundaries: _unit(file, day_of, known), today, limit)  # type: ignore[misc]
    return [group for group in groups if len(group) > 1]


def _unit(file: Segment, day_of: Callable[[str], str], boundaries: Sequence[str]) -> tuple[str, int]:
    """What a file may share a pack with: its day, and the window of its session."""
    return day_of(file.archived_at), sum(when < file.archived_at for when in boundaries)


def _groups(
    files: list[Segment], unit_of: Callable[[Segment], tuple[str, int]], today: str, limit: int
) -> list[list[Segment]]:
    groups: list[list[Segment]] = []
    unit, size = ("", 0), 0
    for file in files:
        own = unit_of(file)
        if own[0] >= today or own != unit or size + file.bytes > limit:
            groups.append([])
            size = 0
        groups[-1].append(file)
        unit, size = own, size + file.bytes
    return groups
