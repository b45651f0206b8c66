"""Letters at random in scripts that have no table of trigrams, and letters of many scripts together.

How, each in bits of evidence:

- Chinese, Korean and Japanese letters: every language writes a few of its letters most of the time (Zipf); letters
  drawn at random are hardly ever among these. Each letter weighs the logarithm of the two shares.
- Marks (vowel signs, tones) of scripts that put them on letters: random ones stand at the beginning of words and pile
  up, where no word has them.
- Scripts: words of one are of one; letters of many blocks of Unicode, the next one of another, are drawn at random.

The lists of usual letters are judgement, from general knowledge of the languages.
"""

from __future__ import annotations

import re
from itertools import pairwise
from math import log2

__all__ = ["odd_letters"]

_HAN = frozenset(
    "的一是不了在人有我他这這个個们們中来來上大为為和国國地到以说說时時要就出会會可也你对對生能而子那得于於着著下自之年过過发發后後作里裡"
    "用道行所然家种種事成方多经經么麼去法学學如都同现現当當没沒动動面起看定天分还還进進好小部其些主样樣理心她本前开開但因只从從想实實日"
    "军軍者意无無力它与與长長把机機十民第公此已工使情明性知全三又关關点點正业業外将將两兩高间間由问問很最重并物手应應战戰向头頭文体體政"
    "美相见見被利什二等产產或新己制身果加西斯月话話合回特代内信表化老给給世位次度门門任常先海通教儿兒原东東声聲提立及比员員解水名真论論"
    "处處走义義各入几幾口认認条條平系气氣题題活尔爾更别別打女变變四神总總何电電数數安少报報才结結反受目太量再感建务務做接必场場件计計管"
    "期市直德资資命山金指克许許统統区區保至队隊形社便空决決治展马馬科司五基眼书書非则則听聽白却界达達光放强強即像难難且权權思王象完设設"
    "式色路记記南品住告类類求据據程北边邊死张張该該交规規万取拉格望觉覺术術领領共确確传傳师師观觀清今切院让讓识識候带帶导導争爭运運笑"
    "飞飛风風步改收根干造言联聯持组組每济濟车車亲親极極林服快办辦议議往元英士证證近失转轉夫令准布始怎呢存未远遠叫台单單影具罗羅字爱愛击擊"
    "流备備兵连連调調深商算质質团團集百需价價花党黨华華城石级級整府离離况况亚亞请請技际際约約示复復病息究线線似官火断斷精满滿支视視消越器"
    "容照须須九增研写寫称稱企八功吗嗎包片史委乎查轻輕易早曾除农農找装裝广廣显顯吧阿李标標谈談吃图圖念六引历歷首医醫局突专專费費号號尽盡"
    "另周较較注语語仅僅考落青随隨选選列武红紅响響虽雖推势勢参參希古众眾构構房半节節土投某案黑维維革划劃敌敵致陈陳律足态態护護七兴興派孩"
    "验驗责責营營星够夠章音跟志底站严嚴巴例防族供效续續施留讲講型料终終答紧緊黄黃绝絕奇察母京段依批群项項故按河米围圍江织織害斗双雙境客"
    "纪紀采举舉杀殺攻父苏蘇密低朝友诉訴止细細愿願千值仍男钱錢破网網热熱助倒育属屬坐帝限船脸臉职職速刻乐樂否刚剛威毛状狀率甚独獨球般普怕"
    "弹彈校苦创創店食買卖卖売歩気読書話駅円様私"
)  # fmt: skip
_HANGUL = frozenset(
    "이다는의에가을하고한지를은로기사어자도서대나리아인시정그일스해들수전적만있과부제보으주상원장었구생여동라면안성공것트조드게소까"
    "거마연미국경유금비와신우오화문위내세니요습되관용선계당방터개중실무심할모신했때물간행진말교회없분명물재력영단결야러같통더식음산업입체"
    "합배치히였운발년표직후출반민네란레건필요청차저호예노번데프바르외남양최려속크감달며또본각여달님른점추류능외찾송피파임포타천설열매"
)
_KANA = frozenset("いうんのしかとたはてになをるがですまきあっりもれらつさこくよどだそせけみちえわおめ")
_LEAST = 12
_MEASURES = (
    (re.compile("[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff]"), _HAN, 0.45, 0.03),
    (re.compile("[\uac00-\ud7a3]"), _HANGUL, 0.6, 0.02),
    (re.compile("[\u3041-\u3096]"), _KANA, 0.9, 0.46),
)
"""Letters, the usual ones, and their shares in texts and at random."""

