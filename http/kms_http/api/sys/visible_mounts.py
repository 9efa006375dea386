"""Mounts as clients find them before they use one: those a token may reach, and those shown to anybody.

Without a token, the vault is the one that a login would be of; what its mounts show by `listing_visibility` is for
the forms of logins.

Source: `sys/internal/ui/mounts` is what Vault's command line asks first for KV, and its web interface for logins.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.mounts import LOGINS, TOKENS, Mount
from kms_http.api.sys.mount_entries import entry, path_below_logins, reaches, system_mounts, token_mount
from kms_http.routing import DATA_RIGHTS, Call, Endpoint, Operation, Reply, Route
from kms_http.wire.errors import HttpError

_TO_ANYBODY: Final = "unauth"


def _nothing(_: Call) -> None:
    return None


def _list(call: Call, _: None) -> Reply:
    if call.principal is None:
        seen = [mount for mount in call.mounts if mount.config.listing_visibility == _TO_ANYBODY]
        tokens = call.mounts.tokens
        shown = tokens is not None and tokens.config.listing_visibility == _TO_ANYBODY
        show, logins, system = _outside, {"token/": _outside(tokens)} if tokens is not None and shown else {}, {}
    else:
        seen = [mount for mount in call.mounts if reaches(call, mount.path)]
        show, logins = entry, {"token/": token_mount(call)} if reaches(call, TOKENS) else {}
        system = {path: shown for path, shown in system_mounts(call).items() if reaches(call, path)}
    engines = {**system, **{mount.path: show(mount) for mount in seen if not mount.for_logins}}
    logins |= {path_below_logins(mount): show(mount) for mount in seen if mount.for_logins}
    return Reply(data={"auth": dict(sorted(logins.items())), "secret": dict(sorted(engines.items()))})


def _outside(mount: Mount) -> dict[str, Any]:
    """Return what anybody may see of a mount that is shown to anybody."""
    return {"description": mount.description, "options": mount.options, "type": mount.type}


def _find(call: Call, _: None) -> Reply:
    path = call.captures["path"]
    for own, shown in {**system_mounts(call), TOKENS: token_mount(call)}.items():  # no mounts of the table
        if f"{path}/".startswith(own) and reaches(call, own):
            return Reply(data=dict(sorted({**shown, "path": own.removeprefix(LOGINS)}.items())))
    matched = call.mounts.match(path)
    if matched is None or not reaches(call, matched[0].path):
        # As if the path were forbidden, so that no one learns which mounts there are.
        text = "preflight capability check returned 403, please ensure client's policies grant access to path"
        raise HttpError(403, f'{text} "{path.removesuffix("/")}/"')
    mount = matched[0]
    return Reply(data=dict(sorted({**entry(mount), "path": path_below_logins(mount)}.items())))


VISIBLE_ROUTES: Final = (
    Route(
        "sys/internal/ui/mounts",
        {
            Operation.READ: Endpoint(
                _nothing, _list, Capability.READ, rights=DATA_RIGHTS, anonymous=True, of_login_vault=True
            )
        },
    ),
    Route(
        "sys/internal/ui/mounts/{path...}",
        {Operation.READ: Endpoint(_nothing, _find, Capability.READ, own_check=True)},
        folder=True,
    ),
)
