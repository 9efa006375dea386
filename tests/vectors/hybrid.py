"""Hybrid signatures have no vectors of their own: those of each half stand beside a good signature of the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from kms_actors.transit.key_types import KEY_TYPES, Parameters
from kms_actors.transit.schemes.ecdsa import Ecdsa
from kms_actors.transit.schemes.ed25519 import Ed25519
from kms_actors.transit.schemes.mldsa import PARAMETER_SETS
from kms_actors.transit.schemes.scheme import Scheme
from kms_actors.transit.signature import parameters
from tests.vectors.proofs import Verifies
from tests.vectors.vector import Key, Source, Vector, Way
from tests.vectors.wycheproof import SOURCES as WYCHEPROOF

_CURVES: Final = {
    "ed25519": "ed25519",
    "ecdsa-p256": "ecdsa_secp256r1_sha256",
    "ecdsa-p384": "ecdsa_secp384r1_sha384",
    "ecdsa-p521": "ecdsa_secp521r1_sha512",
}


def _scheme(type_name: str) -> Scheme:
    found = KEY_TYPES[type_name].schemes[Parameters()]
    assert isinstance(found, Ed25519 | Ecdsa)
    return found


def _read(source: Source, parameter_set: str, curve: str) -> Iterator[Vector | str]:
    lattice = PARAMETER_SETS[parameter_set]
    other: Scheme = _scheme(curve) if "mldsa" in source.file else lattice
    made = other.generate()
    private, public = other.private(made.private), made.public
    chosen = Parameters(parameter_set, "ml-dsa", curve)
    for vector in source.read():
        if isinstance(vector, str):
            yield vector
            continue
        assert isinstance(vector.request, Verifies)
        request, key = vector.request, vector.key
        signature = other.sign(private, request.message, parameters(request.hash))
        halves = [(key.public, request.signature), (public, signature)]
        if other is lattice:
            halves.reverse()
        (one, first), (two, second) = halves
        stored = len(one).to_bytes(4, "big") + one + two
        both = Verifies(request.message, first + second, request.hash)
        yield vector._replace(key=Key("hybrid", public=stored, parameters=chosen), request=both)


def _source(file: str, parameter_set: str, curve: str) -> Source:
    half = next(source for source in WYCHEPROOF if source.file == file)
    name = f"hybrid, ml-dsa-{parameter_set} with {curve}"
    return Source(name, half.publisher, file, partial(_read, half, parameter_set, curve), Way.EDGE)


SOURCES: Final = (
    *(_source(f"mldsa_{name}_verify", name, "ed25519") for name in PARAMETER_SETS),
    *(_source(file, "44", curve) for curve, file in _CURVES.items() if PARAMETER_SETS),
)
