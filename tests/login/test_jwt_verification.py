from __future__ import annotations

import hmac
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_algorithms import ALGORITHMS
from kms_actors.login.jwt_compact import MAX_TOKEN, decode, parse
from kms_actors.login.jwt_json import MAX_DEPTH, read_object
from kms_actors.login.jwt_keys import MAX_KEYS, MAX_SET, TokenKey, read_pem, read_set
from kms_actors.login.jwt_verification import UnknownKey, verified_claims, verify
from tests.support import wycheproof
from tests.support.jwt import Signer, b64, key_set

SIGNERS = {name: Signer.make(name, "k1") for name in ALGORITHMS}
CLAIMS = {"sub": "anna", "aud": ["a", "b"], "exp": 1_800_000_000, "nested": {"list": [1, 2.5, None, True]}}


def claims_of(token: str, keys: tuple[TokenKey, ...], *allowed: str) -> dict[str, Any]:
    return verified_claims(parse(token), keys, allowed or ALGORITHMS)


# RFC 7515, appendices A.3 and A.4; RFC 8037, appendix A.4.
_P256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
_P521 = {
    "kty": "EC",
    "crv": "P-521",
    "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
    "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
}
_ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
EXAMPLES = [
    (
        _P256,
        (
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"
            "Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        ),
    ),
    (
        _P521,
        (
            "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KG"
            "DKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
        ),
    ),
    (
        _ED25519,
        (
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhi"
            "jcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        ),
    ),
]


@pytest.mark.parametrize(("key", "token"), EXAMPLES)
def test_the_examples_of_the_standards_verify(key: dict[str, str], token: str) -> None:
    verify(parse(token), read_set(json.dumps({"keys": [key]}).encode()), ALGORITHMS)


def test_claims_are_those_of_the_example() -> None:
    key, token = EXAMPLES[0]
    keys = read_set(json.dumps({"keys": [key]}).encode())
    assert claims_of(token, keys) == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


#: What is refused here though the vectors take it, and why.
_STRICTER = {
    "emptyPayload": "claims are an object",
    "Figure20": "the key is for PS256 alone, the token is of PS384",
    "Figure27": "the key is for an algorithm ES521, which there is not",
}
#: What is taken here though the vectors refuse it: a question of how keys are made, not of a signature.
_KEYS_THEMSELVES = frozenset({"rejectsKeyWithRocaVulnerability"})


@pytest.mark.parametrize("name", ["json_web_signature", "json_web_key"])
def test_wycheproof(name: str) -> None:
    seen = 0
    for case in wycheproof.cases(name):
        if "public" not in case.group:
            continue
        public = case.group["public"]
        document = public if "keys" in public else {"keys": [public]}
        comment, token = case.test["comment"], case.test["jws"]
        try:
            verify(parse(token), read_set(json.dumps(document).encode()), ALGORITHMS)
            taken = True
        except InvalidRequest:
            taken = False
        seen += 1
        if comment in _STRICTER:
            assert not taken
        elif comment not in _KEYS_THEMSELVES:
            assert taken == case.valid, str(case)
    assert seen > 10


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_algorithm_verifies_by_pem_and_by_key_set(name: str) -> None:
    signer = SIGNERS[name]
    token = signer.sign(CLAIMS)
    assert claims_of(token, (read_pem(signer.pem),), name) == CLAIMS
    assert claims_of(token, read_set(key_set(signer)), name) == CLAIMS


@pytest.mark.parametrize("name", ALGORITHMS)
def test_another_algorithm_than_those_allowed_is_refused(name: str) -> None:
    others = [other for other in ALGORITHMS if other != name]
    with pytest.raises(InvalidRequest, match="unexpected algorithm"):
        claims_of(SIGNERS[name].sign(CLAIMS), (read_pem(SIGNERS[name].pem),), *others)


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "None"}, {"alg": "HS256"}, {"alg": ""}, {}])
def test_no_key_and_a_public_key_as_a_secret_prove_nothing(header: dict[str, str]) -> None:
    """The classes of `none`, and of an HMAC under the public key (CVE-2015-9235 and those after it)."""
    signer = SIGNERS["RS256"]
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    secret = hmac.new(signer.pem.encode(), signed.encode(), "sha256").digest()
    for signature in (b64(secret), b64(b"x")):
        with pytest.raises(InvalidRequest):
            claims_of(f"{signed}.{signature}", (read_pem(signer.pem),))
    with pytest.raises(InvalidRequest, match="three parts"):
        parse(f"{signed}.")


def test_a_key_of_another_type_is_not_tried() -> None:
    others = (signer._replace(key_id="") for signer in SIGNERS.values() if signer.algorithm != "ES256")
    keys = read_set(key_set(*others))
    with pytest.raises(UnknownKey):
        claims_of(SIGNERS["ES256"]._replace(key_id="").sign(CLAIMS), keys)


def test_keys_that_a_token_brings_along_count_for_nothing() -> None:
    """CVE-2018-0114 and its like: `jwk`, `x5c`, `jku` and `x5u` are whoever's who wrote the token."""
    stranger = Signer.make("ES256", "k1")
    header = {"jwk": stranger.jwk, "jku": "https://example.com", "x5c": ["x"], "x5u": "https://example.com"}
    with pytest.raises(UnknownKey):
        claims_of(stranger.sign(CLAIMS, header), read_set(key_set(SIGNERS["ES256"])))


