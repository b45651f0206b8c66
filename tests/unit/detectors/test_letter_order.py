"""Text that was written backwards is told from text that was not, in many languages."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin.detectors.letter_order import backward_stretches, pairs
from tests.strategies import texts

SENTENCES = {
    "en": "Please send me the new schedule of the meetings before the end of next week",
    "de": "Bitte schicken Sie mir den neuen Plan der Treffen noch vor dem Ende der nächsten Woche",
    "fr": "Merci de m'envoyer le nouveau calendrier des réunions avant la fin de la semaine prochaine",
    "tr": "Lütfen yeni toplantı takvimini gelecek haftanın sonundan önce bana gönderin",
    "vi": "Vui lòng gửi cho tôi lịch họp mới trước khi kết thúc tuần sau nhé",
    "ar": "من فضلك أرسل لي جدول المواعيد الجديد قبل نهاية الأسبوع القادم",
    "el": "Σε παρακαλώ στείλε μου το νέο πρόγραμμα πριν από το τέλος της εβδομάδας",
    "fa": "لطفاً برنامه جدید جلسات را تا پایان هفته آینده برای من بفرست",
    "he": "בבקשה שלח לי את לוח הזמנים החדש לפני סוף השבוע הבא",
    "hi": "कृपया अगले सप्ताह के अंत से पहले मुझे नई समय सारणी भेज दीजिए",
    "ja": "来週の終わりまでに新しい予定表を私に送っていただけますか。よろしくお願いします。",
    "ko": "다음 주가 끝나기 전에 새로운 일정표를 저에게 보내 주시면 감사하겠습니다",
    "ru": "Пришлите мне, пожалуйста, новое расписание встреч до конца следующей недели",
    "th": "กรุณาส่งตารางเวลาใหม่ให้ฉันก่อนสิ้นสัปดาห์หน้าด้วยนะคะ",
    "uk": "Надішліть мені, будь ласка, новий розклад зустрічей до кінця наступного тижня",
    "zh": "请你在下周结束之前把新的时间安排表发给我，我们会尽快回复你。",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_only_what_stands_backwards_is_a_stretch(language: str) -> None:
    text = SENTENCES[language]
    assert backward_stretches(text) == []
    assert sum(end - start for start, end in backward_stretches(text[::-1])) > 0.75 * len(text)


@pytest.mark.parametrize("language", SENTENCES)
def test_most_plain_words_around_are_left_out(language: str) -> None:
    before, backward = "The minutes of Monday morning say: ", SENTENCES[language][::-1]
    ((start, end),) = backward_stretches(f"{before}{backward} (see page four, at the bottom)")
    assert abs(start - len(before)) < 12
    assert abs(end - len(before) - len(backward)) < 12


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "Prénom: Zoë",
        "日本",
        "Ж",
        "Москва 2024, Київ 2025",
        "\ud800я",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "aHR0cHM6Ly9leGFtcGxlLmNvbS9zb21lL3ZlcnkvbG9uZy9wYXRo" * 20,
        "def __init__(self, name: str) -> None:\n    self._name = name.strip().casefold()\n" * 5,
        "გთხოვთ გამომიგზავნოთ ახალი განრიგი მომავალი კვირის ბოლომდე",
        "Խնդրում եմ ուղարկել նոր ժամանակացույցը մինչև հաջորդ շաբաթվա վերջը",
        "| 4 | kg | n/a | -- | ok | qty | nr | dpt | xyz |\n" * 20,
    ],
)
def test_text_that_says_little_is_left_alone(text: str) -> None:
    assert backward_stretches(text) == []


def test_a_long_stretch_does_not_hide_another() -> None:
    plain = "The minutes of Monday morning say what was said. "
    text = SENTENCES["ru"][::-1] * 3 + plain * 9 + SENTENCES["zh"][::-1] + plain * 9 + SENTENCES["ko"][::-1]
    found = sorted(backward_stretches(text))
    assert len(found) == 3
    assert all(one[1] <= other[0] for one, other in pairwise(found))


@given(texts | st.text(st.characters(), max_size=200))
def test_a_text_turned_round_has_the_same_pairs_of_the_other_sign(text: str) -> None:
    place, sign = pairs(text)
    turned, other = pairs(text[::-1])
    assert np.array_equal(place, turned[::-1])
    assert np.array_equal(sign, -other[::-1])


@given(texts | st.text(st.characters(), max_size=200))
def test_a_stretch_lies_in_the_text(text: str) -> None:
    assert all(0 <= start < end <= len(text) for start, end in backward_stretches(text))
