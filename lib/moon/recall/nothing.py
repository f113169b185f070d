"""What to say when nothing was found: what was looked for, which limit names what is not there, what to try instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from moon.errors import MoonError
from moon.fulltext import Filters, SearchIndex

if TYPE_CHECKING:
    from moon.paths import Home
    from moon.recall.question import Query

ROLES = ("user", "assistant", "toolResult", "toolCall", "system", "compaction", "branch_summary")


def tried(home: Home, index: SearchIndex, query: Query, filters: Filters) -> Iterator[str]:
    """One line after the other, for people."""
    if not query.terms:
        yield "the query holds no word to search for"
        return
    yield f"searched for: {', '.join(term.text for term in query.terms)}"
    agents = index.agents()
    if not agents:
        yield "nothing is indexed yet: run `moon-archive --all`, then `moon-index --all`"
    elif filters.agent is not None and filters.agent not in agents:
        yield f"there is no agent {filters.agent!r}, only {', '.join(sorted(agents))}"
    elif filters.session is not None and not index.has_any(Filters(session=filters.session)):
        yield f"there is no session {filters.session!r}{_instead(home, filters.session)}"
    elif filters.roles and not index.has_any(Filters(roles=filters.roles)):
        there = [role for role in ROLES if index.has_any(Filters(roles=(role,)))]
        yield f"no message has the role {' or '.join(filters.roles)}; there are {', '.join(there)}"
    elif filters.tools and not index.has_any(Filters(tools=filters.tools)):
        yield f"no message is of the tool {' or '.join(filters.tools)}; each result names its tool"
    elif not index.has_any(filters):
        yield "no message at all lies within these limits (agent, session, role, tool, time)"
    else:
        yield "nothing found; try other or fewer words, or drop limits such as --agent or --since"


def _instead(home: Home, session: str) -> str:
    """The nearest session, or how to see all of them."""
    from moon.schema import nearest
    from moon.vault.catalog import open_catalog

    try:
        with open_catalog(home) as catalog:
            close = nearest(session, [name for each in catalog.sessions() for name in each[1:] if name])
    except MoonError:
        close = ""
    return f"; did you mean {close}?" if close else "; `moon-archive --list` names those that have archives"
