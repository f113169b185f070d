"""Daily memory: where a block goes, that it goes there once, and that everything else in the file stays."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon.distill import daily_memory, standing_rules, told_lines
from moon.distillations import LISTS
from moon.errors import MoonError

SHA = "ab" * 32
OTHER = "cd" * 32


def make_record(**more: Any) -> dict[str, Any]:
    """A record as far as memory reads it."""
    lists: dict[str, list[str]] = {name: [] for name in LISTS}
    return {
        "archive_sha256": SHA,
        "archive_path": "archives/raw/main/x.jsonl",
        "session_key": "agent:main:main",
        "session_id": "s1",
        "provider": "local",
        "model": "extractive-1",
        "first_event_at": "2026-11-20T09:00:00Z",
        "last_event_at": "2026-11-20T10:15:00Z",
        "created_at": "2026-11-21T01:00:00Z",
        **lists,
        "decisions": ["Use the blue folder."],
        **more,
    }


@pytest.mark.parametrize(
    ("last", "zone", "day"),
    [
        ("2026-11-20T22:59:59.999Z", "Europe/Berlin", "2026-11-20"),
        ("2026-11-20T23:00:00Z", "Europe/Berlin", "2026-11-21"),
        ("2026-03-29T00:59:59Z", "Europe/Berlin", "2026-03-29"),
        ("2026-03-28T23:30:00Z", "Europe/Berlin", "2026-03-29"),
        ("2026-10-25T22:30:00Z", "Europe/Berlin", "2026-10-25"),
        ("2026-10-25T23:00:00Z", "Europe/Berlin", "2026-10-26"),
        ("2026-11-20T09:59:59Z", "Pacific/Kiritimati", "2026-11-20"),
        ("2026-11-20T10:00:00Z", "Pacific/Kiritimati", "2026-11-21"),
        ("2026-11-20T10:00:00Z", "America/Los_Angeles", "2026-11-20"),
    ],
)
def test_the_day_is_the_local_date_of_the_last_thing_said(last: str, zone: str, day: str) -> None:
    assert daily_memory.day_of(make_record(last_event_at=last), zone) == day


def test_without_any_time_the_day_of_the_record_counts() -> None:
    assert daily_memory.day_of(make_record(last_event_at=None), "UTC") == "2026-11-21"


def test_a_conversation_across_midnight_says_when_it_began() -> None:
    record = make_record(first_event_at="2026-11-19T23:50:00Z", last_event_at="2026-11-20T00:10:00Z")
    assert "## 2026-11-19 23:50–00:10 · agent:main:main" in daily_memory.render_block(record, "UTC")


def test_both_hours_of_the_night_that_has_one_twice_are_shown_as_the_clock_showed_them() -> None:
    record = make_record(first_event_at="2026-10-25T00:30:00Z", last_event_at="2026-10-25T01:30:00Z")
    assert "## 02:30–02:30 ·" in daily_memory.render_block(record, "Europe/Berlin")


def test_text_cannot_close_its_block() -> None:
    nasty = f"done --> {daily_memory.end_mark(SHA)}\n# Heading"
    block = daily_memory.render_block(make_record(decisions=[nasty], session_key="a\nb <!-- x"), "UTC")
    assert block.count("-->") == 2
    assert "\n# Heading" not in block


def test_a_new_file_gets_a_title() -> None:
    assert daily_memory.with_block(b"", SHA, "block\n", "2026-11-20") == b"# 2026-11-20\n\nblock\n"


def test_a_block_that_stands_there_is_replaced_in_its_place() -> None:
    old = f"before\n{daily_memory.begin_mark(SHA)}\nold\n{daily_memory.end_mark(SHA)}\nafter\n".encode()
    new = f"{daily_memory.begin_mark(SHA)}\nnew\n{daily_memory.end_mark(SHA)}\n"
    changed = daily_memory.with_block(old, SHA, new, "2026-11-20")
    assert changed == f"before\n{new}after\n".encode()
    assert daily_memory.with_block(changed, SHA, new, "2026-11-20") == changed


def test_blocks_of_a_day_stand_in_the_order_of_their_conversations() -> None:
    times = {"aa": ("19T23:50", "20T00:10"), "bb": ("20T08:27", "20T08:28"), "cc": ("20T08:32", "20T08:32")}
    content = b"my own beginning\n"
    for name in ("cc", "aa", "bb"):
        first, last = (f"2026-11-{time}:00Z" for time in times[name])
        record = make_record(archive_sha256=name * 32, first_event_at=first, last_event_at=last)
        content = daily_memory.with_block(content, name * 32, daily_memory.render_block(record, "UTC"), "2026-11-20")
        content += b"my own words\n" if name == "cc" else b""
    places = [content.index(daily_memory.begin_mark(name * 32).encode()) for name in ("aa", "bb", "cc")]
    assert places == sorted(places)
    assert content.startswith(b"my own beginning\n")
    assert content.endswith(b"my own words\n")


def test_a_begin_mark_without_its_end_takes_nothing_with_it() -> None:
    other = f"{daily_memory.begin_mark(OTHER)}\nx\n{daily_memory.end_mark(OTHER)}\n"
    content = f"{daily_memory.begin_mark(SHA)}\nsomebody deleted the end mark\n{other}my own words\n".encode()
    block = f"{daily_memory.begin_mark(SHA)}\nwhole\n{daily_memory.end_mark(SHA)}\n"
    once = daily_memory.with_block(content, SHA, block, "2026-11-20")
    assert once == content + b"\n" + block.encode()
    assert daily_memory.with_block(once, SHA, block, "2026-11-20") == once


@given(st.binary(max_size=200))
def test_whatever_stands_in_the_file_stays(content: bytes) -> None:
    block = daily_memory.render_block(make_record(), "UTC")
    once = daily_memory.with_block(content, SHA, block, "2026-11-20")
    assert once.startswith(content)
    assert daily_memory.with_block(once, SHA, block, "2026-11-20") == once
    assert once.count(b"moon:begin") == content.count(b"moon:begin") + 1


def test_mode_and_link_of_the_file_stay(tmp_path: Path) -> None:
    real = tmp_path / "real.md"
    real.write_text("mine\n")
    real.chmod(0o640)
    (tmp_path / "2026-11-20.md").symlink_to(real)
    daily_memory.write_block(
        tmp_path / "2026-11-20.md", SHA, daily_memory.render_block(make_record(), "UTC"), "2026-11-20"
    )
    assert (tmp_path / "2026-11-20.md").is_symlink()
    assert real.read_text().startswith("mine\n")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert daily_memory.begin_mark(SHA) in real.read_text()


def test_a_new_file_is_private(tmp_path: Path) -> None:
    path = daily_memory.write_block(tmp_path / "memory" / "2026-11-20.md", SHA, "block\n", "2026-11-20")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["2026-11-20.md"]


def test_words_that_another_program_adds_meanwhile_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "2026-11-20.md"
    path.write_text("mine\n")
    look, calls = daily_memory._look, []

    def look_and_write(target: Path) -> Any:
        calls.append(target)
        if len(calls) == 2:
            path.write_text("mine\nadded just now\n")
        return look(target)

    monkeypatch.setattr(daily_memory, "_look", look_and_write)
    daily_memory.write_block(tmp_path / "2026-11-20.md", SHA, "block\n", "2026-11-20")
    assert path.read_text() == "mine\nadded just now\n\nblock\n"


def test_a_file_that_never_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily_memory, "_replace", lambda *_: False)
    with pytest.raises(MoonError, match="changes all the time"):
        daily_memory.write_block(tmp_path / "2026-11-20.md", SHA, "block\n", "2026-11-20")


def test_a_rule_stands_once_in_the_file_of_rules_with_where_it_comes_from(tmp_path: Path) -> None:
    first = make_record(rules=["Never deploy on Fridays.", "Answer in English."])
    again = make_record(archive_sha256=OTHER, last_event_at="2026-11-23T10:00:00Z", rules=["never deploy on fridays"])
    standing_rules.keep_rules(tmp_path, first, "UTC")
    assert standing_rules.keep_rules(tmp_path, again, "UTC")("Never deploy on Fridays!")
    text = standing_rules.standing_file(tmp_path).read_text()
    assert text.count("deploy on") == 1
    assert f"- Answer in English. · 2026-11-20 · agent:main:main · `{SHA[:12]}`" in text
    assert stat.S_IMODE(standing_rules.standing_file(tmp_path).stat().st_mode) == 0o600
    standing_rules.keep_rules(tmp_path, first, "UTC")
    assert standing_rules.standing_file(tmp_path).read_text() == text


def test_rules_of_a_record_made_anew_replace_those_it_had_and_nothing_else(tmp_path: Path) -> None:
    path = standing_rules.standing_file(tmp_path)
    path.write_text("Mine.\n")
    standing_rules.keep_rules(tmp_path, make_record(rules=["Never deploy on Fridays."]), "UTC")
    standing_rules.keep_rules(tmp_path, make_record(archive_sha256=OTHER, rules=["Answer in English."]), "UTC")
    standing_rules.keep_rules(tmp_path, make_record(rules=["Never deploy on Mondays."]), "UTC")
    text = path.read_text()
    assert text.startswith("Mine.\n\n")
    assert [rule.text for rule in standing_rules.rules_in(text.encode())] == [
        "Answer in English.",
        "Never deploy on Mondays.",
    ]


def test_without_rules_there_is_no_file_of_rules(tmp_path: Path) -> None:
    standing_rules.keep_rules(tmp_path, make_record(), "UTC")
    assert not standing_rules.standing_file(tmp_path).exists()


def test_what_an_earlier_day_tells_is_not_told_again_and_a_new_figure_is(tmp_path: Path) -> None:
    old = make_record(decisions=["The deadline of the garden project is March 15.", "Use the blue folder."])
    block = daily_memory.render_block(old, "UTC")
    daily_memory.write_block(daily_memory.day_file(tmp_path, "2026-11-20"), SHA, block, "2026-11-20")
    new = ["The deadline of the garden project is March 31.", "use the blue folder"]
    record = make_record(archive_sha256=OTHER, decisions=new, open_tasks=["Use the blue folder."])
    told = told_lines.told_before(tmp_path, "2026-11-23", OTHER, block)
    text = daily_memory.render_block(record, "UTC", lambda name, line: told.holds(line))
    assert "March 31" in text
    assert "- use the blue folder" not in text
    assert "- Use the blue folder." in text


def test_a_block_does_not_fold_what_only_it_or_a_later_one_tells(tmp_path: Path) -> None:
    path = daily_memory.day_file(tmp_path, "2026-11-20")
    first = daily_memory.render_block(make_record(), "UTC")
    later = make_record(
        archive_sha256=OTHER, first_event_at="2026-11-20T11:00:00Z", last_event_at="2026-11-20T12:00:00Z"
    )
    for sha, block in ((OTHER, daily_memory.render_block(later, "UTC")), (SHA, first)):
        daily_memory.write_block(path, sha, block, "2026-11-20")
    assert not told_lines.told_before(tmp_path, "2026-11-20", SHA, first).holds("Use the blue folder.")
    assert told_lines.told_before(tmp_path, "2026-11-20", OTHER, "").holds("Use the blue folder.")
