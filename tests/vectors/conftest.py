"""A live node, on which the keys of vectors are imported as their owners would."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kms_actors.transit.schemes.scheme import pem
from tests.support.api import Api, b64, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer
from tests.vectors.vector import Key


class LiveNode:
    """A node, and the names of the keys on it."""

    def __init__(self, user: Api) -> None:
        self.user = user
        loaded = load_pem_public_key(user.get("transit/wrapping_key").data["public_key"].encode())
        assert isinstance(loaded, RSAPublicKey)
        self._wrapping_key = loaded
        self._names: dict[Any, str] = {}

    def imported(self, key: Key, **options: Any) -> str:
        """Return the name of a key that was imported, once each."""
        wanted = (key, *options.items())
        if wanted not in self._names:
            name = f"k{len(self._names)}"
            sent = {"type": key.type, **options, **(self._private(key) if key.secret else self._public(key))}
            answer = self.user.post(f"transit/keys/{name}/import", sent)
            assert answer.status == 204, (key, answer.body)
            self._names[wanted] = name
        return self._names[wanted]

    def transport(self, ephemeral: bytes, wrapped: bytes) -> str:
        """Return what `import` takes for a key that is wrapped under an AES key."""
        oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
        return b64(self._wrapping_key.encrypt(ephemeral, oaep) + wrapped)

    def _private(self, key: Key) -> dict[str, str]:
        ephemeral = os.urandom(32)
        return {"ciphertext": self.transport(ephemeral, aes_key_wrap_with_padding(ephemeral, key.secret))}

    def _public(self, key: Key) -> dict[str, str]:
        return {"public_key": pem(key.public)}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    issuer = Issuer()
    node = Node.for_issuer(tmp_path_factory.mktemp("node"), sqlite_table, issuer, forked=True)
    node.start()
    try:
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator)["keys_base64"])
        yield LiveNode(make_tenant(node, issuer).user)
        assert node.stop() == 0, node.log
        assert "Traceback" not in node.log
    finally:
        node.close()
