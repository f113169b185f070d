"""The cycle document on its way down the pipeline."""

from __future__ import annotations

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import events

from moon.cycle import cycle_document as cycles
from moon.cycle.cycle_document import STATIONS
from moon.errors import DocumentInvalid, DocumentTooNew
from moon.paths import Home


def row(due=STATIONS, deferred=(), session_id="s1"):
    return {
        "agent": "main",
        "session_key": "agent:main:main",
        "session_id": session_id,
        "used_tokens": 1,
        "window_tokens": 2,
        "budget_tokens": 1,
        "ratio": 0.5,
        "fresh": True,
        "age_seconds": 0,
        "active": False,
        "state": "Normal",
        "due": list(due),
        "deferred": list(deferred),
    }


def usage(*rows):
    return {"schema": "moon.usage/1", "taken_at": events.WHEN, "provider": "store", "sessions": list(rows)}


def record(station, finished=True, **entry):
    ids = {"agent": "main", "session_key": "agent:main:main", "session_id": "s1", "outcome": "done"}
    return {
        "station": station,
        "started_at": events.WHEN,
        "finished_at": events.WHEN if finished else None,
        "sessions": [{**ids, **entry}],
    }


@given(
    st.lists(st.tuples(st.sets(st.sampled_from(STATIONS)), st.sets(st.sampled_from(STATIONS))), max_size=4),
    st.dictionaries(st.sampled_from(STATIONS), st.booleans()),
)
def test_stations_follow_in_order_until_none_has_work(rows, done):
    document = cycles.new_cycle(
        usage(*(row(sorted(due, key=STATIONS.index), sorted(held & due)) for due, held in rows)), "timer"
    )
    for station, finished in done.items():
        cycles.set_record(document, record(station, finished))
    assert [each["station"] for each in document["stations"]] == sorted(done, key=STATIONS.index)
    wanted = {station for due, held in rows for station in due - held}
    left = [station for station in STATIONS if station in wanted and not done.get(station)]
    walked = []
    while station := cycles.next_station(document):
        walked.append(station)
        cycles.set_record(document, record(station))
    assert walked == left
    for after in STATIONS:
        assert cycles.next_station(document, after) == ""


def test_only_later_stations_follow():
    document = cycles.new_cycle(usage(row()), "timer")
    assert [cycles.next_station(document, station) for station in STATIONS] == [*STATIONS[1:], ""]


def test_a_record_replaces_the_one_that_was_cut_short():
    document = cycles.new_cycle(usage(row()), "timer")
    cycles.set_record(document, record("archive", finished=False, outcome="failed"))
    cycles.set_record(document, record("archive"))
    assert cycles.session_record(document, "archive", row())["outcome"] == "done"
    assert cycles.session_record(document, "archive", row(session_id="s2")) is None
    assert cycles.session_record(document, "prune", row()) is None


def test_written_and_read(tmp_path):
    home = Home(tmp_path)
    document = cycles.new_cycle(usage(row()), "manual")
    cycles.write(home, document)
    path = cycles.cycle_path(home, document["cycle_id"])
    assert cycles.parse(path.read_bytes(), str(path)) == document


def test_a_usage_document_becomes_a_manual_cycle():
    document = cycles.parse(json.dumps(usage(row())).encode())
    assert (document["schema"], document["origin"], document["usage"]["sessions"][0]["session_id"]) == (
        "moon.cycle/1",
        "manual",
        "s1",
    )


@pytest.mark.parametrize("data", [b"", b"hello", b"[]", b"null", b"5", b'"moon.usage/1"', b"\xff", b"[" * 99_999])
def test_what_is_no_document(data):
    with pytest.raises(DocumentInvalid) as caught:
        cycles.parse(data, "standard input")
    assert caught.value.hint and caught.value.exit_code == 78


@pytest.mark.parametrize("name", ["moon.usage/2", "moon.cycle/17"])
def test_a_newer_document_is_refused_by_name(name):
    document = {**(usage(row()) if "usage" in name else cycles.new_cycle(usage(row()), "timer")), "schema": name}
    with pytest.raises(DocumentTooNew) as caught:
        cycles.parse(json.dumps(document).encode())
    assert name in caught.value.message


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda document: document["usage"]["sessions"][0].pop("due"), "usage.sessions[0]"),
        (lambda document: document["usage"]["sessions"][0].update(ratio="high"), "usage.sessions[0].ratio"),
        (lambda document: document["usage"]["sessions"][0].update(due=["sleep"]), "usage.sessions[0].due[0]"),
        (lambda document: document.update(cycle_id="../../etc/passwd"), "cycle_id"),
        (lambda document: document.update(stations=[{"station": "sleep"}]), "stations[0]"),
        (lambda document: document.update(schema="moon.weather/1"), "schema"),
    ],
)
def test_an_invalid_document_is_named_with_the_failing_path(change, place):
    document = cycles.new_cycle(usage(row()), "timer")
    change(document)
    with pytest.raises(DocumentInvalid) as caught:
        cycles.parse(json.dumps(document).encode(), "cycle.json")
    assert place in caught.value.message and caught.value.path == "cycle.json"


def test_an_invalid_document_is_never_written(tmp_path):
    document = cycles.new_cycle(usage(row()), "timer")
    cycles.write(Home(tmp_path), document)
    before = cycles.cycle_path(Home(tmp_path), document["cycle_id"]).read_bytes()
    document["usage"]["sessions"][0]["ratio"] = "high"
    with pytest.raises(DocumentInvalid):
        cycles.write(Home(tmp_path), document)
    assert cycles.cycle_path(Home(tmp_path), document["cycle_id"]).read_bytes() == before


def test_old_documents_go_and_the_current_one_stays(tmp_path):
    home = Home(tmp_path)
    for name in ("old", "new", "current"):
        document = {**cycles.new_cycle(usage(row()), "timer"), "cycle_id": name}
        cycles.write(home, document)
        if name != "new":
            long_ago = time.time() - 15 * 86_400
            os.utime(cycles.cycle_path(home, name), (long_ago, long_ago))
    assert cycles.remove_old(home, 14, keep="current") == 1
    assert sorted(path.stem for path in home.cycles.glob("*.json")) == ["current", "new"]
