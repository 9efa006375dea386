"""Where Transit's answers differ from those of the reference server on purpose: each with its reason.

`docs/compatibility.md` tells users the same.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tests.differential.deviation import Deviation, first_of, other_wrong_type
from tests.differential.material import Wrapped, material, public_pem
from tests.differential.pair import BROKEN, Answer
from tests.differential.steps import Step
from tests.differential.transit_texts import same, without

#: Mistakes that are told here before those of the type or the version of a key.
_FOUND_FIRST: Final = re.compile("unable to get associated_data|refusing to use soft-deleted key|no such key version")

#: What no imported key can have.
_IMPOSSIBLE: Final = re.compile("auto rotate period must be|key derivation and convergent encryption not supported")
#: Fields that tell of an import, and of what keys are derived with.
_OF_IMPORTS: Final = ("imported_key", "imported_key_allow_rotation", "kdf", "kdf_mode")
#: What is said of a key that is not there.
_KEY_MISSING: Final = re.compile(
    "not found|no existing key|no key found|invalid key name|no such (source|destination)"
)


def _items(answer: Answer) -> list[Any]:
    items: list[Any] = answer.data.get("batch_results", []) if isinstance(answer.data, dict) else []
    return items


def _some_item_says(answer: Answer, text: str) -> bool:
    return any(item.get("error") == text for item in _items(answer))


def _aligned(ours: Answer, reference: Answer) -> Answer:
    """Return the reference's answer with the items as here whose first mistakes are others."""
    if len(_items(ours)) != len(_items(reference)) or not _items(ours):
        return reference
    items = [
        {**theirs, "error": mine["error"]}
        if "error" in mine and "error" in theirs and _FOUND_FIRST.match(mine["error"])
        else theirs
        for mine, theirs in zip(_items(ours), _items(reference), strict=True)
    ]
    return reference._replace(data={**reference.data, "batch_results": items})


_SOFT_DELETED: Final = Answer(400, None, ("refusing to use soft-deleted key",))


def _only_validity(ours: Answer, reference: Answer) -> bool:
    def kept_of(answer: Answer) -> Answer:
        items = [{name: value for name, value in item.items() if name != "valid"} for item in _items(answer)]
        kept = without(answer, "valid", "batch_results")
        return kept._replace(data={**kept.data, "items": items}) if isinstance(kept.data, dict) else kept

    return kept_of(ours) == kept_of(reference)


def _creates(step: Step) -> bool:
    return step.method == "POST" and step.path.startswith("transit/keys/") and step.path.count("/") == 2


#: Which of two mistakes the reference tells is chance: it tells each of them in so many tries.
_OFTEN: Final = 20

#: A peer's public key, and which of ours agrees with it.
_AGREEMENT: Final = {"base_key_name": "example", "peer_public_key": public_pem("ecdsa-p256", 0)}


def _soft_deleted(**options: Any) -> tuple[Step, ...]:
    return Step("POST", "transit/keys/example", options), Step("DELETE", "transit/keys/example/soft-delete")


def _imported(name: str = "example", **options: Any) -> Step:
    body = {"ciphertext": Wrapped(material(options["type"], 0)), **options}
    return Step("POST", f"transit/keys/{name}/import", body)


