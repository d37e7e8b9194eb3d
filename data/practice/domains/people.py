"""People of the practice domains: names, birth dates and how a mistyped number comes about."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

FIRST_NAMES = (
    "Alma", "Bartek", "Celine", "David", "Esther", "Felix", "Gloria", "Hakan", "Irene", "Jakub", "Karin", "Leon",
    "Mariam", "Nico", "Odile", "Pedro", "Renata", "Simon", "Teresa", "Ugo", "Valeria", "Wim", "Ximena", "Yannick",
    "Zeynep", "Adrian", "Bianca", "Cyril", "Dora", "Edgar", "Fatima", "Gabor", "Helga", "Ismail", "Judith", "Karl",
    "Lena", "Mateo", "Noor", "Otto", "Petra", "Ravi", "Silvia", "Theo", "Ulla", "Vasco", "Wilma", "Yusra", "Zoltan",
    "Amara", "Boris", "Clara", "Diego", "Elif", "Frida", "Goran", "Henrik", "Ilse", "Joana", "Kamal",
)  # fmt: skip
LAST_NAMES = (
    "Arslan", "Berger", "Conti", "Diallo", "Ekman", "Fontaine", "Gruber", "Horvat", "Iversen", "Jovanovic", "Keller",
    "Lindqvist", "Marino", "Nguyen", "Oliveira", "Pavlov", "Quiroga", "Ramos", "Sato", "Toth", "Ulrich", "Vogel",
    "Wagner", "Ximenes", "Yamada", "Zimmer", "Abebe", "Bergman", "Ceballos", "Demir", "Engel", "Farkas", "Gomes",
    "Hansen", "Ibrahim", "Jung", "Kaya", "Lambert", "Meyer", "Nagy", "Ortega", "Popescu", "Roux", "Santos", "Thomsen",
    "Urban", "Virtanen", "Winkler", "Yeo", "Zapata",
)  # fmt: skip


def full_names(rng: Random, number: int) -> list[str]:
    """That many different names."""
    names: dict[str, None] = {}
    while len(names) < number:
        names[f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"] = None
    return list(names)


def numbers(rng: Random, number: int, digits: int) -> list[str]:
    """That many different numbers of so many digits, as text; none begins with a zero."""
    return [str(drawn) for drawn in rng.sample(range(10 ** (digits - 1), 10**digits), k=number)]


def birth_date(rng: Random) -> str:
    """The birth date of a grown person, as ISO date."""
    return (date(1940, 1, 1) + timedelta(days=rng.randrange(24_000))).isoformat()


def mistyped(rng: Random, code: str) -> str:
    """``code`` with another last digit, as one mistypes it."""
    return code[:-1] + rng.choice([digit for digit in "0123456789" if digit != code[-1]])
