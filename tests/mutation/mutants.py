"""Small faults that could be in a piece of Python, one at a time. Pure: source text goes in, changed text comes out.

A fault is one that a person makes: the edge of a comparison, `and` for `or`, a condition that is always or never true,
a number off by one, a step left out, nothing returned. Texts are left alone: what a message says is no decision.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

COMPARED = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
COUNTED = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "//"), ast.FloorDiv: ("//", "*")}
JOINED = {ast.BitOr: ("|", "&"), ast.BitAnd: ("&", "|")}
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Edit(NamedTuple):
    """Put `text` in the place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str


class Mutant(NamedTuple):
    """One fault: where it is, what stood there, what stands there now, and the whole changed source."""

    line: int
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        """`12: a < b → a <= b`."""
        return f"{self.line}: {_short(self.before)} → {_short(self.after)}"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 90 else words[:60] + " … " + words[-25:]


def mutants(source: str) -> list[Mutant]:
    """Every fault of a source, in the order of its lines; each one still parses."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    found = []
    for edit in sorted(set(finder.edits)):
        changed = source[: edit.start] + edit.text + source[edit.end :]
        if _parses(changed):
            line = source.count("\n", 0, edit.start) + 1
            found.append(Mutant(line, *_whole_lines(source, edit), changed))
    return found


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _whole_lines(source: str, edit: Edit) -> tuple[str, str]:
    """The lines that an edit touches, before and after it."""
    first = source.rfind("\n", 0, edit.start) + 1
    last = source.find("\n", edit.end)
    last = len(source) if last < 0 else last
    return source[first:last], source[first : edit.start] + edit.text + source[edit.end : last]


class _Finder(ast.NodeVisitor):
    """Collects edits. Annotations, decorators, docstrings and what only types read are passed over."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines = [0]
        for line in source.encode().split(b"\n"):
            self.lines.append(self.lines[-1] + len(line) + 1)
        self.data = source.encode()
        self.edits: list[Edit] = []

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Where a node begins and ends, in characters; `ast` counts bytes of a line."""
        begin = self.lines[node.lineno - 1] + node.col_offset
        end = self.lines[node.end_lineno - 1] + node.end_col_offset
        return len(self.data[:begin].decode()), len(self.data[:end].decode())

    def put(self, node: ast.AST, text: str) -> None:
        """Something else in the place of a node."""
        self.edits.append(Edit(*self.place(node), text))

    def between(self, left: ast.AST, right: ast.AST, before: str, after: str) -> None:
        """Another operator between two nodes."""
        start, end = self.place(left)[1], self.place(right)[0]
        at = self.source.find(before, start, end)
        if at >= 0:
            self.edits.append(Edit(at, at + len(before), after))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for each in (*node.args.defaults, *node.args.kw_defaults, *node.body):
            if each is not None:
                self.visit(each)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        # What decorates a class is no decision either.
        for each in node.body:
            self.visit(each)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self.condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.put(node.test, "False")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for each in node.ifs:
            self.condition(each)
        self.generic_visit(node)

    def condition(self, test: ast.expr) -> None:
        """A condition that is always, or never, true."""
        self.put(test, "True")
        self.put(test, "False")

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, operator, right in zip((node.left, *node.comparators), node.ops, node.comparators, strict=False):
            self.between(left, right, *COMPARED[type(operator)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        before, after = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(left, right, f" {before} ", f" {after} ")
            # The same part left out.
            self.edits.append(Edit(self.place(left)[1], self.place(right)[1], ""))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.put(node, self.text(node.operand))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        known = {**COUNTED, **JOINED}.get(type(node.op))
        if known and not any(_is_text(each) for each in (node.left, node.right)):
            self.between(node.left, node.right, *known)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.put(node, str(not node.value))
        elif isinstance(node.value, (int, float)):
            self.put(node, repr(node.value + 1))

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in SWAPPED:
            self.put(node.func, SWAPPED[node.func.id])
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self.put(node.value, "None")
            self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        if not isinstance(node.value, (ast.Yield, ast.YieldFrom)):
            self.put(node, "pass")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        # Only that it is raised is a decision, not its words.
        self.put(node, "pass")

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.put(node, "pass")
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self.put(node, "pass")

    def visit_Break(self, node: ast.Break) -> None:
        self.put(node, "pass")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A text with values in it is left alone, as every text."""

    def text(self, node: ast.AST) -> str:
        """The source of a node."""
        start, end = self.place(node)
        return self.source[start:end]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))


def functions(source: str) -> Iterator[tuple[int, int, str]]:
    """(first line, last line, name) of every function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno or node.lineno, node.name
