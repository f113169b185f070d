"""English as questions use it: which words carry no content, which carry little, and forms that no stemmer joins."""

from __future__ import annotations

from moon.fulltext.languages import stem


def _words(text: str) -> list[str]:
    return text.split()


# Without content: never searched for, unless the question has nothing else.
STOP_WORDS = frozenset(
    _words(
        """a an the and or but if then than so of in on at to from by for with about into onto over under as is are was
    were be been being am do does did doing done have has had having will would can could shall should may might must
    i me my mine we us our you your he him his she her hers it its they them their this that these those there here what
    which who whom whose when where why how not no nor s t d ll m re ve don isn doesn didn wasn weren hasn haven hadn
    won wouldn couldn shouldn just also very too really some any each both such own same"""
    )
)

# Those that no other language has: a question with one is English, and no other list of stop words needs to be read.
ONLY_ENGLISH = frozenset(
    _words(
        """about did does how should that their these they this those were what when where which whose why with would
    you your"""
    )
)

# Words that shape a question more than they say what it is about; they count for less.
FILLERS = frozenset(
    stem(word)
    for word in _words(
        """mention mentioned describe described kind type sort way thing item specific particular certain various
    different new recent recently currently current according during while likely consider considered potential possible
    main primary significant example detail instance aspect regarding involving related involve based able manage use
    used using many much long often discuss say said tell talk share express ask answer state refer happen occur take
    place become feel think believe plan make get go come give do want need like know see look find try start
    begin"""
    )
)
FILLER_WEIGHT = 0.4

# Forms of one word that no suffix rule joins. The first of a line stands for all.
_IRREGULAR = """\
go went gone goes|buy bought|take took taken|see saw seen|give gave given|get got gotten|make made|come came|run ran
eat ate eaten|write wrote written|speak spoke spoken|tell told|say said|think thought|feel felt|find found|keep kept
leave left|meet met|lose lost|win won|teach taught|catch caught|bring brought|begin began begun|drive drove driven
fly flew flown|know knew known|grow grew grown|draw drew drawn|sing sang sung|swim swam swum|build built|send sent
spend spent|sell sold|hold held|hear heard|break broke broken|choose chose chosen|wear wore worn|wake woke woken
fall fell fallen|forget forgot forgotten|hide hid hidden|ride rode ridden|rise rose risen|sleep slept|stand stood
understand understood|become became|pay paid|fight fought|lead led|sit sat|shoot shot|throw threw thrown
steal stole stolen|drink drank drunk|swear swore sworn|tear tore torn|bite bit bitten|blow blew blown
freeze froze frozen|lend lent|bend bent|deal dealt|dream dreamt|learn learnt|mean meant|seek sought|shake shook shaken
stick stuck|strike struck|sweep swept|weave wove woven|lay laid|lie lain|light lit|dig dug|feed fed|hang hung
kneel knelt|breed bred|bind bound|wind wound|spin spun|swing swung|ring rang rung|sink sank sunk|shrink shrank shrunk
spring sprang sprung|forgive forgave forgiven|arise arose arisen|beat beaten|creep crept|cling clung
overcome overcame|undergo underwent undergone|withdraw withdrew withdrawn|mistake mistook mistaken
child children|man men|woman women|person people|mouse mice|foot feet|tooth teeth|wife wives|life lives
good better best|bad worse worst"""


def _forms() -> dict[str, tuple[str, ...]]:
    found = {}
    for line in _IRREGULAR.replace("\n", "|").split("|"):
        forms = tuple(line.split())
        found.update(dict.fromkeys(forms, forms))
    return found


FORMS = _forms()


def forms_of(word: str) -> tuple[str, ...]:
    """The irregular forms of a folded word, itself among them: `went` → go, went, gone, goes."""
    return FORMS.get(word, (word,))


def base_stem(word: str) -> str:
    """One stem for all forms of a folded word: `went`, `going` → `go`."""
    return stem(FORMS[word][0] if word in FORMS else word)