DEVIATIONS: Final = (
    Deviation(
        "a mistake of the caller is 400, not 500: clients repeat what answers 500",
        lambda _, ours, reference: (ours.status, reference.status, ours.errors) == (400, 500, reference.errors),
        0,
    ),
    Deviation(
        "an item that its RSA key cannot decrypt fails alone; there the batch of a rewrap ends with 500",
        lambda step, ours, reference: (
            step.path.startswith("transit/rewrap/")
            and reference.status == 500
            and _some_item_says(ours, *reference.errors)
        ),
        42,
    ),
    Deviation(
        "the last part of a path is made of letters, digits, dots and dashes, and begins with none of the latter",
        lambda step, ours, reference: ours.status == 404 and "/-1" in step.path and reference.status >= 400,
        8,
    ),
    Deviation(
        "an hmac key needs no key_size: 32 bytes, as in Vault",
        lambda step, ours, reference: (
            _creates(step)
            and ours.status == 200
            and "invalid key size for HMAC key, must be between" in "".join(reference.errors)
        ),
        (Step("POST", "transit/keys/example", {"type": "hmac"}),),
    ),
    other_wrong_type((Step("POST", "transit/keys/example", {"derived": "x", "exportable": "x"}),) * _OFTEN),
    Deviation(
        "an item that fails by its associated data counts for the status of its batch like any other",
        lambda step, ours, reference: (
            ours.status != 200
            and reference.status == 200
            and ours.data == reference.data
            and "associated_data" in str(step.body)
        ),
        74,
    ),
    Deviation(
        "a hash algorithm counts for the verification of an HMAC, too",
        lambda step, ours, reference: (
            step.path.startswith("transit/verify/")
            and "hash_algorithm" in (step.body or {})
            and "hmac" in str(step.body)
            and (("unsupported algorithm",) in (ours.errors, reference.errors) or _only_validity(ours, reference))
        ),
        66,
    ),
    Deviation(
        "algorithm is a name of hash_algorithm",
        lambda step, ours, reference: (
            step.path.split("/")[1] in ("sign", "verify")
            and "algorithm" in (step.body or {})
            and ("invalid hash algorithm" in "".join(ours.errors) or _only_validity(ours, reference))
        ),
        986,
    ),
    Deviation(
        "of several mistakes another is told: a hash algorithm of no known name is told before the key is looked at",
        lambda step, ours, reference: (
            step.path.split("/")[1] in ("sign", "verify")
            and ours.status == reference.status == 400
            and "invalid hash algorithm" in "".join(ours.errors + reference.errors)
        ),
        12,
    ),
    Deviation(
        "of several mistakes another is told: a hash algorithm is told before a format, a destination before its key",
        lambda step, ours, reference: (
            step.path.split("/")[1] in ("hash", "byok-export") and ours.status == reference.status == 400
        ),
        (Step("POST", "transit/hash/sha1", {"input": "AAAA", "format": "zz"}),),
    ),
    Deviation(
        "the hash algorithm `none` is for PKCS#1 v1.5 of prehashed input alone, as in Vault 1.14",
        lambda _, ours, reference: (
            "".join(ours.errors).startswith("hash_algorithm=none requires both")
            and "hash_algorithm=none" not in "".join(reference.errors)
        ),
        34,
    ),
    Deviation(
        "a derived Ed25519 key's own public key is not exported: it is half of what contexts' keys are derived from",
        lambda step, ours, reference: (
            "/export/public-key/" in step.path
            and ours.errors == ("public-key export is not supported for keys with derivation enabled",)
            and reference.status in (200, 400)
        ),
        312,
    ),
    Deviation(
        "a soft-deleted key can be read, the public keys of its contexts, too",
        lambda step, ours, reference: (
            step.method == "GET"
            and "?context=" in step.path
            and ours.status == 200
            and ours.data["soft_deleted"]
            and "refusing to use soft-deleted key" in "".join(reference.errors)
        ),
        (*_soft_deleted(type="ed25519", derived=True), Step("GET", "transit/keys/example?context=Y3R4")),
    ),
    Deviation(
        "a soft-deleted key makes no signatures, not even of requests for certificates",
        lambda step, ours, reference: (
            step.path.endswith("/csr") and ours == _SOFT_DELETED and reference.status == 200
        ),
        30,
    ),
    Deviation(
        "a soft-deleted key derives none",
        lambda step, ours, reference: (
            step.path.startswith("transit/derive-key/") and ours == _SOFT_DELETED and reference.status == 204
        ),
        (*_soft_deleted(type="ecdsa-p256"), Step("POST", "transit/derive-key/derived", _AGREEMENT)),
    ),
    Deviation(
        "an imported key stays one when it is rotated, and derives by HKDF",
        lambda _, ours, reference: (
            isinstance(ours.data, dict)
            and bool(ours.data.get("imported_key"))
            and without(ours, *_OF_IMPORTS) == without(reference, *_OF_IMPORTS)
        ),
        21,
    ),
    Deviation(
        "a key of which only the public half is known breaks no request",
        lambda _, ours, reference: reference == BROKEN and ours != BROKEN,
        825,
    ),
    Deviation(
        "versions may be imported for a key that was imported, whatever came between",
        lambda step, _, reference: (
            step.path.endswith("/import_version")
            and reference.errors == ("the import_version endpoint can only be used with an imported key",)
        ),
        302,
    ),
    Deviation(
        "a key that was made here gets no version that a peer knows",
        lambda step, ours, _: (
            step.path.startswith("transit/derive-key/")
            and ours.errors == ("the import_version endpoint can only be used with an imported key",)
        ),
        354,
    ),
    Deviation(
        "a key of which only the public half is known is exported to nobody, and that is told",
        lambda step, ours, reference: (
            "/byok-export/" in step.path
            and ours.errors == ("private key not imported for key version selected",)
            and reference.status == 200
            and not reference.data["keys"]
        ),
        1481,
    ),
    Deviation(
        "what a peer agrees on is no private key, and no public one either",
        lambda step, ours, reference: (
            step.path.startswith("transit/derive-key/")
            and "".join(ours.errors).startswith("error importing key: error parsing asymmetric key")
            and "".join(reference.errors).startswith("error importing key: error parsing public key")
        ),
        (
            Step("POST", "transit/keys/example", {"type": "ecdsa-p256"}),
            _imported("derived", type="ed25519"),
            Step("POST", "transit/derive-key/derived", _AGREEMENT),
        ),
    ),
    Deviation(
        "rewrap takes associated data",
        lambda step, ours, reference: (
            step.path.startswith("transit/rewrap/") and "associated_data" in str(step.body) and ours.status < 500
        ),
        6,
    ),
    Deviation(
        "imported keys derive by HKDF, whatever their size",
        lambda _, ours, reference: (
            ours.status < 500
            and re.search("length not correct|bad private key length", str([*reference.errors, *_items(reference)]))
            is not None
        ),
        (
            _imported(type="ed25519", derived=True),
            Step("POST", "transit/sign/example", {"input": "", "context": "Y3R4"}),
        ),
    ),
    Deviation(
        "an imported key that may not be rotated has no time to be",
        lambda step, ours, reference: (
            step.path.endswith("/config")
            and ours.errors == ("allow_rotation must be set to true if auto-rotation is enabled",)
            and reference.status == 200
        ),
        (_imported(type="aes256-gcm96"), Step("POST", "transit/keys/example/config", {"auto_rotate_period": "24h"})),
    ),
    Deviation(
        "the wrapping key is not listed",
        lambda step, ours, reference: (
            step.method == "LIST"
            and [name for name in reference.data["keys"] if name != "import/"] == (ours.data or {"keys": []})["keys"]
        ),
        33,
    ),
    Deviation(
        "an import takes one of a ciphertext and a public key",
        lambda step, ours, reference: (
            "/import" in step.path
            and ours.errors == ("only one of the following fields, ciphertext and public_key, can be set",)
        ),
        68,
    ),
    Deviation(
        "an import takes options that a key of its type can have, as creation does",
        lambda step, ours, reference: (
            step.path.endswith("/import")
            and ours.status == 400
            and _IMPOSSIBLE.match("".join(ours.errors)) is not None
            and (reference.status == 204 or "error importing key" in "".join(reference.errors))
        ),
        20,
    ),
    Deviation(
        "a batch that fails is warned of the parameters that play no part, too",
        lambda step, ours, reference: (
            ours.status != 200
            and ours._replace(warnings=()) == reference._replace(warnings=())
            and all(text.startswith("Endpoint ") for text in set(ours.warnings) ^ set(reference.warnings))
        ),
        21,
    ),
    Deviation(
        "of several mistakes another is told: associated data is decoded first, and soft deletion is looked at",
        lambda _, ours, reference: (
            ours.status == 400
            and reference.status in (400, 500)
            and not _KEY_MISSING.search("".join(reference.errors))
            and _FOUND_FIRST.match("".join(ours.errors)) is not None
        ),
        1,
    ),
)


def deviation(step: Step, ours: Answer, reference: Answer, seen: list[Deviation]) -> Deviation | None:
    """Return the deviation that explains a difference, if any does, and add it to those `seen`."""
    ours, reference = same(ours), same(reference)
    reference = _aligned(ours, reference)
    if ours == reference:
        return Deviation("reworded", lambda *_: True)
    return first_of(DEVIATIONS, step, ours, reference, seen)
