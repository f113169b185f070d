"""Which tests enter which function: a fault needs to meet only those. Measured once, on instrumented sources."""

from __future__ import annotations

import ast
import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Function = tuple[str, int]
"""(source, first line)"""


def instrumented(source: str, path: str) -> str:
    """A source whose functions say that they are entered. Line numbers differ; what it does is the same."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            said = ast.parse(f"__import__('watch_reach').mark({path!r}, {node.lineno})").body
            node.body[1 if ast.get_docstring(node) is not None else 0 : 0] = said
    return ast.unparse(ast.fix_missing_locations(tree))


@dataclass
class Reach:
    """The tests that reach each function; the seconds of each test; the tests that failed on sources as they are."""

    tests: dict[Function, set[str]] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    failed: set[str] = field(default_factory=set)

    def read(self, folder: Path) -> None:
        """Take in what the plugin wrote in a copy (`watch_reach.py`)."""
        for name, passed, seconds in _lines(folder / "results"):
            self.seconds[name] += seconds
            if not passed:
                self.failed.add(name)
        for name, path, line in _lines(folder / "seen"):
            self.tests[path, line].add(name)

    def of(self, path: str, line: int | None) -> list[str]:
        """The tests that reach a function, or, for what stands in none, any function of the source; the quick first.

        The tests of one file stay together, since they may share what is costly to make.
        """
        labels = {
            label
            for (each, first), reached in self.tests.items()
            if each == path and line in (None, first)
            for label in reached
        }
        names = [name for name in self.seconds if labels & {name, name.split("::")[0]} and name not in self.failed]
        files: dict[str, list[float]] = defaultdict(list)
        for name in names:
            files[name.split("::")[0]].append(self.seconds[name])

        def place(name: str) -> tuple[float, str, float]:
            file = name.split("::")[0]
            return sum(files[file]) / len(files[file]), file, self.seconds[name]

        return sorted(names, key=place)

    def dump(self) -> str:
        """As a JSON document."""
        tests = [[path, line, sorted(names)] for (path, line), names in sorted(self.tests.items())]
        return json.dumps({"tests": tests, "seconds": self.seconds, "failed": sorted(self.failed)})

    @classmethod
    def load(cls, text: str) -> Reach:
        """From `dump`."""
        found, document = cls(), json.loads(text)
        found.tests.update({(path, line): set(names) for path, line, names in document["tests"]})
        found.seconds.update(document["seconds"])
        found.failed.update(document["failed"])
        return found


def _lines(path: Path) -> Iterator[list[Any]]:
    """The lines of a file, but for those that a program's end cut short."""
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            yield json.loads(line)
