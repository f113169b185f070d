"""Archives by the names people give: the beginning of a SHA-256, a session key or id, an agent."""

from __future__ import annotations

from collections.abc import Sequence

from moon.errors import SessionUnknown
from moon.vault.catalog import Catalog, Segment
from moon.vault.restore import find_archived


def select_segments(
    catalog: Catalog, *, archives: Sequence[str] = (), sessions: Sequence[str] = (), agent: str = ""
) -> list[Segment]:
    """The named archives, oldest first; all of them where nothing is named. Raises `SessionUnknown`."""
    if archives:
        return [segment_by_prefix(catalog, prefix) for prefix in archives]
    found = list(catalog.segments(agent))
    if sessions:
        named = {each for name in sessions for each in find_archived(catalog, name, agent)}
        found = [each for each in found if (each.agent, each.session_key, each.session_id) in named]
    return found


def segment_by_prefix(catalog: Catalog, prefix: str) -> Segment:
    """The one archive whose SHA-256 begins so; a pack also goes by those of its segments. Raises `SessionUnknown`."""
    start = prefix.lower()
    found = [each for each in catalog.segments() if any(sha.startswith(start) for sha in (each.sha256, *each.parts))]
    if len(found) == 1 and prefix:
        return found[0]
    problem = "more than one archive begins" if found else "no archive begins"
    raise SessionUnknown(f"{problem} with {prefix!r}", hint="`moon-archive --list` names the archives")