_MARKED = re.compile("[\u0900-\u0e7f\u0f00-\u109f\u1780-\u17ff]")
_MISPLACED = 5.0
_PLACED = 0.5
_BASE = 10.0
"""Bits ahead, once there are enough misplaced marks that they are no slip."""

_EAST = re.compile("[\u3000-\ud7ff\uf900-\ufaff\uff00-\uffef]")
_BLOCKS, _SWITCHES = 5, 0.4
_FEWEST_LETTERS = 8


def odd_letters(text: str) -> tuple[float, int]:
    """Bits that speak for letters drawn at random, and how many letters these are."""
    if text.isascii():
        return 0.0, 0
    found = (*(_unusual(text, *measure) for measure in _MEASURES), _marks(text), _mixed(text))
    return max(found, default=(0.0, 0))


def _unusual(
    text: str, letters: re.Pattern[str], usual: frozenset[str], share: float, chance: float
) -> tuple[float, int]:
    found = letters.findall(text)
    if len(found) < _LEAST or len(set(found)) < _LEAST // 2:
        return 0.0, 0
    known = sum(char in usual for char in found)
    bits = known * log2(chance / share) + (len(found) - known) * log2((1 - chance) / (1 - share))
    return bits + _LEAST if bits > 0 else 0.0, len(found)


def _marks(text: str) -> tuple[float, int]:
    if not _MARKED.search(text):
        return 0.0, 0
    bits, letters, last = 0.0, 0, " "
    for char in text:
        kind = _part(char)
        letters += kind != " "
        if last + kind in _IMPOSSIBLE:
            bits += _MISPLACED
        elif kind != " ":
            bits -= _PLACED
        last = kind
    return (bits + _BASE if bits > _BASE else 0.0), letters


def _part(char: str) -> str:
    """What a sign is in its syllable: consonant, vowel, sign of a vowel, virama, tone, vowel that stands ahead."""
    if not _MARKED.match(char):
        return " "
    code = ord(char)
    if code < 0x0D80:  # the blocks from Devanagari to Malayalam have one layout
        place = code & 0x7F
        return next((kind for first, last, kind in _INDIC if first <= place <= last), "o")
    if 0x0E00 <= code < 0x0E80:
        return next((kind for first, last, kind in _THAI if first <= code - 0x0E00 <= last), "o")
    return "o"


_INDIC = (
    (0x04, 0x14, "v"),
    (0x15, 0x3C, "c"),
    (0x3E, 0x4C, "s"),
    (0x4D, 0x4D, "h"),
    (0x60, 0x61, "v"),
    (0x62, 0x63, "s"),
)
_THAI = (
    (0x01, 0x2E, "c"),
    (0x31, 0x31, "s"),
    (0x34, 0x3A, "s"),
    (0x40, 0x44, "l"),
    (0x47, 0x47, "s"),
    (0x48, 0x4E, "t"),
)
_IMPOSSIBLE = frozenset((" s", " h", " t", "ss", "vs", "hs", "sh", "vh", "hh", "ls", "lt", "ll", "tt", "ts"))


def _mixed(text: str) -> tuple[float, int]:
    letters = [char for char in text if char.isalpha() and not char.isascii()]
    blocks = [ord(char) >> 7 for char in letters if not _EAST.match(char)]
    if len(blocks) < _FEWEST_LETTERS or 2 * len(blocks) < len(letters):
        return 0.0, 0
    switches = sum(one != other for one, other in pairwise(blocks))
    many = len(set(blocks)) >= _BLOCKS and switches >= _SWITCHES * len(blocks)
    return (24.0 + len(blocks), len(blocks)) if many else (0.0, 0)
