"""Logins of service accounts in a tenant actor.

Records, below (`kubernetes`, mount): (`config`,) KubernetesConfig; (`role`, name) KubernetesRole, both sealed.

A token is verified here where keys were given, and reviewed by its cluster where a host was: so one whose account is
gone counts for nothing, as in Vault. What this node itself would have within a cluster, a CA and a token of its own,
is never used: the host is a vault's to name, and would be shown them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from kms_actors.actors.login.completing import log_in
from kms_actors.actors.login.familiar import Familiar
from kms_actors.actors.login.listing import list_keys
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.errors import InvalidRequest, LoginRefused, NotFound, PermissionDenied, Unavailable
from kms_actors.fetch import FetchFailed
from kms_actors.login import jwt_compact
from kms_actors.login.jwt_keys import read_pem
from kms_actors.login.jwt_verification import verified_claims
from kms_actors.login.kubernetes import (
    DeleteKubernetesRole,
    KubernetesConfig,
    KubernetesRole,
    ListKubernetesRoles,
    LoginOfAccount,
    ReadKubernetesConfig,
    ReadKubernetesRole,
    WriteKubernetesConfig,
    WriteKubernetesRole,
    configured,
    written,
)
from kms_actors.login.kubernetes_accounts import (
    ALGORITHMS,
    Account,
    account_of,
    check_account,
    check_claims,
    check_review,
    outcome_of,
    review_of,
    wanted_audiences,
)
from kms_actors.login.messages import LoggedIn
from kms_actors.login.outcome import Outcome
from kms_actors.login.tokens import require_address
from kms_actors.messages import Message
from kms_actors.mounts import SYSTEM_LEASE_TTL
from kms_actors.observe.bounded import BoundedLog
from kms_actors.request_context import computed
from kms_actors.store.api import Reads, Transaction

AREA: Final = "kubernetes"
CONFIG: Final = "config"
ROLE: Final = "role"

#: What a `KubernetesController` handles.
KUBERNETES_MESSAGES: Final = (
    LoginOfAccount,
    ReadKubernetesConfig,
    WriteKubernetesConfig,
    ReadKubernetesRole,
    ListKubernetesRoles,
    WriteKubernetesRole,
    DeleteKubernetesRole,
)

_log: Final = BoundedLog(__name__)


class _Basis(NamedTuple):
    """What a login rests on, and as it was read."""

    config: KubernetesConfig
    role: KubernetesRole
    places: tuple[bytes, bytes]
    records: list[bytes | None]


class KubernetesController:
    """Logs service accounts in, and keeps what says which."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._familiar = Familiar(context)

    def handlers(self) -> Mapping[type[Message], Handler]:
        work: dict[type[Message], Any] = {
            LoginOfAccount: self._log_in,
            ReadKubernetesConfig: self._read_config,
            WriteKubernetesConfig: self._write_config,
            ReadKubernetesRole: self._read_role,
            ListKubernetesRoles: self._list,
            WriteKubernetesRole: self._write_role,
            DeleteKubernetesRole: self._delete_role,
        }
        return {kind: partial(self._spawn, each) for kind, each in work.items()}

    def _spawn(self, work: Any, message: Any) -> Any:
        return self._context.spawn(work(message))

    async def _log_in(self, message: LoginOfAccount) -> LoggedIn:
        for field in ("role", "jwt"):
            if not getattr(message, field):
                raise InvalidRequest(f"missing {field}")
        basis = await self._basis(message)
        require_address(basis.role.parameters, message.client_ip)
        try:
            claims = await self._claims(message.jwt, basis.config)
        except InvalidRequest as refused:
            raise self._refused(str(refused)) from None
        check_claims(claims, basis.config, basis.role, self._context.clock() / 1e9)
        account = account_of(claims)
        check_account(account, basis.role)
        if basis.config.kubernetes_host:
            await self._review(message.jwt, claims, account, basis)
        prove = partial(self._prove, basis, account, message.role)
        return await log_in(self._context, message, prove, self._familiar)

    async def _prove(self, basis: _Basis, account: Account, name: str, tr: Transaction, _: float) -> Outcome:
        if await tr.get_many(basis.places) != basis.records:
            raise Unavailable("the role or the configuration was changed meanwhile, try again")
        return outcome_of(account, name, basis.role)

    async def _basis(self, message: LoginOfAccount) -> _Basis:
        places = self._place(message.mount, CONFIG), self._place(message.mount, ROLE, message.role)
        found = await self._context.store.read(lambda tr: tr.get_many(places))
        if found[1] is None:
            raise InvalidRequest("invalid role name")
        if found[0] is None:
            raise InvalidRequest("could not load backend configuration")
        opened = [
            self._context.keyring.open(place, record or b"") for place, record in zip(places, found, strict=True)
        ]
        return _Basis(KubernetesConfig.decode(opened[0]), KubernetesRole.decode(opened[1]), places, found)

    async def _claims(self, text: str, config: KubernetesConfig) -> Mapping[str, Any]:
        """Return what a token claims: verified where keys are given, else for its cluster to verify."""
        token = jwt_compact.parse(text)
        if not config.pem_keys:
            if token.algorithm not in ALGORITHMS:
                raise LoginRefused("invalid algorithm (alg) header parameter: token signed with unexpected algorithm")
            return jwt_compact.claims_of(token)
        return await self._context.threads.short(
            lambda: verified_claims(token, [read_pem(pem) for pem in config.pem_keys], ALGORITHMS)
        )

    async def _review(self, token: str, claims: Mapping[str, Any], account: Account, basis: _Basis) -> None:
        config, context = basis.config, self._context
        bearer = config.token_reviewer_jwt or token
        headers = {"Authorization": f"Bearer {bearer}"}
        body = review_of(token, claims, basis.role)
        asking = context.fetch.post_json(config.review_url, body, config.kubernetes_ca_cert, headers)
        try:
            answer = await computed(asking)
        except FetchFailed as failed:
            raise self._unavailable(str(failed)) from None
        if answer.status >= 500:
            raise self._unavailable(f"it answers with status {answer.status}")
        if not 200 <= answer.status < 300:
            raise self._refused(f"the cluster answers with status {answer.status}")
        try:
            check_review(answer.body, account, wanted_audiences(claims, basis.role))
        except LoginRefused as refused:
            raise self._refused(str(refused)) from None

    def _unavailable(self, reason: str) -> Unavailable:
        scope = self._context.vault_id
        _log.warning("cluster cannot be asked", scope, scope=scope, reason=reason)
        return Unavailable("the cluster cannot be asked now, try again")

    def _refused(self, reason: str) -> PermissionDenied:
        """Log why a token proves nothing, which its bearer is not told, and return what he is."""
        scope = self._context.vault_id
        _log.info("login of a service account refused", scope, scope=scope, reason=reason)
        return PermissionDenied("permission denied")

    async def _read_config(self, message: ReadKubernetesConfig) -> KubernetesConfig:
        return KubernetesConfig.decode(await self._there(self._place(message.mount, CONFIG)))

    async def _write_config(self, message: WriteKubernetesConfig) -> None:
        config = configured(message.sent)
        if config.kubernetes_host:
            try:
                self._context.fetch.check(config.review_url)
            except FetchFailed as refused:
                raise InvalidRequest(f"kubernetes_host: {refused}") from None
        place = self._place(message.mount, CONFIG)
        await self._write(message.mount, place, config)

    async def _write(self, mount: int, place: bytes, config: KubernetesConfig) -> None:
        async def body(tr: Transaction) -> None:
            tr.set(place, self._context.keyring.seal(place, config.encode()))

        await self._context.store.change(body, mount=mount)

    async def _read_role(self, message: ReadKubernetesRole) -> KubernetesRole:
        return KubernetesRole.decode(await self._there(self._place(message.mount, ROLE, message.name)))

    async def _list(self, message: ListKubernetesRoles) -> list[str]:
        return await list_keys(self._context, (AREA, message.mount, ROLE), message.after, message.limit)

    async def _write_role(self, message: WriteKubernetesRole) -> tuple[str, ...]:
        mount = self._context.store.require_mount(message.mount)
        place, longest = (
            self._place(message.mount, ROLE, message.name),
            mount.config.max_lease_ttl or SYSTEM_LEASE_TTL,
        )

        async def body(tr: Transaction) -> tuple[str, ...]:
            record = await tr.get(place)
            before = None if record is None else KubernetesRole.decode(self._context.keyring.open(place, record))
            if not (message.grants.create if before is None else message.grants.update):
                raise PermissionDenied("permission denied")
            after, warnings = written(before, message.sent, message.spelled, longest)
            tr.set(place, self._context.keyring.seal(place, after.encode()))
            return warnings

        return await self._context.store.change(body, mount=message.mount)

    async def _delete_role(self, message: DeleteKubernetesRole) -> None:
        place = self._place(message.mount, ROLE, message.name)

        async def body(tr: Transaction) -> None:
            tr.clear(place)

        await self._context.store.change(body, mount=message.mount)

    async def _there(self, place: bytes) -> bytes:
        async def look(tr: Reads) -> bytes | None:
            return await tr.get(place)

        record = await self._context.store.read(look)
        if record is None:
            raise NotFound
        return self._context.keyring.open(place, record)

    def _place(self, number: int, *rest: str) -> bytes:
        self._context.store.require_mount(number)
        return self._context.keys.key(AREA, number, *rest)
