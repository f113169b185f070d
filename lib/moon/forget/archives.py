"""Carry a plan out in the archive: tombstones first, then the bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from moon.errors import ArchiveDamaged, MoonError
from moon.forget.plan import SessionPlan, aside_path, kept_out
from moon.forget.request import Request
from moon.vault.catalog import Catalog
from moon.vault.forgetting import Tombstone, forget, keep_out
from moon.vault.packing import remove_files


def carry_out(catalog: Catalog, request: Request, sessions: Iterable[SessionPlan]) -> list[MoonError]:
    """Take what is planned out of the archive; what could not be. Raises `HomeUnusable`."""
    problems: list[MoonError] = []
    told = Tombstone(request.asked_at, request.words(), "all", request.until)
    for own in sessions:
        # A map that another session brought in goes by its name alone.
        rule = replace(told, until=own.until(request.until) if own.is_whole == request.is_whole else 0)
        names = kept_out(own)
        if names or rule.until:
            keep_out(catalog, own.owner, rule, names)
        for cut in own.cuts:
            try:
                forget(catalog, cut, rule)
            except ArchiveDamaged as error:
                problems.append(error)
        _remove_asides(catalog, own)
    return problems


def _remove_asides(catalog: Catalog, own: SessionPlan) -> None:
    """Remove what was set aside, unless another session set the same bytes aside."""
    still = {
        digest.hex()
        for agent, _, session_id in catalog.sessions()
        for digest in catalog.set_aside(catalog.find_session(agent, session_id) or 0)
    }
    paths: list[Path] = []
    for sha256 in own.asides:
        if sha256 not in still:
            paths += [aside_path(catalog, sha256), aside_path(catalog, sha256).with_suffix(".txt")]
    remove_files(paths)
