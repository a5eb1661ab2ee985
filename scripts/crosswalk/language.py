"""The language of a text by its script and, among Latin letters, by its commonest small words. No model, no data."""

import re
from collections import Counter

LOOKED_AT = 4000  # characters: more change nothing
FEWEST_SMALL_WORDS = 3  # below it, a Latin text is of no known language
LEAST_SHARE = 0.05  # of the words that must be small words of the language
# First code point of the scripts with the languages they stand for here; each reaches to the next.
SCRIPTS = {
    "greek": (0x370, 0x3FF),
    "cyrillic": (0x400, 0x52F),
    "armenian": (0x530, 0x58F),
    "hebrew": (0x590, 0x5FF),
    "arabic": (0x600, 0x77F),
    "devanagari": (0x900, 0x97F),
    "bengali": (0x980, 0x9FF),
    "tamil": (0xB80, 0xBFF),
    "thai": (0xE00, 0xE7F),
    "georgian": (0x10A0, 0x10FF),
    "japanese": (0x3040, 0x30FF),
    "chinese": (0x4E00, 0x9FFF),
    "korean": (0xAC00, 0xD7AF),
}
SMALL_WORDS = {
    "english": "the of and to in is that it was for with as his her on he she this are be but they not have from you",
    "german": "der die das und ist nicht ein eine mit den von zu auf für sich dem des auch es ich im wird als sie er",
    "french": "le les des et est une dans qui que pour pas sur du au avec il elle ce cette son sont plus par nous je",
    "spanish": "el los las y es una en que por con para del se su no al lo como más pero sus muy esta este fue yo",
    "portuguese": "o os as e é uma em que por com para do da não se um dos das no na mais mas foi ao seu sua muito",
    "italian": "il gli le e è una di che per con non del della si un sono nel ma anche come più dei alla questo lo",
    "dutch": "de het een en van is dat niet met op te voor zijn ik hij die er maar om ook aan bij nog wordt naar als",
    "swedish": "och att det som en är på för av med den till inte om ett har jag var han de hon från kan men så",
    "danish": "og at det som en er på for af med den til ikke om et har jeg var han de hun fra kan men så der",
    "norwegian": "og å det som en er på for av med den til ikke om et har jeg var han de hun fra kan men så ble etter",
    "finnish": "ja on ei se että hän oli mutta kun niin ovat joka tämä myös kuin minä olla sen mitä vain jos ole",
    "polish": "i w nie się na jest że z do to jak ale co o tak za po jego przez od był dla już czy tylko oraz",
    "czech": "a se na je že v to s z do jako ale o si tak byl za po jeho by ve které který jsem jen nebo pro",
    "romanian": "și în de la nu este cu pe un o că din care mai pentru sunt a fost dar ce se au lui sau prin",
    "hungarian": "a az és hogy nem is egy ez azt volt meg csak de van ha már még mint el vagy kell le ki ezt",
    "turkish": "ve bir bu da de için ile çok ne o gibi daha var ama olarak kadar değil her sonra mi en olan ki",
    "indonesian": "yang dan di ini itu dengan untuk tidak dari dalam akan pada ke adalah juga saya ada oleh bisa lebih",
}
_SMALL = {language: frozenset(words.split()) for language, words in SMALL_WORDS.items()}
_WORD = re.compile(r"[^\W\d_]+")


def language(text):
    """The language of a text, or the script where that decides; "" if it cannot be told.

    Languages with a script of their own go by it, all that write Cyrillic as "cyrillic"; those with Latin letters by
    the share of their words that are among `SMALL_WORDS`.
    """
    text = text[:LOOKED_AT].casefold()
    if not text.isascii():
        letters = [character for character in text if character.isalpha()]
        scripts = Counter(_script(ord(character)) for character in letters if ord(character) >= 0x370)
        scripts.pop("", None)
        if scripts:
            # Japanese is written with Chinese characters, too, but Chinese without kana.
            if scripts["japanese"] * 10 > scripts["chinese"]:
                scripts["japanese"] += scripts.pop("chinese", 0)
            script, count = max(scripts.items(), key=lambda own: (own[1], own[0]))
            if 2 * count > len(letters):
                return script
    words = _WORD.findall(text)
    shares = {name: sum(word in small for word in words) for name, small in _SMALL.items()}
    best = max(sorted(shares), key=shares.get)
    found = shares[best]
    return best if found >= max(FEWEST_SMALL_WORDS, LEAST_SHARE * len(words)) else ""


def _script(point):
    return next((name for name, (first, last) in SCRIPTS.items() if first <= point <= last), "")
