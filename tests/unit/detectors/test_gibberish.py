"""Smashed keys and repeated junk are found; names, code, abbreviations and other languages are not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from guardrails_plugin.detectors.gibberish import Gibberish
from guardrails_plugin.detectors.label_heads import LabelHeads
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment, Text


def found(text: str, detector: Gibberish | None = None) -> tuple[Finding, ...]:
    (findings,) = (detector or Gibberish()).detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return tuple(finding for finding in findings if finding.score >= 0.5)


KINDS = "letters repetition order words lost shuffled pieces tokens filler invented keys encoding scripts".split()


@pytest.mark.parametrize(
    "text",
    [
        "asdkjfhalskdjfh",
        "sdfkjh wertkj xcvmnb",
        "qwlkejr zxcvmn poiwqer lkjsdf",
        "xkcjvb qzwpt mnrvk lwqzx",
        "fghjkl dfghjk sdfghj",
        "Hfjdksla Vncmxbz Qpwoei",
        "JKSDHF KJSDHFKJ HSKDJFH",
        "ывапролд фывапрол джэячсм",
        "σδφγηξκ λασδφγηξ",
        "שדגכעיחלךף קראטוןםפ",
        "شسيبلاتنم كطضصثق فغعهخحج",
        "ㅁㄴㅇㄹㅁㄴㅇㄹ ㄱㄷㅈㅂ",
        "asdfasdfasdfasdfasdfasdf",
        "qqqqqqqqqqqqqqqqqqqqqqqqqqqq",
        "sdf sdf sdf sdf sdf sdf sdf sdf sdf",
        "xq\u200bzvk jwp\u200bqrt mnbz\u200bxk",
        "kvwxzq jkqpvx " * 20,
        "to my yesterday the of went sister and with shop a in they bought",
        "pl3ase c@ll th€ 0ffice ab0ut y0ur p@rcel",
        "\ufffd\ufffd\ufffd \ufffd\ufffd \ufffd\ufffd",
        "the the the and and of of of and the the the a a",
        "siht si a ecnetnes nettirw sdrawkcab",
        "th eq uic kb ro wnf ox jum ps ov ert hel azyd og",
        "##ing Ġthe ##ed Ġof ##tion <unk>",
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit",
        "flarb noogle snib dworp klimtu",
        "1qaz2wsx3edc4rfv",
        "I think that " * 8,
        "рТЙЧЕФ, ЛБЛ ДЕМБ? чУЈ ИПТПЫП",
        "櫸譢纜扛潁璀茮畛犨蛃匝耹焋誵浱懏犒鯔違魋崠礆釒馟",
        "뷁쉛뚫궳쨟뻩휅턂껢쯞뛙꿻퀣",
        "ृदनॆड़्ॄहदॄॆगट ॐाृ ीशोॆऱट ॅळॣॆूौृ",
        "ᚠꙮⵣ߷ꓘᏗᎮᨅꡀⴵጷᢰᠱ",
    ],
)
def test_gibberish(text: str) -> None:
    (finding,) = found(text)
    assert finding.entity_type == "GIBBERISH"
    assert finding.evidence["kind"] in KINDS


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog",
        "ok",
        "hmm",
        "brb, lol, afk, tbh, idk, smh",
        "kubectl nginx psql grep chmod mkdir",
        "HTTP TLS XML JSON HTML NVMe PCIe",
        "Mkhitaryan, Szczęsny, Błaszczykowski, Krzyżewski and Nguyen",
        "Przemysław Wojciech Szczepański",
        "commit 9f8b3c2d1e4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c fixes it",
        "token sk_live_abcdEFGH1234, host db-xkqz.internal, file /usr/lib/xz/qzxv.so",
        "```\nqzxvk = wkjhd(xcvbn)\n```",
        "for (int i = 0; i < n; i++) { strncpy(dst, src, len); }",
        "hahahahahahahahahahahahahaha",
        "jajajajajajajajajajajaja que bueno",
        "ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ",
        "nooooooooooooooooooooooooooo",
        "very very very very very very very very good",
        "====================================",
        "1111111111111111111111111111",
        "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
        "Zastąpienie wszystkich przyrządów wymaga czasu",
        "Strč prst skrz krk",
        "Hälytysajoneuvo jyrkänteellä yöllä",
        "Çekoslovakyalılaştıramadıklarımızdan mısınız",
        "Tôi muốn hỏi đường đến nhà ga",
        "Взгляд на скрипку вскружил мне голову",
        "Я хочу щось їсти, будь ласка",
        "Το σχέδιο είναι έτοιμο για εκτύπωση",
        "בוקר טוב לכולם ושבוע נעים",
        "السلام عليكم ورحمة الله وبركاته",
        "今日はとても良い天気ですね",
        "오늘 날씨가 참 좋네요",
        "आज मौसम बहुत अच्छा है, सूची में लोग छेड़छाड़ करते हैं",
        "กรุงเทพมหานคร อมรรัตนโกสินทร์ มหินทรายุธยา",
        "量子纠缠态的退相干机制与拓扑绝缘体表面电子结构研究",
        "Ninakupenda sana rafiki yangu, karibu nyumbani kwetu kesho jioni.",
        "Pater noster, qui es in caelis, sanctificetur nomen tuum",
        "milk eggs bread butter onions garlic rice",
        "ATGGCCATTGTAATGGGCCGCTGAAAGGGTGCCCGATAG",
        "W h a t   d o e s   t h e   n o t e   s a y ?",
        "pneumonoultramicroscopicsilicovolcanoconiosis",
        "acetylsalicylic hydroxychloroquine phthalates",
        "Brrrr! Zzzzzt, krrrk, pffft, went the kettle.",
        "We drove through Ysbyty Ystwyth and Pontrhydfendigaid.",
        "The how-to guide, the by-laws and the add-ons of the one-to-one",
        "My dog is called Xqwzrt, do you like the name?",
    ],
)
def test_near_misses(text: str) -> None:
    assert not found(text)


def test_a_row_of_abbreviations_is_gibberish_to_the_classifier_alone() -> None:
    """A known false alarm: nothing but names that no sentence holds together."""
    row = "src cfg pkg btn msg tmp str fmt ptr"
    assert not found(row, Gibberish(classifier=False))
    assert found(row)


def test_one_odd_word_in_a_text_does_not_count_and_a_long_stretch_does() -> None:
    prose = "Please read the following words and tell me what they mean in plain English. " * 4
    assert not found(prose + "xkqzvbnwp")
    text = prose + "kvwxzq jkqpvx wqzrtk plmkjn " * 4
    (finding,) = found(text)
    assert text[finding.start : finding.start + 6] == "kvwxzq"


def test_settings() -> None:
    assert not found("sdfkjh wertkj", Gibberish(bits=200))
    assert found("Please translate this word: xkqzvbnwpkjt", Gibberish(share=0.2))


@pytest.mark.parametrize("settings", [{"bits": 0}, {"share": 2}, {"letters": 1}, {"threshold": 1}])
def test_wrong_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Gibberish(**settings)  # type: ignore[arg-type]


def test_the_classifier_is_asked_only_where_it_can_change_something(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def findings(_: LabelHeads, texts: Sequence[Text]) -> list[tuple[Finding, ...]]:
        asked.extend(text.original for text in texts)
        return [() for _ in texts]

    monkeypatch.setattr(LabelHeads, "findings", findings)
    short, smashed, long = "Lunch is at noon.", "xkqz wvjrp qqztl mnbvx zzkrw", "The ferry leaves at noon. " * 100
    texts = [normalize(Segment(text, Origin.USER)) for text in (short, smashed, long)]
    Gibberish().detect(texts, NO_CONTEXT)
    assert asked == [short]
    Gibberish(classifier=False).detect(texts, NO_CONTEXT)
    assert asked == [short]
