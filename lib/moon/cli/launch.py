"""Start the tool whose name the launcher was called by."""

from __future__ import annotations

import gc
import importlib
import sys

TOOLS = ("sample", "archive", "index", "prune", "distill", "rollover", "recall", "status", "verify", "watch")
# Not on anybody's PATH: `make` calls it as `python lib/launch.py install …`.
MAKE_TOOLS = ("install",)


def main() -> int:
    """Run `moon.cli.<tool>.main(arguments)` and return its exit code."""
    if len(sys.argv) < 2 or sys.argv[1] not in (*TOOLS, *MAKE_TOOLS):
        from moon.output import say

        say("moon: call one of " + ", ".join(f"moon-{tool}" for tool in TOOLS))
        return 2
    # Start-up makes many objects and hardly any garbage; looking for some is a tenth of an idle tick.
    gc.set_threshold(50_000)
    tool = sys.argv[1]
    from moon.cli.run_tool import run_tool

    return run_tool(f"moon-{tool}", importlib.import_module(f"moon.cli.{tool}").main, sys.argv[2:])
