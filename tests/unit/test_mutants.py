"""The faults that `make mutation` puts into sources."""

from __future__ import annotations

import ast
import json
import sys
from types import SimpleNamespace
from typing import Any

from tests.mutation.mutants import mutants
from tests.mutation.reach import Reach, instrumented
from tests.support.moon import ROOT

SOURCE = """\
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import nothing
@dataclass(frozen=True)
class Room:
    \'\'\'Words 1 < 2.\'\'\'
    def f(self, a: int = 3, *, ä="ü < ö") -> int:
        if a < 4 and not ä:
            raise ValueError("a + b")
        total = a + 1 if a in ("x",) else min(a, 2)
        log(f"{a + 1}")
        return total
"""
EXPECTED = {
    ("a: int = 3", "a: int = 4"),
    ("if a < 4 and not ä:", "if True:"),
    ("if a < 4 and not ä:", "if False:"),
    ("a < 4", "a <= 4"),
    ("a < 4", "a < 5"),
    ("a < 4 and not ä", "a < 4 or not ä"),
    ("if a < 4 and not ä:", "if a < 4:"),
    ("not ä", "ä"),
    ('raise ValueError("a + b")', "pass"),
    ("a + 1", "a - 1"),
    ("= a + 1", "= a + 2"),
    ('if a in ("x",)', "if True"),
    ('if a in ("x",)', "if False"),
    ("a in (", "a not in ("),
    ("min(a, 2)", "max(a, 2)"),
    ("min(a, 2)", "min(a, 3)"),
    ('log(f"{a + 1}")', "pass"),
    ("return total", "return None"),
}


def test_each_fault_is_one_change_of_one_decision():
    found = mutants(SOURCE)
    assert len({each.source for each in found}) == len(found) == len(EXPECTED)
    for before, after in EXPECTED:
        changed = [each for each in found if before in each.before and each.before.replace(before, after) == each.after]
        assert len(changed) == 1, (before, after)
        assert changed[0].source == SOURCE.replace(changed[0].before, changed[0].after)


def test_every_fault_in_a_real_source_still_parses_and_changes_it():
    source = (ROOT / "lib" / "moon" / "sampling" / "thresholds.py").read_text("utf-8")
    found = mutants(source)
    assert len(found) > 100
    assert all(ast.dump(ast.parse(each.source)) != ast.dump(ast.parse(source)) for each in found)


def test_instrumented_functions_say_that_they_are_entered_and_do_the_same(monkeypatch):
    entered = []
    monkeypatch.setitem(sys.modules, "watch_reach", SimpleNamespace(mark=lambda *place: entered.append(place)))
    source = (
        'from __future__ import annotations\ndef f(a):\n    """Words."""\n    return g(a) + 1\ndef g(a): return a * 2\n'
    )
    names: dict[str, Any] = {}
    exec(instrumented(source, "x.py"), names)
    assert names["f"](3) == 7 and names["f"].__doc__ == "Words."
    assert entered == [("x.py", 2), ("x.py", 5)]


def test_a_fault_meets_the_tests_that_enter_its_function_the_quick_files_first(tmp_path):
    results = [("t/a.py::one", True, 5.0), ("t/a.py::two", True, 1.0), ("t/b.py::one", True, 0.5)]
    results += [("t/b.py::broken", False, 0.1), ("t/c.py::one", True, 0.1)]
    seen = [(name, "x.py", 2) for name, *_ in results[:2]] + [("t/b.py", "x.py", 2), ("t/c.py::one", "x.py", 9)]
    for name, lines in (("results", results), ("seen", seen)):
        (tmp_path / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '["cut sho')
    reach = Reach()
    reach.read(tmp_path)
    reach = Reach.load(reach.dump())
    assert reach.of("x.py", 2) == ["t/b.py::one", "t/a.py::two", "t/a.py::one"], (
        "what a file shares counts for all of it"
    )
    assert reach.of("x.py", None) == ["t/c.py::one", "t/b.py::one", "t/a.py::two", "t/a.py::one"]
    assert reach.of("y.py", None) == []
