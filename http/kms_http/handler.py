"""The course of every request, in the order in which things are decided.

method and path → route → sealed? → caller → rights → body → fields → message → ask → render

Nothing of a body is read before the caller may do what is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

import structlog

from kms_actors import request_context
from kms_actors.cubbyhole.messages import OfWrapping
from kms_actors.errors import (
    AuthenticationFailed,
    InvalidRequest,
    Leaving,
    NoMount,
    NotRecorded,
    PermissionDenied,
    Sealed,
    UnsupportedOperation,
    UnsupportedPath,
)
from kms_actors.insight.messages import RequestUnderWay
from kms_actors.messages import Message
from kms_actors.mounts import LOGINS, Mount
from kms_actors.token.messages import OfBiscuit
from kms_http import caller, cors, envelope, received, throttle, wrapping
from kms_http.accounts import Accounts
from kms_http.auditing import Auditing, changes
from kms_http.authorization import Allowed, authorize
from kms_http.backend import Authenticator, Backend, Observe
from kms_http.caller import Callers, Sent
from kms_http.calling import call_of
from kms_http.console.pages import Console
from kms_http.describing.asked import Asked, help_for
from kms_http.describing.catalogue import Catalogue
from kms_http.exchange import Exchange, asked_by, under_way
from kms_http.routing import (
    LISTING,
    METHODS,
    NODE_ADMIN,
    SCOPE_ADMIN,
    TENANT_ADMIN,
    Endpoint,
    Found,
    Operation,
    Reply,
    Router,
)
from kms_http.unrecorded import Unrecorded, failed
from kms_http.wire import paths
from kms_http.wire.errors import HttpError
from kms_http.wire.request import Request
from kms_http.wire.response import Response
from kms_http.wrapping import Wrapping

OPERATIONS: Final = {
    "GET": Operation.READ,
    "HEAD": Operation.READ,
    "LIST": Operation.LIST,
    "POST": Operation.WRITE,
    "PUT": Operation.WRITE,
    "PATCH": Operation.PATCH,
    "DELETE": Operation.DELETE,
    "SCAN": Operation.SCAN,
}
_WITH_BODY: Final = frozenset({Operation.WRITE, Operation.PATCH})

_SYSTEM: Final = ("sys/", "auth/", "cubbyhole/", "identity/")
#: Of these, what no mount takes.
_OWN: Final = ("sys/", "auth/token/", "cubbyhole/", "identity/")
#: What answers of these call the type of their mount.
_KINDS: Final = {"sys": "system", "auth": "token", "cubbyhole": "cubbyhole", "identity": "identity"}
#: Rights of endpoints whose changes are logged with the caller's name.
_ADMINISTRATORS: Final = (SCOPE_ADMIN, TENANT_ADMIN, NODE_ADMIN)

_log = structlog.get_logger(__name__)


class Absent(Protocol):
    """What Vault has and this server has not."""

    def sentence(self, path: str) -> str | None:
        """Return one that says so, and what to use instead; None where Vault has nothing either."""


class Handler:
    """Answers requests. `system` routes sys/, auth/ and identity/, `engines` what lies under mounts, by mount type.

    `absent` has what is said of paths that nothing takes, `catalogue` what is said of those that something does.
    """

    def __init__(
        self,
        backend: Backend,
        authenticator: Authenticator,
        observe: Observe,
        *,
        system: Router,
        engines: Mapping[str, Router],
        absent: Absent,
        catalogue: Catalogue,
        console: Console,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._backend = backend
        self._callers = Callers(backend, authenticator)
        self._auditing = Auditing(backend)
        self._wrapping = Wrapping(backend)
        self._system = system
        self._engines = engines
        self._absent = absent
        self._catalogue = catalogue
        self._console = console
        self._observe = observe
        self._clock = clock
        self._request_ids = envelope.RequestIds()
        self._in_flight: dict[str, Exchange] = {}
        self.accounts: Final = Accounts()

    async def __call__(self, request: Request) -> Response:
        """Answer one request; every failure is an answer too."""
        request_id = self._request_ids()
        request_context.begin(request_id)
        started = time.perf_counter()
        exchange = self._in_flight[request_id] = Exchange(request, self._clock(), request_id)
        shared = self._backend.cors
        if shared is not None and not cors.of_other_page(request):
            shared = None
        try:
            told = cors.before(shared, request) if shared is not None else None
            response = told or await self._answer(exchange)
        except Exception as error:  # noqa: BLE001  # nothing but an answer leaves the edge
            response = failed(exchange, error)
            if exchange.recording is not None or self._auditing.wanted(exchange):
                response = await self._refused(exchange, error, response)
            # Its frames hold what holds the error: without this, request and token stay until a collection of cycles.
            error.__traceback__ = None
        finally:
            del self._in_flight[request_id]
        if shared is not None:
            cors.mark(shared, request, response)
        namespace = exchange.namespace
        if namespace and namespace.isascii() and namespace.isprintable():
            response.add_header(b"X-Vault-Namespace", namespace.encode())
        if exchange.verdict is not None:
            throttle.tell(exchange, response)
        if exchange.recording is None:
            self._leaves(exchange, response, started)
        else:
            response.held = Unrecorded(exchange.recording, exchange, response, self._leaves, started)
        return response

    def _leaves(self, exchange: Exchange, response: Response, started: float) -> None:
        self._observe(exchange.label, response.status, time.perf_counter() - started)

    def in_flight(self) -> list[RequestUnderWay]:
        """Return the requests that are worked on; each is called by its route, since paths are a vault's own."""
        return [under_way(each) for each in self._in_flight.values()]

    async def _refused(self, exchange: Exchange, error: Exception, response: Response) -> Response:
        """Have a refusal entered; where no device could, it is another one."""
        if isinstance(error, NotRecorded):
            exchange.recording = None  # there is nothing to wait for any more
            return response
        if not exchange.path:
            return response
        try:
            await self._auditing.refused(exchange, error, response)
        except Exception as other:  # noqa: BLE001 - as above
            response = failed(exchange, other)
            other.__traceback__ = None
        return response

    async def _answer(self, exchange: Exchange) -> Response:
        try:
            self._read_target(exchange)
        except paths.Elsewhere as elsewhere:
            page = self._console.answer(exchange.request, elsewhere.path, self._backend.console_headers)
            exchange.label = "console"  # else there is nothing
            return page
        if exchange.help:
            return await self._tell_help(exchange)
        system = exchange.path.startswith(_SYSTEM)
        found = self._find_system(exchange) if system else None
        while_sealed = found is not None and found.endpoint is not None and found.endpoint.while_sealed
        if found is not None and found.route.bare and found.endpoint is not None and found.endpoint.anonymous:
            exchange.audited = False
        if self._backend.node_sealed and not while_sealed:
            raise Sealed
        if exchange.operation in _WITH_BODY and exchange.path.endswith("/"):
            raise InvalidRequest("cannot write to a path ending in '/'")
        await self._identify(exchange, found)
        tenant = exchange.caller.tenant
        if tenant is not None and tenant.sealed and not while_sealed:
            raise (
                Sealed if tenant.erasure is None else Leaving.by(tenant.erasure.due, begun=bool(tenant.erasure.begun))
            )
        mount = None
        if found is None and (not system or exchange.path.startswith(LOGINS)):
            mount, found = self._find_mounted(exchange)
        if exchange.caller.principal is None and not (found and found.endpoint and _for_nobody(found.endpoint)):
            raise AuthenticationFailed("no token")
        if tenant is not None and tenant.limiter is not None:
            throttle.count(exchange, tenant, mount, found.endpoint if found is not None else None)
        try:
            allowed = authorize(exchange, mount, found.endpoint if found is not None else None)
        except PermissionDenied:
            await self._count_refused(exchange, found)
            raise
        if found is None:
            raise self._missing(exchange.path) if mount is None else UnsupportedPath("unsupported path")
        if found.endpoint is None:
            raise UnsupportedOperation("unsupported operation")
        return await self._run(exchange, found, found.endpoint, mount, allowed)

    def _read_target(self, exchange: Exchange) -> None:
        request = exchange.request
        operation = OPERATIONS.get(exchange.method)
        path, query = paths.parse(request.target)
        if exchange.method == "HELP" or ("help=" in query and paths.form(query).get("help")):
            exchange.help, exchange.path = True, path  # whatever else is asked: nothing is done instead
            return
        if operation is None:
            raise self._unknown_method(exchange.method, path)
        if query and operation not in _WITH_BODY:
            exchange.query = fields = paths.form(query)
            if operation is Operation.READ:
                operation = asked_by(fields)
        if operation in LISTING:
            path = path if path.endswith("/") else path + "/"
        if wrapping.WRAP_TTL in request.headers:
            exchange.wrap_ttl = wrapping.wanted(request.headers)
        exchange.operation, exchange.method = operation, METHODS[operation]
        exchange.path = exchange.spelled = path

    async def _tell_help(self, exchange: Exchange) -> Response:
        if self._backend.node_sealed:
            raise Sealed
        exchange.token = caller.token_of(exchange.request.headers)
        exchange.caller = await self._callers.identify(_sent(exchange), anonymous=False)
        principal, tenant = exchange.caller
        if tenant is not None and tenant.sealed:
            raise Sealed
        if tenant is not None:
            throttle.count(exchange, tenant, None, None)
        assert principal is not None
        mounts = tenant.mounts if tenant is not None else None
        exchange.label = "help"
        asked = Asked(exchange.path, principal, mounts, exchange.request.remote, exchange.now)
        reply = help_for(self._catalogue, asked)
        return envelope.respond(reply, exchange.request_id, "", [])

    def _find_system(self, exchange: Exchange) -> Found | None:
        found = self._system.find(exchange.path, exchange.operation)
        if found is not None:
            exchange.label = found.route.label
            exchange.spelled = found.path
            if found.endpoint is None and found.route.bare:
                raise HttpError(405)
            if exchange.request.method == "HEAD" and (found.endpoint is None or not found.endpoint.head):
                raise HttpError(405)
        return found

    def _missing(self, path: str) -> Exception:
        """Return what to raise for a path that nothing takes."""
        text = self._absent.sentence(path)
        if text is not None:
            return InvalidRequest(text)
        return UnsupportedPath("unsupported path") if path.startswith(_OWN) else _no_route(path)

    def _unknown_method(self, method: str, path: str) -> Exception:
        found = self._system.find(path, Operation.READ) if path.startswith(_SYSTEM) else None
        if method != "OPTIONS" or (found is not None and found.route.bare):
            return HttpError(405)
        return InvalidRequest("cannot handle internal-only request operation")

    async def _identify(self, exchange: Exchange, found: Found | None) -> None:
        endpoint = found.endpoint if found is not None else None
        anonymous = endpoint is not None and endpoint.anonymous
        exchange.token = caller.token_of(exchange.request.headers)
        sent = _sent(exchange)
        callers = self._callers
        if found is None and exchange.path.startswith(LOGINS):
            # A mount of the vault, but not of `auth/token/`: who comes there to log in has no token yet.
            exchange.caller = await callers.identify_login(sent)
        elif endpoint is not None and endpoint.of_wrapping:
            exchange.caller = await callers.identify_taker(sent)
        else:
            use = endpoint is None or not endpoint.own_use
            exchange.caller = await callers.identify(sent, anonymous=anonymous, use=use)
            if endpoint is not None and endpoint.of_login_vault and exchange.caller.principal is None:
                exchange.caller = await callers.identify_visitor(sent)
        if exchange.caller.principal is not None:
            self.accounts.learn(sent.token, exchange.caller.principal.resource)

    def _find_mounted(self, exchange: Exchange) -> tuple[Mount | None, Found | None]:
        principal, tenant = exchange.caller
        if tenant is None:
            raise PermissionDenied("an operator of the cluster has no mounts")
        matched = tenant.mounts.match(exchange.path)
        if matched is None:
            if principal is None:
                raise AuthenticationFailed("no token")
            throttle.count(exchange, tenant, None, None)
            authorize(exchange, None, None)
            raise self._missing(exchange.path)
        if exchange.request.method == "HEAD":
            raise HttpError(405)
        mount, rest = matched
        exchange.mount = mount
        found = self._engines[mount.engine].find(rest, exchange.operation)
        if found is not None:
            exchange.label = f"{mount.engine}/{found.route.label}"
            exchange.spelled = exchange.path.removesuffix(rest) + found.path
        return mount, found

    async def _count_refused(self, exchange: Exchange, found: Found | None) -> None:
        """Count a use that is refused, as anywhere else: a wrapping token that was tried on more gives nothing."""
        endpoint = found.endpoint if found is not None else None
        if endpoint is not None and (endpoint.own_use or endpoint.of_wrapping):
            await self._callers.use(_sent(exchange))

    async def _run(
        self, exchange: Exchange, found: Found, endpoint: Endpoint, mount: Mount | None, allowed: Allowed
    ) -> Response:
        for rule in allowed.rules:
            rule.check_wrapping(wrapping.whole_seconds(exchange.wrap_ttl) or None)
        sent, size = exchange.query, 0
        if exchange.operation in _WITH_BODY:
            sent, size = await received.read_body(exchange, None if allowed.looks_at_fields else endpoint.read)
        sent = allowed.passed(exchange.operation, sent)
        if self._auditing.wanted(exchange):
            await self._auditing.begin(exchange, {} if found.route.bare else sent, size, endpoint)
        if mount is not None:
            request_context.is_below(mount.number, mount.path, exchange.recording)
        elif exchange.recording is not None:
            request_context.recorded_by(exchange.recording)
        values, warnings = received.values(endpoint, found.captures, sent)
        principal, tenant = exchange.caller
        if exchange.uncounted:
            await throttle.count_login(exchange, mount, values)
        grants, backend = allowed.grants, self._backend
        call = call_of(exchange, found, values, backend=backend, mount=mount, grants=grants, size=size)
        message = endpoint.build(call)
        if principal is not None and endpoint.rights in _ADMINISTRATORS:
            request_context.caller(caller.name_of(principal))
        wrap = exchange.wrap_ttl and not (found.route.bare or endpoint.of_wrapping)
        if wrap:
            await self._wrapping.find_room(tenant)
        if exchange.recording is not None and changes(endpoint, message):
            await exchange.recording.recorded()
        result = None if message is None else await self._ask(exchange, message, of_node=endpoint.of_node)
        kind = mount.type if mount is not None else _KINDS[exchange.path.partition("/")[0]]
        reply = endpoint.render(call, result)
        if not isinstance(reply, Reply):
            reply = await reply
        request_id = exchange.request_id
        if wrap and reply.status != HTTPStatus.NO_CONTENT:
            reply = await self._wrapping.wrap(exchange, reply, kind, warnings)
            request_id, warnings = "", []
        response = envelope.respond(reply, request_id, kind, warnings)
        if exchange.recording is not None or self._auditing.wanted(exchange):
            await self._auditing.answered(exchange, reply, response)
        return response

    async def _ask(self, exchange: Exchange, message: Message, *, of_node: bool = False) -> Any:
        tenant = exchange.caller.tenant
        if isinstance(message, OfWrapping):
            return await self._wrapping.ask(tenant, message)
        if isinstance(message, OfBiscuit) and tenant is not None:
            return await self._callers.ask_of_biscuit(tenant, message, exchange.now)
        if tenant is None or of_node:
            return await self._backend.ask_node(message)
        try:
            return await tenant.ask(message)
        except NoMount:
            raise _no_route(exchange.path) from None


def _sent(exchange: Exchange) -> Sent:
    return Sent(exchange.token, exchange.namespace, exchange.now, exchange.request.remote)


def _no_route(path: str) -> HttpError:
    return HttpError(404, f'no handler for route "{path}". route entry not found.')


def _for_nobody(endpoint: Endpoint) -> bool:
    return endpoint.anonymous or endpoint.of_wrapping
