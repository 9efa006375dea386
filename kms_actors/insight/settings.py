"""The settings of a node as an operator of the cluster may see them.

Names are those of Vault where it has such a setting, and our own, by table, for the rest. What files hold is not in
the configuration, and paths of keys are left out.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kms_actors.config import Configuration

#: Tables that are shown as they are. Of the others, what Vault has names for is told under those.
_SHOWN: Final = ("cache", "limits", "metrics", "tenants", "transit")


def sanitized(configuration: Configuration) -> dict[str, Any]:
    """Return the settings by name."""
    cluster, master = configuration.cluster, configuration.master_keyring_provider
    return {
        "cluster_name": master.namespace,
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
        "seals": [{"type": master.name, "disabled": False}],
        "storage": {"type": cluster.backend},
        "workers": configuration.worker_count,
        **{name: msgspec.to_builtins(getattr(configuration, name)) for name in _SHOWN},
    }
