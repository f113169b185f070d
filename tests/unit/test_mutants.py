"""The faults that `make mutation` puts into sources."""

from __future__ import annotations

import ast

from tests.mutation.mutants import mutants
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
