"""Turns cut into units: sentences, list items and single lines, small enough to be chosen one by one."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moon.distill.clauses import clauses, shortened, without_lead_in
from moon.distill.cues import cue, words_of
from moon.distill.labels import is_bare_label, label_of
from moon.distill.turns import ASSISTANT, RESULT, SUMMARY, USER, Turn

MAX_JOINED, MAX_LEANING = 170, 240
# What is shorter says little without the sentence beside it.
SHORT, FEW_WORDS = 28, 5
LONGEST_QUOTE = 300
LONGEST_ABBREVIATION = 20
# "That is a rule for all of us." says nothing without the sentence before it.
_POINTS_BACK = re.compile(r"(?i)(?:that(?:'s| is)|(?:write|put|note) (?:that|this|it)) [^.!?]{0,40}[.!]?$")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,2}[.)]|\(?[a-zA-Z][.)])\s+")
_CHECKED = re.compile(r"^\s*(?:[-*+]\s*)?\[[xX]\]\s*")
_HEADING = re.compile(r"^\s*#{1,6}\s+|^\s*\*\*[^*]+\*\*:?\s*$")
_SENTENCE_END = re.compile(r"(?<=[.!?…])([\"'”’)\]]*)\s+(?=[\"'(\[`“‘]*[^\sa-z])|(?<=[。！？])([」』”）]?)")
_EMPHASIS = re.compile(r"(\*\*|__)(.+?)\1")
_QUOTE = re.compile(r"^\s*>+\s?")
_LATIN_WORD = re.compile(r"[^\W\d_][\w'-]{2,}")
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


@dataclass(frozen=True)
class Unit:
    """One sentence or line: where it stands and what it is part of."""

    turn: int
    position: int
    event_id: str
    role: str
    text: str
    item: bool = False
    heading: str = ""
    ticked: bool = False
    label: str = ""
    """The list that the writer put it under, by a label before it or above it."""

    @functools.cached_property
    def is_question(self) -> bool:
        """Whether it only asks, with its mark or without."""
        return _asks(self.text) or (self.role == USER and bool(cue("question").match(without_lead_in(self.text))))


def units_of(turns: Sequence[Turn]) -> list[Unit]:
    """Units of everything said by people and models; of a tool's result only the lines that report something."""
    return [unit for number, turn in enumerate(turns) for unit in _units(number, turn)]


def _units(number: int, turn: Turn) -> Iterator[Unit]:
    if turn.role not in (USER, ASSISTANT, SUMMARY, RESULT):
        return
    lines = _report_lines(turn.text) if turn.role == RESULT else _prose_lines(turn.text)
    position, heading, announced = 0, "", False
    for line in lines:
        bare, item = plain(line), bool(_BULLET.match(line))
        if _HEADING.match(line) or (turn.role != RESULT and is_bare_label(bare)):
            heading, announced = line.strip("#* :：\t"), not _HEADING.match(line)
            continue
        # A heading holds until the next one, "Still open:" only for the list right below it.
        heading = heading if item or not announced else ""
        ticked = bool(_CHECKED.match(_BULLET.sub("", line)))
        for part in _parts(bare, turn.role):
            label = _label(part, heading if item else "", ticked) if turn.role != RESULT else ""
            for text in clauses(part) if turn.role == USER else (shortened(part),):
                yield Unit(
                    number,
                    position,
                    turn.event_id,
                    turn.role,
                    text,
                    item=item,
                    heading=heading,
                    ticked=ticked,
                    label=label,
                )
                position += 1


def _label(part: str, heading: str, ticked: bool) -> str:
    label = label_of(part) or label_of(f"{heading}:")
    return "milestones" if ticked and label == "open_tasks" else label


def _parts(line: str, role: str) -> list[str]:
    """A result's line whole; the model's words by sentence; a user's statements together as far as they are short.

    "Fine, skip it. Too many pickpockets there." says something only as a whole.
    """
    if role == RESULT:
        return [line]
    joined: list[str] = []
    for sentence in _without_announcement(sentences(line)):
        if joined and (_belongs if role == USER else _leans)(joined[-1], sentence):
            joined[-1] += " " + sentence
        else:
            joined.append(sentence)
    return joined


