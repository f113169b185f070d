"""Start the tool whose name the launcher was called by: `moon-status` and `moon status` are the same."""

from __future__ import annotations

import gc
import sys

TOOLS = (
    *("sample", "archive", "index", "prune", "distill", "rollover"),
    *("recall", "status", "verify", "watch"),
    *("install", "post-upgrade", "snapshot", "forget", "mirror"),
)
# Not on anybody's PATH: `make docs` calls it as `python lib/launch.py docs`.
MAKE_TOOLS = ("docs",)


def main() -> int:
    """Run the tool that `sys.argv` names and return its exit code; `lib/launch.py` and `bin/moon` come in here."""
    words = sys.argv[2:] if sys.argv[1:2] == ["moon"] else sys.argv[1:]
    tool, arguments = (words[0].removeprefix("moon-"), words[1:]) if words else ("", [])
    if tool == "sample" and not arguments and _nothing_moved():
        return 0
    # Start-up makes many objects and hardly any garbage; looking for some is a tenth of an idle tick.
    gc.set_threshold(50_000)
    import importlib

    from moon.cli.run_tool import run_tool

    if tool not in TOOLS and tool not in MAKE_TOOLS:
        return run_tool("moon", _tell_tools, words)
    module = importlib.import_module(f"moon.cli.{tool.replace('-', '_')}")
    code = run_tool(f"moon-{tool}", module.main, arguments)
    # All that is left is to end; Python would first look through every object for garbage, a tenth of an answer.
    gc.freeze()
    return code


def command() -> int:
    """The same for the commands of an installed package, which carry the tool in their own name."""
    name = sys.argv[0].rpartition("/")[2]
    sys.argv[1:1] = [name]
    return main()


def _tell_tools(words: list[str]) -> int:
    """Say which tools there are; 0 when that was the question, 2 when `words` begins with none of them."""
    from moon import __version__, output

    names, word = ", ".join(TOOLS), words[0] if words else ""
    if word in ("--version", "-V"):
        output.tell(f"moon {__version__}")
        return 0
    if word in ("-h", "--help", "help"):
        output.tell(
            "usage: moon TOOL [options], or moon-TOOL [options]", f"tools: {names}", "moon TOOL --help tells more"
        )
        return 0
    if word:
        output.say(f"moon: there is no {word!r}{_nearest(word)}", f"hint: call one of {names}, or `moon --help`")
    else:
        output.say(
            f"moon: call moon TOOL or moon-TOOL with one of {names}", "hint: `moon-status` tells how things stand"
        )
    return 2


def _nearest(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, TOOLS, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _nothing_moved() -> bool:
    """Is this a tick with nothing to look at? Asked before anything is loaded, since nearly every tick is."""
    from moon.clock import now_ms
    from moon.sampling.quiet import is_quiet

    return is_quiet(now_ms())
