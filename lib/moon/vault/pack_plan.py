"""Which files of the archive belong together, and which of them to join into packs. Pure.

A chat that is archived every quarter of an hour makes a hundred small files a day. Those of one session, one local day
and one window are one: they become one pack once the day is over (today's stay as they are, so that an active chat
never rewrites anything), and they are distilled as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from moon.clock import local_date, parse_ms
from moon.vault.catalog import Segment

# A pack stays small enough that one line of it can be read again without unpacking a gigabyte.
PACK_BYTES = 32 << 20
# Gives (agent, session key) → when its windows were rolled over, oldest first.
Links = Callable[[str, str], Sequence[str]]


def plan_packs(
    files: Iterable[Segment], day_of: Callable[[str], str], today: str, links: Links, limit: int = PACK_BYTES
) -> list[list[Segment]]:
    """Groups of two and more files to join, in order.

    `day_of`: archived_at → local date, `YYYY-MM-DD`. Once all groups are joined, a second plan is empty.
    """
    groups = group_by_day(files, day_of, links, limit)
    return [group for group in groups if len(group) > 1 and day_of(group[0].archived_at) < today]


def group_by_day(
    files: Iterable[Segment], day_of: Callable[[str], str], links: Links, limit: int = PACK_BYTES
) -> list[list[Segment]]:
    """The files of one session, one local day and one window together, in order; those of a session one after another.

    What lies before and behind a rollover stays apart, and so does what comes when a group holds `limit` bytes. A group
    only ever grows at its end, and a pack stands where its files stood.
    """
    sessions: dict[tuple[str, str], list[Segment]] = {}
    for file in files:
        sessions.setdefault((file.agent, file.session_id), []).append(file)
    groups: list[list[Segment]] = []
    for (agent, _), found in sessions.items():
        boundaries = links(agent, found[-1].session_key)
        ordered = sorted(found, key=lambda file: file.ordinal)
        stretches = [(day_of(file.archived_at), window_of(file.archived_at, boundaries)) for file in ordered]
        groups += _groups(ordered, stretches, limit)
    return groups


def window_of(archived_at: str, boundaries: Sequence[str]) -> int:
    """In which window of its session something was archived: how many rollovers came before."""
    return sum(when < archived_at for when in boundaries)


def archived_day(zone_name: str) -> Callable[[str], str]:
    """A function archived_at → local date, `YYYY-MM-DD`."""
    return lambda archived_at: local_date(parse_ms(archived_at) or 0, zone_name).isoformat()


def _groups(files: list[Segment], stretches: list[tuple[str, int]], limit: int) -> list[list[Segment]]:
    groups: list[list[Segment]] = []
    last, size = ("", 0), 0
    for file, own in zip(files, stretches, strict=True):
        if not groups or own != last or size + file.bytes > limit:
            groups.append([])
            size = 0
        groups[-1].append(file)
        last, size = own, size + file.bytes
    return groups
