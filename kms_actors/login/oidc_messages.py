"""Messages of the browser flow."""

from __future__ import annotations

from kms_actors.login.messages import Login, OfLogins
from kms_actors.messages import Command


class BeginFlow(OfLogins, Command, frozen=True):
    """Begin a flow for a role, lower-case. Answer: the URL for the browser; empty: the role does not allow it."""

    role: str
    redirect_uri: str
    client_nonce: str = ""


class TakeForm(OfLogins, Command, frozen=True):
    """Keep what a form has brought from the issuer, until the client comes for it. Answer: None.

    Raises UnsupportedOperation where the mount does not ask for forms.
    """

    state: str
    code: str = ""
    id_token: str = ""


class EndFlow(Login, frozen=True):
    """Log in with what the browser came back with; `error` is what the issuer says in place of a code."""

    state: str
    code: str = ""
    client_nonce: str = ""
    error: str = ""
