"""`docs/troubleshooting.md`, rendered from the table of remedies. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from moon.remedies import RANKS, Remedy

NOTE = "Rendered from lib/moon/remedies.json by `make docs`; change the table, not this file."
INTRO = """\
`moon-status` says what is wrong now, since when and how often, worst first; `moon-status --check` says it in one line
and ends with exit code 1 when something needs you. `moon-verify` tries everything out and names what it finds. Both
take cause and remedy from the table below, as the errors of every tool do; the word in brackets is the `code` that
stands in their JSON.

A problem that passes by itself, such as a gateway that is restarted, is shown at once and needs you only when it has
been seen several times. After failures a session's work is tried at the next two ticks and then after pauses that
double from a minute to an hour, so what you mended may need up to an hour to show; `moon-archive --all | moon-index`
does not wait.

`MOON_HOME` stands for the folder that `moon-status` names in its first line, `~/.lilac_metaflora` unless set."""


def render_troubleshooting(rows: Iterable[Remedy]) -> str:
    """The text of docs/troubleshooting.md, by what hurts most."""
    known = list(rows)
    lines = ["# Troubleshooting", "", f"<!-- {NOTE} -->", "", INTRO]
    for rank, hurts in RANKS.items():
        lines += ["", f"## {hurts[0].upper()}{hurts[1:]}"]
        for row in known:
            if row.rank == rank:
                lines += ["", *_entry(row)]
    return "\n".join(lines) + "\n"


def _entry(row: Remedy) -> list[str]:
    command = row.command.replace("{path}", "PATH")
    return [f"### {row.symptom} (`{row.code}`)", "", f"{row.cause}", "", f"{command[0].upper()}{command[1:]}."]
