"""What the node and its cluster are: host, versions, nodes and settings.

All of it but the versions, which anybody sees in `sys/seal-status`, is for the cluster's operators alone: what a
machine is, and which others there are, is no vault's business. A sealed node tells it, too.

Source: Vault's API pages `sys/host-info`, `sys/version-history`, `sys/ha-status`, `sys/config/state` and
`sys/replication`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import NotFound
from kms_actors.insight.messages import ListMembers, ListVersions, ReadHost, ReadSettings
from kms_actors.insight.records import InstalledVersion, Member
from kms_http.api.auth.replies import rfc3339
from kms_http.routing import ANY_RIGHT, NODE_ADMIN, SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route


def _show_host(call: Call, found: dict[str, Any]) -> Reply:
    return Reply(data={**found, "timestamp": rfc3339(call.now)})


def _show_settings(_: Call, found: dict[str, Any]) -> Reply:
    return Reply(data=dict(sorted(found.items())))


def _show_versions(_: Call, found: list[InstalledVersion]) -> Reply:
    if not found:
        raise NotFound
    shown = {
        each.version: {
            "build_date": "",
            "previous_version": each.previous,
            "timestamp_installed": rfc3339(each.installed),
        }
        for each in found
    }
    return Reply(data={"key_info": shown, "keys": list(shown)})


def _show_members(call: Call, found: list[Member]) -> Reply:
    return Reply(data={"nodes": [_member(each) for each in found]}, mirrored=True)


def _member(member: Member) -> dict[str, Any]:
    """Return a node; each that is unsealed serves, and none speaks to another."""
    return {
        "hostname": member.hostname,
        "api_address": member.address,
        "cluster_address": "",
        "active_node": not member.sealed,
        "last_echo": rfc3339(member.heard),
        "version": member.version,
        "upgrade_version": "",
        "redundancy_zone": "",
        "node_name": member.name,
        "started": rfc3339(member.started),
    }


def _nothing(_: Call) -> None:
    return None


def _show_no_replication(_: Call, __: None) -> Reply:
    """As any Vault that does not replicate: at an error here `vault debug` ends at once, its bundle nearly empty."""
    return Reply(data={"mode": "disabled"})


def _of_operators(build: Any, render: Any) -> dict[Operation, Endpoint]:
    endpoint = Endpoint(build, render, Capability.READ, rights=NODE_ADMIN, while_sealed=True, of_node=True)
    return {Operation.READ: endpoint}


NODE_ROUTES: Final = (
    Route("sys/host-info", _of_operators(lambda _: ReadHost(), _show_host)),
    Route("sys/ha-status", _of_operators(lambda _: ListMembers(), _show_members)),
    Route("sys/config/state/sanitized", _of_operators(lambda _: ReadSettings(), _show_settings)),
    Route(
        "sys/replication/status",
        {
            Operation.READ: Endpoint(
                _nothing, _show_no_replication, Capability.READ, rights=ANY_RIGHT, while_sealed=True
            )
        },
    ),
    Route(
        "sys/version-history",
        {
            Operation.LIST: Endpoint(
                lambda _: ListVersions(), _show_versions, Capability.LIST, rights=SCOPE_ADMIN, of_node=True
            )
        },
    ),
)
