r"""What secrets look like: tokens by their prefix or shape, and values by the words before them.

Rules only; `secret_search.py` applies them. The patterns are in the syntax of RE2 (no look-around, no back-references)
over Latin-1 bytes, where a letter of any other script reads as `?`, but for the words in `readings.STAND_INS`. What
keeps a search linear: a pattern ends in a class that it takes to its end (`{20,}`), or looks ahead a bounded way or to
the end of the line as shortly as it can (`{0,40}?`, `*?`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import NamedTuple

Accept = Callable[[str], bool]


class Rule(NamedTuple):
    """One kind of secret: what the named group of `pattern` that took part holds, where `accept` agrees.

    `head` is what must stand in a text before `pattern` is tried at all; empty means the pattern itself.
    `spreads` says that a value found by its surroundings is a secret also where it stands without them.
    """

    kind: str
    pattern: str
    accept: Accept | None = None
    head: str = ""
    spreads: bool = False


# --- what is accepted where the surroundings alone do not prove a secret ----------------------------------------------

_PLACEHOLDER = re.compile(
    r"""(?ix) ^(?:
    [x*.\-_#?:•●]{3,} | \[.*\] | .*(?:\.\.\.|…)$ | (?:your|my|the|a|some|new|old|this|that)[-_\s].* | change[-_]?me
    | replace[-_]?me | example\w* | redacted | hidden | secret | password | passwd | pass | pwd | token | none | null
    | nil | undefined | true | false
    | yes | no | required | optional | missing | invalid | expired | empty | unset | str(?:ing)? | int(?:eger)? | number
    | bool(?:ean)? | bytes | object | any | unknown | default | prompt | stdin | env | keyring | ask
    )$"""
)
_EXPRESSION = re.compile(
    r"[()<>{}|\\]|^[$%&@!?]|\$\{|=>|::|\?\.|&&|\[[A-Za-z0-9]-[A-Za-z0-9]"
    r"|^(?:self|this|args|os|process|env|config|settings|request|options|opts|ctx|secrets?)\."
)
_PATH = re.compile(r"^(?:~|\.{1,2})?/(?:[\w.@+-]{0,24}/)*[\w.@+-]{0,24}$")
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[A-Za-z]")
_SYMBOL = re.compile(r"[^\w\s.,:;/\-]")
_NAME_OF_ONE = re.compile(r"(?i)passw|pwd|secret|token")
_NAME_OF_A_TYPE = re.compile(r"[A-Z]\w*(?:Key|Token|Secret|Credentials?|Password)[A-Za-z]*$")
_NAME_OF_A_CONSTANT = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{3,8}$")
_OF_EAST_ASIA = re.compile("[\u2e80-\u9fff\uac00-\ud7af]")
_CALL_OR_MEMBER = re.compile(r"^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$")
_LONGEST = 4096


def _not_placeholder(value: str) -> bool:
    return not (_PLACEHOLDER.match(value) or _EXPRESSION.search(value) or _PATH.match(value))


def _with_digit(value: str) -> bool:
    return _not_placeholder(value) and len(_DIGIT.findall(value)) >= 2


def _mixed(value: str) -> bool:
    """Letters together with digits or symbols: what a chosen password has and a word of prose has not."""
    mixed = _LETTER.search(value) and (_DIGIT.search(value) or _SYMBOL.search(value))
    return bool(mixed) and len(value) <= _LONGEST and _not_placeholder(value)


def _assigned(value: str) -> bool:
    if len(value) < 4 or re.search(r"\s", value) or _OF_EAST_ASIA.search(value):
        return False
    names = (_CALL_OR_MEMBER, _NAME_OF_A_TYPE, _NAME_OF_A_CONSTANT, _COLOUR)
    return _mixed(value) and not any(name.match(value) for name in names)


def _strong(value: str) -> bool:
    """Small and large letters and digits, which no word that merely follows another has."""
    return len(value) >= 8 and _varied(value) and _mixed(value)


def _varied(value: str) -> bool:
    return any(map(str.islower, value)) and any(map(str.isupper, value)) and len(_DIGIT.findall(value)) >= 2


def _written_password(value: str) -> bool:
    """A password written as one (`password="…"`) may be a few plain words; a sentence or the name of one is none."""
    if not 4 <= len(value) <= _LONGEST or _OF_EAST_ASIA.search(value) or len(value.split()) > 6:
        return False
    said = " " in value and value[-1] in ".?!:"
    return not said and _not_placeholder(value) and not _NAME_OF_ONE.search(value)


def _assigned_password(value: str) -> bool:
    return _assigned(value) or (value.isdigit() and len(value) >= 6)


def _encoded_pair(value: str) -> bool:
    """Whether this is `user:password` in Base64, as an HTTP header carries it."""
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_")
    except ValueError:
        return False


def _discord(value: str) -> bool:
    return value[0] in "MNO" and 24 <= value.index(".") <= 28 and _with_digit(value)


def _words(value: str) -> bool:
    return 12 <= len(value.split()) <= 24


# --- tokens -----------------------------------------------------------------------------------------------------------

_START = r"(?:^|[^A-Za-z0-9])"
_STOP = r"(?:[^A-Za-z0-9]|$)"

# A line each: the kind and its pattern. A `!` before the kind asks for two digits in it; a `.` behind the pattern, for
# its end there (else what is glued to a token goes with it).
_TOKENS = r"""
anthropic-key       sk-ant-[A-Za-z0-9_-]{20,}
openrouter-key      sk-or-[A-Za-z0-9_-]{20,}
!openai-key         (?:sk|sess)-[A-Za-z0-9_-]{20,}
!cerebras-key       csk-[A-Za-z0-9]{30,}
!pinecone-key       pcsk_[A-Za-z0-9_]{40,}
google-api-key      (?:AIza[0-9A-Za-z_-]{35,}|AQ\.[0-9A-Za-z_-]{30,})
google-oauth-token  (?:ya29\.|GOCSPX-|1//0)[0-9A-Za-z_-]{20,}
github-token        (?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})
gitlab-token        GR1348941[A-Za-z0-9_-]{20,}
!gitlab-token       gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas|ffct|wt|rtr)-[\w-]{20,}(?:\.[\w.-]{2,})?
!slack-token        (?:xox[a-z](?:\.?xox[a-z])?-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,})
stripe-key          (?:[sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{20,})
aws-access-key      (?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}.
alibaba-access-key  LTAI[A-Za-z0-9]{12,26}.
tencent-access-key  AKID[A-Za-z0-9]{32,36}.
!spaces-access-key  (?:DO00|SCW)[A-Z0-9]{16,17}.
npm-token           npm_[A-Za-z0-9]{36,}
pypi-token          pypi-[A-Za-z0-9_-]{50,}
telegram-bot-token  \d{8,10}:AA[A-Za-z0-9_-]{32,}
sendgrid-key        SG\.[\w-]{16,32}\.[\w-]{32,}
twilio-key          SK[0-9a-fA-F]{32}.
huggingface-token   (?:hf|api_org)_[A-Za-z0-9]{30,}
digitalocean-token  do[opr]_v1_[a-f0-9]{64}
shopify-token       shp[a-z]{2,3}_[a-fA-F0-9]{32,}
databricks-token    dapi[a-f0-9]{32}(?:-\d)?.
!notion-token       (?:ntn_|secret_)[A-Za-z0-9]{40,}
vault-token         hv[sbr]\.[A-Za-z0-9_-]{20,}
!vault-token        [sb]\.[A-Za-z0-9]{24}.
mailgun-key         key-[0-9a-f]{32}.
mailgun-key         [0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}.
mailchimp-key       [0-9a-f]{32}-us\d{1,2}.
!grafana-token      (?:(?:glsa|glc)_[A-Za-z0-9_+/=]{32,}|eyJrIjoi[A-Za-z0-9+/_=-]{60,})
linear-key          lin_[a-z]+_[A-Za-z0-9]{32,}
atlassian-token     (?:AT[A-Z]{2}T3[A-Za-z0-9_=-]{40,}|ATBB[A-Za-z0-9]{28,}|ATTA[a-f0-9]{60,})
docker-token        dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}
supabase-key        (?:sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{20,})
groq-key            gsk_[A-Za-z0-9]{40,}
xai-key             xai-[A-Za-z0-9]{50,}
perplexity-key      pplx-[A-Za-z0-9]{40,}
tailscale-key       tskey-[a-z]+-[A-Za-z0-9-]{16,}
rubygems-key        rubygems_[a-f0-9]{48}
jwt                 eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)?
!replicate-token    r8_[A-Za-z0-9]{36,}
nvidia-key          nvapi-[A-Za-z0-9_-]{40,}
!fireworks-key      fw_[A-Za-z0-9]{22,}
langsmith-key       lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{8,}
!jina-key           jina_[A-Za-z0-9_-]{40,}
!tavily-key         tvly-[A-Za-z0-9-]{20,}
firecrawl-key       fc-[a-f0-9]{32}.
!brave-key          BSA[A-Za-z0-9_-]{27,}
!e2b-key            e2b_[a-f0-9]{40}
!cursor-key         key_[a-f0-9]{64}
!vercel-token       vc[a-z]_[A-Za-z0-9]{24,}
newrelic-key        NR(?:AK|II|JS|RA|AL)-[A-Za-z0-9_-]{20,}
newrelic-key        [a-f0-9]{36}(?:NRAL|FFFF).
sentry-token        sntry[a-z]_[A-Za-z0-9_+/=-]{40,}
square-token        (?:sq0[a-z]{3}-[\w-]{22,}|EAAA[\w-]{56,})
paypal-token        access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}
dropbox-token       sl\.(?:u\.)?[A-Za-z0-9_-]{60,}
heroku-token        HRKU-[A-Za-z0-9_-]{30,}
figma-token         fig[a-z]{1,2}_[A-Za-z0-9_-]{36,}
!azure-secret       [A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,}
azure-devops-token  [A-Za-z0-9]{70,76}AZDO[A-Za-z0-9]{4}.
sendinblue-key      x(?:keysib|smtpsib)-[a-f0-9]{64}-[A-Za-z0-9]{16}
!resend-key         re_[A-Za-z0-9]{6,10}_[A-Za-z0-9]{20,}
postman-key         PMAK-[a-f0-9]{24}-[a-f0-9]{34}
pulumi-token        pul-[a-f0-9]{40}
doppler-token       dp\.(?:pt|st|sa|ct|scim|audit)\.[\w.-]{40,}
fly-token           (?:fo1_[\w-]{40,}|fm\d[a-z]?_[A-Za-z0-9+/=_-]{60,})
planetscale-token   pscale_[a-z]+_[\w.=-]{32,}
neon-key            napi_[a-z0-9]{40,}
!prefect-key        pn[ub]_[A-Za-z0-9]{36,}
!render-key         rnd_[A-Za-z0-9]{28,}
netlify-token       nfp_[A-Za-z0-9]{36,}
cloudflare-key      (?:v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}|cf[a-z]{2}_[A-Za-z0-9_-]{36,})
hubspot-token       pat-(?:na|eu|ap)\d-[a-f0-9-]{36}
airtable-token      pat[A-Za-z0-9]{14}\.[a-f0-9]{64}
asana-token         \d/\d{12,17}(?:/\d{12,17})?:[a-f0-9]{32}
contentful-token    CFPAT-[\w-]{40,}
clojars-token       CLOJARS_[a-z0-9]{60}
crates-token        cio[A-Za-z0-9]{32}.
nuget-key           oy2[a-z0-9]{43}.
artifactory-token   (?:AKCp[A-Za-z0-9]{60,}|cmVm[A-Za-z0-9]{56,})
sonar-token         sq[pua]_[a-f0-9]{40}
circleci-token      CCI(?:PAT|PRJ)_[A-Za-z0-9]{16,}_[a-f0-9]{40}
buildkite-token     bk[a-z]{2}_[a-f0-9]{40}
terraform-token     [A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}
dynatrace-token     dt0[a-z]\d\d\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}
elastic-key         essu_[A-Za-z0-9=+/_-]{40,}
sourcegraph-token   sg[pd]_(?:[a-f0-9]{16}_|local_)?[a-f0-9]{40}
typeform-token      tfp_[\w.=-]{40,}
plaid-token         (?:access|public)-(?:sandbox|development|production)-[a-f0-9-]{36}
facebook-token      (?:EAA[A-Za-z0-9]{60,}|\d{15,16}\|[\w-]{27,40})
twitter-token       A{20,}[A-Za-z0-9%]{40,}
!yandex-key         (?:y0_[\w-]{50,}|AQVN[\w-]{35,}|t1\.[A-Za-z0-9_-]{60,}=*)
firebase-key        AAAA[\w-]{7}:[\w-]{100,}
onepassword-token   (?:ops_eyJ[A-Za-z0-9+/=_-]{60,}|A3-[A-Z0-9]{6}-[A-Z0-9-]{11,12}(?:-[A-Z0-9]{5}){3})
launchdarkly-key    (?:sdk|api|mob)-[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}.
!harness-token      (?:pat|sat)\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}
!payment-key        (?:rzp|shippo|duffel)_(?:live|test)_[\w=-]{14,}
!payment-key        (?:FLWSECK[-_][\w-]{20,}|EZ[AT]K[A-Za-z0-9]{54,})
!readme-key         rdme_[a-z0-9]{60,}
!frameio-token      fio-u-[\w=-]{60,}
infracost-key       ico-[A-Za-z0-9]{32}.
adobe-secret        p8e-[A-Za-z0-9]{32}
authress-key        (?:sc|ext|scauth|authress)_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,}\.[a-z0-9+/_=-]{30,}
bedrock-key         ABSK[A-Za-z0-9+/]{100,}={0,2}
!clickhouse-key     4b1d[A-Za-z0-9]{38}.
intra42-secret      s-s4t2(?:ud|af)-[a-f0-9]{64}
maxmind-key         [A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk.
!octopus-key        API-[A-Z0-9]{26}.
!openshift-token    sha256~[A-Za-z0-9_-]{43}
!scalingo-token     tk-us-[A-Za-z0-9_-]{48}
!settlemint-token   sm_(?:aat|pat|sat)_[A-Za-z0-9]{16,}
age-key             AGE-SECRET-KEY-1[0-9A-Z]{30,}
crypt-hash          \$(?:2[abxy]?|apr1|1|5|6|7|y|argon2(?:id|i|d))\$[./A-Za-z0-9$=,+-]{20,}
crypt-hash          \{S?SHA\d{0,3}\}[A-Za-z0-9+/]{27,}={0,2}
"""

# Prefixes that say of themselves that a secret follows; the rest must look random, so that names and ids stay.
_TELLING = r"(?:sk|rk|pat|apikey|api[_-]key|tok|token|secret|oauth|priv|pw|sat|auth|live|access|refresh|bot)"
_SELF_NAMED = rf"(?:[a-z0-9]{{1,12}}[_-]){{0,3}}{_TELLING}[_-](?:[a-z0-9]{{1,8}}[_-]){{0,2}}[A-Za-z0-9]{{24,}}"


def _self_named(value: str) -> bool:
    return _varied(re.split(r"[_-]", value)[-1])


# What in the middle of a token says that one may stand here, where it begins with any letter or digit at all: to count
# those from every boundary of a text, for all such kinds at once, would cost most of a search.
_HEADS = {
    "telegram-bot-token": ":AA[A-Za-z0-9_-]",
    "mailgun-key": "-[0-9a-f]{8}-[0-9a-f]{8}|key-[0-9a-f]{4}",
    "mailchimp-key": r"[0-9a-f]-us\d",
    "newrelic-key": "NR[A-Z]{2}-|NRAL|FFFF",
    "azure-secret": r"\dQ~",
    "azure-devops-token": "AZDO",
    "asana-token": r"\d:[a-f0-9]{4}",
    "terraform-token": r"\.atlasv1\.",
    "maxmind-key": "_mmk",
    "facebook-token": r"\d\|[\w-]{4}|EAA[A-Za-z0-9]",
}


def _tokens() -> list[Rule]:
    rules = []
    for line in _TOKENS.strip().splitlines():
        kind, pattern = line.split(maxsplit=1)
        stop = _STOP if pattern.endswith(".") else ""
        accept = _with_digit if kind.startswith("!") else None
        kind = kind.lstrip("!")
        whole = f"{_START}(?P<secret>{pattern.removesuffix('.')}){stop}"
        rules.append(Rule(kind, whole, accept, _HEADS.get(kind, "")))
    return rules


_SHAPES = (
    Rule(
        "discord-token",
        rf"{_START}(?P<secret>[A-Za-z0-9_-]{{23,}}\.[A-Za-z0-9_-]{{6}}\.[A-Za-z0-9_-]{{27,}})",
        _discord,
        head=r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}",
    ),
    Rule("slack-webhook", r"hooks\.slack\.com/(?P<secret>(?:services|workflows|triggers)/[A-Za-z0-9/_+-]{20,})"),
    Rule("webhook", r"hooks\.zapier\.com/hooks/catch/(?P<secret>[\w/]{8,})"),
    Rule("webhook", r"webhook\.office\.com/(?P<secret>webhookb2/[\w@/.-]{40,})"),
    Rule("discord-webhook", r"discord(?:app)?\.com/api/webhooks/(?P<secret>\d+/[\w-]{40,})"),
    Rule(
        "aws-secret-key",
        rf"{_START}(?:AKIA|ASIA)[0-9A-Z]{{16}}[^A-Za-z0-9/+](?s:.{{0,120}}?)[^A-Za-z0-9/+]?"
        r"(?P<secret>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)",
        _varied,
        spreads=True,
    ),
    Rule("token", f"{_START}(?P<secret>{_SELF_NAMED})", _self_named, head=f"{_TELLING}[_-][A-Za-z0-9]"),
)

# --- values by the words before them ----------------------------------------------------------------------------------

_DOUBLE, _SINGLE, _TICKS = (
    rf"{mark}(?P<{name}>[^{mark}\n]{{4,}}){mark}" for mark, name in (('"', "d"), ("'", "s"), ("`", "t"))
)
_QUOTED = f"(?:{_DOUBLE}|{_SINGLE}|{_TICKS})"
_BARE = r"""(?P<bare>[^\x00-\x20\x7f"'`,;)\]}\[<>\\]{4,})(?:[\x00-\x20\x7f"'`,;)\]}<>\\]|$)"""
_VALUE = f"(?:{_QUOTED}|{_BARE})"
# What may stand between a name and its value: quotes, a bracket, emphasis; then `=`, `:`, `=>`, or a type and `=`.
_CLOSED = r"""["'*`_]*\]?(?:\s?\[[\w*. ]{0,20}\])?"""
_OPERATOR = r"(?:\s?:\s?[\w.|\[\] ]{1,30}\s?=|[\s+]{0,3}(?:=>|:=|={1,3}|:)\**)[\s+]{0,3}\**"
# All of these but a bare `=`, behind which a password may be a plain word.
_LOOSER = r"(?:\s?:\s?[\w.|\[\] ]{1,30}\s?=|[\s+]{0,3}(?:=>|:=|={2,3}|:)\**|[\s+]{1,3}=|[\"'*`_\]]=)[\s+]{0,3}\**"
_AS_VALUE = r"""["']?\s?,?\s{0,8}["']?(?:value|content)["']?\s?[:=]\s?"""
_ASSIGN = f"{_CLOSED}(?:{_OPERATOR}|{_AS_VALUE})"
_VARIANT = r"(?:\d{1,2}|[_-]?v\d|[_-](?:prod|production|dev|test|live|staging|base|value|old|new|primary|secondary))?"
_PASSWORD = "(?:password|passwd|passphrase|passcode|pwd)"  # noqa: S105
_KEY_OF = (
    "(?:api|access|auth|private|priv|signing|encryption|account|licen[sc]e|app|application|consumer|client|shared"
    "|storage|subscription|service|master|admin|root|integration|ingest|ingestion|insert|write|read|deploy|webhook"
    "|server|sending|personal|hmac|aes|jwt|cookie|preshared|pre-shared|functions?|sharedaccess)"
)
_OTHER_NAME = (
    r"(?:secret(?:[ _-]?(?:access[ _-]?)?key)?|token|credentials?|_auth(?:token)?"
    rf"|{_KEY_OF}[ _.-]?key(?:[ _-]?secret)?|client-key-data|psk|_pat|_pass)"
)
_NAME = f"(?:{_PASSWORD}|{_OTHER_NAME})"
_FLAGS = (
    "(?:password|passwd|pass|pwd|passphrase|token|api-?key|secret|access-key|secret-key|auth-token|auth-key|private-key"
    "|client-secret|storepass|keypass|bearer|credential)"
)
_LINK = r"(?:is|was|ist|es|est|lautet|to|è|é|\x82{1,3})"
_ABROAD = r"(?:passwort|kennwort|contraseña|contrasena|mot de passe|senha|wachtwoord|\x81{2,6})"
_SPOKEN = rf"(?:password|passphrase|passcode|{_ABROAD})"
_SPOKEN_LINK = rf"(?:[^\n:=.]{{0,40}}?\s{_LINK}\s{{1,3}}|\x82)[\"'`*]*"
_REST_OF_LINE = r"[^\n|;]*?"
_WORD = r"""["']?(?P<word>[^\x00-\x20\x7f"'\[]{3,})"""


def _context(kind: str, pattern: str, accept: Accept | None = None, head: str = "") -> Rule:
    """A value known by the words before it, whatever their case; it is a secret elsewhere in the text too."""
    folded = f"(?i){head}" if head else ""
    return Rule(kind, f"(?i){pattern}", accept, folded, spreads=True)


_HEADERS = (
    _context("bearer-token", r"bearer[\s+]+(?P<secret>[A-Za-z0-9._~+/=-]{12,})", _with_digit),
    _context("basic-auth", r"[:=\"'\s+]basic[\s+]+(?P<secret>[A-Za-z0-9+/_-]{8,}={0,2})", _encoded_pair),
    _context("basic-auth", r"\"auth\"\s?:\s?\"(?P<secret>[A-Za-z0-9+/_-]{8,}={0,2})\"", _encoded_pair),
    _context(
        "authorization",
        r"authorization[\"']?\s?[:=]\s{0,3}[\"']?(?:[A-Za-z-]{2,20}[\s+]+)?(?P<secret>[A-Za-z0-9._~+/=:-]{12,})",
        _with_digit,
    ),
    _context("cookie", r"cookie[\"']?:\s{0,8}[\"']?(?P<secret>[^\s\"'\[][^\r\n\"'\\<>]{7,})", _with_digit),
    _context("cookie", r"[a-z]_(?:session|sid)=(?P<secret>[A-Za-z0-9%_.-]{20,})", _with_digit),
    _context("cookie", r"\s--cookie[ =][\"']?(?P<secret>[^\s\"'\[][^\r\n\"'\\<>]{7,})", _with_digit),
)
_COMMANDS = (
    _context(
        "basic-auth",
        rf"(?:curl|wget|http|https|xh)\b{_REST_OF_LINE}\s(?:-u|-a|-U|--user|--auth|--proxy-user)[ =]?[\"']?[^\s:\"']+"
        r":(?P<secret>[^\x00-\x20\x7f\"'\[]{3,})",
        _not_placeholder,
        head=r"\s(?:-[uaU]|--user|--auth|--proxy-user)[ =]?[\"']?[^\s:\"']+:",
    ),
    _context("password", rf"sshpass\b{_REST_OF_LINE}\s-p\s?{_WORD}", _not_placeholder),
    _context("password", rf"(?:mysql|mariadb)[a-z-]*\b{_REST_OF_LINE}\s-p{_WORD}", _not_placeholder),
    _context("password", rf"redis-cli\b{_REST_OF_LINE}\s-a\s{_WORD}", _not_placeholder),
    _context(
        "password",
        rf"(?:mongo[a-z]*|docker login|podman login|az login)\b{_REST_OF_LINE}\s-p\s{_WORD}",
        _not_placeholder,
    ),
    _context("password", rf"ldap[a-z]+\b{_REST_OF_LINE}\s-w\s{_WORD}", _not_placeholder),
    _context("password", rf"(?:un)?zip\b{_REST_OF_LINE}\s-P\s{_WORD}", _not_placeholder),
    _context("password", rf"\s-pass(?:in|out)?\s[\"']?pass:{_WORD}", _not_placeholder),
    _context("password", rf"\s-(?:store|key)pass(?:\s|=){_WORD}", _not_placeholder),
    _context("password", r"echo\s(?:-n\s)?[\"']?(?P<word>[^\s\"'\[$]{4,})[\"']?\s?\|\s?sudo\s-S", _not_placeholder),
    _context("password", rf"htpasswd\s-[a-zA-Z]*b[a-zA-Z]*\s\S+\s\S+\s{_WORD}", _not_placeholder),
    _context(
        "password", r"smbclient\b[^\n|;]{0,200}?\s-U\s?[\"']?[^\s%\"']+%(?P<word>[^\s\"'\[]{3,})", _not_placeholder
    ),
    _context("secret", rf"--(?:[a-z0-9]+-)*{_FLAGS}(?:[ =]|%20|\+){{1,3}}[\"']?{_BARE}", _assigned),
)
_URLS = (
    _context("url-password", r"://[^\s/?#@:\"'<>\[\]]*:(?P<secret>[^\s/\"'`<>\[\]]+)@", _not_placeholder),
    _context("url-token", r"https?://(?P<secret>[A-Za-z0-9_-]{20,})@", _with_digit),
    _context(
        "url-token",
        r"[?&_-](?:token|auth|key|sig|signature|secret|code|access_token|apikey|api_key)="
        r"(?P<secret>[^&\s\"'`#<>\[\]\\)]{8,})",
        _with_digit,
    ),
    _context("connection-string", r"(?:account|sharedaccess|shared)key=(?P<secret>[A-Za-z0-9+/=]{20,})"),
)
_ASSIGNED = (
    _context("password", _PASSWORD + _VARIANT + _ASSIGN + _QUOTED, _written_password),
    _context("password", rf"(?:{_PASSWORD}|pass){_VARIANT}={_BARE}", _written_password),
    _context("password", rf"{_PASSWORD}{_VARIANT}{_CLOSED}(?:{_LOOSER}|{_AS_VALUE}){_BARE}", _assigned_password),
    _context("password", rf"<[\w:.-]{{0,40}}{_PASSWORD}>(?P<secret>[^<\s]{{4,}})</", _written_password),
    _context("secret", rf"<[\w:.-]{{0,40}}{_NAME}>(?P<secret>[^<\s]{{4,}})</", _assigned),
    _context("password", rf"login\s+\S+\s+password[ \t]+{_BARE}", _written_password),
    _context("password", rf"\(\s?[\"'][\w.-]{{0,40}}{_NAME}[\"']\s?,\s?{_QUOTED}", _assigned),
    _context("secret", _OTHER_NAME + _VARIANT + _ASSIGN + _VALUE, _assigned),
    _context("password", rf"(?:^|\n)[^\s:]+:(?:5432|5433|6432|\*):[^\s:]+:[^\s:]+:{_BARE}", _not_placeholder),
)
_SAID = (
    _context("password", _SPOKEN + _SPOKEN_LINK + _BARE, _mixed),
    _context("password", rf"{_ABROAD}\s?\**[:=]\s{{0,3}}[\"'`*]*{_BARE}", _mixed),
    _context("password", rf"(?:{_SPOKEN}|pass|pw)\s{_BARE}", _strong),
    _context(
        "seed-phrase",
        r"(?:seed|recovery|mnemonic|backup)(?:[ _-](?:phrase|words?|seed))?[\"']?\s?(?:is|:|=)\s{0,3}[\"']?"
        r"(?P<secret>[a-z]{3,8}(?: [a-z]{3,8}){11,23})",
        _words,
    ),
)

RULES: tuple[Rule, ...] = (*_tokens(), *_SHAPES, *_HEADERS, *_COMMANDS, *_URLS, *_ASSIGNED, *_SAID)

# --- blocks with a beginning and an end -------------------------------------------------------------------------------


def _broken(word: str) -> str:
    """A word that a hard wrap may have cut anywhere."""
    return r"\s*".join(letter if letter != " " else "" for letter in word)


_LABEL = rf"[A-Z0-9\s]{{0,40}}{_broken('PRIVATE KEY')}(?:\s*{_broken('BLOCK')})?\s*-----"
BLOCK_KIND = "private-key"
BLOCK_MARKS = (
    rf"(?P<begin>-----\s*{_broken('BEGIN')}{_LABEL}|PuTTY-User-Key-File-\d:)"
    rf"|(?P<end>-----\s*{_broken('END')}{_LABEL}|Private-MAC: ?[0-9a-f]+)"
)
BLOCK_REST = r"[A-Za-z0-9+/=\s\\:,.-]*"
"""What a block without an end may consist of."""
LONGEST_BLOCK = 100_000

# --- text in which a secret may be encoded ----------------------------------------------------------------------------

# ASCII text in Base64: a byte below 128 leaves its mark on the first three of every four characters.
_QUAD = "[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
_PAIR = "(?:[2-7][0-9a-fA-F]|0[9aAdD])"
ENCODED = {"base64": f"(?:{_QUAD}){{4,}}", "hex": f"{_PAIR}(?:[ :]?{_PAIR}){{11,}}"}
