"""The settings of a node as an operator of the cluster may see them.

Names are those of Vault where it has such a setting, and our own, by table, for the rest. What is a setting there and
none here is told as it is. What files hold is not in the configuration, and paths of keys are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kms_actors.config import Configuration
from kms_actors.mounts import SYSTEM_LEASE_TTL
from kms_actors.request_context import REQUEST_SECONDS

#: Tables that are shown as they are. Of the others, what Vault has names for is told under those.
_SHOWN: Final = ("cache", "limits", "metrics", "tenants", "transit")

#: Settings of Vault that this server leaves nobody, each as it behaves.
_ALWAYS: Final[Mapping[str, Any]] = {
    "allow_audit_log_prefixing": True,
    "allow_unauthenticated_workflows": False,
    "api_addr": "",
    "cache_size": 0,
    "cluster_addr": "",
    "cluster_cipher_suites": "",
    "default_lease_ttl": SYSTEM_LEASE_TTL,
    "default_max_request_duration": int(REQUEST_SECONDS),
    "detect_deadlocks": "",
    "disable_cache": False,
    "disable_clustering": False,
    "disable_indexing": False,
    "disable_performance_standby": False,
    "disable_printable_check": False,
    "disable_sealwrap": True,
    "disable_sentinel_trace": True,
    "disable_ssct_tokens": True,
    "disable_standby_reads": False,
    "enable_response_header_hostname": False,
    "enable_response_header_raft_node_id": False,
    "imprecise_lease_role_tracking": False,
    "introspection_endpoint": False,
    "log_requests_level": "",
    "max_lease_ttl": SYSTEM_LEASE_TTL,
    "pid_file": "",
    "plugin_directory": "",
    "plugin_file_permissions": 0,
    "plugin_file_uid": 0,
    "raw_storage_endpoint": False,
    "telemetry": {"disable_hostname": True, "metrics_prefix": "kms"},
    "unsafe_allow_api_audit_creation": True,
    "unsafe_cross_namespace_identity": False,
    "unsafe_relative_paths": False,
}


def sanitized(configuration: Configuration) -> dict[str, Any]:
    """Return the settings by name."""
    cluster, master = configuration.cluster, configuration.master_keyring_provider
    return {
        **_ALWAYS,
        "cluster_name": master.namespace,
        "enable_ui": any(configuration.console_at(listener) for _, listener in configuration.keyed_listeners),
        "node_name": master.node_name,
        "listeners": [
            {
                "type": "tcp" if listener.unix is None else "unix",
                "config": {"address": listener.unix or listener.place, "tls_disable": listener.tls is None},
            }
            for _, listener in configuration.keyed_listeners
        ],
        "log_format": configuration.log.format,
        "log_level": configuration.log.level,
        "seals": [
            {"type": master.name, "disabled": False},
            *([] if master.migrate_from is None else [{"type": master.migrate_from, "disabled": True}]),
        ],
        "storage": {"type": cluster.backend},
        "workers": configuration.worker_count,
        **{name: msgspec.to_builtins(getattr(configuration, name)) for name in _SHOWN},
    }
