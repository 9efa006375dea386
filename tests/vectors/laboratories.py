"""RSA Laboratories' vectors: labelled numbers, of which those of a key come before its examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from kms_actors.transit.schemes.scheme import pkcs8
from tests.vectors.cavs import DIRECTORY
from tests.vectors.ciphers import Opens
from tests.vectors.proofs import Verifies
from tests.vectors.vector import Key, Request, Source, Vector

_RSA: Final = "asymmetric/RSA"

Fields = Mapping[str, str]

_LABEL: Final = re.compile(r"^# ([A-Za-z ]+\d?): *$\n((?:^[0-9a-f ]*$\n?)+)", re.MULTILINE)


def _labelled(file: str) -> Iterator[dict[str, str]]:
    """Yield for each example its numbers with those of its key, as hex by their labels."""
    found: dict[str, str] = {}
    for label, value in _LABEL.findall((DIRECTORY / file).read_text(encoding="utf-8", errors="replace")):
        found[label] = "".join(value.split())
        if label in ("Signature", "Encryption"):
            yield dict(found)


def _laboratories(file: str, make: Callable[[Fields], Request]) -> Iterator[Vector | str]:
    for number, found in enumerate(_labelled(file), start=1):
        if len(found["Modulus"].lstrip("0")) != 2048 // 4:
            yield "keys of other sizes"
            continue
        yield Vector(f"example {number}", "", True, Key("rsa-2048", _rsa_private(**_numbers(found))), make(found))


def _numbers(found: Fields) -> dict[str, int]:
    public = found.get("Public exponent") or found["Exponent"]
    return {"n": int(found["Modulus"], 16), "e": int(public, 16), "d": int(found["Exponent"], 16)}


@cache
def _rsa_private(n: int, e: int, d: int) -> bytes:
    p, q = rsa.rsa_recover_prime_factors(n, e, d)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), rsa.RSAPublicNumbers(e, n)
    )
    return pkcs8(numbers.private_key(unsafe_skip_rsa_key_validation=True))


def _opens(padding_scheme: str) -> Callable[[Fields], Request]:
    return lambda found: Opens(_hex(found["Encryption"]), _hex(found["Message"]), padding_scheme=padding_scheme)


def _verifies(algorithm: str, *, made: bool) -> Callable[[Fields], Request]:
    return lambda found: Verifies(
        _hex(found["Message to be signed"]), _hex(found["Signature"]), "sha1", algorithm, made=made
    )


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def _source(algorithm: str, file: str, make: Callable[[Fields], Request]) -> Source:
    path = f"{_RSA}/{file}"
    return Source(f"rsa-2048, {algorithm}", "RSA Laboratories", path, partial(_laboratories, path, make))


SOURCES: Final = (
    _source("PKCS #1 v1.5 signatures", "pkcs1v15sign-vectors.txt", _verifies("pkcs1v15", made=True)),
    _source("PSS signatures", "pkcs-1v2-1d2-vec/pss-vect.txt", _verifies("pss", made=False)),
    _source("OAEP", "oaep-custom/oaep-sha256-sha256.txt", _opens("")),
    _source("PKCS #1 v1.5 encryption", "pkcs1v15crypt-vectors.txt", _opens("pkcs1v15")),
)
