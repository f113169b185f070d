"""What kind of row a question wants, in some twenty languages, and how such a row looks.

A language that is missing here loses nothing but these signs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from moon.fulltext import StoredRow
from moon.fulltext.words import UNSPACED, fold, words


def _cues(listed: str) -> tuple[str, ...]:
    """Folded cues from a list: `error` is a word, `fail*` the beginning of one, `how_was` words side by side. They are
    looked for in a question as `spaced` writes it; those of scripts without spaces, anywhere.
    """
    found = (cue.replace("_", " ") for cue in listed.split())
    return tuple(cue if UNSPACED.search(cue) else f" {cue[:-1]}" if cue.endswith("*") else f" {cue} " for cue in found)


# Something failed.
_FAILURES = _cues(
    """error errors fail* wrong crash* complain* object_to objected_to reject* refus* broke* exception exceptions died
    problem problems missing abort* could_none could_not couldn
    fehler* scheiter* fehlgeschlagen schief* absturz* abgesturzt erreur* echou* echec plante errores fallo fallaba
    fallado fracas* errore errori fallit* guast* erro erros falh* fout fouten mislukt* blad bledu bledem chyb* felet
    ошибк* сбой сбоя упал помилк* hata hatasi エラー 失敗 错误 失败 报错 오류 에러 실패 त्रुटि خطا فشل שגיא* נכשל σφαλμα*
    αποτυχ* gagal galat kesalahan ข้อผิดพลาด ล้มเหลว"""
)
# A command, by the word for it, and as somebody asks who does not say that word.
_COMMANDS = _cues(
    """command commands invocation one_liner exact_call full_call befehl* kommando* commande commandes comando comandos
    comandi opdracht* polecenie polecenia prikaz* команд* komut* コマンド 命令 명령 कमांड פקודה εντολ* perintah คำสั่ง
    دستور"""
)
_HOW = _cues(
    """how_did_we how_did_i how_did_you how_do_we how_do_i how_do_you how_can_we how_can_i how_could_we how_could_i
    how_should_we how_should_i how_was how_were wie_haben wie_habe wie_hast wie_kann wie_wurde wie_wurden comment_avons
    comment_ai comment_as comment_a_t_on como_hicimos como_se come_abbiamo come_ho come_hai come_si como_fizemos
    como_foi hoe_hebben hoe_heb hoe_hebt hoe_is как_мы как_я как_ты как_вы як_ми"""
)
# A word that may mean a command: what a tool was called with is then no mere echo of the question.
_CALLS = _cues("run ran execute* script* shell call calls called")
# What a tool shows.
_OUTPUT = _cues(
    """print* output* returned reports reported shows showed shown turn_up turned_up came_up come_back came_back result*
    respond* complain* list listed display* version versions say said says find found how_many how_much how_big
    how_large how_full how_long how_high line lines
    ausgegeben ausgabe meldete meldung zeigte affich* sortie mostr* salida stampat* saida uitvoer вывел* вывод*
    показал* 出力 表示 输出 显示 출력"""
)
# A number or a time, in languages other than English (whose answers are known better, see `answers.py`).
_AMOUNTS = _cues(
    """wie_viel* wieviel* wann wie_lange wie_hoch wie_gross combien quand cuanto cuanta cuantos cuantas cuando quanto
    quanta quanti quante quantos quantas quando hoeveel wanneer hur_mycket hur_manga nar hvor_mange hvornar ile kiedy
    kolik kdy сколько когда скільки коли ποσ* ποτε כמה מתי كم متى چند কত কখন எவ்வளவு எத்தனை எப்போது เท่าไร
    เท่าไหร่ กี่ bao_nhieu may_gio khi_nao luc_nao berapa kapan 몇 얼마 언제 多少 几 什么时候 いくつ いくら いつ 何時 何個
    कितन* कब kac ne_zaman"""
)
_FIRST = _cues(
    """first initial* original* at_the_start earliest at_the_beginning began zuerst anfangs ursprunglich* erste ersten
    d_abord premier* al_principio primer* all_inizio per_prima per_primo no_inicio eerste сначала перв* 最初 처음 ilk"""
)
_LAST = _cues(
    """latest most_recent* current* now finally eventually in_the_end last_run last_time last_attempt zuletzt jetzt
    inzwischen aktuell* am_ende maintenant finalement ahora al_final adesso alla_fine agora teraz сейчас теперь 今 最後
    现在 最后 지금 마지막 simdi अब"""
)
# How a sentence begins that lays down what is to be done from now on.
_STANDING = _cues(
    """always never from_now_on in_future in_the_future whenever remember_to remember_that make_sure_to
    immer niemals ab_jetzt ab_sofort in_zukunft kunftig denk_daran toujours desormais siempre a_partir_de_ahora
    recuerda sempre ricorda a_partir_de_agora altijd vanaf_nu всегда впредь отныне zawsze od_teraz her_zaman asla
    bundan_sonra 以后 从现在起 总是 今後は これからは 必ず 앞으로 항상 절대 हमेशा अब_से دائما من_الان_فصاعدا"""
)
_PLEASE = _cues("please bitte por_favor per_favore s_il_te_plait alsjeblieft пожалуйста")
STANDING_WORDS = range(4, 41)
_SENTENCES = re.compile(r"[.!?\n。！？।]+\s*")


def spaced(text: str) -> str:
    """A folded text as cues are looked for in it: its words between spaces, behind the text where words have none."""
    between = f" {' '.join(words(text))} "
    return text.strip() + between if UNSPACED.search(text) else between


def _has(question: str, cues: Sequence[str]) -> bool:
    return any(cue in question for cue in cues)


class Wanted:
    """What kind of row a folded question wants. `order` is -1 for the first of several, 1 for the last, else 0."""

    def __init__(self, question: str) -> None:
        asked = spaced(question)
        self.failure = _has(asked, _FAILURES)
        self.command = _has(asked, _COMMANDS) or asked.replace(" exactly ", " ").startswith(_HOW)
        self.call = self.command or _has(asked, _CALLS)
        self.output = not self.command and _has(asked, _OUTPUT)
        self.amount = _has(asked, _AMOUNTS)
        self.order = -1 if _has(asked, _FIRST) else int(_has(asked, _LAST))


# A line that tells of a failure: the word stands at its start, behind no more than the names of a program, a file and
# a place. In the middle of a line it may be source code, or about something else.
_FAILS = re.compile(
    r"^[ \t]*(?:[\w./<>:\[\]()×╰─▶●-]+[ \t]+){0,3}"
    r"(?:[\w.]*(?:Error|Exception)\b(?!\()|E\d{3,4}\b|ERR!|(?i:error|fatal|failed|failure|traceback|panic|cannot"
    r"|could not|denied|unable|exception|assert|fehler|erreur|errore|erro|ошибка)\b|エラー|错误|오류)"
    r"|(?i:no such file|not found|no module named|permission denied|refused|exit(?:ed)? (?:code|status)|could not find"
    r"|timed out)|<returncode>[1-9]|<exception>",
    re.MULTILINE,
)
# A command in the midst of what an agent says: behind a prompt, or in a block of its own.
_RUNS = re.compile(r"^[ \t]*\$ \S|^```(?:bash|sh|shell|console|zsh)?\n\w", re.MULTILINE)


def shows_failure(text: str) -> bool:
    """Does a program tell of a failure in this text?"""
    return bool(_FAILS.search(text))


def runs_command(row: StoredRow) -> bool:
    """Is this a call of a tool, or an agent's message with a command in it?"""
    return row.role == "toolCall" or (row.role == "assistant" and bool(_RUNS.search(row.text)))


def is_standing(row: StoredRow, size: int) -> bool:
    """Is this a short message in which a user lays down a rule (`Always …`, `From now on …`)?"""
    if row.role != "user" or size not in STANDING_WORDS:
        return False
    sentences = (_behind(spaced(each), _PLEASE) for each in _SENTENCES.split(fold(row.text)))
    return any(each.startswith(_STANDING) for each in sentences)


def _behind(sentence: str, starts: Sequence[str]) -> str:
    """A spaced sentence without a polite beginning."""
    return next((sentence[len(start) - 1 :] for start in starts if sentence.startswith(start)), sentence)
