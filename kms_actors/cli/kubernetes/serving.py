"""Both services over gRPC, on a unix socket that only its user may open."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
import structlog

from kms_actors.cli.kubernetes import messages
from kms_actors.cli.kubernetes.envelope import FOLLOW_SECONDS, Envelope
from kms_actors.cli.kubernetes.signer import Signer
from kms_actors.cli.kubernetes.transit import NoToken, Unreachable
from kms_actors.cli.sender import RequestFailed
from kms_actors.errors import InvalidRequest
from kms_actors.system_errors import in_words

#: Requests at once; API servers send few.
_THREADS: Final = 16
#: Bytes of a request.
_MOST_BYTES: Final = 1 << 20
#: Seconds that requests under way may take once the service is to end.
_GRACE: Final = 5.0
_VERSION: Final = "v2"
#: Bytes that the system takes of a unix socket's path.
_LONGEST_PATH: Final = 107

_KMS: Final = messages.classes("v2", messages.KMS)
_SIGNER: Final = messages.classes("v1", messages.SIGNER)

_log: Final = structlog.get_logger("kms_actors")

#: A request to an answer, of the classes above.
_Work = Callable[[Any], Any]


class Service:
    """Serves on `path` from `start` to `stop`, once it has had a `look` at the keys."""

    def __init__(self, path: Path, envelope: Envelope | None, signer: Signer | None, most_seconds: int) -> None:
        self._path = path
        self._follow = [each.follow for each in (envelope, signer) if each is not None]
        self._ending = threading.Event()
        self._following = threading.Thread(target=self._keep_following, daemon=True)
        options = [("grpc.max_receive_message_length", _MOST_BYTES)]
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), options=options)
        if envelope is not None:
            self._server.add_generic_rpc_handlers((_handlers("v2.KeyManagementService", _KMS, _sealing(envelope)),))
        if signer is not None:
            work = _signing(signer, most_seconds)
            self._server.add_generic_rpc_handlers((_handlers("v1.ExternalJWTSigner", _SIGNER, work),))

    def look(self) -> None:
        """Look at the keys. Raises RequestFailed."""
        for follow in self._follow:
            follow()

    def start(self) -> None:
        """Serve. Raises InvalidRequest."""
        _make_room(self._path)
        before = os.umask(0o177)
        try:
            bound = self._server.add_insecure_port(f"unix:{self._path}")
            self._server.start()
        except RuntimeError:
            bound = 0
        finally:
            os.umask(before)
        if not bound:
            raise InvalidRequest(f"--socket: {self._path} cannot be made")
        self._following.start()

    def stop(self) -> None:
        """Let requests under way end, and take the socket away."""
        self._ending.set()
        self._server.stop(_GRACE).wait()
        self._following.join()
        self._path.unlink(missing_ok=True)

    def _keep_following(self) -> None:
        failed = ""
        while not self._ending.wait(FOLLOW_SECONDS):
            told = ""
            for follow in self._follow:
                try:
                    follow()
                except RequestFailed as error:
                    told = str(error)
            if told != failed:
                if told:
                    _log.warning("the keys cannot be looked at", reason=told)
                else:
                    _log.info("the keys can be looked at again")
            failed = told


def _sealing(envelope: Envelope) -> Mapping[str, tuple[str, str, _Work]]:
    def status(_: Any) -> Any:
        healthz, key_id = envelope.status()
        return _KMS["StatusResponse"](version=_VERSION, healthz=healthz, key_id=key_id)

    def encrypt(asked: Any) -> Any:
        made = envelope.seal(asked.plaintext)
        return _KMS["EncryptResponse"](ciphertext=made.ciphertext, key_id=made.key_id)

    def decrypt(asked: Any) -> Any:
        return _KMS["DecryptResponse"](plaintext=envelope.open(asked.ciphertext))

    return {
        "Status": ("StatusRequest", "StatusResponse", status),
        "Encrypt": ("EncryptRequest", "EncryptResponse", encrypt),
        "Decrypt": ("DecryptRequest", "DecryptResponse", decrypt),
    }


def _signing(signer: Signer, most_seconds: int) -> Mapping[str, tuple[str, str, _Work]]:
    def sign(asked: Any) -> Any:
        return _SIGNER["SignJWTResponse"](**signer.sign(asked.claims)._asdict())

    def fetch_keys(_: Any) -> Any:
        keys = signer.keys()
        answer = _SIGNER["FetchKeysResponse"](
            keys=[_SIGNER["Key"](key_id=each.id, key=each.der) for each in keys.versions.values()],
            refresh_hint_seconds=int(FOLLOW_SECONDS),
        )
        answer.data_timestamp.seconds = int(keys.read)
        return answer

    def metadata(_: Any) -> Any:
        return _SIGNER["MetadataResponse"](max_token_expiration_seconds=most_seconds)

    return {
        "Sign": ("SignJWTRequest", "SignJWTResponse", sign),
        "FetchKeys": ("FetchKeysRequest", "FetchKeysResponse", fetch_keys),
        "Metadata": ("MetadataRequest", "MetadataResponse", metadata),
    }


def _handlers(service: str, classes: Mapping[str, Any], methods: Mapping[str, tuple[str, str, _Work]]) -> Any:
    return grpc.method_handlers_generic_handler(
        service,
        {
            name: grpc.unary_unary_rpc_method_handler(
                _answering(work),
                request_deserializer=classes[asked].FromString,
                response_serializer=classes[answered].SerializeToString,
            )
            for name, (asked, answered, work) in methods.items()
        },
    )


def _answering(work: _Work) -> Callable[[Any, grpc.ServicerContext], Any]:
    def answer(asked: Any, context: grpc.ServicerContext) -> Any:
        try:
            return work(asked)
        except (Unreachable, NoToken) as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except RequestFailed as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

    return answer


def _try(path: Path) -> None:
    """Make a socket, and take it away: gRPC tells nobody but its own log why it cannot."""
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise InvalidRequest(f"--socket: {path} is longer than the {_LONGEST_PATH} bytes of a socket's path")
    try:
        with socket.socket(socket.AF_UNIX) as tried:
            tried.bind(os.fsencode(path))
        path.unlink(missing_ok=True)
    except OSError as error:
        reason = "no such folder" if isinstance(error, FileNotFoundError) else in_words(error)
        raise InvalidRequest(f"--socket: {path} cannot be made: {reason}") from None


def _make_room(path: Path) -> None:
    """Take away a socket that nobody serves any more; raises InvalidRequest where none can be made."""
    try:
        there = path.stat()
    except FileNotFoundError:
        _try(path)
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise InvalidRequest(f"--socket: {path} is there, and no socket")
    with socket.socket(socket.AF_UNIX) as tried:
        try:
            tried.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise InvalidRequest(f"--socket: another process serves {path}")
