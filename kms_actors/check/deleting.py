"""Whether a vault is being deleted: what of it is there by then says nothing of the rest."""

from __future__ import annotations

from kms_actors.actors.tenant.standing import decoded
from kms_actors.errors import FormatError
from kms_actors.tenancy.records import Erasure


def begun(erasure: bytes | None) -> bool:
    """Tell whether records of a deleted vault are gone already; what is wrong with its record is found there."""
    try:
        found = decoded(erasure, Erasure)
    except FormatError:
        return False
    return found is not None and bool(found.begun)
