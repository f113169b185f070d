"""Checks of what Moon stands on: Python with its packages, and QMD. Nothing is changed."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from moon.config import Config
from moon.errors import ProgramAbsent
from moon.paths import Home
from moon.programs import run
from moon.qmd import Qmd, QmdFailed, complaint
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
