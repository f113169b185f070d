"""What a writer labelled: "Decision: …", "Rule recorded: …", "Open until Tuesday: …", "I promise to …".

A label is the writer's own word for what a line is, so it counts for more than any guess (`judging.py`).
"""

from __future__ import annotations

import re

from moon.distill.cues import cue

_LISTS = {
    "decisions": "label_decisions",
    "rules": "label_rules",
    "milestones": "label_milestones",
    "open_tasks": "label_open_tasks",
}
# Up to three words may stand between a label and its colon; a colon before a digit is that of a clock.
_COLON = re.compile(r"(?!\s(?:the|an?|this|your)\s)(?:\s[^\s,.!?]+){0,3}?\s?(?::(?=\s|$)|：)")


def label_of(text: str) -> str:
    """The list that the first words of this line or heading name; empty when they name none."""
    if cue("promise").match(text):
        return "open_tasks"
    for name, label in _LISTS.items():
        found = cue(label).match(text)
        if found and (found.group(0).endswith((":", "：")) or _COLON.match(text, found.end())):
            return name
    return ""


def is_bare_label(line: str) -> bool:
    """Whether a line only announces what follows: "Still open:"."""
    return line.endswith((":", "：")) and len(line) < 40 and bool(label_of(line))
