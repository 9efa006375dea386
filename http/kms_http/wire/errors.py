"""What each error becomes on the wire: one table.

Vault has two styles of text: plain, and the one of Go's multierror, which strict clients compare.
"""

from __future__ import annotations

from typing import NamedTuple

from kms_actors.errors import (
    AuthenticationFailed,
    FormatError,
    IntegrityError,
    InvalidRequest,
    KmsError,
    Leaving,
    LimitReached,
    LoginRefused,
    NamedNotFound,
    NewerKeyVersion,
    NotFound,
    NotRecorded,
    PermissionDenied,
    Sealed,
    StoreError,
    StoreUnavailable,
    TransactionConflict,
    TransactionTooLarge,
    Unavailable,
    UnsupportedOperation,
    UnsupportedPath,
)
from kms_http.wire import json_codec
from kms_http.wire.response import Response

OWN = "\0"  # the error's own text


class HttpError(KmsError):
    """An error of the HTTP layer itself. `close` ends the connection: what follows on it is not understood."""

    def __init__(self, status: int, *texts: str, close: bool = False, retry_after: int = 0) -> None:
        super().__init__(*texts)
        self.status = status
        self.texts = texts
        self.close = close
        self.retry_after = retry_after  # seconds; 0 where that is not known to help


_BUSY = "too many requests at once, try again"


def too_busy() -> HttpError:
    """Return the error of a request for which there is no memory now."""
    return HttpError(503, _BUSY, close=True, retry_after=1)


def overloaded() -> HttpError:
    """Return the error of a request for which there is no time now."""
    return HttpError(503, _BUSY, retry_after=1)


def given_up() -> HttpError:
    """Return the error of a request whose work was ended by others, before anybody knew what came of it."""
    return HttpError(503, "cancelled before the outcome was known")


def broken_off() -> HttpError:
    """Return the error of a body that does not come to its end."""
    return HttpError(400, "malformed or incomplete request body", close=True)


class _Answer(NamedTuple):
    status: int
    text: str | None = None  # None: no text at all
    multierror: bool = False


INTERNAL = _Answer(500, "internal error")

TABLE: dict[type[KmsError], _Answer] = {
    InvalidRequest: _Answer(400, OWN),
    LimitReached: _Answer(429, OWN),
    AuthenticationFailed: _Answer(403, "permission denied"),
    LoginRefused: _Answer(403, OWN),
    PermissionDenied: _Answer(403, "permission denied", multierror=True),
    NotFound: _Answer(404),
    NamedNotFound: _Answer(404, OWN),
    UnsupportedPath: _Answer(404, "unsupported path", multierror=True),
    UnsupportedOperation: _Answer(405, "unsupported operation", multierror=True),
    NotRecorded: _Answer(500, OWN),
    Sealed: _Answer(503, "Vault is sealed"),
    Leaving: _Answer(503, OWN),
    Unavailable: _Answer(503, OWN),
    StoreUnavailable: _Answer(503, "the store is not available, try again"),
    TransactionConflict: _Answer(503, "too many conflicting requests, try again"),
    TransactionTooLarge: _Answer(400, "the request writes more than fits in one transaction"),
    FormatError: INTERNAL,
    IntegrityError: INTERNAL,
    NewerKeyVersion: _Answer(503, "the keyring was rotated meanwhile, try again"),
    StoreError: INTERNAL,
    KmsError: INTERNAL,
}


def respond(error: Exception) -> Response:
    """Return the answer to an error; anything the table does not know is an internal error."""
    if isinstance(error, HttpError):
        return Response(error.status, body(*error.texts), _retry_after(error), close=error.close)
    answer = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), INTERNAL)
    return Response(answer.status, body(*_texts(answer, error)), _retry_after(error))


def body(*texts: str) -> bytes:
    """Return the JSON of an error with these texts."""
    return json_codec.dumps({"errors": texts})


#: The answer to a request for which there is no time now: its body, and the header line beside it.
BUSY = body(_BUSY)
RETRY = b"Retry-After: 1\r\n"


def _texts(answer: _Answer, error: Exception) -> tuple[str, ...]:
    if answer.text is None:
        return ()
    text = str(error) if answer.text is OWN else answer.text
    return (f"1 error occurred:\n\t* {text}\n\n" if answer.multierror else text,)


def _retry_after(error: Exception) -> bytes:
    if isinstance(error, Unavailable) or (isinstance(error, HttpError) and error.retry_after):
        return b"Retry-After: %d\r\n" % error.retry_after
    if isinstance(error, StoreUnavailable | TransactionConflict | NewerKeyVersion):
        return b"Retry-After: 1\r\n"
    return b""
