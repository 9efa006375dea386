"""Asks a socket what an API server would, and tells what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc

from kms_actors.cli.kubernetes import messages
from kms_actors.cli.looking.findings import Finding, good, wrong

#: Seconds that an API server waits for an answer, where it is not told otherwise.
_SECONDS: Final = 3.0


class Caller:
    """Calls both services of a socket. Answers are those of `messages`; grpc.RpcError is raised for refusals."""

    def __init__(self, path: Path, seconds: float = _SECONDS) -> None:
        self._channel = grpc.insecure_channel(f"unix:{path.absolute()}")
        self._seconds = seconds
        self._services = (
            ("v2.KeyManagementService", messages.classes("v2", messages.KMS)),
            ("v1.ExternalJWTSigner", messages.classes("v1", messages.SIGNER)),
        )

    def call(self, method: str, **fields: Any) -> Any:
        """Return the answer to a method of either service."""
        kind = "SignJWT" if method == "Sign" else method
        service, classes = next(each for each in self._services if f"{kind}Request" in each[1])
        ask = self._channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=classes[f"{kind}Request"].SerializeToString,
            response_deserializer=classes[f"{kind}Response"].FromString,
        )
        return ask(classes[f"{kind}Request"](**fields), timeout=self._seconds)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def look(path: Path) -> Iterator[Finding]:
    """Yield what is found at a socket: of each service that is served there."""
    caller = Caller(path)
    try:
        served = [*_of(caller, "sealing", _sealing), *_of(caller, "signing", _signing)]
    finally:
        caller.close()
    yield from served or [wrong("socket", f"{path} serves neither KMS v2 nor ExternalJWTSigner")]


def _of(caller: Caller, what: str, look_at: Any) -> Iterator[Finding]:
    try:
        yield from look_at(caller)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            yield wrong(what, f"{error.code().name.lower()}: {error.details()}")


def _sealing(caller: Caller) -> Iterator[Finding]:
    status = caller.call("Status")
    if status.healthz != "ok":
        yield wrong("sealing", status.healthz)
        return
    seed = os.urandom(32)
    sealed = caller.call("Encrypt", plaintext=seed, uid="check")
    opened = caller.call("Decrypt", ciphertext=sealed.ciphertext, uid="check", key_id=sealed.key_id).plaintext
    if opened != seed or sealed.key_id != status.key_id:
        yield wrong("sealing", "what was sealed does not come back, or by another key")
    else:
        yield good("sealing", f"KMS {status.version}, key {status.key_id}: sealed and opened")


def _signing(caller: Caller) -> Iterator[Finding]:
    most = caller.call("Metadata").max_token_expiration_seconds
    keys = caller.call("FetchKeys").keys
    yield good("signing", f"{len(keys)} keys, the newest {keys[-1].key_id}; tokens of {most} seconds at most")
