"""Keys: no pair of type and option that crashes, and no nonce of a caller's."""

from __future__ import annotations

from typing import Any

import pytest

from kms_actors.transit.key_types import KEY_TYPES
from tests.support.api import b64
from tests.support.tenant import Tenant

PARAMETERS = {"parameter_set": "44", "hybrid_key_type_pqc": "ml-dsa", "hybrid_key_type_ec": "ecdsa-p256"}


@pytest.mark.parametrize("name", [name for name in KEY_TYPES if not name.startswith("rsa-") or name == "rsa-2048"])
def test_cve_2026_55776_no_pair_of_type_and_option_ends_the_server(name: str, tenant: Tenant) -> None:
    """A key of RSA made with `derived` unlocked what was not locked, which ended the server for everybody.

    Here what a type does not do is refused when a key is made, and nothing is made of it.
    """
    user = tenant.user
    tried: tuple[dict[str, Any], ...] = (
        {"derived": True},
        {"derived": True, "convergent_encryption": True},
        {"convergent_encryption": True},
        {"derived": "true", "exportable": True},
        {"derived": True, "key_size": 64},
    )
    for number, options in enumerate(tried):
        key = f"k{number}"
        made = user.post(f"transit/keys/{key}", {"type": name, **PARAMETERS, **options})
        assert made.status in {200, 204, 400}, (options, made.status, made.body)
        assert user.get(f"transit/keys/{key}").status == (404 if made.status == 400 else 200)
        for path, fields in (
            ("encrypt", {"plaintext": b64("x"), "context": b64("c")}),
            ("sign", {"input": b64("x"), "context": b64("c")}),
            ("hmac", {"input": b64("x"), "context": b64("c")}),
            ("datakey/plaintext", {"context": b64("c")}),
        ):
            answer = user.post(f"transit/{path}/{key}", fields)
            assert answer.status in {200, 400, 404}, (options, path, answer.status, answer.body)
        assert user.post(f"transit/keys/{key}/rotate").status in {200, 204, 400}
    assert user.post("transit/encrypt/sound", {"plaintext": b64("x")}).status == 200


@pytest.mark.parametrize("options", [{}, {"derived": True}, {"derived": True, "convergent_encryption": True}])
@pytest.mark.parametrize("name", ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"])
def test_cve_2023_4680_a_caller_gives_no_nonce(name: str, options: dict[str, bool], tenant: Tenant) -> None:
    """A nonce was taken for keys that are not convergent: two messages under one nonce give their sum, and the key of
    their tags.

    Here no key takes one, in batches neither, and equal texts of keys that are not convergent differ.
    """
    user, nonce = tenant.user, b64(bytes(24 if name.startswith("x") else 12))
    assert user.post("transit/keys/k", {"type": name, **options}).status in {200, 204}
    context = {"context": b64("c")} if options else {}
    row = {"plaintext": b64("same"), **context}
    refused = user.post("transit/encrypt/k", row | {"nonce": nonce})
    assert refused.status == 400
    assert "nonce" in refused.errors[0]
    batch = user.post("transit/encrypt/k", {"batch_input": [row | {"nonce": nonce}, row]})
    assert batch.status == 400
    assert "ciphertext" not in batch.body.decode().partition("}")[0]
    texts = {user.post("transit/encrypt/k", row).data["ciphertext"] for _ in range(4)}
    assert len(texts) == (1 if options.get("convergent_encryption") else 4)
