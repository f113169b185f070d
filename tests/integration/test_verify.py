"""moon-verify: each thing that can be wrong is found, named with its remedy, and nothing secret is printed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.support.moon import ROOT, Moon, files_below
from tests.support.old_index import as_version
from tests.support.programs import write_python_program
from tests.support.stores import NOW_MS, JsonlStoreBuilder, SqliteStoreBuilder

from moon.clock import format_ms
from moon.fulltext import open_writer
from moon.fulltext.index_seal import break_seal, put_seal
from moon.fulltext.page_sums import sum_all
from moon.verify.run_checks import run_checks


class Verifier(Moon):
    """A Moon whose only programs are those that a test puts on the PATH."""

    def program(self, name: str, words: str = "", code: int = 0) -> None:
        folder = self.folder / "programs"
        folder.mkdir(exist_ok=True)
        write_python_program(folder / name, f"import sys\nprint({words!r})\nsys.exit({code})\n")

    def found(self, *arguments: str, **env: str) -> dict[str, list[dict]]:
        """The findings by check; exit code and report agree with them."""
        done = self.run("verify", "--json", *arguments, env=env)
        report = done.json()
        failed = [each for each in report["details"] if each["level"] == "fail"]
        assert done.code == (1 if failed else 0), done.stderr
        assert [each["message"] for each in failed] == [each["message"] for each in report["errors"]]
        assert all(each["hint"] for each in report["details"] if each["level"] != "ok")
        checks: dict[str, list[dict]] = {}
        for each in report["details"]:
            checks.setdefault(each["check"], []).append(each)
        return checks

    def levels(self, check: str, *arguments: str, **env: str) -> list[str]:
        return [each["level"] for each in self.found(*arguments, **env)[check]]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Moon:
    made = Moon(tmp_path_factory.mktemp("sampled"), {"PATH": "/usr/bin:/bin"})
    shutil.copytree(ROOT / "tests" / "recorded" / "sqlite", made.state_dir)
    made.run("sample")
    return made


@pytest.fixture
def moon(sampled: Moon, tmp_path: Path) -> Verifier:
    return Verifier(sampled.copy(tmp_path).folder, {"PATH": f"{tmp_path / 'programs'}:/usr/bin:/bin"})


def only(findings: list[dict], level: str) -> dict:
    return next(each for each in findings if each["level"] == level)


def test_before_anything_ran(tmp_path: Path) -> None:
    moon = Verifier(tmp_path, {"PATH": "/usr/bin:/bin"})
    found = moon.found()
    assert {check: found[check][0]["level"] for check in ("home", "stores", "timer", "archives")} == {
        "home": "warn",
        "stores": "fail",
        "timer": "warn",
        "archives": "warn",
    }
    assert not moon.home.root.exists()


def test_a_sound_home(moon: Verifier) -> None:
    moon.program("openclaw", "OpenClaw 2026.9.6 (abc)")
    found = moon.found("--deep")
    for check in ("config", "home", "permissions", "stores", "timer", "archives", "index", "effects"):
        assert {each["level"] for each in found[check]} == {"ok"}, found[check]
    assert "all as recorded" in found["archives"][0]["message"]
    assert "each found by a search" in found["index"][0]["message"]
    said = {each["message"] for each in found["stores"]}
    assert "agent ops: sqlite store, schema version 23, 3 sessions, the fullest at 87%" in said
    assert "the fullest session, agent:main:main, could be archived: 86 events, 114.4 kB" in said
    assert "finds a probe that was just indexed, and the newest archive" in found["search"][0]["message"]
    assert {each["level"] for check in ("owner", "disk", "clock", "memory", "sound") for each in found[check]} == {"ok"}


def test_it_only_reads(moon: Verifier) -> None:
    before = files_below(moon.home.root)
    moon.run("verify", "--deep")
    after = files_below(moon.home.root)
    # A reader of an SQLite database makes two of these; a look at everything is noted in the third.
    noted = ("-shm", "-wal", "state/health.json")
    assert {name for name in after if not name.endswith(noted)} == {name for name in before if not name.endswith(noted)}
    assert all(after[name] == data for name, data in before.items() if not name.endswith(noted))


def test_openclaw_absent_broken_and_well(moon: Verifier) -> None:
    assert only(moon.found()["openclaw"], "warn")["message"].startswith("no command 'openclaw'")
    moon.program("openclaw", "", code=3)
    assert "exit code 3" in only(moon.found()["openclaw"], "fail")["message"]
    moon.program("openclaw", "OpenClaw 2026.9.6 (abc)")
    found = moon.found()
    assert only(found["openclaw"], "ok")["message"].startswith("OpenClaw 2026.9.6")
    assert "prune and rollover wait" in only(found["gateway"], "warn")["message"]
    moon.program("openclaw", json.dumps({"sessions": []}))
    assert only(moon.found()["gateway"], "ok")["message"].startswith("answers through the openclaw command")


def test_a_node_that_is_too_old_is_the_cause(moon: Verifier) -> None:
    words = "openclaw: Node 20.20.2: node:sqlite is unavailable; use 24.16+/26.1+ or a build with the fix."
    source = f"import sys\nsys.stderr.write({words!r} + chr(10) + 'If you use nvm, run:' + chr(10))\nsys.exit(1)\n"
    moon.program("openclaw")
    write_python_program(moon.folder / "programs" / "openclaw", source)
    found = only(moon.found()["openclaw"], "fail")
    assert found["code"] == "node_too_old" and "Node 20.20.2" in found["message"] and "PATH" in found["hint"]


def test_stores_of_every_sort(moon: Verifier) -> None:
    JsonlStoreBuilder(moon.state_dir, "old").put("agent:old:main", "s1", [])
    SqliteStoreBuilder(moon.state_dir, "new", version=99)
    foreign = moon.state_dir / "agents" / "foreign" / "agent" / "openclaw-agent.sqlite"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"not a database")
    found = {each["message"].split()[1].rstrip(":"): each for each in moon.found()["stores"]}
    assert (found["old"]["level"], "jsonl store, 1 session" in found["old"]["message"]) == ("ok", True)
    assert (found["new"]["level"], "99" in found["new"]["message"]) == ("warn", True)
    assert "until Moon is updated" in found["new"]["hint"]
    assert found["foreign"]["level"] == "fail"
    assert found["main"]["level"] == "ok"


def test_an_invalid_configuration_stops_no_other_check(moon: Verifier) -> None:
    moon.home.config_file.write_text("treshold: {archive: 0.7}\n")
    moon.home.config_file.chmod(0o600)
    found = moon.found()
    assert only(found["config"], "fail")["path"] == str(moon.home.config_file)
    assert "stores" in found and "index" in found


def test_permissions_are_found_and_fixed(moon: Verifier) -> None:
    ledger, page = moon.home.ledger, next(moon.home.markdown.rglob("*.md"))
    ledger.chmod(0o644)
    page.parent.chmod(0o755)
    assert only(moon.found()["permissions"], "warn")["message"].startswith("others may use 2 files or folders")
    moon.home.root.chmod(0o750)
    assert set(moon.levels("permissions")) == {"fail", "warn"}
    report = moon.run("verify", "--fix", "--json").json()
    assert report["changed"] is True
    assert [path.stat().st_mode & 0o777 for path in (ledger, page.parent, moon.home.root)] == [0o600, 0o700, 0o700]
    assert moon.levels("permissions") == ["ok"]
    assert moon.run("verify", "--fix", "--json").json()["changed"] is False


def test_a_link_out_of_the_home_is_not_touched(moon: Verifier, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    outside.chmod(0o644)
    (moon.home.root / "link").symlink_to(outside)
    moon.run("verify", "--fix")
    assert outside.stat().st_mode & 0o777 == 0o644


def test_what_qmd_keeps_is_for_its_owner_only(moon: Verifier, tmp_path: Path) -> None:
    index = tmp_path / "cache" / "qmd" / "moon.sqlite"
    index.parent.mkdir(parents=True)
    index.write_text("text")
    index.chmod(0o644)
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert str(index) in only(moon.found(**env)["permissions"], "warn")["message"]
    moon.run("verify", "--fix", env=env)
    assert index.stat().st_mode & 0o777 == 0o600


def test_qmd_off_absent_required_broken_well(moon: Verifier) -> None:
    assert moon.levels("qmd", MOON_QMD__ENABLED="false") == ["ok"]
    assert moon.levels("qmd", MOON_QMD__ENABLED="auto") == ["ok"]
    assert moon.levels("qmd", MOON_QMD__ENABLED="true") == ["fail"]
    moon.program("qmd", "", code=1)
    assert moon.levels("qmd", MOON_QMD__ENABLED="auto") == ["warn"]
    moon.program("qmd", "qmd 2.8.3 (abc)")
    found = moon.found(MOON_QMD__ENABLED="auto")["qmd"]
    assert found[0]["message"].startswith("qmd 2.8.3")
    assert "does not answer" in only(found, "warn")["message"]
    moon.program("qmd", "[]")
    assert moon.levels("qmd", MOON_QMD__ENABLED="auto") == ["ok", "ok"]


def test_keys_by_name_never_by_value(moon: Verifier) -> None:
    value = "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw"
    env = {"GEMINI_API_KEY": value, "MOON_DISTILL__OPENAI__API_KEY_COMMAND": '["pass-the-key", "moon"]'}
    for arguments in (("verify",), ("verify", "--json"), ("verify", "--deep", "--json")):
        done = moon.run(*arguments, env=env)
        assert value not in done.stdout.decode() + done.stderr
    found = moon.found(**env)["keys"]
    assert "gemini: key in $GEMINI_API_KEY" in [each["message"] for each in found]
    assert "pass-the-key, which is not there" in only(found, "warn")["message"]


@pytest.mark.parametrize(("seconds", "level"), [(20, "ok"), (3600, "fail")])
def test_the_timer_is_judged_by_its_effect(moon: Verifier, seconds: int, level: str) -> None:
    assert moon.found(MOON_NOW=format_ms(NOW_MS + seconds * 1000))["timer"][0]["level"] == level


def test_an_installed_timer_is_asked_for(moon: Verifier) -> None:
    manifest = {"schema": "moon.install/1", "checkout": str(ROOT), "timer": "systemd", "made": []}
    (moon.home.state / "install.json").write_text(json.dumps(manifest))
    moon.program("systemctl", "active")
    assert "systemd runs it" in [each["message"] for each in moon.found()["timer"]]
    moon.program("systemctl", "inactive", code=3)
    assert "does not run it" in only(moon.found()["timer"], "warn")["message"]


def test_a_broken_chain_and_a_lost_archive(moon: Verifier) -> None:
    first = moon.home.root / moon.ledger()[0]["archive_path"]
    data = first.read_bytes()
    first.unlink()
    assert "1 of" in only(moon.found()["archives"], "fail")["message"]
    first.write_bytes(data.replace(b"a", b"b", 1))
    assert moon.levels("archives") == ["ok"]
    assert moon.levels("archives", "--deep") == ["fail"]
    first.write_bytes(data)
    lines = moon.home.ledger.read_bytes().splitlines(keepends=True)
    moon.home.ledger.write_bytes(b"".join(lines[1:]))
    assert "prev" in only(moon.found()["archives"], "fail")["message"]


def test_the_index_behind_damaged_and_blind(moon: Verifier) -> None:
    sha = moon.ledger()[0]["sha256"]
    with open_writer(moon.home.text_index) as index:
        index.connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
    assert moon.levels("index") == ["fail"]
    break_seal(moon.home.text_index)
    assert moon.levels("index") == ["ok"]
    assert moon.levels("index", "--deep") == ["fail"]
    moon.ok("index", "--rebuild")
    with open_writer(moon.home.text_index) as index:
        index.forget_segment(sha)
    assert "1 of" in only(moon.found()["index"], "warn")["message"]
    moon.home.text_index.write_bytes(b"rubbish" * 1000)
    assert moon.levels("index") == ["fail"]
    moon.home.text_index.unlink()
    assert moon.levels("index") == ["warn"]


def test_an_index_of_the_version_before_is_told(moon: Verifier) -> None:
    as_version(moon.home.text_index, 4)
    assert "earlier version" in only(moon.found()["index"], "warn")["message"]


def test_a_message_that_is_not_as_it_was_written_is_found_by_the_deep_check(moon: Verifier) -> None:
    with open_writer(moon.home.text_index) as index:
        index.connection.execute("UPDATE message SET digest = digest + 1 WHERE id = (SELECT max(id) FROM message)")
    sum_all(moon.home.text_index)
    put_seal(moon.home.text_index)
    assert "1 messages" in only(moon.found("--deep")["index"], "fail")["message"]


def test_words_for_people_end_in_a_verdict(moon: Verifier) -> None:
    done = moon.run("verify")
    lines = done.stdout.decode().splitlines()
    assert lines[-1].endswith("to look at") or lines[-1] == "all is well"
    assert any(line.startswith("ok    config") for line in lines)


def test_a_check_that_dies_is_a_finding_and_the_others_go_on(moon: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("moon.verify.home_checks.check_clock", die)
    monkeypatch.setattr("moon.verify.machine_checks.check_python", die)
    found = list(run_checks(moon.home, deep=False, fix=False))
    assert [each.check for each in found if "nobody thought of this" in each.message] == ["clock", "python"]
    assert found[-1].check == "effects"


def test_findings_come_as_they_are_made(moon: Verifier) -> None:
    first = next(iter(run_checks(moon.home, deep=True, fix=False)))
    assert first.check == "config"


def test_a_warning_counts_where_that_is_asked_for(moon: Verifier) -> None:
    moon.home.ledger.chmod(0o644)
    assert moon.run("verify").code == 0 or moon.levels("openclaw") == ["fail"]
    assert moon.run("verify", "--strict").code == 1


def test_fix_enters_what_the_index_lacks_and_removes_leftovers(moon: Verifier) -> None:
    moon.home.text_index.unlink()
    left = moon.home.archives / ".half.123.tmp"
    left.write_text("x")
    os.utime(left, (0, 0))
    found = moon.found("--fix")
    assert [each["message"] for each in found["mended"]] == [
        "removed 1 file that killed writers had left",
        "entered 6 archives into the index",
    ]
    assert not left.exists() and moon.levels("index") == ["ok"]
    assert "mended" not in moon.found("--fix")
