"""People: invented persons, with addresses and numbers that reach nobody.

E-mail addresses are of example domains (RFC 2606); telephone numbers are of the ranges that Ofcom (Great Britain) and
the Bundesnetzagentur (Germany) reserve for fiction; streets and towns do not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from types import MappingProxyType
from typing import Final

from patients.vocabulary import Condition


@dataclass(frozen=True, slots=True)
class _Origin:
    families: tuple[str, ...]
    women: tuple[str, ...]
    men: tuple[str, ...]


def _origin(families: str, women: str, men: str) -> _Origin:
    return _Origin(tuple(families.split()), tuple(women.split()), tuple(men.split()))


_ORIGINS: Final[Mapping[str, _Origin]] = MappingProxyType(
    {
        "british": _origin(
            "Ashdown Barrow Calloway Denholm Eastwick Fairburn Garside Hollins Ingleby Jessop Kendrick Langthorne "
            "Marwood Netherby Oakshott Penhallow Quennell Ravensby Stanbury Thackeray Underhill Wetherby Yarrow",
            "Alice Beth Charlotte Diana Eleanor Fiona Grace Harriet Imogen Jane Laura Megan Nicola Phoebe Rose Sarah",
            "Alan Brian Colin Daniel Edward Francis George Henry Ian James Keith Leonard Martin Neil Owen Peter Simon",
        ),
        "german": _origin(
            "Ackerfeld Birkholz Clasing Dornbach Eichinger Falkenrath Grünwald Heidkamp Immelmann Jansen Kesselring "
            "Lindenau Möhring Nordmann Ostertag Pfefferle Quandt Rosenau Schönbeck Tannhäuser Uhlenbrock Vossberg",
            "Anke Birgit Claudia Dörte Elke Frauke Gisela Heike Ingrid Jutta Karin Lena Monika Petra Renate Sabine",
            "Achim Bernd Christoph Dieter Ernst Frank Georg Heinz Ingo Jörg Klaus Lutz Matthias Norbert Rolf Stefan",
        ),
        "turkish": _origin(
            "Akgün Bozdağ Çelik Demirkol Ertürk Gündoğan Korkmaz Özdemir Şahinoğlu Yener",
            "Ayşe Defne Elif Fatma Gül Hatice Meryem Selin Zeynep",
            "Ahmet Burak Cem Emre Hakan Kemal Mehmet Orhan Yusuf",
        ),
        "nigerian": _origin(
            "Adeyinka Balogun Chukwuemeka Eze Folarin Ibekwe Nwachukwu Okonjo Oyelaran Uzoma",
            "Adaeze Bolanle Chiamaka Folake Ifeoma Ngozi Temitope Yewande",
            "Chidi Emeka Femi Ikenna Kelechi Obinna Segun Tunde",
        ),
        "caribbean": _origin(
            "Baptiste Clarkeson Delacroix Fontenelle Grantham Joseph Marchand Pierre Samuels Toussaint",
            "Alicia Camille Desirée Jolène Marva Shanice Simone Yvette",
            "Andre Curtis Delroy Errol Leroy Marlon Terrence Winston",
        ),
        "south asian": _origin(
            "Banerjee Chaudhry Desai Gupta Hussain Iyer Jayasinghe Kapadia Malhotra Nair Perera Qureshi Rahman",
            "Aisha Deepa Farah Indira Kavita Lakshmi Meera Nadia Priya Sunita",
            "Amit Bilal Dev Farhan Harish Imran Karthik Nikhil Rajesh Vikram",
        ),
        "polish": _origin(
            "Borkowicz Czajka Dąbrowski Gołąb Jasiński Kowalczuk Lewandecki Nowicki Wróblik Zieliński",
            "Agnieszka Beata Danuta Ewa Iwona Katarzyna Magdalena Zofia",
            "Adam Bartosz Dariusz Grzegorz Jacek Krzysztof Marek Tomasz",
        ),
        "chinese": _origin(
            "Chan Deng Fong Huang Lau Liang Ng Qiu Tsang Wong Xu Zhao",
            "Aiyun Chunhua Huifen Lihua Meiling Qing Xiaoyan Yuzhen",
            "Boqin Guowei Haoran Jianming Kaiwen Minghao Weidong Zhiqiang",
        ),
        "greek and levantine": _origin(
            "Anastasiou Boutros Christodoulou Haddad Khoury Mansour Nikolaidis Papadakis Sarkis Vasilakis",
            "Danae Eleni Hala Layla Maya Nadine Rania Sofia",
            "Dimitris Elias George Karim Nikos Rami Spyros Yannis",
        ),
        "iberian": _origin(
            "Almeida Barreto Cabral Echeverría Figueroa Gálvez Ibáñez Moreira Quintero Valverde",
            "Beatriz Carmen Inês Luísa Marta Pilar Rocío Teresa",
            "Álvaro Diego Duarte Gonzalo João Miguel Rui Xavier",
        ),
    }
)
_MIX: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "en": {
            "british": 46, "south asian": 14, "nigerian": 9, "caribbean": 9, "polish": 7, "chinese": 5,
            "greek and levantine": 4, "iberian": 4, "german": 1, "turkish": 1,
        },
        "de": {
            "german": 62, "turkish": 14, "polish": 8, "greek and levantine": 6, "iberian": 4, "nigerian": 3,
            "south asian": 2, "british": 1,
        },
    }
)  # fmt: skip
_MAIL_DOMAINS: Final = ("mail.example", "post.example", "inbox.example", "letterbox.example")
_STREETS: Final = MappingProxyType(
    {
        "en": (
            "Almond Walk",
            "Bramble Row",
            "Candle Lane",
            "Driftwood Close",
            "Fennel Street",
            "Heron Way",
            "Juniper Hill",
        ),
        "de": (
            "Amselgrund",
            "Brombeerweg",
            "Distelgasse",
            "Eibenring",
            "Finkenstieg",
            "Holunderallee",
            "Kranichstraße",
        ),
    }
)
_TOWNS: Final = MappingProxyType(
    {
        "en": ("Northmere ZZ1 4QX", "Estbourne ZZ2 7JR", "Wexcombe ZZ3 1PL", "Marlhaven ZZ5 9BD"),
        "de": ("00001 Südstadt am See", "00002 Neuhagen", "00003 Altweiler", "00004 Birkental"),
    }
)
# Where fictional calls go: London and Manchester (Ofcom); Berlin, Frankfurt, Cologne and Munich (Bundesnetzagentur).
_TELEPHONES: Final = MappingProxyType(
    {"en": ("+442079460", "+441614960"), "de": ("+493023125", "+496990009", "+492214710", "+498999998")}
)


@dataclass(frozen=True, slots=True)
class Person:
    """Who an invented patient is, and how far they can be reached."""

    family_name: str
    given_name: str
    sex: str
    born_on: date
    language: str
    email: str
    telephone: str
    address: str
    next_of_kin: str
    causes: tuple[Condition, ...]


# Ours, after the usual case mix: glucocorticoids and alcohol lead, sickle cell disease comes young.
_CAUSES: Final[Mapping[tuple[Condition, ...], int]] = MappingProxyType(
    {
        (Condition.GLUCOCORTICOID,): 22,
        (Condition.GLUCOCORTICOID, Condition.SLE): 10,
        (Condition.GLUCOCORTICOID, Condition.TRANSPLANT): 6,
        (Condition.GLUCOCORTICOID, Condition.CHEMOTHERAPY): 3,
        (Condition.ALCOHOL,): 15,
        (Condition.ALCOHOL, Condition.SMOKING): 5,
        (Condition.IDIOPATHIC,): 16,
        (Condition.SICKLE_CELL,): 7,
        (Condition.HIV,): 3,
        (Condition.GAUCHER,): 1,
        (Condition.COAGULOPATHY,): 2,
        (Condition.HYPERLIPIDAEMIA,): 3,
        (Condition.RENAL_FAILURE,): 2,
        (Condition.PREGNANCY,): 1,
        (Condition.DECOMPRESSION_SICKNESS,): 1,
        (Condition.FAMILIAL,): 1,
        (Condition.UNKNOWN,): 2,
    }
)
_SICKLE_CELL_ORIGINS: Final = MappingProxyType({"nigerian": 5, "caribbean": 4, "greek and levantine": 1})


def draw_person(number: int, *, language: str, day: date, rng: Random) -> Person:
    """Somebody of adult age on `day`, in a clinic of this language."""
    causes = rng.choices(list(_CAUSES), list(_CAUSES.values()))[0]
    sickle = Condition.SICKLE_CELL in causes
    mix = _SICKLE_CELL_ORIGINS if sickle else _MIX[language]
    origin = _ORIGINS[rng.choices(list(mix), list(mix.values()))[0]]
    woman = causes == (Condition.PREGNANCY,) or rng.random() < (0.85 if Condition.SLE in causes else 0.42)
    given = rng.choice(origin.women if woman else origin.men)
    family = rng.choice(origin.families)
    age = _age(causes, rng)
    other = rng.random() < 0.08  # reads the clinic's letters in the other language
    return Person(
        family_name=family,
        given_name=given,
        sex="female" if woman else "male",
        born_on=day - timedelta(days=round(age * 365.25)),
        language=("de" if language == "en" else "en") if other else language,
        email=f"{_plain(given)}.{_plain(family)}.{number}@{rng.choice(_MAIL_DOMAINS)}",
        telephone=_telephone(language, rng),
        address=f"{rng.randint(1, 98)} {rng.choice(_STREETS['en'])}\n{rng.choice(_TOWNS['en'])}"
        if language == "en"
        else f"{rng.choice(_STREETS['de'])} {rng.randint(1, 98)}\n{rng.choice(_TOWNS['de'])}",
        next_of_kin=f"{rng.choice(origin.women + origin.men)} {family}" if rng.random() < 0.3 else "",
        causes=causes,
    )


def _age(causes: tuple[Condition, ...], rng: Random) -> float:
    if Condition.SICKLE_CELL in causes or Condition.CHEMOTHERAPY in causes:
        return min(max(rng.gauss(29, 7), 18.5), 60)
    if Condition.SLE in causes or causes == (Condition.PREGNANCY,):
        return min(max(rng.gauss(36, 8), 18.5), 44 if Condition.PREGNANCY in causes else 70)
    return min(max(rng.gauss(45, 12), 18.5), 82)


def _telephone(language: str, rng: Random) -> str:
    return f"{rng.choice(_TELEPHONES[language])}{rng.randint(0, 999):03d}"


_LETTERS: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ğ": "g", "ş": "s", "ç": "c", "ą": "a", "ł": "l", "ń": "n"}
    | {"ó": "o", "é": "e", "è": "e", "í": "i", "á": "a", "ñ": "n", "ê": "e", "ã": "a"}
)


def _plain(name: str) -> str:
    """The name as it may stand in an address."""
    return "".join(letter for letter in name.lower().translate(_LETTERS) if letter.isascii() and letter.isalpha())
