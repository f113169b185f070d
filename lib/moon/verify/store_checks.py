"""Checks of what OpenClaw keeps: can it be read, how full are its sessions, and could the fullest be archived now."""

from __future__ import annotations

from typing import NamedTuple

from moon.clock import now_ms
from moon.config import Config
from moon.errors import MoonError
from moon.openclaw.locate import Stores, open_stores, state_dir
from moon.openclaw.transcript_store import SessionEntry, TranscriptStore
from moon.openclaw.usage import read_one
from moon.text import counted, readable_size
from moon.verify.finding import FAIL, OK, WARN, Finding, Findings, of_error, trouble


class _Fullest(NamedTuple):
    ratio: float
    store: TranscriptStore
    entry: SessionEntry


def check_stores(config: Config) -> Findings:
    """Each agent's store, and a rehearsal of archiving with the fullest session of all."""
    try:
        stores = open_stores(config)
    except MoonError as error:
        yield of_error("stores", FAIL, error)
        return
    if not stores.stores:
        yield trouble("stores", WARN, "nothing_seen", f"no agent has sessions in {state_dir(config)}")
    yield from _judge_stores(config, stores)
    yield from _rehearse(config, stores)


def _judge_stores(config: Config, stores: Stores) -> Findings:
    for store in stores.stores:
        try:
            entries = list(store.sessions())
        except MoonError as error:
            yield of_error("stores", FAIL, error, f"agent {store.agent}: ")
            continue
        if store.notice is not None:
            yield of_error("stores", WARN, store.notice, f"agent {store.agent}: ")
            continue
        version = getattr(store, "version", 0)
        what = f"{store.generation} store" + (f", schema version {version}" if version else "")
        words = (
            f"agent {store.agent}: {what}, {counted(len(entries), 'session')}{_fullest_words(config, store, entries)}"
        )
        yield Finding("stores", OK, words, path=str(stores.folder))


def _fullest_words(config: Config, store: TranscriptStore, entries: list[SessionEntry]) -> str:
    ratios = [read_one(config, store, entry, now_ms()).ratio for entry in entries]
    known = [ratio for ratio in ratios if ratio is not None]
    unknown = len(ratios) - len(known)
    words = f", the fullest at {max(known):.0%}" if known else ""
    return words + (f", {unknown} without a usage number" if unknown else "")


def _rehearse(config: Config, stores: Stores) -> Findings:
    """Read all of the fullest session, as archiving would, and write nothing."""
    found: list[_Fullest] = []
    for store, entry in stores.sessions():
        ratio = read_one(config, store, entry, now_ms()).ratio
        found.append(_Fullest(ratio or 0.0, store, entry))
    if not found:
        return
    fullest = max(found, key=lambda each: each.ratio)
    name = fullest.entry.key
    events = size = 0
    odd = []
    try:
        for event in fullest.store.events(fullest.entry.transcript):
            events, size = events + 1, size + len(event.data)
            odd += [event.problem] if event.problem else []
    except MoonError as error:
        yield of_error("stores", FAIL, error, f"{name} could not be archived: ")
        return
    more = f"; {counted(len(odd), 'event')} would be kept apart ({odd[0]})" if odd else ""
    words = f"the fullest session, {name}, could be archived: {counted(events, 'event')}, {readable_size(size)}{more}"
    yield Finding("stores", OK, words)
