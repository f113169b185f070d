"""What kind of answer a question asks for, and the signs of such an answer in a text."""

from __future__ import annotations

import re

from moon.fulltext.words import words

_NAME = r"(?<=[a-z,;] )[A-Z][a-z]+"
_UNIT = r"(?:year|month|week|day|hour|minute|second)s?"
_SMALL = "one|two|three|four|five|six|seven|eight|nine|ten"

# (what the question says, with the spaces that words are cut by; what an answer shows, compiled when it is asked for).
_KINDS = (
    (
        (" when ", " how long ", " date "),
        r"(?i:\b(?:yesterday|today|tonight|tomorrow|last|next|ago|since|recently|just|week|weekend|months?|years?|days?"
        r"|morning|evening|night|monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april"
        r"|may|june|july|august|september|october|november|december|summer|winter|spring|autumn|birthday|anniversary"
        r"|soon|upcoming|\d{4})\b)",
    ),
    (
        (" how many ", " how much ", " how long ", " how often ", " how old "),
        rf"(?i:\b(?:\d+|{_SMALL}|dozen|hundred|thousand|couple|few|several|once|twice|first|second|third)\b)",
    ),
    (
        (
            " where ",
            *(f" {ask} {what}" for ask in ("which", "what") for what in ("city", "countr", "state", "place", "town")),
        ),
        rf"\b(?:in|at|to|from|near|visit\w*) (?:the |a |my )?[A-Z][a-z]+|{_NAME}",
    ),
    (
        (" who ", " whom ", " whose "),
        r"\b(?:mom|dad|mother|father|sister|brother|friends?|husband|wife|son|daughter|cousin|aunt|uncle|grand\w+|teacher"
        rf"|coach|colleague|neighbou?r|partner|family|kids|boss|team)\b|{_NAME}",
    ),
    (
        (" name ", " names ", " named ", " called ", " title", " book", " movie", " song", " game", " series "),
        rf"\"|\u201c|\b(?:named|called|titled|name is)\b|{_NAME}",
    ),
    (
        (
            " how long ",
            " how often ",
            " how old ",
            *(f" how many {unit} " for unit in ("years", "months", "weeks", "days", "hours", "times")),
        ),
        rf"(?i:\b(?:for|since|over|past|few|couple of|an?|\d+|{_SMALL}) (?:\w+ )?{_UNIT}\b)",
    ),
    (
        (" why ", " reason", " motivat", " inspir", " purpose ", " goal"),
        r"(?i:\b(?:because|since|reason|inspired?|motivat\w+|why|so that|due to|want(?:ed)? to"
        r"|(?:made|makes?|helps?) me)\b)",
    ),
    (
        (" favorite ", " favourite ", " like ", " likes ", " enjoy", " love ", " loves ", " prefer"),
        r"(?i:\b(?:favou?rite|fave|loves?|best|enjoy\w*|fan|prefer\w*|likes?)\b)",
    ),
    (
        (" plan", " going to ", " will ", " upcoming ", " intend", " want", " hope", " hoping ", " future ", " would "),
        r"(?i:\b(?:gonna|will|planning|plans?|next|tomorrow|soon|upcoming|hoping|going to|can't wait|looking forward"
        r"|thinking about)\b|'ll\b)",
    ),
    (
        (" did ", " was ", " were ", " has ", " have ", " had "),
        r"(?i:\b(?:yesterday|last|ago|just|recently|was|went|had|did|got|\w{3,}ed)\b)",
    ),
)


def expected(question: str) -> list[re.Pattern[str]]:
    """Signs to look for in an answer to this question; `re` keeps what it has compiled."""
    asked = f" {' '.join(words(question))} "
    return [re.compile(sign) for said, sign in _KINDS if any(each in asked for each in said)]
