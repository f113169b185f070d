"""What kind of answer a question asks for, and the signs of such an answer in a text."""

from __future__ import annotations

import re

_NAME = r"(?<=[a-z,;] )[A-Z][a-z]+"
_UNIT = r"(?:year|month|week|day|hour|minute|second)s?"
_SMALL = "one|two|three|four|five|six|seven|eight|nine|ten"

# (what the question says, what an answer shows); the latter are compiled when a question of their kind comes.
_KINDS = (
    (
        r"^when\b| when |how long|\bdate\b",
        r"(?i:\b(?:yesterday|today|tonight|tomorrow|last|next|ago|since|recently|just|week|weekend|months?|years?|days?"
        r"|morning|evening|night|monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april"
        r"|may|june|july|august|september|october|november|december|summer|winter|spring|autumn|birthday|anniversary"
        r"|soon|upcoming|\d{4})\b)",
    ),
    (
        r"\bhow (?:many|much|long|often|old)\b",
        rf"(?i:\b(?:\d+|{_SMALL}|dozen|hundred|thousand|couple|few|several|once|twice|first|second|third)\b)",
    ),
    (
        r"\bwhere\b|\b(?:which|what) (?:city|country|state|place|town)",
        rf"\b(?:in|at|to|from|near|visit\w*) (?:the |a |my )?[A-Z][a-z]+|{_NAME}",
    ),
    (
        r"\bwho(?:m|se)?\b",
        r"\b(?:mom|dad|mother|father|sister|brother|friends?|husband|wife|son|daughter|cousin|aunt|uncle|grand\w+|teacher"
        rf"|coach|colleague|neighbou?r|partner|family|kids|boss|team)\b|{_NAME}",
    ),
    (
        r"\b(?:names?|named|called|titles?|books?|movies?|songs?|games?|series)\b",
        rf"\"|\u201c|\b(?:named|called|titled|name is)\b|{_NAME}",
    ),
    (
        r"\bhow (?:long|often|old|many (?:years|months|weeks|days|hours|times))",
        rf"(?i:\b(?:for|since|over|past|few|couple of|an?|\d+|{_SMALL}) (?:\w+ )?{_UNIT}\b)",
    ),
    (
        r"\bwhy\b|\breasons?\b|\bmotivat|\binspir|\bpurpose\b|\bgoal",
        r"(?i:\b(?:because|since|reason|inspired?|motivat\w+|why|so that|due to|want(?:ed)? to"
        r"|(?:made|makes?|helps?) me)\b)",
    ),
    (
        r"\b(?:favou?rite|likes?|enjoys?|loves?|prefers?)\b",
        r"(?i:\b(?:favou?rite|fave|loves?|best|enjoy\w*|fan|prefer\w*|likes?)\b)",
    ),
    (
        r"\b(?:plan\w*|going to|will|upcoming|intends?|wants?|hop\w+|future|would)\b",
        r"(?i:\b(?:gonna|will|planning|plans?|next|tomorrow|soon|upcoming|hoping|going to|can't wait|looking forward"
        r"|thinking about)\b|'ll\b)",
    ),
    (
        r"\b(?:did|was|were|has|have|had)\b",
        r"(?i:\b(?:yesterday|last|ago|just|recently|was|went|had|did|got|\w{3,}ed)\b)",
    ),
)


def expected(question: str) -> list[re.Pattern[str]]:
    """Signs to look for in an answer to this folded question; `re` keeps what it has compiled."""
    return [re.compile(sign) for asked, sign in _KINDS if re.search(asked, question)]
