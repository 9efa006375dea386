"""The controllers of all login methods, by the messages that each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kms_actors.actors.login.approle import APPROLE_MESSAGES, ApproleController
from kms_actors.actors.login.cert import CERT_MESSAGES, CertController
from kms_actors.actors.login.cert_crls import CERT_CRL_MESSAGES, CertCrlController
from kms_actors.actors.login.issuers import ISSUER_MESSAGES, IssuerController
from kms_actors.actors.login.jwt import JWT_MESSAGES, JwtController
from kms_actors.actors.login.kubernetes import KUBERNETES_MESSAGES, KubernetesController
from kms_actors.actors.login.locked_names import LOCKED_MESSAGES, LockedNamesController
from kms_actors.actors.login.oidc import OIDC_MESSAGES, OidcController
from kms_actors.actors.login.renewals import RENEWAL_MESSAGES, RenewalController
from kms_actors.actors.login.userpass import USERPASS_MESSAGES, UserpassController
from kms_actors.actors.tenant.context import Controller, TenantContext
from kms_actors.messages import Message

#: Called with the tenant's actor, of which methods need at most `on_receive`: what asks it in the turn under way.
MakeController = Callable[[Any, TenantContext], Controller]

LOGIN_CONTROLLERS: Final[Mapping[type[Message], MakeController]] = {
    **dict.fromkeys(APPROLE_MESSAGES, lambda actor, context: ApproleController(context, actor.on_receive)),
    **dict.fromkeys(CERT_MESSAGES, lambda _, context: CertController(context)),
    **dict.fromkeys(CERT_CRL_MESSAGES, lambda _, context: CertCrlController(context)),
    **dict.fromkeys(ISSUER_MESSAGES, lambda _, context: IssuerController(context)),
    **dict.fromkeys(JWT_MESSAGES, lambda _, context: JwtController(context)),
    **dict.fromkeys(LOCKED_MESSAGES, lambda _, context: LockedNamesController(context)),
    **dict.fromkeys(KUBERNETES_MESSAGES, lambda _, context: KubernetesController(context)),
    **dict.fromkeys(OIDC_MESSAGES, lambda _, context: OidcController(context)),
    **dict.fromkeys(RENEWAL_MESSAGES, lambda _, context: RenewalController(context)),
    **dict.fromkeys(USERPASS_MESSAGES, lambda _, context: UserpassController(context)),
}
