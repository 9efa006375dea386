"""Mounts and policies: what secrets, keys and logins need before they can be copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Server, ServerFailed

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
#: Policies that every server has, and that cannot be written.
_OWN_POLICIES: Final = frozenset({"root"})


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
        if kind in ("kv-v1", "kv-v2", "transit"):
            yield Place(path, kind)
        elif path not in _OWN:
            report.leave(f"sys/mounts/{path}", f"the engine {kind} is not copied")


def make(source: Server, target: Server, table: str, report: Report) -> set[str]:
    """Make mounts of `sys/mounts` or `sys/auth` that are not there; return the paths of those to copy into."""
    there, here = source.read(table), target.read(table)
    good = set()
    for path, mount in there.items():
        if path in _OWN or path == "token/":
            continue
        kind = kind_of(mount) if table == "sys/mounts" else str(mount["type"])
        if path in here:
            same = kind == (kind_of(here[path]) if table == "sys/mounts" else here[path]["type"])
            if same:
                good.add(path)
            else:
                report.leave(f"{table}/{path}", "there is another mount at this path")
            continue
        config = {name: mount["config"][name] for name in _CONFIG if mount["config"].get(name)}
        body = {
            "type": mount["type"],
            "description": mount["description"],
            "options": mount.get("options") or {},
            "config": config,
        }
        answer = target.ask("POST", f"{table}/{path.removesuffix('/')}", body)
        if answer.good:
            good.add(path)
            report.copy("mounts")
        else:
            report.leave(f"{table}/{path}", answer.why)
    return good


def copy_policies(source: Server, target: Server, report: Report) -> None:
    """Copy all ACL policies."""
    for name in source.names("sys/policies/acl"):
        if name in _OWN_POLICIES:
            continue
        policy = source.read(f"sys/policies/acl/{name}")
        answer = target.ask("POST", f"sys/policies/acl/{name}", {"policy": policy["policy"]})
        if answer.good:
            report.copy("policies")
        else:
            report.leave(f"sys/policies/acl/{name}", answer.why)


def compare_policies(source: Server, target: Server, report: Report) -> None:
    """Note which policies are others."""
    left = {what for what, _ in report.left}
    for name in source.names("sys/policies/acl"):
        place = f"sys/policies/acl/{name}"
        if name in _OWN_POLICIES or place in left:
            continue
        there, here = source.read(place), target.read(place)
        if here is None or there["policy"] != here["policy"]:
            report.differ(place, "another policy")


def visible(server: Server) -> None:
    """Raise ServerFailed unless the token may list mounts: else all would seem to be empty."""
    if server.read("sys/mounts") is None:
        raise ServerFailed(f"{server.address}: no mounts are shown to this token")
