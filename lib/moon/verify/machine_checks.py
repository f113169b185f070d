"""Checks of what Moon stands on: Python, OpenClaw and its stores, QMD, keys, the timer. Nothing is changed."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path

from moon import schema
from moon.clock import now_ms
from moon.config import Config
from moon.cycle import session_states as states
from moon.errors import MoonError, ProgramAbsent
from moon.openclaw.gateway import Gateway
from moon.openclaw.locate import Stores, open_stores, state_dir
from moon.paths import Home
from moon.programs import run
from moon.qmd import Qmd, QmdFailed, complaint
from moon.text import counted
from moon.verify.finding import FAIL, OK, WARN, Finding, Findings

ASK_SECONDS = 30.0
NEEDED = ("PyStemmer", "PyYAML", "jsonschema", "python-dateutil", "stopwordsiso", "websockets", "zstandard")
# Package → what it is for; everything else works without.
OPTIONAL = {
    "google-genai": "distilling with Gemini",
    "requests": "distilling with an OpenAI-compatible endpoint",
    "mcp": "`moon-recall --mcp`",
    "kingfisher-secret-scanner": "the maintained rules for secrets; without it Moon's own are used alone",
}


def check_python() -> Findings:
    """The interpreter and the packages."""
    missing = [package for package in NEEDED if not _version(package)]
    words = f"Python {platform.python_version()} at {sys.executable}"
    if missing:
        remedy = "run `make venv` in the checkout"
        yield Finding("python", FAIL, f"{words} lacks {', '.join(missing)}", remedy, sys.executable)
    else:
        yield Finding("python", OK, f"{words}, with all that Moon needs")
    for package, use in OPTIONAL.items():
        version = _version(package)
        if version:
            yield Finding("python", OK, f"{package} {version}")
        else:
            remedy = f"`make install` brings it, as does `{sys.executable} -m pip install {package}`"
            yield Finding("python", WARN, f"no {package}, which is for {use}", remedy)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def check_openclaw(home: Home, config: Config) -> Findings:
    """The command, the gateway behind it, and the stores."""
    program = shutil.which(str(Path(config.openclaw.bin).expanduser()))
    if program is None:
        yield Finding(
            "openclaw",
            WARN,
            f"no command {config.openclaw.bin!r}: prune and rollover wait for it",
            "install OpenClaw, put it on the PATH of the timer, or set openclaw.bin",
        )
    else:
        yield from _check_command(home, config, program)
    yield from _check_stores(config)


def _check_command(home: Home, config: Config, program: str) -> Findings:
    version, problem = ask_version([program, "--version"])
    if problem:
        hint = "run it by hand; OpenClaw 2026.9 needs Node 24.16 or later first on PATH"
        yield Finding("openclaw", FAIL, f"{program} {problem}", hint, program)
        return
    yield Finding("openclaw", OK, f"{version} at {program}")
    try:
        with Gateway(config, home.request_lock) as gateway:
            gateway.call("sessions.list", {"limit": 1}, timeout=ASK_SECONDS)
            by = "over its socket" if gateway.way == "socket" else "through the openclaw command, which takes seconds"
        yield Finding("openclaw", OK, f"the gateway answers, asked {by}")
    except MoonError as error:
        yield Finding("openclaw", WARN, f"prune and rollover wait: {error.message}", error.hint)


def ask_version(argv: list[str]) -> tuple[str, str]:
    """(the first line that a program prints, "") or ("", what went wrong)."""
    try:
        done = run(argv, timeout=ASK_SECONDS, max_output=1 << 16)
    except ProgramAbsent as error:
        return "", error.message
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.code != 0:
        return "", done.describe()
    return (lines[0][:120], "") if lines else ("", "printed nothing")


def _check_stores(config: Config) -> Findings:
    try:
        stores = open_stores(config)
    except MoonError as error:
        yield Finding("stores", FAIL, error.message, error.hint, error.path)
        return
    if not stores.stores:
        yield Finding("stores", WARN, f"no agent has sessions in {state_dir(config)}", "talk to an agent first")
    yield from _judge_stores(stores)


def _judge_stores(stores: Stores) -> Findings:
    for store in stores.stores:
        try:
            count = len(store.sessions())
        except MoonError as error:
            yield Finding("stores", FAIL, f"agent {store.agent}: {error.message}", error.hint, error.path)
            continue
        if store.notice is not None:
            yield Finding(
                "stores", WARN, f"agent {store.agent}: {store.notice.message}", store.notice.hint, store.notice.path
            )
            continue
        version = getattr(store, "version", 0)
        what = f"{store.generation} store" + (f", schema version {version}" if version else "")
        yield Finding(
            "stores", OK, f"agent {store.agent}: {what}, {counted(count, 'session')}", path=str(stores.folder)
        )


def check_qmd(home: Home, config: Config) -> Findings:
    """The command, and that its collection answers a search."""
    if config.qmd.enabled is False:
        yield Finding("qmd", OK, "switched off; the embedded index answers alone")
        return
    qmd = Qmd(config.qmd)
    if not qmd.program:
        level = FAIL if config.qmd.enabled is True else OK
        hint = "install QMD (`npm install -g @tobilu/qmd`) or set qmd.bin" if level == FAIL else ""
        yield Finding("qmd", level, f"no command {config.qmd.bin!r}; the embedded index answers alone", hint)
        return
    version, problem = ask_version([qmd.program, "--version"])
    if problem:
        yield Finding("qmd", WARN, f"{qmd.program} {problem}; the embedded index answers alone", "run it by hand")
        return
    yield Finding("qmd", OK, f"{version} at {qmd.program}")
    if home.markdown.is_dir():
        yield _check_collection(qmd, config.qmd.collection)


def _check_collection(qmd: Qmd, collection: str) -> Finding:
    hint = "run `moon-index --all`; the `qmd` field of what it prints says why"
    try:
        done = qmd.run(["search", "moon", "--json", "-c", collection, "-n", "1"], timeout=ASK_SECONDS)
    except QmdFailed as error:
        return Finding("qmd", WARN, f"{error.message}; the embedded index answers alone", error.hint)
    if done.code == 0 and done.stdout.lstrip().startswith(b"["):
        return Finding("qmd", OK, f"its collection {collection} answers")
    return Finding("qmd", WARN, f"its collection {collection} does not answer: qmd {complaint(done)}", hint)


def qmd_index_files(config: Config) -> list[Path]:
    """The files in which QMD keeps text from the archives."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qmd"
    return sorted(cache.glob(f"{config.qmd.index}.sqlite*"))


