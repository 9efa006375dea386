"""Whose turn a request takes, before anything is done for it: its vault's, where its token has proved to be of one.

What is remembered is a hash with a key of the process, so that no token is kept, and nobody can make one that passes
for another's. A token that is new here, and whoever has none, share the account of their address.
"""

from __future__ import annotations

from typing import Final

from kms_http import caller
from kms_http.wire.hub import by_address
from kms_http.wire.request import Request

#: Tokens whose vault is remembered; past it all are learned anew.
_MOST: Final = 32_768


class Accounts:
    """Vaults by tokens, of one process."""

    def __init__(self) -> None:
        self._vaults: dict[int, str] = {}

    def of(self, request: Request) -> str:
        """Return the account of a request."""
        vault = self._vaults.get(hash(caller.token_of(request.headers)))
        return by_address(request) if vault is None else vault

    def learn(self, token: str, scope: str) -> None:
        """Remember of which vault, or cluster, a token is."""
        if len(self._vaults) >= _MOST:
            self._vaults.clear()
        self._vaults[hash(token)] = scope
