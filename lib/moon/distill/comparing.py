"""Whether a model's distillation is better than the local one of the same length, by measures that hold for both.

*values*: the sums, dates, shares, counts, paths, hosts and tickets of the conversation that sentences hold, each once,
by how much is lost with it (the bare lists of commands and identifiers are filled up alike for both); *unfounded*:
lines with such a value that stands nowhere in the conversation; *fragments*: lines that begin or end in the middle of
a sentence; *characters*: the length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from moon import documents
from moon.distill.distillation import Distillation
from moon.distill.identifiers import WEIGHT, identifiers_in
from moon.distill.turns import Turn
from moon.distill.values import WEIGHT as VALUE_WEIGHT
from moon.distill.values import exact_in, values_in

LITERAL = ("commands", "identifiers")
# The local distiller takes sentences for their values: a model that retells with fewer has not lost by that alone.
ENOUGH = 0.5
# What a line begins or ends with when it was cut out of a sentence.
_BROKEN_OFF = re.compile(r"[,;.)\]]|(?:and|or|but|which|und|oder|et|ou|y|o)\b(?=\s)")
_ENDS_INSIDE = re.compile(r"(?:[:,;(]|\s(?:and|or|the|und|oder|der|die|das|et|ou|le|la|y|o|el))\Z", re.IGNORECASE)


class Measures(NamedTuple):
    """What is asked of a distillation, whoever made it."""

    values: float
    unfounded: int
    fragments: int
    characters: int

    def as_document(self) -> documents.Measures:
        """The measures in a record."""
        return {
            "values": round(self.values, 2),
            "unfounded": self.unfounded,
            "fragments": self.fragments,
            "characters": self.characters,
        }


def measured(made: Distillation, turns: Iterable[Turn]) -> Measures:
    """Measure a distillation against what it was made from."""
    said = _squeezed("\n".join(turn.text for turn in turns))
    kept: dict[str, float] = {}
    lines = [(name, item.text) for name, items in made.lists.items() for item in items]
    unfounded = 0
    for name, text in lines:
        kept |= (
            {}
            if name in LITERAL
            else {value: weight for value, weight in weights_in(text).items() if _squeezed(value) in said}
        )
        exact = [*(found.text for found in identifiers_in(text)), *exact_in(text)]
        unfounded += any(_squeezed(value) not in said for value in exact)
    fragments = sum(is_broken(text) for name, text in lines if name not in LITERAL)
    return Measures(sum(kept.values()), unfounded, fragments, sum(len(text) for _, text in lines))


def weights_in(text: str) -> dict[str, float]:
    """The values and identifiers of a text, each with what is lost with it."""
    found = {value.text: VALUE_WEIGHT[value.kind] for value in values_in(text)}
    for each in identifiers_in(text):
        found[each.text] = max(found.get(each.text, 0.0), WEIGHT[each.kind])
    return found


def is_broken(text: str) -> bool:
    """Whether a line begins or ends in the middle of a sentence, by itself alone."""
    return bool(_BROKEN_OFF.match(text.strip()) or _ENDS_INSIDE.search(text.strip()))


def why_not(model: Measures, local: Measures) -> str:
    """Why the model's distillation does not beat the local one of its length; empty when it does."""
    worse: Sequence[tuple[bool, str]] = (
        (model.unfounded > local.unfounded, f"{model.unfounded} lines hold what nobody said"),
        (model.fragments > local.fragments, f"{model.fragments} lines are no whole sentences"),
        (
            model.values < ENOUGH * local.values,
            f"it keeps values worth {model.values:.1f}, the local one {local.values:.1f}",
        ),
    )
    return "; ".join(words for is_worse, words in worse if is_worse)


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()
