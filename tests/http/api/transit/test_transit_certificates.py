"""Certificate signing requests and certificate chains, from request to answer."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.x509.oid import NameOID

from tests.actors.transit_tenant import opened
from tests.http.transit_api import DELETE, READ, WRITE, Api

ROOT = ec.generate_private_key(ec.SECP256R1())
OTHER_PAIRS: dict[str, Any] = {
    "RSA": rsa.generate_private_key(65537, 2048),
    "ECDSA": ROOT,
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kms.example")])
PREFIX = "failed to persist certificate chain: "


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        yield Api(tenant)


def certificate(public: Any, *, authority: bool = False) -> str:
    """Return the PEM of a certificate that the root has signed."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(NAME, NAME, public, 5, start, start + timedelta(days=30))
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    return builder.sign(ROOT, SHA256()).public_bytes(Encoding.PEM).decode()


ROOT_PEM = certificate(ROOT.public_key(), authority=True)


async def public_of(api: Api, name: str = "k", version: int = 1) -> Any:
    text = (await api(READ, f"keys/{name}"))[1]["keys"][str(version)]["public_key"]
    if text.startswith("-----"):
        return load_pem_public_key(text.encode())
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text))


async def set_chain(api: Api, *chain: str, name: str = "k", **sent: Any) -> Any:
    return await api.post(f"keys/{name}/set-certificate", certificate_chain="".join(chain), **sent)


@pytest.mark.parametrize(
    ("type_name", "algorithm"),
    [
        ("ecdsa-p256", SHA256()),
        ("ecdsa-p384", SHA384()),
        ("ecdsa-p521", SHA512()),
        ("ed25519", None),
        ("rsa-2048", SHA256()),
    ],
)
async def test_a_request_is_signed_by_the_key_it_names(
    api: Api, type_name: str, algorithm: HashAlgorithm | None
) -> None:
    await api.post("keys/k", type=type_name)
    made = await api.post("keys/k/csr")
    assert (list(made), made["name"], made["type"]) == (["csr", "name", "type"], "k", type_name)
    request = x509.load_pem_x509_csr(made["csr"].encode())
    assert request.is_signature_valid
    assert request.public_key() == await public_of(api)
    assert (request.subject, list(request.extensions)) == (x509.Name([]), [])
    found = request.signature_hash_algorithm
    assert (found and found.name) == (algorithm and algorithm.name)


async def test_a_template_gives_subject_and_extensions(api: Api) -> None:
    await api.post("keys/k", type="ecdsa-p256")
    await api.post("keys/k/rotate")
    names = x509.SubjectAlternativeName([x509.DNSName("kms.example")])
    template = x509.CertificateSigningRequestBuilder(NAME).add_extension(names, critical=True)
    pem = template.sign(OTHER_PAIRS["RSA"], SHA256()).public_bytes(Encoding.PEM).decode()
    request = x509.load_pem_x509_csr((await api.post("keys/k/csr", csr=pem, version=1))["csr"].encode())
    assert request.is_signature_valid
    assert request.public_key() == await public_of(api, version=1)
    assert request.subject == NAME
    [extension] = request.extensions
    assert (extension.value, extension.critical) == (names, True)


