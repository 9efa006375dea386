"""What help and documents say of Transit's routes."""

from __future__ import annotations

from typing import Final

from kms_http.describing.about import About, Texts

DESCRIPTION: Final = (
    "Encryption as a service: named keys encrypt, sign and verify what is sent, and never leave the server unless\n"
    "they may be exported. Nothing that is sent is kept."
)

_KEY: Final = {"name": "Name of the key."}
_BATCH: Final = "Several at once: `batch_input`, a list of objects with these fields, gives `batch_results`."
_TYPED: Final = {"type": "Type of the key; docs/compatibility.md lists all.", "name": "Name of the key."}
_EXPORTED: Final = {"type": "What is exported: `encryption-key`, `signing-key`, `hmac-key`, `public-key` and so on."}

TEXTS: Final[Texts] = {
    "keys": About("List the keys."),
    "keys/{name}": About(
        "Make, read and delete a key.", "A key is deleted only if its setting `deletion_allowed` says so.", _TYPED
    ),
    "keys/{name}/rotate": About("Make the next version of a key.", "", _KEY),
    "keys/{name}/config": About("Change the settings of a key.", "", _KEY),
    "keys/{name}/trim": About("Destroy old versions of a key.", "", _KEY, ("min_available_version",)),
    "keys/{name}/soft-delete": About("Delete a key so that it can be restored.", "", _KEY),
    "keys/{name}/soft-delete-restore": About("Restore a key that was deleted softly.", "", _KEY),
    "keys/{name}/import": About("Import a key that was made elsewhere.", "", _TYPED),
    "keys/{name}/import_version": About("Import the next version of a key.", "", _KEY),
    "keys/{name}/csr": About("Make a request for a certificate of a key.", "", _KEY),
    "keys/{name}/set-certificate": About("Keep a certificate with a key.", "", _KEY, ("certificate_chain",)),
    "config/keys": About("Settings of all keys of the mount."),
    "cache-config": About("How many keys are cached."),
    "encrypt/{name}": About(
        "Encrypt a text.",
        f"A key that is not there is made, if that may be. {_BATCH}",
        {**_TYPED, "type": "Type of the key, if it is made."},
    ),
    "decrypt/{name}": About("Decrypt a ciphertext.", _BATCH, _KEY),
    "rewrap/{name}": About("Encrypt anew with the latest version, without showing the text.", _BATCH, _KEY),
    "datakey/{plaintext}/{name}": About("Make a data key, encrypted, and in plain text if asked for.", "", _KEY),
    "datakeys/{plaintext}/{name}": About("Make several data keys at once.", "", _KEY),
    "derivedkeys/{plaintext}/{name}": About("Derive several keys at once.", "", _KEY),
    "derive-key/{name}": About("Derive a key from one's own and another's public one, and keep it.", "", _KEY),
    "hmac/{name}": About("Authenticate a text by HMAC.", _BATCH, _KEY),
    "hmac/{name}/{urlalgorithm}": About("Authenticate a text by HMAC with this hash.", _BATCH, _KEY),
    "cmac/{name}": About("Authenticate a text by CMAC.", _BATCH, _KEY),
    "cmac/{name}/{url_mac_length}": About("Authenticate a text by CMAC of this length.", _BATCH, _KEY),
    "sign/{name}": About("Sign a text.", _BATCH, _KEY),
    "sign/{name}/{urlalgorithm}": About("Sign a text with this hash.", _BATCH, _KEY),
    "verify/{name}": About("Verify a signature, an HMAC or a CMAC.", _BATCH, _KEY),
    "verify/{name}/{urlalgorithm}": About("Verify with this hash.", _BATCH, _KEY),
    "hash": About("Hash a text."),
    "hash/{urlalgorithm}": About("Hash a text with this hash."),
    "random": About("Random bytes."),
    "random/{source}": About("Random bytes of a source, or so many."),
    "random/{source}/{urlbytes}": About("So many random bytes of a source."),
    "export/{type}/{name}": About("Export all versions of a key.", "", {**_KEY, **_EXPORTED}),
    "export/{type}/{name}/{version}": About(
        "Export one version of a key.", "", {**_KEY, **_EXPORTED, "version": "Version, or `latest`."}
    ),
    "byok-export/{destination}/{name}": About("Export a key, encrypted for another one.", "", _KEY),
    "byok-export/{destination}/{name}/{version}": About(
        "Export one version of a key, encrypted for another one.", "", {**_KEY, "version": "Version, or `latest`."}
    ),
    "wrapping_key": About("The public key that imported keys are encrypted with."),
    "backup/{name}": About("Back up a key with all its versions.", "", _KEY),
    "restore": About("Restore a key from its backup.", "", {}, ("backup",)),
    "restore/{name}": About("Restore a key from its backup, under this name.", "", _KEY, ("backup",)),
}
