"""Texts in many scripts: sentences where people write them every day, words made of a script's letters for the rest."""

from __future__ import annotations

import random
import sys
import unicodedata

# Name → a sentence as somebody would write it.
SENTENCES = {
    "Latin": "Die Schlüssel für den Übungsraum liegen im Café",
    "Greek": "Τα κλειδιά βρίσκονται στο συρτάρι του γραφείου",
    "Greek polytonic": "Ἐν ἀρχῇ ἦν ὁ λόγος καὶ ὁ ἄνθρωπος",
    "Cyrillic": "Ключи от мастерской лежат в верхнем ящике",
    "Ukrainian": "Ключі від майстерні лежать у верхній шухляді",
    "Armenian": "Բանալիները գտնվում են սեղանի վրա",
    "Hebrew": "המפתחות נמצאים במגירה העליונה",
    "Hebrew pointed": "שָׁלוֹם לְכָל הַיְלָדִים",
    "Arabic": "مفاتيح المؤسسة في الدرج الأعلى",
    "Arabic pointed": "السَّلامُ عَلَيْكُمْ وَرَحْمَةُ اللَّهِ",
    "Persian": "کلیدهای کارگاه را نمی‌خواهم گم کنم",
    "Urdu": "چابیاں اوپر والی دراز میں رکھی ہیں",
    "Syriac": "ܡܦܬܚܐ ܒܓܘ ܒܝܬܐ",
    "Thaana": "ތަޅުދަނޑި މޭޒުމަތީގައި",
    "Devanagari": "कार्यशाला की चाबियाँ ऊपर की दराज़ में हैं",
    "Marathi": "कार्यशाळेच्या चाव्या वरच्या कप्प्यात आहेत",
    "Bengali": "কারখানার চাবি উপরের ড্রয়ারে আছে",
    "Gurmukhi": "ਚਾਬੀਆਂ ਉੱਪਰਲੇ ਦਰਾਜ਼ ਵਿੱਚ ਹਨ",
    "Gujarati": "ચાવીઓ ઉપરના ખાનામાં છે",
    "Oriya": "ଚାବି ଉପର ଡ୍ରୟରରେ ଅଛି",
    "Tamil": "பட்டறையின் சாவிகள் மேல் இழுப்பறையில் உள்ளன",
    "Telugu": "తాళాలు పై సొరుగులో ఉన్నాయి",
    "Kannada": "ಕೀಲಿಗಳು ಮೇಲಿನ ಡ್ರಾಯರ್‌ನಲ್ಲಿವೆ",
    "Malayalam": "താക്കോലുകൾ മുകളിലെ അറയിൽ ഉണ്ട്",
    "Sinhala": "යතුරු උඩ ලාච්චුවේ ඇත",
    "Thai": "กุญแจอยู่ในลิ้นชักชั้นบน",
    "Lao": "ກະແຈຢູ່ໃນລິ້ນຊັກ",
    "Khmer": "កូនសោនៅក្នុងថតខាងលើ",
    "Myanmar": "သော့များသည် အပေါ်အံဆွဲထဲတွင်ရှိသည်",
    "Tibetan": "ལྡེ་མིག་འདི་ཅོག་ཙེའི་ནང་ཡོད",
    "Georgian": "გასაღებები ზედა უჯრაშია",
    "Georgian capitals": "ᲒᲐᲡᲐᲦᲔᲑᲔᲑᲘ ᲖᲔᲓᲐ ᲣᲯᲠᲐᲨᲘᲐ",
    "Ethiopic": "ቁልፎቹ በላይኛው መሳቢያ ውስጥ ናቸው",
    "Japanese": "鍵は上の引き出しにあります",
    "Half-width kana": "ｶｷﾞﾊ ﾋｷﾀﾞｼ ﾆ ｱﾘﾏｽ",
    "Han": "钥匙在上面的抽屉里",
    "Bopomofo": "ㄧㄠˋ ㄕˊ ㄗㄞˋ",
    "Korean": "열쇠는 위쪽 서랍에 있습니다",
    "Korean decomposed": unicodedata.normalize("NFD", "열쇠는 위쪽 서랍에 있습니다"),
    "Mongolian": "ᠲᠦᠯᠬᠢᠭᠦᠷ ᠰᠢᠷᠡᠭᠡᠨ ᠳᠡᠭᠡᠷᠡ",
    "Ligatures": "ﬁle ﬂow oﬃce ﬆone",
    "Full-width letters": "ｆｕｌｌ　ｗｉｄｔｈ　ｋｅｙｓ　１２３",
    "Superscripts and circles": "x² ① Ⅷ ½",
    "Powerline glyphs": "main\ue0b0clean\ue0b0lantern",
    "Emoji alone": "🎉🔑👍🏽",
}
# Scripts whose words are made up here, by what the names of their letters begin with.
LETTERS = (
    "ADLAM SMALL", "ADLAM CAPITAL", "BALINESE", "BAMUM", "BATAK", "BRAHMI", "BUGINESE", "BUHID", "CANADIAN SYLLABICS",
    "CARIAN", "CHAKMA", "CHAM", "CHEROKEE", "COPTIC", "CUNEIFORM", "CYPRIOT", "DESERET", "EGYPTIAN HIEROGLYPH",
    "GLAGOLITIC", "GOTHIC", "GRANTHA", "HANUNOO", "IMPERIAL ARAMAIC", "JAVANESE", "KAITHI", "KAYAH LI", "KHAROSHTHI",
    "LEPCHA", "LIMBU", "LINEAR B", "LISU", "LYCIAN", "LYDIAN", "MANDAIC", "MEETEI MAYEK", "MIAO", "MODI", "NEWA", "NKO",
    "NYIAKENG PUACHUE HMONG", "OGHAM", "OL CHIKI", "OLD ITALIC", "OLD PERSIAN", "OLD TURKIC", "OSAGE", "OSMANYA",
    "PHAGS-PA", "PHOENICIAN", "REJANG", "RUNIC", "SAMARITAN", "SAURASHTRA", "SHARADA", "SHAVIAN", "SIDDHAM",
    "SUNDANESE", "SYLOTI NAGRI", "TAGALOG", "TAGBANWA", "TAI LE", "TAI THAM", "TAI VIET", "TAKRI", "TANGUT", "TIFINAGH",
    "TIRHUTA", "UGARITIC", "VAI", "WANCHO", "WARANG CITI", "YI",
)  # fmt: skip


def _made_up() -> dict[str, str]:
    """Three words of four letters (with marks, where a script has them) for each script of `LETTERS`."""
    found: dict[str, list[str]] = {name: [] for name in LETTERS}
    for code in range(sys.maxunicode + 1):
        spelled = unicodedata.name(chr(code), "")
        for name in LETTERS if spelled and unicodedata.category(chr(code))[0] in "LM" else ():
            if spelled.startswith(name + " ") and len(found[name]) < 60:
                found[name].append(chr(code))
    choice = random.Random(1)
    return {name: " ".join(_word(letters, choice) for _ in range(3)) for name, letters in found.items() if letters}


def _word(letters: list[str], choice: random.Random) -> str:
    first = [each for each in letters if unicodedata.category(each)[0] == "L"]
    return choice.choice(first) + "".join(choice.choice(letters) for _ in range(3))


def texts() -> dict[str, str]:
    """Script → a text in it."""
    return {**SENTENCES, **_made_up()}