def check_keys(config: Config) -> Findings:
    """Which model providers have a key. Names only: no value is read for more than whether it is empty."""
    for name in config.distill.providers:
        if name == "local":
            continue
        provider = getattr(config.distill, name)
        if os.environ.get(provider.api_key_env, "").strip():
            yield Finding("keys", OK, f"{name}: key in ${provider.api_key_env}")
        elif provider.api_key_command:
            program = provider.api_key_command[0]
            found = shutil.which(program) is not None
            hint = "" if found else f"correct distill.{name}.api_key_command"
            words = f"{name}: key from {program}" + ("" if found else ", which is not there")
            yield Finding("keys", OK if found else WARN, words, hint)
        elif provider.base_url:
            yield Finding("keys", OK, f"{name}: an endpoint of its own, without a key")
        else:
            yield Finding("keys", OK, f"{name}: no key (${provider.api_key_env}), so it is passed over")


def check_timer(home: Home, config: Config) -> Findings:
    """Does something look every so often? Shown by its effect first: a fresh heartbeat."""
    heartbeat, every = states.peek(home).heartbeat, config.timer.interval_seconds
    age = max(0, now_ms() - heartbeat) // 1000 if heartbeat else None
    hint = "`make install` starts the timer; without a service manager `moon-watch --daemon` does the same job"
    if age is None:
        yield Finding("timer", WARN, "moon-sample has never looked", hint)
    elif states.is_late(age, every):
        yield Finding("timer", FAIL, f"moon-sample last looked {age} s ago instead of every {every} s", hint)
    else:
        yield Finding("timer", OK, f"moon-sample looked {age} s ago")
    yield from _check_manager(home)


def _check_manager(home: Home) -> Findings:
    path = home.state / "install.json"
    try:
        manager = schema.read("install", path)["timer"]
    except FileNotFoundError:
        yield Finding("timer", OK, "not installed by `make install`")
        return
    except MoonError as error:
        yield Finding("timer", WARN, error.message, "run `make install` again", str(path))
        return
    commands = {
        "systemd": ["systemctl", "--user", "is-active", "moon-sample.timer"],
        "launchd": ["launchctl", "print", f"gui/{os.getuid()}/local.moon.sample"],
    }
    _, problem = ask_version(commands[manager])
    if problem:
        hint = "`make install` enables it; on a host without one run `moon-watch --daemon`"
        yield Finding("timer", WARN, f"installed, but {manager} does not run it: {problem}", hint)
    else:
        yield Finding("timer", OK, f"{manager} runs it")
