"""Stems by the language of the row, a light guess at it, and a question that fits rows of any language."""

from __future__ import annotations

from pathlib import Path

import pytest

from moon.fulltext.languages import (
    LANGUAGES,
    NO_WORD,
    guess,
    index_terms,
    phrases,
    question_terms,
    script_of,
    stem,
    stop_words,
    term_places,
    terms,
)

TEXTS = {
    "en": "Could you tell me where we put the keys that were on the table yesterday?",
    "de": "Ich habe die Schlüssel auf den Tisch gelegt, aber sie sind nicht mehr da.",
    "fr": "Nous avons laissé les clés sur la table, mais elles ne sont plus là.",
    "es": "Hemos dejado las llaves sobre la mesa, pero ya no están donde estaban.",
    "it": "Abbiamo lasciato le chiavi sul tavolo, ma non ci sono più, e questo non va bene.",
    "pt": "Nós deixamos as chaves em cima da mesa, mas elas não estão mais lá.",
    "nl": "Wij hebben de sleutels op de tafel gelegd, maar ze zijn er niet meer.",
    "tr": "Anahtarları masanın üzerine bıraktık ama şimdi orada değiller, çok garip bir şey bu.",
    "pl": "Zostawiliśmy klucze na stole, ale już ich tam nie ma i nie wiem dlaczego.",
    "ru": "Мы оставили ключи на столе, но их там больше нет.",
    "uk": "Ми залишили ключі на столі, але їх там уже немає, і це дуже дивно.",
    "el": "Αφήσαμε τα κλειδιά στο τραπέζι.",
    "ar": "تركنا المفاتيح على الطاولة ولكنها لم تعد هناك",
    "fa": "ما کلیدها را روی میز گذاشتیم اما دیگر آنجا نیستند",
    "hi": "हमने चाबियाँ मेज़ पर रखी थीं लेकिन अब वे वहाँ नहीं हैं",
    "ta": "நாங்கள் சாவிகளை மேசையில் வைத்தோம்",
    "he": "השארנו את המפתחות על השולחן",
    "th": "เราวางกุญแจไว้บนโต๊ะ",
    "ja": "私たちは鍵をテーブルの上に置いた",
    "zh": "我们把钥匙放在桌子上",
    "ko": "우리는 열쇠를 탁자 위에 두었다",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_sentence_tells_its_language(language: str) -> None:
    assert guess(TEXTS[language]) == language


def test_a_guess_among_few_languages_knows_no_other() -> None:
    assert guess(TEXTS["es"], "", ["de", "it"]) in ("", "it")
    assert guess(TEXTS["es"], "", ["de", "es"]) == "es"
    assert guess(TEXTS["ru"], "en", ["en", "de"]) == ""


def test_a_short_text_is_in_the_language_of_what_was_said_before() -> None:
    assert guess("Ok!", "de") == "de"
    assert guess("Ok!") == ""
    assert guess("12 : 30", "tr") == "tr"
    assert guess("kubectl nginx", "ru") == ""
    assert guess(TEXTS["en"], "de") == "en"
    assert guess(f"{TEXTS['hi']} docker compose up", "en") == "hi"
    assert guess("東京", "ja") == "ja"


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("en", "deployments", "deploy"),
        ("de", "Häuser", "Haus"),
        ("es", "canciones", "canción"),
        ("it", "macchine", "macchina"),
        ("ru", "ключами", "ключи"),
        ("tr", "anahtarları", "anahtar"),
        ("hi", "चाबियाँ", "चाबियों"),
        ("ar", "المفاتيح", "مفاتيح"),
        ("el", "κλειδιά", "κλειδιών"),
        ("fi", "taloissa", "talo"),
    ],
)
def test_forms_of_a_word_have_one_term(language: str, one: str, other: str) -> None:
    assert terms(one, language) == terms(other, language)


def test_english_rules_are_for_english() -> None:
    assert terms("Himbeeren", "de") != terms("Himbeeren", "en")
    assert terms("місто", "uk") == ["місто"]


def test_a_word_in_another_script_is_stemmed_as_that_script_is_used() -> None:
    assert terms("deployments चाबियाँ", "hi")[0] == stem("deployments", "en")


def test_numbers_names_and_hashes_are_no_matter_of_grammar() -> None:
    assert terms("a1b2c3ings v2.10 x", "en") == ["a1b2c3ings", "v2", "10", "x"]


def test_a_row_without_words_has_the_sign_for_that() -> None:
    assert index_terms("🎉 …", "en") == [NO_WORD]
    assert terms("🎉 …", "en") == []


def test_a_word_behind_an_escape_comes_without_its_letter_too() -> None:
    assert index_terms(r"printf 'allow\ndeny'", "") == ["printf", "allow", "ndeni", "deni"]


def test_a_question_asks_for_what_rows_of_each_language_hold() -> None:
    (word,) = question_terms("Häuser", ["en", "de"])
    assert word.word == "hauser"
    assert {*terms("Häuser", "de"), *terms("Häuser", "en")} <= word.terms
    assert [each.word for each in question_terms("東京都", ["ja"])] == ["東京", "京都"]


def test_a_phrase_has_one_sequence_for_each_way_to_store_it() -> None:
    found = phrases("alte Häuser", ["de", "en"])
    assert tuple(terms("alte Häuser", "de")) in found and tuple(terms("alte Häuser", "en")) in found
    assert len(found) == len(set(found))
    assert phrases("…", ["de"]) == []


def test_term_places_are_those_of_the_terms() -> None:
    text = "The deployments, ﬁles of 東京都"
    found = list(term_places(text, "en"))
    assert [each.word for each in found] == terms(text, "en")
    assert text[found[1].start : found[1].end] == "deployments"


def test_stop_words_are_folded_and_there_for_the_most_spoken_languages() -> None:
    assert "fur" in stop_words("de") and "의" not in stop_words("de")
    assert all(
        stop_words(each) for each in ("en", "zh", "hi", "es", "fr", "ar", "bn", "pt", "ru", "ur", "id", "de", "ja")
    )
    assert stop_words("xx") == frozenset()


def test_every_language_has_the_script_of_its_words() -> None:
    for language, text in TEXTS.items():
        scripts = {script_of(word) for word in text.lower().split()}
        script = LANGUAGES[language][0]
        assert script in scripts or script == "Kana"


def test_stemmers_and_lists_are_loaded_only_when_used() -> None:
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[2]
    code = "import sys, moon.fulltext, moon.index.indexer; print({'Stemmer', 'stopwordsiso'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(root / "lib")}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