def test_headers_that_must_be_understood_are_refused() -> None:
    signer = SIGNERS["EdDSA"]
    headers: tuple[dict[str, Any], ...] = ({"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"crit": []})
    for header in headers:
        with pytest.raises(InvalidRequest, match="crit"):
            parse(signer.sign(CLAIMS, header))


@given(st.data())
def test_a_token_altered_in_any_character_is_refused(data: st.DataObject) -> None:
    signer = SIGNERS["EdDSA"]
    token = signer.sign(CLAIMS)
    place = data.draw(st.integers(0, len(token) - 1))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é"
    other = data.draw(st.sampled_from(alphabet).filter(lambda character: character != token[place]))
    with pytest.raises(InvalidRequest):
        claims_of(token[:place] + other + token[place + 1 :], read_set(key_set(signer)))


@pytest.mark.parametrize("name", ["RS256", "ES256", "PS512", "EdDSA"])
def test_a_token_altered_in_any_character_is_refused_by_each_kind_of_key(name: str) -> None:
    signer = SIGNERS[name]
    token, keys = signer.sign({"sub": "a"}), read_set(key_set(signer))
    for place, character in enumerate(token):
        altered = token[:place] + ("B" if character != "B" else "C") + token[place + 1 :]
        with pytest.raises(InvalidRequest):
            claims_of(altered, keys)


def test_there_is_one_text_of_a_token() -> None:
    token = SIGNERS["EdDSA"].sign(CLAIMS)
    keys = read_set(key_set(SIGNERS["EdDSA"]))
    head, payload, signature = token.split(".")
    for other in (
        token + "=",
        token + "\n",
        " " + token,
        token + ".",
        f"{head}..{signature}",
        f"{head}.{payload}.{signature}.{payload}.{signature}",  # as encrypted ones have it
        f"{head}.{payload}.{signature[:-1]}{'B' if signature[-1] == 'A' else chr(ord(signature[-1]) + 1)}",
    ):
        with pytest.raises(InvalidRequest):
            claims_of(other, keys)


@given(st.text(max_size=80))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(text)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_under_a_good_signature_are_claims_or_refused(header: bytes, payload: bytes) -> None:
    signer = SIGNERS["EdDSA"]
    for token in (signer.sign_parts(header or b"{}", b"{}"), signer.sign_parts(b'{"alg":"EdDSA"}', payload or b"{")):
        with suppress(InvalidRequest):
            assert isinstance(claims_of(token, read_set(key_set(signer))), dict)


def test_sizes_and_depths_are_bounded_before_anything_is_parsed() -> None:
    with pytest.raises(InvalidRequest, match="longer than"):
        parse("a" * (MAX_TOKEN + 1))
    for text in (b"[" * 10_000, b'{"a":' * 10_000, b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1)):
        with pytest.raises(InvalidRequest, match="deeper"):
            read_object(text, "it")
    assert read_object(b'{"a":"[[[[[[[[[[[[[[[[[[[[[[[[{{{\\"[["}', "it")
    with pytest.raises(InvalidRequest, match="larger"):
        read_set(b" " * (MAX_SET + 1))
    with pytest.raises(InvalidRequest, match="more than"):
        read_set(json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode())


@pytest.mark.parametrize(
    "text",
    [
        b'{"sub":"a","sub":"b"}',
        b'{"a":{"b":1,"b":2}}',
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b'{"exp":1e999}',
        b'{"exp":' + b"9" * 5000 + b"}",
        b"[]",
        b"null",
        b'{"a":1}{"b":2}',
        b"\xff\xfe{\x00}\x00",
        b"",
    ],
)
def test_what_two_programs_would_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_object(text, "it")


def test_what_is_no_signature_key_is_passed_over_in_a_set() -> None:
    good = SIGNERS["ES256"].jwk
    small = {"kty": "RSA", "n": b64((1 << 1023 | 1).to_bytes(128, "big")), "e": "AQAB"}
    huge = {"kty": "RSA", "n": b64((1 << 16383 | 1).to_bytes(2048, "big")), "e": "AQAB"}
    entries = [
        {"kty": "oct", "k": b64(b"secret" * 8)},
        {**good, "use": "enc"},
        {**good, "key_ops": ["sign"]},
        {**good, "crv": "P-384"},
        {**good, "crv": "secp256k1"},
        {**good, "y": good["x"]},
        {**good, "x": 3},
        {"kty": "EC", "crv": "P-256"},
        {**good, "kid": 7},
        {**good, "kid": "k" * 1000},
        {"kty": "OKP", "crv": "X25519", "x": b64(bytes(32))},
        {"kty": ["EC"]},
        small,
        huge,
        "EC",
        None,
        good,
    ]
    assert len(read_set(json.dumps({"keys": entries}).encode())) == 1


def test_a_key_is_only_for_the_algorithm_and_the_id_that_its_set_gives_it() -> None:
    signer = SIGNERS["RS256"]
    for entry in ({**signer.jwk, "alg": "RS512"}, {**signer.jwk, "kid": "other"}):
        with pytest.raises(UnknownKey):
            claims_of(signer.sign(CLAIMS), read_set(json.dumps({"keys": [entry]}).encode()))
    nameless = {name: value for name, value in signer.jwk.items() if name not in {"kid", "alg"}}
    assert claims_of(signer.sign(CLAIMS), read_set(json.dumps({"keys": [nameless]}).encode())) == CLAIMS


NO_PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize("text", ["x", NO_PEM, "", "x" * 20_000])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_pem(text)


@given(st.binary(max_size=64))
def test_base64url_has_one_text(raw: bytes) -> None:
    text = b64(raw)
    assert decode(text, "it") == raw
    for other in (text + "=", text + "\n", "\t" + text):
        with pytest.raises(InvalidRequest):
            decode(other, "it")
