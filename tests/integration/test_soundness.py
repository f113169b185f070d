"""Archives are read back a part a day by the timer, and what is damaged is a problem until it is mended."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import events
from tests.support.moon import Moon, files_below
from tests.support.stores import NOW_MS, JsonlStoreBuilder

from moon.clock import format_ms
from moon.health import health_file
from moon.verify.soundness import DAYS, choose

DAY = 86_400
SESSIONS = 9


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    made = Moon(tmp_path, {"MOON_DISTILL__PROVIDERS": "local"})
    store = JsonlStoreBuilder(made.state_dir)
    for number in range(SESSIONS):
        store.put(f"agent:main:{number}", f"s{number}", events.conversation(f"s{number}", 2), used=39_000)
    assert tick(made, 0) == 0
    return made


def tick(moon: Moon, seconds: int) -> int:
    return moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS + seconds * 1000)}).code


def days(moon: Moon, first: int, last: int) -> list[int]:
    return [tick(moon, day * DAY + 60 * day) for day in range(first, last + 1)]


def damage(moon: Moon, path: Path) -> bytes:
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b'"', b"'", 1))
    return sound


def archives(moon: Moon) -> list[Path]:
    return sorted(moon.home.raw.glob("*/*.jsonl*"))


def problems(moon: Moon) -> list[str]:
    return [each.path for each in health_file.read(moon.home).problems]


def test_nothing_is_read_before_a_day_is_over(moon: Moon) -> None:
    tick(moon, 30)
    before = files_below(moon.home.root)
    damage(moon, archives(moon)[0])
    assert tick(moon, DAY - 60) == 0
    assert problems(moon) == []
    assert files_below(moon.home.root)["state/health.json"] == before["state/health.json"]


@pytest.mark.parametrize("number", range(0, SESSIONS, 4))
def test_within_a_week_every_archive_is_read_back(moon: Moon, number: int) -> None:
    victim = archives(moon)[number]
    damage(moon, victim)
    assert 1 in days(moon, 1, DAYS)
    assert problems(moon) == [str(victim)]
    shown = moon.run("status", env={"MOON_NOW": format_ms(NOW_MS + (DAYS * (DAY + 60) + 5) * 1000)})
    assert shown.code == 1 and "moon-archive --repair" in shown.stdout.decode()


def test_damage_is_a_problem_until_it_is_mended(moon: Moon) -> None:
    victim = archives(moon)[0]
    sound = damage(moon, victim)
    days(moon, 1, DAYS)
    assert problems(moon) == [str(victim)]
    assert days(moon, DAYS + 1, DAYS + 1) == [1]
    victim.write_bytes(sound)
    assert days(moon, DAYS + 2, DAYS + 2) == [0]
    assert problems(moon) == []


def test_a_deep_look_by_hand_ends_it_too(moon: Moon) -> None:
    victim = archives(moon)[0]
    sound = damage(moon, victim)
    days(moon, 1, DAYS)
    victim.write_bytes(sound)
    moon.run("verify", "--deep")
    assert problems(moon) == []


def test_a_clock_that_was_set_back_does_not_stop_it(moon: Moon) -> None:
    days(moon, 400, 400)
    assert days(moon, 1, 1) == [0]
    assert health_file.read(moon.home).checked["at"] == format_ms(NOW_MS + (DAY + 60) * 1000)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 50])
def test_seven_parts_are_all_of_them(count: int) -> None:
    records = [{"sha256": f"{number:064x}", "archive_path": f"a{number}"} for number in range(count)]
    seen, start = [], ""
    for _ in range(DAYS):
        part = choose(records, start, set())  # type: ignore[arg-type]
        seen += [each["archive_path"] for each in part.records]
        if part.is_last:
            break
        start = part.next
    assert sorted(seen) == sorted(each["archive_path"] for each in records) and part.is_last
