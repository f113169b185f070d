"""Completions and manual pages: made from the real parsers, and taken by the shells that are here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from moon.cli.launch import TOOLS
from moon.cli.parser import Parser
from moon.cli.shell_help import PLACES, pages, parser_of
from moon.errors import UsageWrong


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(pages())


def test_every_tool_has_a_page_for_each_shell_and_a_manual(made: dict[str, str]) -> None:
    assert len(made) == (len(TOOLS) + 1) * (len(PLACES) + 1)
    assert dict(pages()) == made, "the same each time, so that a second installation changes nothing"


@pytest.mark.parametrize("tool", TOOLS)
def test_parser_is_the_tools_own(tool: str) -> None:
    assert parser_of(tool).prog == f"moon-{tool}"


def test_bash_completes_options_and_tools(made: dict[str, str], tmp_path: Path) -> None:
    for name, typed, expected in (("moon-recall", "--ses", "--session"), ("moon", "stat", "status")):
        script = tmp_path / name
        script.write_text(made[f"share/bash-completion/completions/{name}"])
        function = f"_shtab_{name.replace('-', '_')}"
        ask = f'source "$1"; COMP_WORDS=({name} {typed}); COMP_CWORD=1; {function}; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", ask, "bash", str(script)], capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == [expected], done.stderr


@pytest.mark.parametrize("shell", sorted(PLACES))
def test_shell_reads_what_was_made_for_it(made: dict[str, str], shell: str, tmp_path: Path) -> None:
    scripts = [made[PLACES[shell].format(f"moon-{tool}")] for tool in TOOLS]
    program = shutil.which(shell)
    for number, text in enumerate(scripts):
        path = tmp_path / str(number)
        path.write_text(text)
        assert "moon" in text
        if program is not None:
            done = subprocess.run([program, "-n", str(path)], capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, "")


def test_manual_has_options_examples_and_exit_codes(made: dict[str, str]) -> None:
    page = made["share/man/man1/moon-recall.1"]
    for heading in (".SH NAME", ".SH OPTIONS", ".SH EXAMPLES", ".SH EXIT STATUS"):
        assert heading in page
    assert "\\-\\-session" in page
    assert "75 locked" in page


def test_option_that_is_nearly_right_is_named() -> None:
    parser = Parser("moon-x", "about", "  moon-x\n")
    parser.add_argument("--context")
    with pytest.raises(UsageWrong) as caught:
        parser.parse_args(["--contxt", "3"])
    assert "did you mean --context?" in caught.value.hint
    with pytest.raises(UsageWrong) as caught:
        parser.parse_args(["--zzz"])
    assert "did you mean" not in caught.value.hint
