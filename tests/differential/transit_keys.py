"""Random requests about keys themselves: made, imported, agreed on, set, rotated, certified, backed up, deleted."""

from __future__ import annotations

from typing import Final

from tests.differential.draw import Body, Draw
from tests.differential.material import CURVES as _CURVES
from tests.differential.material import DAMAGE, SHAPES, SIZES, Chain, Wrapped, csr_template, material, public_pem
from tests.differential.steps import Returned, Step

SYMMETRIC: Final = ("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305")
CURVES: Final = tuple(_CURVES)
#: Types that both servers know, the costly ones rarely.
TYPES: Final = (*SYMMETRIC * 6, *("ed25519",) * 8, *CURVES * 4, *("rsa-2048",) * 4, "rsa-3072", *("hmac",) * 5, "zz")
_IMPORTED: Final = (*SYMMETRIC, "hmac", "ed25519", *CURVES, "rsa-2048")
_OAEP: Final = ("SHA1", "sha224", "SHA256", "SHA384", "SHA512")
_VERSIONS: Final = ("", "", "/1", "/2", "/latest", "/99", "/v1", "/x", "/-1", "/0")


class KeySteps(Draw):
    """Requests about the keys of a case."""

    def _create(self, suffix: str = "") -> Step:
        body: Body = {"type": self._one(*TYPES)}
        odd = self._seldom(10)
        if (odd or body["type"] in (*SYMMETRIC, "ed25519")) and self._seldom(2):
            body["derived"] = True
        if odd or (body.get("derived") and body["type"] in SYMMETRIC):
            self._some(body, convergent_encryption=(2, lambda: True))
        if body["type"] == "hmac":
            body["key_size"] = self._one(31, 513) if odd else self._one(32, 64, 512)
        self._some(
            body,
            exportable=(2, lambda: "x" if odd else True),
            allow_plaintext_backup=(3, lambda: True),
            auto_rotate_period=(8, lambda: self._one("59m", "x", -1) if odd else self._one("1h", 3600, 0, "24h")),
            key_size=(60, lambda: self._one(0, 32, -1, 16)),
            unknown=(20, lambda: 1),
        )
        return Step("POST", f"transit/keys/{self.name}{suffix}", body)

    def _import(self, suffix: str = "") -> Step:
        type_name = self._one(*_IMPORTED)
        body = self._wrapped(type_name) if self._seldom(2) or type_name in SIZES else self._public(type_name)
        body["type"] = self._one(*_IMPORTED, "zz") if self._seldom(8) else type_name
        self._some(
            body,
            allow_rotation=(2, lambda: True),
            derived=(8, lambda: True),
            exportable=(2, lambda: True),
            allow_plaintext_backup=(2, lambda: True),
            auto_rotate_period=(10, lambda: self._one("1h", "1m", 0)),
            public_key=(30, lambda: "x"),
        )
        return Step("POST", f"transit/keys/{self.name}{suffix}/import", body)

    def _import_again(self) -> Step:
        return self._import(self._one("", "b"))

    def _import_version(self) -> Step:
        type_name = self._one(*_IMPORTED)
        body = self._wrapped(type_name) if self._seldom(2) or type_name in SIZES else self._public(type_name)
        self._some(body, version=(4, self._number))
        return Step("POST", f"transit/keys/{self._key()}/import_version", body)

    def _wrapped(self, type_name: str) -> Body:
        if self._seldom(6):
            return {"ciphertext": self._blob("wrapped key")}
        hash_function = self._one(*_OAEP) if self._seldom(3) else "SHA256"
        change = self._one(*DAMAGE) if self._seldom(5) else "as it is"
        body: Body = {"ciphertext": Wrapped(material(type_name, self._material()), hash_function.upper(), change)}
        if hash_function != "SHA256" and not self._seldom(10):
            body["hash_function"] = hash_function
        return self._some(body, hash_function=(30, lambda: self._one("MD5", "", "SHA512", 256)))

    def _public(self, type_name: str) -> Body:
        return {"public_key": public_pem(type_name, self._material()) if not self._seldom(10) else self._one("x", "")}

    def _material(self) -> int:
        """Return the number of a key of which few exist, so that halves of one key meet."""
        return self._random.randrange(2)

    def _import_wrapping_key(self) -> Step:
        body = {"type": "rsa-4096", "public_key": Returned("wrapping key", 0)}
        return Step("POST", f"transit/keys/{self.name}w/import", body)

    def _export_wrapped(self) -> Step:
        version, query = self._one(*_VERSIONS), self._one("", "", "", "?hash=sha1", "?hash=SHA512", "?hash=MD5")
        destination = self.name + "w" if not self._seldom(5) else self._key()
        return Step("GET", f"transit/byok-export/{destination}/{self._key()}{version}{query}")

    def _derive(self) -> Step:
        peer = public_pem(self._one(*CURVES, "ed25519"), self._material())
        body = {"base_key_name": self._key(), "peer_public_key": peer if not self._seldom(8) else self._one("x", "")}
        self._some(
            body,
            base_key_version=(4, self._number),
            derived_key_type=(2, lambda: "zz" if self._seldom(10) else self._one(*TYPES)),
            key_derivation_algorithm=(8, lambda: self._one("ecdh", "x", "")),
        )
        return Step("POST", f"transit/derive-key/{self.name}{self._one('d', 'd', 'd', '')}", body)

    def _read(self) -> Step:
        query = self._one("", "", "?context=Y3R4LTE%3D", "?context=%21")
        return Step("GET", f"transit/keys/{self._key()}{query}")

    def _list(self) -> Step:
        query = self._one(
            *("", f"?after={self.name}", f"?after={self.name}&limit=1", "?after=j&limit=1"),
            *("?limit=-1", "?limit=x", "?after=z"),
        )
        return Step("LIST", f"transit/keys{query}")

    def _configure(self) -> Step:
        body = self._some(
            {},
            min_decryption_version=(2, self._number),
            min_encryption_version=(2, self._number),
            deletion_allowed=(4, lambda: self._one(True, False)),
            exportable=(4, lambda: self._one(True, False)),
            allow_plaintext_backup=(4, lambda: True),
            auto_rotate_period=(8, lambda: self._one("1h", "1m", 0)),
        )
        return Step("POST", f"transit/keys/{self._key()}/config", body)

    def _rotate(self) -> Step:
        return Step("POST", f"transit/keys/{self._key()}/rotate", {})

    def _trim(self) -> Step:
        body = self._some({}, min_available_version=(1, self._number))
        return Step("POST", f"transit/keys/{self._key()}/trim", body)

    def _soft_delete(self) -> Step:
        return Step("DELETE", f"transit/keys/{self._key()}/soft-delete")

    def _undelete(self) -> Step:
        return Step("POST", f"transit/keys/{self._key()}/soft-delete-restore", {})

    def _delete(self) -> Step:
        return Step("DELETE", f"transit/keys/{self._key()}")

    def _export(self) -> Step:
        kind = self._one("encryption-key", "signing-key", "hmac-key", "public-key", "certificate-chain", "zz")
        form = self._one("", "", "", "?format=raw", "?format=der", "?format=pem", "?format=zz")
        return Step("GET", f"transit/export/{kind}/{self._key()}{self._one(*_VERSIONS)}{form}")

    def _back_up(self) -> Step:
        return Step("GET", f"transit/backup/{self._key()}")

    def _restore(self) -> Step:
        place = self._one("", f"/{self.name}", f"/{self.name}b", f"/{self.name}b")
        body = self._some({"backup": self._blob("backup")}, force=(3, lambda: self._one(True, False)))
        return Step("POST", f"transit/restore{place}", body)

    def _request_certificate(self) -> Step:
        template = lambda: self._one("x", "", public_pem("ecdsa-p256", 1)) if self._seldom(4) else csr_template()  # noqa: E731 - a row of the table
        body = self._some({}, version=(3, self._number), csr=(2, template))
        return Step("POST", f"transit/keys/{self._key()}/csr", body)

    def _certify(self) -> Step:
        key, shape = self._key(), self._one(*SHAPES) if self._seldom(2) else "leaf and root"
        body: Body = {} if self._seldom(20) else {"certificate_chain": Chain(key, shape)}
        return Step("POST", f"transit/keys/{key}/set-certificate", self._some(body, version=(4, self._number)))

    def _settings(self) -> Step:
        path, name, values = self._one(
            ("config/keys", "disable_upsert", (True, False, "x", None, 2)),
            ("cache-config", "size", (0, 10, 9, -1, "x", None, 1000)),
        )
        if self._seldom(2):
            return Step("GET", f"transit/{path}")
        return Step("POST", f"transit/{path}", {} if self._seldom(6) else {name: self._one(*values)})
