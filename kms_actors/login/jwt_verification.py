"""A token's signature: by which key it verifies, if by any."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from cryptography.exceptions import InvalidSignature

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_algorithms import ALGORITHMS
from kms_actors.login.jwt_compact import Jws, claims_of
from kms_actors.login.jwt_keys import TokenKey, candidates

#: Keys that a token without a key id is tried with: each costs up to a millisecond.
MAX_TRIES: Final = 32


class UnknownKey(InvalidRequest):
    """No key at hand has signed the token: the issuer may have made a new one since."""


def verify(token: Jws, keys: Iterable[TokenKey], allowed: Collection[str]) -> None:
    """Return if one of `keys` has signed a token, by one of the algorithms that are `allowed`.

    The algorithm that the token names is looked up among those, and tried with keys of its own type alone.

    Raises:
        UnknownKey: none of them has signed it.
        InvalidRequest: it names another algorithm.

    """
    algorithm = ALGORITHMS.get(token.algorithm) if token.algorithm in allowed else None
    if algorithm is None:
        raise InvalidRequest("invalid algorithm (alg) header parameter: token signed with unexpected algorithm")
    tries = [key.key for key in candidates(keys, token.key_id, token.algorithm) if algorithm.takes(key.key)]
    for key in tries[:MAX_TRIES]:
        try:
            algorithm.verify(key, token.signature, token.signed)
        except (InvalidSignature, ValueError):
            continue
        return
    raise UnknownKey("error verifying token signature: no known key successfully validated the token signature")


def verified_claims(token: Jws, keys: Iterable[TokenKey], allowed: Collection[str]) -> dict[str, Any]:
    """Return the claims of a token that `verify` takes; raises InvalidRequest, too, if its payload is no object."""
    verify(token, keys, allowed)
    return claims_of(token)