def _without_announcement(found: list[str]) -> list[str]:
    """Sentences without the last one where that only says that a list, a log or code comes next."""
    announces = bool(found) and found[-1].endswith((":", "："))
    return found[:-1] if announces and not label_of(found[-1]) else found


def _belongs(said: str, sentence: str) -> bool:
    """Whether a sentence goes with what was said before it, rather than having a purpose of its own."""
    if _asks(said) or _asks(sentence) or label_of(sentence):
        return False
    if _POINTS_BACK.match(sentence) or _leans(said, sentence):
        return True
    if len(said) + len(sentence) >= MAX_JOINED:
        return False
    # What follows a label in the same line is labelled too.
    if label_of(said):
        return True
    # What decides something says enough, and what comes after it is another matter.
    if cue("decides").search(said) and not _says_little(said, 3) and not _says_little(sentence, 3):
        return False
    if not (_says_little(said) or _says_little(sentence)):
        return False
    return not (_has_purpose(said) and _has_purpose(sentence))


def _leans(said: str, sentence: str) -> bool:
    """Whether a sentence speaks of what the one before it named, and both are short enough for one line."""
    if len(said) + len(sentence) > MAX_LEANING or _asks(said) or not dangles(sentence):
        return False
    return not (_has_purpose(said) and _has_purpose(sentence))


def _says_little(sentence: str, words: int = FEW_WORDS) -> bool:
    """Whether a sentence is so short that it says little without the one beside it."""
    return len(sentence) <= SHORT and len(without_lead_in(sentence).split()) <= words


def dangles(sentence: str) -> bool:
    """Whether a sentence begins with a word for what was named before it: "It …", "He …"."""
    text = without_lead_in(sentence)
    joiner = cue("joiner").match(text)
    text = text[joiner.end() :].lstrip(" ,") if joiner else text
    return bool(cue("pronoun").match(text))


def _has_purpose(text: str) -> bool:
    return any(cue(name).search(text) for name in ("decision", "rule", "task"))


def _asks(text: str) -> bool:
    return text.rstrip("\"')* ").endswith(("?", "？", "か。"))


# A line of a program or for a shell that nobody put between fences.
_CODE_LINE = re.compile(
    r"\s*(?:\$ |>>> |\.\.\. |@\w+|#!|#include|//|/\*|<\w[^>]*>\s*$|</\w)"
    r"|\s*(?:print|import|from|def|class|return|const|let|var|function|public|private|elif|else:|try:|except|assert|raise|await|async)\b"
    r"[^.!?]*[(:;{=]\s*\S*[^.!?]*$"
    r"|.*[{};]\s*$|\s*[\w.\[\]]+(?:\(.*\))?\s*[-+*/]?=\s*\S.*$|\s*[\w.]+\(.*\)\s*$|\s*[\]})]+[,;]?\s*$"
    # Data on one line.
    r"|\s*[\[{]\s*[\"{\[].*[}\]],?\s*$"
)
_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")


def _prose_lines(text: str) -> Iterator[str]:
    """The lines that say something, each with what a wrapped line goes on with; no code, no rule of a table."""
    fenced, until, waiting = False, "", ""
    for line in text.splitlines():
        if until:
            until = "" if line.strip() == until else until
            continue
        if _FENCE.match(line):
            fenced = not fenced
        heredoc = _HEREDOC.search(line)
        until = heredoc.group(1) if heredoc and not fenced else ""
        prose = not (fenced or _FENCE.match(line) or _CODE_LINE.match(line) or heredoc or _TABLE_RULE.fullmatch(line))
        if prose and waiting and _goes_on(waiting, line):
            waiting = f"{waiting} {line.strip()}"
            continue
        if waiting:
            yield waiting
        waiting = line if prose and line.strip() else ""
    if waiting:
        yield waiting


_TABLE_RULE = re.compile(r"[\s|:+=_-]+")
_WRAPPED = 55


