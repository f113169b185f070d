"""Installation: what is made, that it is taken back exactly, and that units are what their readers accept."""

from __future__ import annotations

import configparser
import os
import plistlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.events import conversation
from tests.support.stores import SqliteStoreBuilder

from moon import schema
from moon.cli.install import commands, gather
from moon.cli.post_upgrade import prefix_of
from moon.errors import MoonError
from moon.install import first_look, install_manifest, installation, machine_facts, skills
from moon.install.install_plan import Facts, plan, workspaces
from moon.install.unit_files import fill, quote_systemd, render_launchd, render_systemd
from moon.paths import Home

REPO = Path(__file__).resolve().parents[2]
RECORDER = """#!/bin/sh
echo "systemctl $*" >>"$RECORD"
exit ${SYSTEMCTL_STATUS:-0}
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home folder, with a systemctl that only writes down what it is asked."""
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    (fakes / "systemctl").write_text(RECORDER)
    (fakes / "systemctl").chmod(0o755)
    user = tmp_path / "user"
    user.mkdir()
    for name in list(os.environ):
        if name.startswith(("MOON_", "OPENCLAW_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("PATH", f"{fakes}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    monkeypatch.setattr("sys.platform", "linux")
    yield user


def recorded(machine: Path) -> list[str]:
    path = machine.parent / "record"
    return path.read_text().splitlines() if path.exists() else []


def install(prefix: Path | None = None) -> installation.Outcome:
    home = Home.from_environment()
    facts = gather(home, prefix or Path("~/.local"))
    return installation.install(home, facts, plan(facts))


def everything(folder: Path) -> dict[str, str]:
    """Every path below a folder with what it is."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = f"-> {path.readlink()}"
        else:
            found[str(path)] = path.read_text() if path.is_file() else "folder"
    return found


def test_install_makes_links_units_and_configuration(machine: Path) -> None:
    outcome = install()
    for name in ("moon-sample", "moon-recall", "moon-watch"):
        assert (machine / ".local" / "bin" / name).resolve() == REPO / "bin" / "moon"
    assert sorted(each.name for each in (machine / ".local" / "bin").iterdir()) == sorted(commands())
    assert (machine / ".config" / "systemd" / "user" / "moon-sample.timer").is_file()
    example = (REPO / "moon.yaml.example").read_text()
    assert (machine / ".lilac_metaflora" / "moon.yaml").read_text() == example
    assert recorded(machine) == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now moon-sample.timer",
        "systemctl --user restart moon-sample.timer",
    ]
    assert outcome.timer is not None
    assert outcome.timer.runs
    assert "30 s" in outcome.timer.words


def test_uninstall_takes_back_exactly_what_install_made(machine: Path) -> None:
    (machine / ".local" / "bin").mkdir(parents=True)
    (machine / ".local" / "bin" / "other").write_text("not ours")
    before = everything(machine)
    install()
    installation.uninstall(Home.from_environment())
    assert everything(machine) == before
    assert "systemctl --user disable --now moon-sample.timer" in recorded(machine)


def test_second_install_changes_nothing(machine: Path) -> None:
    install()
    before = {path: path.lstat().st_mtime_ns for path in machine.rglob("*") if "cache" not in path.parts}
    (machine.parent / "record").unlink()
    outcome = install()
    after = {path: path.lstat().st_mtime_ns for path in machine.rglob("*") if "cache" not in path.parts}
    assert not outcome.changed
    assert {path: after[path] for path in before if path.is_file() or path.is_symlink()} == {
        path: when for path, when in before.items() if path.is_file() or path.is_symlink()
    }
    assert not any("restart" in line for line in recorded(machine))


def test_new_interval_is_written_and_the_timer_restarted(machine: Path) -> None:
    install()
    (machine / ".lilac_metaflora" / "moon.yaml").write_text("timer: {interval_seconds: 45}\n")
    (machine.parent / "record").unlink()
    outcome = install()
    unit = machine / ".config" / "systemd" / "user" / "moon-sample.timer"
    assert outcome.made == [str(unit)]
    assert "OnUnitActiveSec=45s" in unit.read_text()
    assert "systemctl --user restart moon-sample.timer" in recorded(machine)


def test_second_prefix_is_taken_back_too(machine: Path) -> None:
    install()
    install(machine / "elsewhere")
    assert (machine / "elsewhere" / "bin" / "moon-recall").is_symlink()
    installation.uninstall(Home.from_environment())
    assert everything(machine) == {}


def test_configuration_of_the_user_is_never_touched(machine: Path) -> None:
    (machine / ".lilac_metaflora").mkdir()
    own = machine / ".lilac_metaflora" / "moon.yaml"
    own.write_text("guard: {idle_seconds: 7}\n")
    install()
    installation.uninstall(Home.from_environment())
    assert own.read_text() == "guard: {idle_seconds: 7}\n"


def test_configuration_changed_after_install_stays(machine: Path) -> None:
    install()
    own = machine / ".lilac_metaflora" / "moon.yaml"
    own.write_text("guard: {idle_seconds: 7}\n")
    outcome = installation.uninstall(Home.from_environment())
    assert own.exists()
    assert any(str(own) in line for line in outcome.kept)


def test_archives_survive_uninstall(machine: Path) -> None:
    install()
    archive = machine / ".lilac_metaflora" / "archives" / "raw" / "main" / "a.jsonl"
    archive.parent.mkdir(parents=True)
    archive.write_text("{}\n")
    installation.uninstall(Home.from_environment())
    assert archive.read_text() == "{}\n"


def test_file_of_another_in_the_way_is_named_and_nothing_is_changed(machine: Path) -> None:
    (machine / ".local" / "bin").mkdir(parents=True)
    foreign = machine / ".local" / "bin" / "moon-recall"
    foreign.write_text("#!/bin/sh\n")
    before = everything(machine)
    with pytest.raises(MoonError) as caught:
        install()
    assert str(foreign) in caught.value.message
    assert everything(machine) == before


def test_unit_edited_by_hand_is_kept_and_named(machine: Path) -> None:
    install()
    unit = machine / ".config" / "systemd" / "user" / "moon-sample.service"
    unit.write_text("edited\n")
    assert any(str(unit) in line for line in install().kept)
    assert unit.read_text() == "edited\n"
    assert any(str(unit) in line for line in installation.uninstall(Home.from_environment()).kept)
    assert unit.read_text() == "edited\n"


@pytest.mark.parametrize("breakage", ["refuses", "absent"])
def test_without_service_manager_the_daemon_is_pointed_out(
    machine: Path, monkeypatch: pytest.MonkeyPatch, breakage: str
) -> None:
    if breakage == "refuses":
        monkeypatch.setenv("SYSTEMCTL_STATUS", "1")
    else:
        monkeypatch.setenv("PATH", str(machine))
    timer = install().timer
    assert timer is not None
    assert not timer.runs
    assert "moon-watch --daemon" in timer.words
    assert {"refuses": "daemon-reload", "absent": "there is no systemctl"}[breakage] in timer.words
    assert (machine / ".local" / "bin" / "moon-recall").is_symlink()


def test_skill_goes_into_every_workspace_that_is_there(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skill = machine.parent / "SKILL.md"
    skill.write_text("---\nname: moon-recall\n---\n")
    monkeypatch.setattr(machine_facts, "SKILL", skill)
    for name in ("workspace", "workspace-ops"):
        (machine / ".openclaw" / name).mkdir(parents=True)
    (machine / ".openclaw" / "openclaw.json").write_text('{"agents": {"list": [{"id": "ops"}, {"id": "gone"}]}}')
    before = everything(machine)
    install()
    for name in ("workspace", "workspace-ops"):
        copied = machine / ".openclaw" / name / "skills" / "moon-recall" / "SKILL.md"
        assert copied.read_text() == skill.read_text()
    assert not (machine / ".openclaw" / "workspace-gone").exists()
    installation.uninstall(Home.from_environment())
    assert everything(machine) == before


def test_workspaces_are_read_from_all_forms_of_the_configuration() -> None:
    state = Path("/s")
    assert workspaces({}, state) == [Path("/s/workspace")]
    assert workspaces("nonsense", state) == [Path("/s/workspace")]
    listed = {"agents": {"defaults": {"workspace": "/w"}, "list": [{"id": "a", "workspace": "/a"}, {"id": "b"}]}}
    assert workspaces(listed, state) == [Path("/w"), Path("/a"), Path("/s/workspace-b")]
    keyed = {"agents": {"entries": {"a": {"workspace": "/a"}, "b": {}}}}
    assert workspaces(keyed, state) == [Path("/s/workspace"), Path("/a"), Path("/s/workspace-b")]


def test_only_some_of_the_environment_reaches_the_units(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "never-in-a-unit")
    monkeypatch.setenv("OPENCLAW_STATE_DIR", "/state of openclaw")
    install()
    text = (machine / ".config" / "systemd" / "user" / "moon-sample.service").read_text()
    assert "never-in-a-unit" not in text
    assert 'Environment="OPENCLAW_STATE_DIR=/state of openclaw"' in text
    assert f'Environment="MOON_HOME={machine}/.lilac_metaflora"' in text


ODD = Path("/odd $HOME 100% \"quoted\" back\\slash <&> 'x'/bin/moon-sample")


def service_text(program: Path = REPO / "bin" / "moon-sample") -> str:
    template = (REPO / "systemd" / "moon-sample.service").read_text()
    return render_systemd(
        template, program, Path("/home of moon/100%"), 30, {"PATH": "/usr/bin:/a b", "MOON_HOME": "/m"}
    )


def test_no_mark_is_left_in_a_unit() -> None:
    body = [line for line in service_text().splitlines() if not line.startswith("#")]
    assert not [line for line in body if "@MOON" in line or "@INTERVAL" in line or "@ENV" in line]


def test_service_has_the_keys_that_matter() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(service_text())
    service = parser["Service"]
    assert service["Type"] == "oneshot"
    assert service["SuccessExitStatus"] == "75"
    assert service["TimeoutStartSec"] == "30min"
    assert service["NoNewPrivileges"] == "yes"
    assert int(service["Nice"]) > 0
    assert not {"memorydenywriteexecute", "restart", "protectsystem", "privatetmp"} & set(service)


def test_odd_paths_are_quoted_for_systemd() -> None:
    assert quote_systemd('a "b" 5% \\ c') == '"a \\"b\\" 5%% \\\\ c"'
    assert "$$HOME 100%% " in service_text(ODD)


def test_units_pass_systemds_own_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "moon-sample.service").write_text(service_text())
    template = (REPO / "systemd" / "moon-sample.timer").read_text()
    (tmp_path / "moon-sample.timer").write_text(render_systemd(template, REPO, REPO, 30, {}))
    parser = configparser.RawConfigParser(strict=False)
    parser.read([tmp_path / "moon-sample.service", tmp_path / "moon-sample.timer"])
    assert {"Unit", "Service", "Timer", "Install"} <= set(parser.sections())
    checker = shutil.which("systemd-analyze")
    if checker is not None:
        units = [str(tmp_path / name) for name in ("moon-sample.service", "moon-sample.timer")]
        done = subprocess.run([checker, "--user", "verify", *units], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def exposure(unit: Path, checker: str) -> float:
    """How exposed systemd finds a service: 10 is naked."""
    done = subprocess.run(
        [checker, "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.rpartition("moon-sample.service: ")[2].split()[0])


def test_system_wide_drop_in_is_accepted_and_shuts_the_service_in(tmp_path: Path) -> None:
    unit = tmp_path / "moon-sample.service"
    unit.write_text(service_text(Path("/bin/true")))
    drop_in = tmp_path / "moon-sample.service.d" / "system-wide.conf"
    drop_in.parent.mkdir()
    text = (REPO / "systemd" / "system-wide.conf").read_text()
    assert text.count("USER") >= 3
    checker = shutil.which("systemd-analyze")
    if checker is not None:
        alone = exposure(unit, checker)
        drop_in.write_text(text.replace("USER", "daemon"))
        done = subprocess.run([checker, "verify", str(unit)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert exposure(unit, checker) < 2.5 < alone


def test_property_list_is_read_back_as_meant() -> None:
    template = (REPO / "launchd" / "local.moon.sample.plist").read_text()
    environment = {"PATH": "/usr/bin:/opt/<odd>&", "MOON_HOME": "/m"}
    text = render_launchd(template, ODD, Path("/logs & more/moon.log"), 45, environment)
    values = plistlib.loads(text.encode())
    assert values["ProgramArguments"] == [str(ODD)]
    assert values["StartInterval"] == 45
    assert values["EnvironmentVariables"] == environment
    assert values["StandardErrorPath"] == "/logs & more/moon.log"
    assert values["Umask"] == 0o077
    assert values["Label"] == "local.moon.sample"


def test_plan_for_a_mac_has_a_launch_agent_and_no_units(machine: Path) -> None:
    linux = machine_facts.gather(Home.from_environment(), Path("~/.local"), commands())
    mac: Facts = replace(linux, platform="darwin", units=machine / "Library" / "LaunchAgents")
    made = plan(mac)
    assert made.timer == "launchd"
    assert machine / "Library" / "LaunchAgents" / "local.moon.sample.plist" in [each.path for each in made.texts]
    assert not [each for each in made.texts if "systemd" in str(each.path)]


def test_filling_leaves_text_of_values_alone() -> None:
    assert fill("a @ONE@ b @TWO@ @THREE@ c@d", {"ONE": "@TWO@", "TWO": "2"}) == "a @TWO@ b 2 @THREE@ c@d"


def test_manifest_is_a_checked_document(machine: Path) -> None:
    install()
    document = schema.read("install", machine / ".lilac_metaflora" / "state" / "install.json")
    assert {each["kind"] for each in document["made"]} == {"folder", "link", "file"}


def test_edited_skill_that_an_uninstall_left_does_not_stop_the_next_install(machine: Path) -> None:
    (machine / ".openclaw" / "workspace").mkdir(parents=True)
    install()
    skill = skills.skill_path(machine / ".openclaw" / "workspace")
    skill.write_text("edited\n")
    installation.uninstall(Home.from_environment())
    outcome = install()
    assert skill.read_text() == "edited\n"
    assert any(str(skill) in line for line in outcome.kept)
    assert (machine / ".local" / "bin" / "moon-recall").is_symlink()


def test_agent_that_comes_later_gets_the_skill_and_uninstall_takes_it_back(machine: Path) -> None:
    home = Home.from_environment()
    config = machine_facts.read_config(home)
    assert skills.spread(home, config) == [], "nothing without an installation"
    install()
    before = everything(machine / ".lilac_metaflora")
    (machine / ".openclaw" / "workspace").mkdir(parents=True)
    skill = skills.skill_path(machine / ".openclaw" / "workspace")
    assert skills.spread(home, config) == [skill]
    assert skills.spread(home, config) == []
    skill.unlink()
    assert skills.spread(home, config) == [], "one that was taken away stays away"
    installation.uninstall(home)
    assert not (machine / ".openclaw" / "workspace" / "skills").exists()
    assert before


def look(machine: Path, prefix: Path = Path("~/.local")) -> list[str]:
    home = Home.from_environment()
    facts = machine_facts.gather(home, prefix, commands())
    outcome = installation.install(home, facts, plan(facts))
    config = machine_facts.read_config(home)
    assert outcome.timer is not None
    return first_look.lines(facts, config, outcome.timer, machine_facts.workspaces(config))


def test_an_installation_ends_with_what_a_person_wants_to_know(machine: Path) -> None:
    words = look(machine)
    assert [line.split(":")[0] for line in words if not line.startswith(" ")] == [
        *("timer", "OpenClaw", "skill", "PATH", "next")
    ]
    assert "not found" in words[2]
    assert "0 of 1 workspace" in words[3]
    assert f"export PATH={machine}/.local/bin:$PATH" in words[4]
    assert "moon-verify" in words[5]


def test_what_is_found_is_counted_and_a_path_that_is_there_is_not_asked_for(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for agent, key in (("main", "a"), ("main", "b"), ("ops", "c")):
        SqliteStoreBuilder(machine / ".openclaw", agent).put(f"agent:{agent}:{key}", key, conversation(key, 2))
    (machine / ".openclaw" / "workspace").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{machine}/.local/bin{os.pathsep}{os.environ['PATH']}")
    words = look(machine)
    assert "2 agents, 3 sessions" in words[2]
    assert "1 of 1 workspace" in words[3]
    assert "export" not in words[4]


def test_path_with_odd_characters_can_be_copied_into_a_shell(machine: Path) -> None:
    words = look(machine, machine / "o'dd $x")
    export = words[4].partition("profile:  ")[2]
    done = subprocess.run(["sh", "-c", f'{export}; printf %s "$PATH"'], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{machine}/o'dd $x/bin:")


def test_openclaws_command_is_asked_for_workspaces_once_for_each_configuration(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration with comments is read by OpenClaw's own command, and the skill is looked after in every cycle."""
    install()
    home = Home.from_environment()
    config = machine_facts.read_config(home)
    asked: list[str] = []

    def ask(openclaw: object, arguments: list[str]) -> object:
        asked.append(" ".join(arguments))
        return {"list": [{"id": "ops", "workspace": str(machine / "w")}]}

    monkeypatch.setattr("moon.openclaw.openclaw_command.OpenClaw.ask", ask)
    openclaw = machine / ".openclaw" / "openclaw.json"
    openclaw.parent.mkdir()
    openclaw.write_text("{ // of the user\n agents: {} }")
    assert skills.spread(home, config) == []
    (machine / "w").mkdir()
    assert skills.spread(home, config) == [skills.skill_path(machine / "w")]
    assert len(asked) == 1
    openclaw.write_text("{ // changed\n agents: {} }")
    skills.spread(home, config)
    assert len(asked) == 2


def test_prefix_of_an_installation_is_known_again(machine: Path) -> None:
    install(machine / "elsewhere")
    manifest = install_manifest.load(Home.from_environment())
    assert manifest is not None
    assert prefix_of(manifest) == machine / "elsewhere"
    manifest.made = {name: entry for name, entry in manifest.made.items() if entry["kind"] != "link"}
    assert prefix_of(manifest) == machine / "elsewhere"
