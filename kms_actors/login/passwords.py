"""Passwords, as they are stored: Argon2id (RFC 9106) in PHC string format.

Of libsodium, which lets go of the interpreter meanwhile, and compares in constant time. A run takes 19 MiB and some
30 ms, with the parameters that OWASP's cheat sheet names first: run it in threads that are few.
"""

from __future__ import annotations

from typing import Final

import nacl.exceptions
from nacl import pwhash

from kms_actors.errors import FormatError

#: Bytes of a password.
MAX_PASSWORD: Final = 1024

_PASSES: Final = 2
_MEMORY: Final = 19 * 1024 * 1024  # bytes
_PREFIX: Final = "$argon2id$"

#: Of a password that nobody knows: what is given for a user that is not there is compared with it, for the same work.
NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$VCh/wyXgwUxYmYXOeUrdWg$cpgfj8nRNujxjXxF/mj0hmcoxjRgoJP4JFNpPCSV+cw"


def hashed(password: str) -> str:
    """Return what is stored of a password."""
    return pwhash.argon2id.str(password.encode(), opslimit=_PASSES, memlimit=_MEMORY).decode()


def matches(stored: str, password: str) -> bool:
    """Tell whether a password is the one that was stored.

    Raises:
        FormatError: `stored` is no such text.

    """
    if not stored.startswith(_PREFIX):
        raise FormatError("a stored password is of a form that this program does not know")
    try:
        return pwhash.verify(stored.encode(), password.encode())
    except nacl.exceptions.InvalidkeyError:
        return False
