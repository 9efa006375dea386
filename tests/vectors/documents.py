"""Vectors of RFCs, drafts and reference implementations whose files have forms of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kms_actors.transit.key_types import Parameters
from kms_actors.transit.schemes.mldsa import PARAMETER_SETS
from kms_actors.transit.schemes.scheme import (
    pkcs8,
    subject_public_key_info,
)
from tests.vectors.cavs import CURVES, DIRECTORY, SHA
from tests.vectors.ciphers import Opens
from tests.vectors.derivations import Grows
from tests.vectors.proofs import Verifies
from tests.vectors.vector import Key, Source, Vector, Way


def _xchacha(_: str) -> Iterator[Vector]:
    """Appendix A.3.1; and with a bit of each part changed, which must not open."""
    secret, nonce = bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58))
    data = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    sealed = bytes.fromhex(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
        "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
        "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52e"
        "c0875924c1c7987947deafd8780acf49"
    )
    key = Key("xchacha20-poly1305", secret)
    yield Vector("A.3.1", "A.3.1", True, key, Opens(nonce + sealed, plaintext, data))
    for place in (0, 23, 24, len(nonce + sealed) - 1):
        changed = bytearray(nonce + sealed)
        changed[place] ^= 1
        yield Vector(f"A.3.1, byte {place}", f"byte {place}", False, key, Opens(bytes(changed), plaintext, data))


_RFC_6979_KEY: Final = re.compile(r"PublicKey=(P-\d+)_PUB\n(-----.*?-----END PUBLIC KEY-----\n)", re.DOTALL)
_RFC_6979: Final = re.compile(
    r'DigestVerify = (\S+)\nKey = (\S+)_PUB\nInput = "(\w+)"\nOutput = (\w+)\n(Result = VERIFY_ERROR)?'
)


def _rfc_6979(file: str) -> Iterator[Vector | str]:
    content = (DIRECTORY / file).read_text(encoding="utf-8")
    keys = {name: pem.encode() for name, pem in _RFC_6979_KEY.findall(content)}
    for digest, curve, message, signature, fails in _RFC_6979.findall(content):
        if curve not in CURVES:
            yield "other curves"
            continue
        public = subject_public_key_info(load_pem_public_key(keys[curve]))
        request = Verifies(message.encode(), bytes.fromhex(signature), SHA[digest])
        kind = f"{curve} {digest}"
        yield Vector(f"{kind} {message}", kind, not fails, Key(CURVES[curve][0], public=public), request)


def _ed25519(file: str) -> Iterator[Vector]:
    """Each message is signed and verified; and verified with a byte more, which must fail."""
    for number, line in enumerate((DIRECTORY / file).read_text(encoding="utf-8").splitlines(), start=1):
        seed, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        private = Ed25519PrivateKey.from_private_bytes(seed[:32])
        assert private.public_key().public_bytes_raw() == public
        key, signature = Key("ed25519", pkcs8(private)), signed[:64]
        yield Vector(f"line {number}", "", True, key, Verifies(message, signature, made=True))
        yield Vector(f"line {number}, another message", "", False, key, Verifies(message + b"\0", signature))


def _grown(file: str, name: str) -> Iterator[Vector | str]:
    lines = (DIRECTORY / file).read_text(encoding="utf-8").splitlines()
    seeds, publics = ([bytes.fromhex(line[5:]) for line in lines if line.startswith(start)] for start in ("xi", "pk"))
    for number, (seed, public) in enumerate(zip(seeds, publics, strict=True)):
        yield Vector(f"count {number}", "", True, Key("ml-dsa", seed, parameters=Parameters(name)), Grows(public))


def _source(
    algorithm: str, publisher: str, file: str, read: Callable[[str], Iterable[Vector | str]], way: Way = Way.NODE
) -> Source:
    return Source(algorithm, publisher, file, partial(read, file), way)


SOURCES: Final = (
    _source("xchacha20-poly1305", "draft-irtf-cfrg-xchacha-03", "appendix A.3.1", _xchacha),
    _source("ed25519", "RFC 8032's authors", "asymmetric/Ed25519/sign.input", _ed25519),
    _source("ecdsa", "RFC 6979", "asymmetric/ECDSA/RFC6979/evppkey_ecdsa_rfc6979.txt", _rfc_6979),
    *(
        _source(
            f"ml-dsa-{name}, keys",
            "FIPS 204 reference",
            f"asymmetric/MLDSA/kat_MLDSA_{name}_det_pure.rsp",
            partial(_grown, name=name),
            Way.ENGINE,
        )
        for name in PARAMETER_SETS
    ),
)
