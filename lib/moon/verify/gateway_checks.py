"""Checks of OpenClaw's command and gateway: one cause for what is wrong, and what agents see of Moon."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from moon.config import Config
from moon.errors import MoonError
from moon.openclaw.gateway import Gateway
from moon.openclaw.openclaw_command import why_it_ended
from moon.paths import Home
from moon.programs import run
from moon.verify.finding import FAIL, OK, WARN, Finding, Findings, of_error, trouble
from moon.verify.timer_environment import TimerEnvironment

ASK_SECONDS = 30.0
SKILL = "moon-recall"


def check_command(config: Config, timer: TimerEnvironment) -> Findings:
    """Does the command run, in the environment of the timer?"""
    wanted = str(Path(config.openclaw.bin).expanduser())
    path = timer.variables.get("PATH") if timer.source else None
    program, here = shutil.which(wanted, path=path), shutil.which(wanted)
    if program is None:
        where = f"; this shell finds {here}, the timer ({timer.source}) does not" if here else ""
        words = f"no command {config.openclaw.bin!r}{where}: prune and rollover wait for it"
        yield trouble("openclaw", WARN, "openclaw_absent", words)
        return
    environment = {**os.environ, **({"PATH": path} if path else {})}
    try:
        done = run([program, "--version"], timeout=ASK_SECONDS, max_output=1 << 16, env=environment)
    except MoonError as error:
        yield trouble("openclaw", FAIL, "openclaw_failed", error.message, program)
        return
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.code != 0 or not lines:
        words, code = why_it_ended(done) if done.code else (done.describe(), "openclaw_failed")
        yield trouble("openclaw", FAIL, code, f"{program} {words if done.code != 0 else 'printed nothing'}", program)
        return
    yield Finding("openclaw", OK, f"{lines[0][:120]} at {program}")


def check_gateway(home: Home, config: Config) -> Findings:
    """Can it be asked, and may Moon compact and reset?"""
    if shutil.which(str(Path(config.openclaw.bin).expanduser())) is None:
        return  # said by the check of the command
    try:
        with Gateway(config, home.request_lock) as gateway:
            gateway.call("sessions.list", {"limit": 1}, timeout=ASK_SECONDS)
            way, doubt, little = gateway.way, gateway.doubt, gateway.grants_too_little
    except MoonError as error:
        yield of_error("gateway", WARN, error, "prune and rollover wait: ")
        return
    if little:
        yield trouble("gateway", WARN, "gateway_scope", doubt)
    elif way == "socket":
        yield Finding("gateway", OK, "answers over its socket, and lets Moon compact and reset")
    else:
        yield Finding("gateway", OK, f"answers through the openclaw command, which takes seconds ({doubt})")


def check_skill(home: Home, config: Config) -> Findings:
    """Does each agent see the skill, and is moon-recall on the gateway's own PATH? Only the gateway knows."""
    if shutil.which(str(Path(config.openclaw.bin).expanduser())) is None:
        return
    try:
        with Gateway(config, home.request_lock) as gateway:
            if gateway.way != "socket":
                yield Finding("skill", OK, "not looked at: the gateway is asked through the command")
                return
            agents = _named(gateway.call("agents.list", {}, timeout=ASK_SECONDS).get("agents"))
            known = {
                str(agent["id"]): _named(gateway.call("skills.status", {"agentId": agent["id"]}).get("skills"))
                for agent in agents
                if agent.get("id")
            }
    except MoonError as error:
        yield Finding("skill", OK, f"not looked at: {error.message}")
        return
    yield from judge_skills(known)


def _named(rows: Any) -> list[dict[str, Any]]:
    return [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []


def judge_skills(known: dict[str, list[dict[str, Any]]]) -> Findings:
    """By agent: what the gateway says of its skills."""
    seeing = []
    for agent, skills in known.items():
        found = next((each for each in skills if each.get("name") == SKILL), None)
        missing = (found or {}).get("missing")
        if found is None:
            yield trouble("skill", WARN, "skill_missing", f"agent {agent} does not have the skill {SKILL}")
        elif isinstance(missing, dict) and missing.get("bins"):
            words = (
                f"agent {agent} has the skill, and {', '.join(map(str, missing['bins']))} is not on the gateway's PATH"
            )
            yield trouble("skill", WARN, "recall_not_on_path", words, str(found.get("filePath", "")))
        elif found.get("modelVisible") is False:
            words = f"agent {agent} has the skill {SKILL} switched off"
            yield trouble("skill", WARN, "skill_missing", words, str(found.get("filePath", "")))
        else:
            seeing.append(agent)
    if seeing:
        yield Finding("skill", OK, f"{', '.join(seeing)}: the skill is seen, and moon-recall can be run")
