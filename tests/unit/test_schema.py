"""Documents are checked on the way in and on the way out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.properties import examples

from moon import schema
from moon.errors import DocumentInvalid, DocumentTooNew, MoonError

REPORT = {
    "schema": "moon.report/1",
    "command": "moon-archive",
    "ok": True,
    "outcome": "done",
    "changed": False,
    "details": [],
    "errors": [],
    "started_at": "2026-11-22T06:00:00.000Z",
    "duration_ms": 3,
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def test_a_good_one_passes_and_survives_the_way_to_the_disk_and_back(tmp_path):
    document = {**REPORT, "outcome": "ünïcödé 🌒 \u2028 and half \ud83d"}
    schema.write("report", document, tmp_path / "report.json")
    assert schema.read("report", tmp_path / "report.json") == document


@pytest.mark.parametrize("kind", schema.kinds())
@examples(25)
@given(document=ANYTHING)
def test_whatever_comes_is_judged_and_never_breaks_the_judge(kind, document):
    try:
        schema.check(kind, document)
    except DocumentInvalid as error:
        assert kind in error.message and error.hint


@pytest.mark.parametrize("kind", schema.kinds())
def test_a_newer_major_version_is_refused_by_name(kind):
    known = schema.load_schema(kind).get("properties", {}).get("schema", {}).get("const")
    if known is None:
        assert kind == "config"
        return
    stem, major = known.split("/")
    newer = f"{stem}/{int(major) + 1}"
    with pytest.raises(DocumentTooNew) as caught:
        schema.check(kind, {"schema": newer}, path="somewhere.json")
    assert newer in caught.value.message and known in caught.value.message
    assert caught.value.exit_code == 78


def test_every_problem_is_named_with_its_path():
    with pytest.raises(DocumentInvalid) as caught:
        schema.check("report", {**REPORT, "errors": [{"code": 5}], "duration_ms": -1, "command": "rm"})
    for place in ("errors[0]", "duration_ms", "command"):
        assert place in caught.value.message


def test_many_problems_are_cut_off():
    wrong = {**REPORT, "errors": [{"code": number} for number in range(500)]}
    assert len(schema.problems("report", wrong)) <= schema.MAX_PROBLEMS


def test_a_huge_wrong_value_is_not_quoted_in_full():
    with pytest.raises(DocumentInvalid) as caught:
        schema.check("report", {**REPORT, "command": "x" * 100_000})
    assert len(caught.value.message) < 2_000


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 99_999, "nope"])
def test_what_is_no_json(data):
    with pytest.raises(DocumentInvalid):
        schema.parse("report", data, path="p")


def test_an_invalid_document_leaves_the_file_as_it_was(tmp_path):
    schema.write("report", REPORT, tmp_path / "r.json")
    before = (tmp_path / "r.json").read_bytes()
    with pytest.raises(DocumentInvalid):
        schema.write("report", {**REPORT, "ok": "yes"}, tmp_path / "r.json")
    assert (tmp_path / "r.json").read_bytes() == before


def test_a_missing_and_an_oversized_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        schema.read("report", tmp_path / "none.json")
    (tmp_path / "dir.json").mkdir()
    with pytest.raises(MoonError):
        schema.read("report", tmp_path / "dir.json")


def test_only_the_remembered_bytes_are_remembered(tmp_path):
    content = json.dumps(REPORT).encode()
    assert not schema.is_remembered(tmp_path, "report", content)
    schema.remember(tmp_path, "report", content)
    assert schema.is_remembered(tmp_path, "report", content)
    assert not schema.is_remembered(tmp_path, "report", content + b" ")
    assert not schema.is_remembered(tmp_path, "usage", content)


def test_nearest():
    assert schema.nearest("archve", ["archive", "prune"]) == "archive"
    assert schema.nearest("zzz", ["archive", "prune"]) == ""
    assert schema.nearest("x", []) == ""