def _goes_on(line: str, following: str) -> bool:
    """Whether a sentence was wrapped at the end of this line, as mails and terminals do."""
    if len(line) < _WRAPPED or line.rstrip()[-1:] in ".!?:;。！？" or _BULLET.match(following):
        return False
    return following.strip()[:1].islower() and not _HEADING.match(line)


def without_code(text: str) -> str:
    """A text without what stands between code fences."""
    return "\n".join(_prose_lines(text)) if "```" in text or "~~~" in text else text


_REPORTS = re.compile(
    r"(?i)(?<!\w)(?:error|exception|traceback|fatal|panic|fail(?:ed|ures?)?|passed|denied|refused|success\w*"
    r"|exit (?:code|status)|total|created|installed|listening|version|warning|done|finished|completed|deployed"
    r"|not found|timed out|built|written|saved|uploaded|coverage)(?!\w)"
)


def _report_lines(text: str) -> Iterator[str]:
    """At most six lines of a result: those that report an outcome, the last ones first in importance."""
    lines = [line for line in text.splitlines() if 8 <= len(line.strip()) <= 240 and _REPORTS.search(line)]
    yield from dict.fromkeys(lines[:2] + lines[-4:])


def plain(line: str) -> str:
    """A line without its Markdown dress: bullet, quote sign, emphasis, table bars."""
    line = _QUOTE.sub("", line)
    line = _BULLET.sub("", line, count=1)
    line = re.sub(r"^\s*\[[ xX]\]\s*", "", line)
    line = _EMPHASIS.sub(r"\2", line)
    if line.count("|") >= 2 and line.strip().startswith("|"):
        line = " · ".join(cell.strip() for cell in line.strip().strip("|").split("|"))
    return " ".join(line.split())


def sentences(line: str) -> list[str]:
    """A line's sentences; full stops in file names, numbers and abbreviations end none."""
    pieces: list[str] = []
    for piece in _between_ends(line):
        if pieces and (_is_open(pieces[-1]) or (_is_abbreviated(pieces[-1], piece) and not label_of(piece))):
            pieces[-1] += " " + piece
        elif piece.strip():
            pieces.append(piece.strip())
    return pieces


def _between_ends(line: str) -> Iterator[str]:
    start = 0
    for end in _SENTENCE_END.finditer(line):
        yield line[start : end.end(end.lastindex or 0)]
        start = end.end()
    yield line[start:]


_INITIAL = re.compile(r"(?<!\w)[^\W\d_a-z]\.$")


@functools.cache
def _abbreviation() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words_of('abbreviation')})\.$", re.IGNORECASE)


def _is_abbreviated(text: str, following: str) -> bool:
    """Whether the full stop at the end belongs to a short form, to an initial or to a day: "am 14. September"."""
    text = text[-LONGEST_ABBREVIATION:]
    if _abbreviation().search(text) or _INITIAL.search(text):
        return True
    return bool(_DAY.search(text) and (cue("month").match(following) or _DAY_OF.search(text)))


_DAY = re.compile(r"(?<![\w.,])\d{1,2}\.$")
_DAY_OF = re.compile(r"(?i)(?<!\w)(?:am|den|dem|der|vom|zum|bis|ab)\s+\d{1,2}\.$")


def _is_open(text: str) -> bool:
    """Whether a quotation or parenthesis was begun and not ended; one that never ends holds nothing together."""
    if len(text) > LONGEST_QUOTE:
        return False
    return text.count('"') % 2 == 1 or text.count("“") > text.count("”") or text.count("(") > text.count(")")


def terms(text: str) -> frozenset[str]:
    """The words a unit is about, for comparing units; pairs of characters where a script has no spaces."""
    found = {stem(word) for word in _LATIN_WORD.findall(text.lower())}
    for run in _IDEOGRAPHS.findall(text):
        found |= {run[at : at + 2] for at in range(max(1, len(run) - 1))}
    return frozenset(found)


def stem(word: str) -> str:
    """A word without its commonest endings: good enough to see that two sentences share it."""
    for ending in ("ing", "ed", "es", "en", "er", "e", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
