"""What proves who somebody is: biscuits in their outer form and whole, batch tokens, JWTs, keys of their issuers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from kms_actors.auth import batch_token, service_token, wire
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import attenuate
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import ServiceToken
from kms_actors.errors import AuthenticationFailed, InvalidRequest, InvalidShares
from kms_actors.keyring.shamir import combine, parse_share
from kms_actors.login import jwt_compact, jwt_json, jwt_keys
from tests.fuzz.parsers.target import Target, text, utf8
from tests.support.tokens import NAMESPACE, Issuer

_NOW: Final = 1_800_000_000.0
_VAULT: Final = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"

_SEED: Final = bytes(range(32))
_PUBLIC: Final = batch_token.public_key(_SEED)


@cache
def _issuer() -> Issuer:
    return Issuer()


@cache
def _authenticator() -> BiscuitAuthenticator:
    return BiscuitAuthenticator([_issuer().keys.public], "toto", NAMESPACE)


@cache
def _biscuits() -> tuple[bytes, ...]:
    whole = _issuer().tenant(_VAULT, policies=["one"])
    narrowed = attenuate(whole, now=_NOW, ttl=60, paths=["secret/data/a"])
    return tuple(wire.decode(each) for each in (whole, narrowed, _issuer().cluster_operator()))


def take_outer_form(data: bytes) -> None:
    """What is taken has one form: written anew from its fields, it is the same bytes."""
    token = wire.take_apart(data)
    assert 1 <= len(token.blocks) <= wire.MAX_BLOCKS
    assert wire.write(wire.read(data)) == data
    assert wire.decode(wire.encode(data)) == data or len(wire.encode(data)) > wire.MAX_TOKEN_LENGTH
    wire.parse(data)


def take_biscuit(data: bytes) -> None:
    """Only the bytes that the issuer made are believed, whatever else is sent."""
    token = wire.encode(data)
    _authenticator().authenticate(token, _NOW)
    assert data in _biscuits()


def take_biscuit_text(data: bytes) -> None:
    raw = wire.decode(text(data))
    assert wire.encode(raw) == text(data).rstrip("=")


def take_batch_token(data: bytes) -> None:
    """Only what the vault made is believed."""
    token = text(data)
    batch_token.tenant_of(token)
    believed = data == _batch_token()
    assert batch_token.is_signed_by(token, _PUBLIC) == believed or token[10:] == _batch_token().decode()[10:]
    batch_token.read(token, _PUBLIC, _VAULT, "toto")
    assert token[10:] == _batch_token().decode()[10:]


@cache
def _batch_token() -> bytes:
    record = ServiceToken(
        accessor="",
        right=Right.DATA,
        policies=("one", "default"),
        display_name="token",
        created=_NOW,
        path="auth/token/create",
        expires_at=_NOW + 60,
        creation_ttl=60,
        metadata={"a": "b"},
        entity_id="e",
        bound_cidrs=("10.0.0.0/8",),
    )
    return batch_token.build(_SEED, _PUBLIC, 7, record).encode()


def take_service_token(data: bytes) -> None:
    number = service_token.tenant_of(text(data))
    assert number is None or 0 <= number < 62**6


def take_jws(data: bytes) -> None:
    """A token is its three parts, and written from them it is the same text."""
    sent = text(data)
    token = jwt_compact.parse(sent)
    head, _, _ = sent.partition(".")
    assert sent == f"{head}.{jwt_compact.encode(token.payload)}.{jwt_compact.encode(token.signature)}"
    jwt_compact.claims_of(token)


def take_claims(data: bytes) -> None:
    assert isinstance(jwt_json.read_object(data, "claims"), dict)


def take_key_set(data: bytes) -> None:
    for key in jwt_keys.read_set(data):
        repr(key)


def take_key(data: bytes) -> None:
    jwt_keys.read_pem(utf8(data))


def take_shares(data: bytes) -> None:
    combine([parse_share(line) for line in text(data).split("\n")[:5]])


def _jws() -> Iterable[bytes]:
    head, claims = jwt_compact.encode(b'{"alg":"RS256","kid":"a"}'), jwt_compact.encode(b'{"iss":"x","exp":1.5}')
    return (f"{head}.{claims}.AAAA".encode(), f"{jwt_compact.encode(b'{}')}.{claims}.{claims}".encode())


_KEY_SET: Final = {
    "keys": [
        {"kty": "RSA", "kid": "a", "n": base64.urlsafe_b64encode(b"\xc1" * 256).decode().rstrip("="), "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43, "alg": "ES256", "use": "sig"},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
    ]
}

TARGETS: Final[Mapping[str, Target]] = {
    "biscuit-outer": Target(take_outer_form, _biscuits, (wire.TokenRefused,)),
    "biscuit": Target(take_biscuit, _biscuits, (AuthenticationFailed,)),
    "biscuit-text": Target(
        take_biscuit_text,
        lambda: (b"AAAA", b"AA==", *(wire.encode(each).encode() for each in _biscuits())),
        (wire.TokenRefused,),
    ),
    "batch-token": Target(
        take_batch_token,
        lambda: (_batch_token(), b"hvb.000007" + wire.encode(_biscuits()[0]).encode(), b"hvb.AAAAAAAA"),
        (wire.TokenRefused,),
    ),
    "service-token": Target(take_service_token, lambda: (b"hvs.000007" + b"a" * 18, b"s.x"), (), 64),
    "jws": Target(take_jws, _jws),
    "jwt-claims": Target(take_claims, lambda: (b'{"iss":"a","exp":1e3,"x":[{"y":null}]}', b'{"a":1,"a":2}')),
    "jwk-set": Target(take_key_set, lambda: (json.dumps(_KEY_SET).encode(), b'{"keys":[{}]}'), most=2048),
    "jwt-pem": Target(take_key, lambda: (b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2Vw\n-----END PUBLIC KEY-----\n",)),
    "shares": Target(
        take_shares,
        lambda: (
            base64.b64encode(bytes(range(33))) + b"\n" + base64.b64encode(bytes(range(32, 65))),
            bytes(range(33)).hex().encode(),
        ),
        (InvalidRequest, InvalidShares),
    ),
}
