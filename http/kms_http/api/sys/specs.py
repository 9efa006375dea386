"""The OpenAPI document of what the caller's vault, or the cluster's operator, may ask for.

Source: Vault's API page `sys/internal/specs/openapi`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_http.api.sys.mount_entries import reaches
from kms_http.describing.catalogue import Catalogue
from kms_http.fields import Fields, to_bool, to_str
from kms_http.routing import ANY_RIGHT, Call, Endpoint, Operation, Reply, Route

_CONTEXT: Final = re.compile(r"[\w-]{0,64}", re.ASCII)
_FIELDS: Final = Fields(context=to_str, generic_mount_paths=to_bool)


def specs_routes(catalogue: Callable[[], Catalogue]) -> tuple[Route, ...]:
    """Return the route; `catalogue` is asked for once it describes all routes, this one too."""

    def show(call: Call, _: None) -> Reply:
        context = call.values.get("context", "")
        if not _CONTEXT.fullmatch(context):
            raise InvalidRequest("context: at most 64 letters, digits, `_` and `-`")
        principal = call.principal
        mounts = [] if principal is None else [mount for mount in call.mounts if reaches(call, mount.path)]
        generic = call.values.get("generic_mount_paths", False)
        right = None if principal is None else principal.right
        return Reply(whole=catalogue().document(right, mounts, generic=generic, context=context))

    endpoint = Endpoint(_nothing, show, Capability.READ, _FIELDS, ANY_RIGHT, anonymous=True)
    operations = {Operation.READ: endpoint, Operation.WRITE: endpoint}
    return (Route("sys/internal/specs/openapi", operations),)


def _nothing(_: Call) -> None:
    return None
