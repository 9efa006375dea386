"""What help and documents say of KV's routes."""

from __future__ import annotations

from typing import Final

from kms_http.describing.about import About, Texts

VERSIONED: Final = (
    "Secrets with versions: each write makes a new one, and older ones stay, up to a number. A version can be\n"
    "deleted and undeleted; what is destroyed is gone."
)
UNVERSIONED: Final = "Secrets without versions: each write replaces what was there."

_FOLDER: Final = {"path": "Folder.", "name": "Name."}
_CAS: Final = "Options of the write: `cas` is the version that must be the latest, 0 for none at all."

TEXTS: Final[Texts] = {
    "config": About("Settings of all secrets below the mount."),
    "data/{path...}": About(
        "Read, write, patch and delete a secret.",
        "A write makes a new version of all that is sent. A patch changes names of the latest version, and takes\n"
        "away those that are null. Deleting marks the latest version; it can be undeleted.",
        {"path": "Path of the secret.", "options": _CAS, "version": "Version to read; 0 or none for the latest."},
        ("data",),
    ),
    "delete/{path...}": About("Delete versions of a secret.", "", {"path": "Path of the secret."}, ("versions",)),
    "undelete/{path...}": About("Undelete versions.", "", {"path": "Path of the secret."}, ("versions",)),
    "destroy/{path...}": About(
        "Destroy versions of a secret: they are gone.", "", {"path": "Path of the secret."}, ("versions",)
    ),
    "metadata": About("List the secrets and folders at the top."),
    "metadata/{path...}": About(
        "Settings and versions of a secret, and lists of folders.",
        "Deleting the metadata removes the secret with all its versions.",
        {"path": "Path of the secret, or folder."},
    ),
    "detailed-metadata": About("List the secrets at the top with their metadata."),
    "detailed-metadata/{path...}": About("List the secrets of a folder with their metadata.", "", _FOLDER),
    "times/{path...}": About(
        "Set when a secret and its versions were made, changed and deleted.",
        "For what comes from another server: times of RFC 3339, as its metadata has them. None undeletes a version.",
        {
            "path": "Path of the secret.",
            "created_time": "When the secret was made.",
            "updated_time": "When it was changed last.",
            "versions": "By number: `created_time` and `deletion_time`, as in answers of `metadata/`.",
        },
    ),
    "subkeys/{path...}": About("The names within a secret, without values.", "", {"path": "Path of the secret."}),
}
UNVERSIONED_TEXTS: Final[Texts] = {
    "{path...}": About(
        "Read, write, delete and list secrets.",
        "A write takes any JSON object that is not empty, and replaces what was there.",
        {"path": "Path of the secret, or folder."},
    ),
}
