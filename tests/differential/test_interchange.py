"""Keys that one server backs up and the other restores."""

from __future__ import annotations

from typing import Final

import pytest

from tests.differential.comparison import masked
from tests.differential.interchange import (
    CURVES,
    FOX,
    MLDSA,
    RSA,
    SYMMETRIC,
    Kind,
    agree,
    asked,
    encrypted_by_either,
    read,
    same_exports,
)
from tests.differential.material import Chain, Wrapped, material
from tests.differential.pair import Pair, Side

_DERIVATIONS: Final = ((False, False), (True, False), (True, True))
KINDS: Final = (
    *(Kind(name, derived, convergent) for name in SYMMETRIC for derived, convergent in _DERIVATIONS),
    Kind("ed25519"),
    Kind("ed25519", derived=True),
    *(Kind(name) for name in (*CURVES, *RSA, "hmac", *MLDSA)),
)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_backup_of_one_is_restored_by_the_other(pair: Pair, way: tuple[Side, Side], name: str, kind: Kind) -> None:
    source, destination = way
    asked(source, f"keys/{name}", **kind.options)
    old = {}
    if kind.type in SYMMETRIC:
        old = asked(source, f"encrypt/{name}", plaintext=FOX, **kind.context)
    for _ in range(1 if kind.type == "rsa-4096" else 2):
        asked(source, f"keys/{name}/rotate")
    asked(source, f"keys/{name}/config", min_decryption_version=2)
    asked(destination, f"restore/{name}", backup=read(source, f"backup/{name}")["backup"])
    if kind.type in MLDSA and destination == pair.reference:
        # It (2.7.2) panics where it signs with a key of these types that it has restored, its own too, until it
        # reads it anew.
        reloaded = {"mounts": [f"{destination.mounts['transit']}/"]}
        assert destination("POST", "sys/plugins/reload/backend", reloaded).status == 200
    agree(pair, name, kind)
    same_exports(pair, name, kind)
    if old:
        for side in pair:
            asked(side, f"keys/{name}/config", min_decryption_version=1)
            sent = {"ciphertext": old["ciphertext"], **kind.context}
            assert asked(side, f"decrypt/{name}", **sent)["plaintext"] == FOX
        same_exports(pair, name, kind)
    _shown_alike(pair, name)


def _shown_alike(pair: Pair, name: str) -> None:
    """Compare all that is shown of the key but for who restored it and who counts its uses."""
    shown = [masked(side("GET", f"transit/keys/{name}")).data for side in pair]
    kept = [{field: value for field, value in each.items() if field not in _OWN} for each in shown]
    assert kept[0] == kept[1]


#: Fields of a key that say where it was, or that only one of the servers has.
_OWN: Final = ("restore_info", "usage")


def test_a_backup_goes_there_and_back(pair: Pair, way: tuple[Side, Side], name: str) -> None:
    source, destination = way
    kind = Kind("chacha20-poly1305", derived=True, convergent=True)
    asked(source, f"keys/{name}", **kind.options)
    made = asked(source, f"encrypt/{name}", plaintext=FOX, **kind.context)["ciphertext"]
    asked(destination, f"restore/{name}", backup=read(source, f"backup/{name}")["backup"])
    asked(destination, f"keys/{name}/rotate")
    back = read(destination, f"backup/{name}")["backup"]
    refused = source("POST", f"transit/restore/{name}", {"backup": back})
    assert refused.errors == (f'key "{name}" already exists',)
    asked(source, f"restore/{name}", backup=back, force=True)
    assert asked(source, f"decrypt/{name}", ciphertext=made, **kind.context)["plaintext"] == FOX
    agree(pair, name, kind)


def test_a_certificate_travels_in_a_backup(pair: Pair, way: tuple[Side, Side], name: str) -> None:
    source, destination = way
    asked(source, f"keys/{name}", **Kind("ecdsa-p384").options)
    public = read(source, f"keys/{name}")["keys"]["1"]["public_key"]
    chain = Chain(name, "leaf and root").of({f"public key of {name}": [public]})
    asked(source, f"keys/{name}/set-certificate", certificate_chain=chain)
    asked(destination, f"restore/{name}", backup=read(source, f"backup/{name}")["backup"])
    chains = [read(side, f"export/certificate-chain/{name}")["keys"] for side in pair]
    assert chains[0] == chains[1] == {"1": chain.rstrip("\n")}


@pytest.mark.parametrize("type_name", ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"])
def test_a_key_with_the_older_derivation_is_restored_with_it(pair: Pair, name: str, type_name: str) -> None:
    """The reference derives from imported keys in counter mode; a backup says so."""
    ours, reference = pair
    kind = Kind(type_name, derived=True)
    blob = Wrapped(material(type_name, 7)).of({"wrapping key": [read(reference, "wrapping_key")["public_key"]]})
    flags = {"derived": True, "exportable": True, "allow_plaintext_backup": True}
    asked(reference, f"keys/{name}/import", type=type_name, ciphertext=blob, **flags)
    assert read(reference, f"keys/{name}")["kdf"] == "hmac-sha256-counter"
    asked(ours, f"restore/{name}", backup=read(reference, f"backup/{name}")["backup"])
    assert read(ours, f"keys/{name}")["kdf"] == "hmac-sha256-counter"
    encrypted_by_either(pair, name, kind)


@pytest.mark.parametrize("type_name", [*SYMMETRIC, "ed25519"])
def test_a_derived_key_that_was_imported_here_is_restored_there(pair: Pair, name: str, type_name: str) -> None:
    ours, reference = pair
    blob = Wrapped(material(type_name, 8)).of({"wrapping key": [read(ours, "wrapping_key")["public_key"]]})
    flags = {"derived": True, "exportable": True, "allow_plaintext_backup": True}
    asked(ours, f"keys/{name}/import", type=type_name, ciphertext=blob, **flags)
    asked(reference, f"restore/{name}", backup=read(ours, f"backup/{name}")["backup"])
    agree(pair, name, Kind(type_name, derived=True))
