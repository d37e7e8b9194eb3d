"""The built-in redaction: e-mail addresses, phone and card numbers become stable pseudonyms of the same form.

A pseudonym is drawn by a keyed hash (HMAC-SHA-256) of what identifies, so the same number gets the same pseudonym in
messages, arguments and results, however it is spelled, and gold actions stay right. Of a phone number the last seven
digits are replaced, keyed by themselves: "+1 415-555-0123", "(415) 555-0123" and "555-0123" stay one number. Cards keep
their length and a valid check digit, so schemas and validators still accept them. What is spelled out in words is not
found. The key is secret (numbers are few enough to try them all): ``APPRENTICE_REDACTION_KEY``, or a file under
``var/`` made on first use.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets

from data import paths
from data.files import write_whole

KEY_VARIABLE = "APPRENTICE_REDACTION_KEY"
_PHONE_TAIL = 7
_EMAIL = re.compile(r"[\w.%+-]+@[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)+")
#: 13 to 19 digits, in groups or not; a card only if Luhn's check digit is right.
_CARD = re.compile(r"(?<![\w+.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_PHONE = re.compile(
    r"(?<![\w.+@/-])(?:"
    r"\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6}"  # +CC and groups
    r"|00\d{1,3}(?:[ .-]?\d{2,4}){2,5}"  # 00CC and groups
    r"|(?:1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-]?)[2-9]\d\d[ .-]?\d{4}"  # North America, ten digits
    r"|\(?0\d{1,4}\)?[ /-]\d{3,4}(?:[ -]?\d{2,5}){0,3}"  # 0 and area code, then groups
    r"|[2-9]\d\d-\d{4}"  # local
    r")(?![\w@]|[-/.:]\d)"
)


def pseudonymise(text: str) -> str:
    """``text`` with every e-mail address, card and phone number replaced; anything else stays to the letter."""
    text = _EMAIL.sub(lambda found: _email(found[0]), text)
    text = _CARD.sub(lambda found: _card(found[0]), text)
    return _PHONE.sub(lambda found: _phone(found[0]), text)


def redaction_fingerprint() -> str:
    """What of the key may be told: other keys make other pseudonyms, and so other dataset versions."""
    return _hash("fingerprint", "").hex()[:16]


def is_card(digits: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1): with every second digit from the right doubled, digit sums add up to tens."""
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _email(address: str) -> str:
    return f"person-{_hash('email', address.casefold()).hex()[:10]}@example.com"


def _card(number: str) -> str:
    digits = _digits(number)
    if not is_card(digits):
        return number
    drawn = digits[0] + _drawn("card", digits, len(digits) - 2)
    check = next(digit for digit in "0123456789" if is_card(drawn + digit))
    return _filled(number, drawn + check)


def _phone(number: str) -> str:
    digits = _digits(number)
    if not 7 <= len(digits) <= 15:
        return number
    tail = digits[-_PHONE_TAIL:]
    drawn = _drawn("phone", tail, _PHONE_TAIL)
    first = drawn[0] if drawn[0] in "23456789" else str(2 + int(drawn[1]) % 8)  # no exchange begins with 0 or 1
    return _filled(number, digits[:-_PHONE_TAIL] + first + drawn[1:])


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _filled(form: str, digits: str) -> str:
    """``form`` with its digits replaced one by one."""
    rest = iter(digits)
    return "".join(next(rest) if character.isdigit() else character for character in form)


def _drawn(what: str, identity: str, length: int) -> str:
    return str(int.from_bytes(_hash(what, identity)))[-length:]


def _hash(what: str, identity: str) -> bytes:
    return hmac.digest(_key(), f"{what}\0{identity}".encode("utf-8", "surrogatepass"), hashlib.sha256)


def _key() -> bytes:
    stated = os.environ.get(KEY_VARIABLE)
    if stated:
        return stated.encode()
    file = paths.redaction_key()
    if not file.exists():
        write_whole(file, secrets.token_hex(32))  # readable by its owner alone, as all that mkstemp makes
    return file.read_bytes()
