"""Names: how one may be written in several ways; without accents, in Latin letters, and by its sound. Pure."""

import unicodedata
from functools import lru_cache
from typing import Final

_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe"})
_PLAIN: Final = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
)
_CYRILLIC: Final = dict(zip("абвгґдезийіклмнопрстуфыэё", "abvggdeziiiklmnoprstufyee", strict=True)) | {
    "ж": "zh", "\u0445": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "yu", "я": "ya", "є": "ye", "ї": "yi",
    "ъ": "", "ь": "",
}  # fmt: skip
_GREEK: Final = dict(zip("αβγδεζηικλμνξοπρσςτυφω", "avgdeziiklmnxoprsstyfo", strict=True)) | {
    "θ": "th", "χ": "ch", "ψ": "ps",
}  # fmt: skip
_LATIN: Final = str.maketrans(_CYRILLIC | _GREEK)


@lru_cache(maxsize=65_536)
def folded(name: str) -> tuple[str, str]:
    """The name in small Latin letters without accents, and with ä as ae: both are met in the same registry."""
    lower = " ".join(name.casefold().replace("-", " ").replace("'", "").replace("\u2019", "").split())
    latin = unicodedata.normalize("NFC", lower)
    return _bare(latin.translate(_PLAIN)), _bare(latin.translate(_GERMAN).translate(_PLAIN))


def _bare(name: str) -> str:
    composed = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return composed.translate(_LATIN)


@lru_cache(maxsize=65_536)
def sound(name: str) -> str:
    """The name's sound after the Cologne phonetics (Postel 1969): Maier, Meyer and Mayr are all 67."""
    letters = [c for c in folded(name)[1] if "a" <= c <= "z"]
    codes: list[str] = []
    for at, letter in enumerate(letters):
        before = letters[at - 1] if at else ""
        after = letters[at + 1] if at + 1 < len(letters) else ""
        codes.append(_code(letter, before, after, at == 0))
    joined = ""
    for code in codes:
        for digit in code:
            if not joined.endswith(digit):
                joined += digit
    return joined[:1] + joined[1:].replace("0", "")


_OF_LETTER: Final = (
    dict.fromkeys("aeijouy", "0") | dict.fromkeys("fvw", "3") | dict.fromkeys("gkq", "4") | dict.fromkeys("mn", "6")
) | {"b": "1", "l": "5", "r": "7", "s": "8", "z": "8", "h": ""}


def _code(letter: str, before: str, after: str, first: bool) -> str:
    if letter == "p":
        return "3" if after == "h" else "1"
    if letter in "dt":
        return "8" if after in tuple("csz") else "2"
    if letter == "x":
        return "8" if before in tuple("ckq") else "48"
    if letter == "c":
        hard = "ahkloqrux" if first else "ahkoqux"
        return "4" if after in tuple(hard) and before not in tuple("sz") else "8"
    return _OF_LETTER[letter]
