"""What a login's token is renewed by: its role, or its user, as it is now.

The kind: who was taken away, or allowed less, lives on by renewals, for ever if the token has a period. So a renewal
reads the record that the login rested on, and its commit rests on that record, whatever the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.errors import InvalidRequest
from kms_actors.login.approle import Role
from kms_actors.login.jwt_role import JwtRole
from kms_actors.login.kubernetes import KubernetesRole
from kms_actors.login.messages import ReadRenewalTerms, RenewalTerms
from kms_actors.login.outcome import Outcome
from kms_actors.login.parameters import TokenParameters
from kms_actors.login.tokens import policies_of
from kms_actors.login.userpass import User
from kms_actors.messages import Message

#: What a `RenewalController` handles.
RENEWAL_MESSAGES: Final = (ReadRenewalTerms,)

GONE: Final = "the role does not exist during renewal"
NOBODY: Final = "the user does not exist any more, not renewing"
CHANGED: Final = "policies have changed, not renewing"
_DEFAULT_POLICY: Final = "default"


class _Stored(Protocol):
    @property
    def parameters(self) -> TokenParameters:
        """What it says of tokens."""


class _Kind(NamedTuple):
    """Of a type of mounts: where its roles lie below it, how a token's metadata name one, and how it is read."""

    area: str
    named: str
    decode: Callable[[bytes], _Stored]
    gone: str = GONE
    same_policies: bool = False


_ROLES_OF_ISSUERS: Final = _Kind("role", "role", JwtRole.decode)
_KINDS: Final[Mapping[str, _Kind]] = {
    "approle": _Kind("role", "role_name", Role.decode),
    "jwt": _ROLES_OF_ISSUERS,
    "kubernetes": _Kind("role", "role", KubernetesRole.decode),
    "oidc": _ROLES_OF_ISSUERS,
    "userpass": _Kind("user", "username", User.decode, NOBODY, same_policies=True),
}


class RenewalController:
    """Tells what renewals of logins' tokens rest on."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {ReadRenewalTerms: lambda message: self._context.spawn(self._read(message))}

    async def _read(self, message: ReadRenewalTerms) -> RenewalTerms:
        context, mount = self._context, self._context.store.require_mount(message.mount)
        kind = _KINDS.get(mount.type)
        if kind is None:
            raise InvalidRequest(GONE)
        place = context.keys.key(mount.type, mount.number, kind.area, message.metadata.get(kind.named, ""))
        record = await context.store.read(lambda tr: tr.get(place))
        if record is None:
            raise InvalidRequest(kind.gone)
        parameters = kind.decode(context.keyring.open(place, record)).parameters
        given = policies_of(Outcome(alias="", parameters=parameters))
        if kind.same_policies and {*given} - {_DEFAULT_POLICY} != {*message.policies} - {_DEFAULT_POLICY}:
            raise InvalidRequest(CHANGED)
        return RenewalTerms(parameters, ((place, record),))