@pytest.mark.parametrize(
    ("path", "sent", "text"),
    [
        ("none/csr", {}, "key with provided name 'none' not found"),
        ("aes/csr", {}, "key type 'aes256-gcm96' does not support signing"),
        ("derived/csr", {}, "operation not supported for keys with derivation enabled"),
        ("lattice/csr", {}, "certificates are not supported for key type ml-dsa"),
        ("k/csr", {"csr": "x"}, "could not decode PEM CSR"),
        ("k/csr", {"csr": ROOT_PEM}, "could not parse the CSR that was given"),
        ("k/csr", {"version": 7}, "could not create the csr: no such key version"),
        ("k/csr", {"version": -1}, "could not create the csr: no such key version"),
        ("none/set-certificate", {"certificate_chain": "x"}, "key with provided name 'none' not found"),
        ("aes/set-certificate", {}, "key type 'aes256-gcm96' does not support signing"),
        ("derived/set-certificate", {}, "operation not supported for keys with derivation enabled"),
        ("k/set-certificate", {"certificate_chain": "x"}, "could not decode a PEM block in the certificate chain"),
        (
            "k/set-certificate",
            {"certificate_chain": f"{ROOT_PEM}trailing"},
            "could not decode a PEM block in the certificate chain",
        ),
        (
            "k/set-certificate",
            {},
            "provided certificate chain did not contain any valid PEM encoded certificate",
        ),
        (
            "k/set-certificate",
            {"certificate_chain": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
            "could not parse a certificate in the certificate chain: x509: malformed certificate",
        ),
    ],
)
async def test_refusals(api: Api, path: str, sent: dict[str, Any], text: str) -> None:
    await api.post("keys/k", type="ecdsa-p256")
    await api.post("keys/aes")
    await api.post("keys/derived", type="ed25519", derived=True)
    await api.post("keys/lattice", type="ml-dsa", parameter_set="44")
    assert await api.refused(f"keys/{path}", **sent) == text


async def test_soft_deleted_keys_and_public_keys_sign_no_request(api: Api) -> None:
    await api.post("keys/k", type="ecdsa-p256")
    await api(DELETE, "keys/k/soft-delete")
    assert await api.refused("keys/k/csr") == "refusing to use soft-deleted key"
    pem = (await api(READ, "keys/k"))[1]["keys"]["1"]["public_key"]
    await api(WRITE, "keys/public/import", {"type": "ecdsa-p256", "public_key": pem})
    assert (
        await api.refused("keys/public/csr")
        == "could not create the csr: private key not imported for key version selected"
    )


@pytest.mark.parametrize("type_name", ["ecdsa-p256", "ecdsa-p521", "ed25519", "rsa-2048"])
async def test_a_chain_is_shown_exported_and_backed_up(api: Api, type_name: str) -> None:
    await api.post("keys/k", type=type_name, exportable=True, allow_plaintext_backup=True)
    leaf = certificate(await public_of(api))
    chain = (leaf + ROOT_PEM).rstrip("\n")
    assert await set_chain(api, leaf, ROOT_PEM) == {"certificate_chain": f"{chain}\n", "name": "k", "type": type_name}
    assert (await api(READ, "keys/k"))[1]["keys"]["1"]["certificate_chain"] == chain
    assert (await api(READ, "export/certificate-chain/k"))[1]["keys"] == {"1": chain}
    backup = (await api(READ, "backup/k"))[1]["backup"]
    assert len(json.loads(base64.b64decode(backup))["policy"]["keys"]["1"]["certificate_chain"]) == 2
    await api(WRITE, "restore/copy", {"backup": backup})
    assert (await api(READ, "export/certificate-chain/copy"))[1]["keys"] == {"1": chain}


async def test_a_chain_belongs_to_a_version(api: Api) -> None:
    await api.post("keys/k", type="ecdsa-p256")
    leaf = certificate(await public_of(api))
    await api.post("keys/k/rotate")
    text = await api.refused("keys/k/set-certificate", certificate_chain=leaf)
    assert text == f"{PREFIX}leaf certificate public key does not match the selected key version"
    await set_chain(api, leaf, version=1)
    shown = (await api(READ, "keys/k"))[1]["keys"]
    assert (shown["1"]["certificate_chain"], shown["2"]["certificate_chain"]) == (leaf.rstrip("\n"), "")
    assert (
        await api.refused("export/certificate-chain/k/2", READ)
        == "selected key version does not have a certificate chain imported"
    )


async def test_chains_that_do_not_fit(api: Api) -> None:
    await api.post("keys/k", type="ecdsa-p256")
    own = await public_of(api)
    leaf, foreign = certificate(own), certificate(ROOT.public_key())

    async def refused(*chain: str, **sent: Any) -> str:
        text = await api.refused("keys/k/set-certificate", certificate_chain="".join(chain), **sent)
        return text.removeprefix(PREFIX)

    assert await refused(ROOT_PEM, leaf) == "certificate in the first element is not a valid leaf certificate"
    assert await refused(certificate(own, authority=True)) == (
        "certificate in the first element is not a valid leaf certificate"
    )
    assert await refused(leaf, leaf) == "certificate in the last element is not a valid CA certificate"
    assert await refused(leaf, foreign, ROOT_PEM) == (
        "could not validate if there is only one leaf certificate in the provided chain"
    )
    assert await refused(foreign) == "leaf certificate public key does not match the selected key version"
    assert await refused(leaf, version=5) == "no such key version"


@pytest.mark.parametrize(
    ("type_name", "algorithm"), [("ecdsa-p256", "RSA"), ("ed25519", "ECDSA"), ("rsa-2048", "Ed25519")]
)
async def test_certificates_of_another_algorithm(api: Api, type_name: str, algorithm: str) -> None:
    await api.post("keys/k", type=type_name)
    leaf = certificate(OTHER_PAIRS[algorithm].public_key())
    assert await api.refused("keys/k/set-certificate", certificate_chain=leaf) == (
        f"{PREFIX}could not validate key match between leaf certificate key and key entry in transit: provided leaf "
        f"certificate public key algorithm '{algorithm}' does not match the transit key type '{type_name}'"
    )


async def test_text_in_front_of_a_certificate_is_passed_over(api: Api) -> None:
    await api.post("keys/k", type="ecdsa-p256")
    leaf = certificate(await public_of(api))
    chain = f"subject: kms.example\n{leaf}issuer: ca\n{ROOT_PEM}"
    assert (await set_chain(api, chain))["certificate_chain"] == chain
    assert (await api(READ, "keys/k"))[1]["keys"]["1"]["certificate_chain"] == f"{leaf}{ROOT_PEM}".rstrip("\n")
