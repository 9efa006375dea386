"""Mounts and policies: what secrets, keys and logins need before they can be copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Server

#: Mounts that every server has.
_OWN: Final = frozenset({"cubbyhole/", "identity/", "sys/"})
_CONFIG: Final = (
    "listing_visibility",
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "passthrough_request_headers",
    "allowed_response_headers",
    "default_lease_ttl",
    "max_lease_ttl",
    "token_type",
)
#: What else is said of a mount when it is made.
_KINDS: Final = ("local", "seal_wrap")
#: Engines whose mounts are copied, with what they have.
_ENGINES: Final = frozenset({"kv-v1", "kv-v2", "transit"})
_ANOTHER: Final = "there is another mount at this path"
_AS_THEY_WERE: Final = "settings of a mount that was there already are left as they were"
#: Kinds of policies, and those that every server has, and that cannot be written.
_POLICIES: Final[Mapping[str, frozenset[str]]] = {"acl": frozenset({"root"}), "password": frozenset()}
#: What OpenBao has of a policy beside its text. When it ends, above all: it would give for ever.
_CAS: Final = "cas_required"
_BESIDE: Final = (
    "expiration",
    "allow_slashes_in_identity_templates",
    "allow_wildcards_in_identity_templates",
    _CAS,
)
#: The `cas` of what is not there yet.
_NEW: Final = -1
#: Logins make these, so there are some almost everywhere.
_ENTITIES: Final = "identity/entity/id"
_MADE_ANEW: Final = "entities are not copied: logins make them anew, without what was set for them"
#: What is not copied, wherever there is any.
_OTHERS: Final[Mapping[str, str]] = {
    "auth/token/roles": "roles of tokens are not copied",
    "identity/group/id": "groups are not copied",
    "sys/namespaces": "further namespaces are not copied: name each by --other-namespace, in a run of its own",
    "sys/quotas/rate-limit": "quotas are not copied",
}


class Place(NamedTuple):
    """A mount that can be copied."""

    path: str  # with its trailing slash, without `auth/`
    kind: str  # `kv-v1`, `kv-v2`, `transit`, or the method of logins


def kind_of(mount: Mapping[str, Any]) -> str:
    """Return what a mount's engine is called here."""
    if mount["type"] in ("kv", "generic"):
        return "kv-v2" if (mount.get("options") or {}).get("version") == "2" else "kv-v1"
    return str(mount["type"])


def engines(source: Server, report: Report) -> Iterator[Place]:
    """Yield the mounts of the source whose engines are there on both sides; of others it is told."""
    for path, mount in source.read("sys/mounts").items():
        kind = kind_of(mount)
        if kind in _ENGINES:
            yield Place(path, kind)
        elif path not in _OWN:
            report.leave(f"sys/mounts/{path}", f"the engine {kind} is not copied")


def standing(source: Server, target: Server, table: str, report: Report) -> set[str]:
    """Return the mounts of `sys/mounts` or `sys/auth` that are on both sides; note where one is in the way."""
    there, here = source.read(table), target.read(table)
    good = set()
    for path in there.keys() & here.keys() - _OWN - {"token/"}:
        if _kind_in(table, there[path]) == _kind_in(table, here[path]):
            good.add(path)
        elif table == "sys/auth" or kind_of(there[path]) in _ENGINES:  # of other engines it is told anyway
            report.leave(f"{table}/{path}", _ANOTHER)
    return good


def _kind_in(table: str, mount: Mapping[str, Any]) -> str:
    return kind_of(mount) if table == "sys/mounts" else str(mount["type"])


def make(source: Server, target: Server, table: str, report: Report) -> set[str]:
    """Make mounts of `sys/mounts` or `sys/auth` that are not there; return the paths of those to copy into."""
    there, here = source.read(table), target.read(table)
    good = standing(source, target, table, report)
    for path, mount in there.items():
        if path in _OWN or path == "token/" or (table == "sys/mounts" and kind_of(mount) not in _ENGINES):
            continue
        if path in here:
            if path in good and _config(mount) != _config(here[path]):
                report.note(_AS_THEY_WERE)
            continue
        body = {
            "type": mount["type"],
            "description": mount["description"],
            "options": mount.get("options") or {},
            "config": _config(mount),
            **{name: True for name in _KINDS if mount.get(name)},
        }
        answer = target.ask("POST", f"{table}/{path.removesuffix('/')}", body)
        if answer.good:
            good.add(path)
            report.copy("mounts")
        else:
            report.leave(f"{table}/{path}", answer.why)
    return good


def _config(mount: Mapping[str, Any]) -> dict[str, Any]:
    return {name: mount["config"][name] for name in _CONFIG if mount["config"].get(name)}


def policies(source: Server, report: Report) -> Iterator[str]:
    """Yield the paths of all policies that can be written."""
    for kind, own in _POLICIES.items():
        folder = f"sys/policies/{kind}"
        with report.leaving(folder):
            # What Vault has had from the first is always there; what came later, on some servers only.
            names = source.names(folder) if kind == "acl" else source.names_if_any(folder)
            yield from (f"{folder}/{name}" for name in names if name not in own)


def copy_policies(source: Server, target: Server, report: Report) -> None:
    """Copy all policies; one of the same name becomes as it is there."""
    for place in policies(source, report):
        with report.leaving(place):
            policy = source.read(place)
            if policy is not None:
                here = target.read(place) or {}
                if not _alike(policy, here):
                    target.write(place, _policy(policy) | _seen(policy, here))
                report.copy("policies")


def compare_policies(source: Server, target: Server, report: Report) -> None:
    """Note which policies are others."""
    left = {what for what, _ in report.left}
    for place in policies(source, report):
        if place not in left:
            there, here = source.read(place), target.read(place)
            if there is None:
                continue
            if here is None or there["policy"] != here["policy"]:
                report.differ(place, "another policy")
                continue
            for name in _BESIDE:
                if (there.get(name) or None) != (here.get(name) or None):
                    report.differ(place, name)


def _policy(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {"policy": shown["policy"], **{name: shown[name] for name in _BESIDE if shown.get(name)}}


def _alike(there: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    return "policy" in here and _policy(there) == _policy(here)


def _seen(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    """Return which version of a policy was seen, where whoever writes it must say so."""
    if here.get(_CAS):
        return {"cas": here["version"]}
    return {"cas": _NEW} if there.get(_CAS) and not here else {}


def tell_others(source: Server, report: Report) -> None:
    """Note what the source has beside all that is copied, as far as the token may know."""
    for place, why in _OTHERS.items():
        if names := source.may_name(place):
            report.leave(f"{place} ({len(names)})", why)
    if entities := len(source.may_name(_ENTITIES)):
        report.note(_MADE_ANEW, entities)
