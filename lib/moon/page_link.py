"""The command that makes a conversation a page to read, and the place of an event on it. Pure.

moon-recall --session agent:main:main --format html --output page.html#EVENT
"""

from __future__ import annotations

import shlex

from moon.text import shown


def page_command(session_key: str, event_id: str) -> str:
    """Makes the page and says the link to that event on it; empty for a transcript without a key."""
    if not session_key:
        return ""
    # With `=`, because a key or an id may look like an option.
    where = shlex.quote(f"page.html#{shown(event_id)}" if event_id else "page.html")
    return f"moon-recall --session={shlex.quote(shown(session_key))} --format html --output {where}"
