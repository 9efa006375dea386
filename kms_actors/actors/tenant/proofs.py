"""What tells a service token from a made-up one without its tenant's keyring (see decision 25).

Records: (`token-digest`, digest) TokenProof, written and removed with the token's own record; (`token-digest`,) says
that all tokens of the tenant have one. A tenant made by an older program lacks it until its token is used.
(`token-issuer`,) is what tells its batch tokens.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import NamedTuple

from kms_actors.actors.tenant.header import owner_of
from kms_actors.auth.service_token import ServiceToken, TokenProof
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys

AREA = "token-digest"
#: The public key that a vault's batch tokens are signed by: 32 bytes, there from the first one on.
ISSUER = "token-issuer"


class Proven(NamedTuple):
    """The owner of a tenant, and the proof of a token of its; without one, where the tenant is an old one."""

    vault_id: str
    proof: TokenProof | None


async def prove(tr: Transaction, keys: TenantKeys, digest: bytes) -> Proven | None:
    """Return whose token this is; None for one that proves nothing.

    The same is read for every token, of tenants that are there or not, sealed or not: neither the answer nor the
    time it takes tells them apart.
    """
    owner, record, complete = await asyncio.gather(
        owner_of(tr, keys), tr.get(keys.key(AREA, digest)), tr.get(keys.key(AREA))
    )
    if owner is None or (record is None and complete is not None):
        return None
    return Proven(owner, None if record is None else TokenProof.decode(record))


async def issuer_of(tr: Transaction, keys: TenantKeys) -> tuple[str, bytes] | None:
    """Return the owner of a tenant, and the public key of its batch tokens; None where there is none.

    The same is read for every tenant, whether it is there or not.
    """
    owner, key = await asyncio.gather(owner_of(tr, keys), tr.get(keys.key(ISSUER)))
    return None if owner is None or key is None else (owner, key)


async def keep_issuer(tr: Transaction, keys: TenantKeys, key: bytes) -> None:
    """Write the public key of a tenant's batch tokens, which is always the same."""
    if await tr.get(keys.key(ISSUER)) != key:
        tr.set(keys.key(ISSUER), key)


def proof_key(keys: TenantKeys, digest: bytes) -> bytes:
    """Return where the proof of a token lies."""
    return keys.key(AREA, digest)


@lru_cache(maxsize=1024)
def mark_key(keys: TenantKeys) -> bytes:
    """Return where it is said that all tokens have proofs."""
    return keys.key(AREA)


def keep_proof(
    tr: Transaction, keys: TenantKeys, digest: bytes, token: ServiceToken, *, marked: bool = False
) -> None:
    """Write the proof of a token; `marked`: it is said already that all have one."""
    if not marked:
        tr.set(keys.key(AREA), b"")
    tr.set(keys.key(AREA, digest), TokenProof.of(token).encode())


def drop_proof(tr: Transaction, keys: TenantKeys, digest: bytes) -> None:
    """Remove the proof of a token, with the token."""
    tr.set(keys.key(AREA), b"")
    tr.clear(keys.key(AREA, digest))
