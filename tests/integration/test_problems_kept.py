"""What a tick finds wrong is kept, told by moon-status with its cause, and over when it is over."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.loopback_providers import providers
from tests.support import events
from tests.support.moon import Moon, files_below
from tests.support.programs import write_python_program
from tests.support.stores import NOW_MS, SqliteStoreBuilder

from moon import schema
from moon.clock import format_ms

KEY = "agent:main:main"


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    made = Moon(tmp_path, {"MOON_DISTILL__PROVIDERS": "local"})
    SqliteStoreBuilder(made.state_dir).put(KEY, "s1", events.conversation("s1", 6), used=40_000)
    return made


def at(seconds: int, **more: str) -> dict[str, str]:
    return {"MOON_NOW": format_ms(NOW_MS + seconds * 1000), **more}


def tick(moon: Moon, seconds: int, **more: str) -> int:
    code = moon.run("sample", env=at(seconds, **more)).code
    if moon.home.health_file.exists():
        schema.read("health", moon.home.health_file)
    return code


def problems(moon: Moon, seconds: int, **more: str) -> list[dict]:
    done = moon.run("status", "--json", env=at(seconds, **more))
    found = done.json()["problems"]
    assert done.code == any(each["needs_person"] for each in found)
    assert all(each["hint"] for each in found)
    return found


def told(moon: Moon, seconds: int, **more: str) -> list[tuple[str, str, int]]:
    return [(each["code"], each["station"], each["times"]) for each in problems(moon, seconds, **more)]


def test_a_well_tick_writes_no_more_than_its_heartbeat(moon: Moon) -> None:
    for seconds in (0, 30, 60):
        assert tick(moon, seconds) == 0
    before = files_below(moon.home.root)
    assert tick(moon, 90) == 0
    after = files_below(moon.home.root)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {"state/moon_state.json", "state/cache/quiet"}
    assert problems(moon, 95) == []


def test_a_store_of_another_shape_fails_each_tick_and_shows(moon: Moon) -> None:
    tick(moon, 0)
    store = moon.state_dir / "agents" / "main" / "agent" / "openclaw-agent.sqlite"
    sound = store.read_bytes()
    store.write_bytes(b"no database " * 100)
    for number, seconds in enumerate((30, 60, 90), 1):
        assert tick(moon, seconds) != 0
        assert ("store_foreign", "sample", number) in told(moon, seconds)
    found = next(each for each in problems(moon, 100) if each["code"] == "store_foreign")
    assert found["since"] == format_ms(NOW_MS + 30_000) and found["path"] == str(store)
    assert moon.run("status", "--json", env=at(100)).json()["good"]["sample"] == format_ms(NOW_MS)
    store.write_bytes(sound)
    assert tick(moon, 120) == 0
    assert problems(moon, 125) == []


def test_no_store_at_all(moon: Moon) -> None:
    shutil.rmtree(moon.state_dir)
    assert tick(moon, 0) == 1 and tick(moon, 30) == 1
    assert ("store_absent", "sample", 2) in told(moon, 40)
    assert "OPENCLAW_STATE_DIR" in problems(moon, 40)[0]["hint"]


def test_a_wrong_configuration_shows_though_no_tick_can_read_it(moon: Moon) -> None:
    tick(moon, 0)
    moon.home.config_file.write_text("treshold: {archive: 0.7}\n")
    moon.home.config_file.chmod(0o600)
    assert tick(moon, 30) == 78
    assert told(moon, 40) == [("config_invalid", "sample", 1)]
    assert "did you mean thresholds" in problems(moon, 40)[0]["message"]
    assert moon.run("status", "--json", env=at(40)).json()["good"]["sample"] == format_ms(NOW_MS)
    moon.home.config_file.unlink()
    assert tick(moon, 60) == 0
    assert problems(moon, 65) == []


def test_the_last_configuration_that_was_valid_is_looked_through_with(moon: Moon) -> None:
    moon.home.root.mkdir()
    moon.home.config_file.write_text("timer: {interval_seconds: 600}\n")
    moon.home.config_file.chmod(0o600)
    tick(moon, 0)
    moon.home.config_file.write_text("timer: {interval_seconds: 600}\nwrong: 1\n")
    document = moon.run("status", "--json", env=at(1000)).json()
    assert document["heartbeat"]["interval_seconds"] == 600 and document["heartbeat"]["late"] is False


def test_qmd_that_fails_shows_until_it_is_well(moon: Moon, tmp_path: Path) -> None:
    program = write_python_program(tmp_path / "qmd", "import sys\nsys.exit('SqliteError: file is not a database')\n")
    env = {"MOON_QMD__ENABLED": "auto", "MOON_QMD__BIN": str(program)}
    store = SqliteStoreBuilder(moon.state_dir)
    tick(moon, 0, **env)
    assert told(moon, 10, **env) == [("qmd_failed", "index", 1)]
    store.put("agent:main:b", "s2", events.conversation("s2", 3), used=47_000)
    tick(moon, 30, **env)
    assert ("qmd_failed", "index", 2) in told(moon, 40, **env)
    program.unlink()
    store.put("agent:main:c", "s3", events.conversation("s3", 3), used=39_000)
    tick(moon, 60, **env)
    assert "qmd_failed" not in [code for code, *_ in told(moon, 70, **env)]


def test_a_key_that_was_refused_is_said_as_that(moon: Moon) -> None:
    with providers() as server:
        server.moods = ["401"]
        env = {
            "MOON_DISTILL__PROVIDERS": "openai,local",
            "OPENAI_API_KEY": "k" * 20,
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "MOON_DISTILL__OPENAI__MODELS": "m",
        }
        SqliteStoreBuilder(moon.state_dir).put("agent:main:b", "s2", events.conversation("s2", 40), used=47_000)
        tick(moon, 0, **env)
        found = next(each for each in problems(moon, 10, **env) if each["code"] == "model_key_refused")
        assert found["message"] == "openai: HTTP 401: the key was refused" and found["needs_person"]
        assert "environment" in found["hint"]
        assert "openai is left alone until" in moon.run("status", env=at(10, **env)).stdout.decode()


def test_a_gateway_that_is_away_needs_a_person_only_when_it_stays_so(moon: Moon, tmp_path: Path) -> None:
    moon.extra["MOON_OPENCLAW__BIN"] = str(write_python_program(tmp_path / "openclaw-down", "import sys; sys.exit(1)"))
    store = SqliteStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 6), used=42_000)
    tick(moon, 0)
    (first,) = problems(moon, 1)
    assert (first["code"], first["station"], first["needs_person"]) == ("openclaw_failed", "prune", False)
    assert first["some"] == [KEY]
    for seconds in (30, 60, 200, 700):
        tick(moon, seconds)
    (last,) = problems(moon, 701)
    assert last["needs_person"] and last["times"] > first["times"]
    store.put(KEY, "s1", events.conversation("s1", 6), used=1_000)
    tick(moon, 900)
    assert problems(moon, 901) == []


def test_a_station_that_dies_of_an_error_is_kept_with_its_cause(moon: Moon) -> None:
    moon.home.archives.mkdir(parents=True)
    moon.home.ledger.mkdir()
    assert tick(moon, 0) == 1
    assert "archive" in [station for _, station, _ in told(moon, 1)]
    moon.home.ledger.rmdir()
    tick(moon, 30)
    assert problems(moon, 31) == []


def test_another_process_at_work_is_no_problem(moon: Moon) -> None:
    tick(moon, 0)
    import fcntl

    with moon.home.lock_file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert tick(moon, 30) == 75
    assert problems(moon, 40) == []


def test_a_heartbeat_in_the_future_is_no_proof(moon: Moon) -> None:
    tick(moon, 7200)
    assert told(moon, 0) == [("clock_wrong", "status", 1)]
    assert "2 h in the future" in moon.run("status", env=at(0)).stdout.decode()
    tick(moon, 0)
    assert problems(moon, 10) == []


def test_metrics_go_to_a_file_that_others_may_read(moon: Moon, tmp_path: Path) -> None:
    tick(moon, 0)
    target = tmp_path / "moon.prom"
    assert moon.run("status", "--prometheus", str(target), env=at(10_000)).code == 0
    assert "\nmoon_up 0\n" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o644
    assert moon.run("status", "--prometheus", str(tmp_path / "no" / "moon.prom")).code == 2


def test_monitoring_gets_one_line_and_an_exit_code(moon: Moon) -> None:
    tick(moon, 0)
    well = moon.run("status", "--check", env=at(10))
    assert (well.code, well.stdout.decode().count("\n")) == (0, 1) and well.stdout.startswith(b"OK: looked 10 s ago")
    dead = moon.run("status", "--check", env=at(1000))
    assert (dead.code, dead.stdout.decode().count("\n")) == (1, 1) and dead.stdout.startswith(b"PROBLEM: moon-sample")


def test_damage_is_a_problem_from_the_verify_that_found_it_until_the_repair(moon: Moon) -> None:
    moon.ok("snapshot")
    archive = next(moon.home.raw.rglob("*.jsonl"))
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)

    def damaged() -> bool:
        return any(
            "archive" in each["message"]
            for each in moon.run("status", "--json").json()["problems"]
            if each["path"] == str(archive)
        )

    assert not damaged()
    assert moon.run("archive", "--verify").code == 1
    assert damaged()
    moon.ok("archive", "--repair")
    assert not damaged()


def test_mended_configuration_is_no_problem_before_the_next_tick(moon: Moon) -> None:
    assert tick(moon, 0) == 0
    good = moon.home.config_file.read_text() if moon.home.config_file.exists() else ""
    moon.home.config_file.write_text("tresholds: {}\n")
    assert moon.run("sample").code == 78

    def told() -> list[str]:
        return [
            each["message"]
            for each in moon.run("status", "--json").json()["problems"]
            if each["code"] == "config_invalid"
        ]

    assert len(told()) == 1
    moon.home.config_file.write_text("guard: {idle: 1}\n")
    (words,) = told()
    assert "guard.idle" in words, "the error of now, not the one that a tick kept"
    moon.home.config_file.write_text(good)
    assert told() == []
