"""Where everything is kept, and under which master key."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kms_actors.config.seals import Pkcs11Seal, SealType, TransitSeal
from kms_actors.config.section import Section


class Cluster(Section, frozen=True):
    """Where everything is kept."""

    backend: Annotated[
        Literal["foundationdb", "sqlite"],
        Meta(description="`foundationdb` for clusters, `sqlite` for one machine (embedded)"),
    ] = "foundationdb"
    api_version: Annotated[int, Meta(ge=730, description="FoundationDB API version")] = 730
    cluster_file_path: Annotated[str, Meta(description="FoundationDB cluster file")] = "/etc/foundationdb/fdb.cluster"
    path: Annotated[str, Meta(description="file of the embedded store")] = "/var/lib/clever-kms/kms.sqlite"


class RootTenantKeyringProvider(Section, frozen=True):
    """How tenant root keys are given back after a seal."""

    name: Annotated[Literal["shamir"], Meta(description="`shamir`: shares held by the tenant's operators")] = "shamir"


class MasterKeyringProvider(Section, frozen=True, kw_only=True):
    """How a node gets the master key."""

    name: Annotated[
        SealType,
        Meta(
            description="who keeps the master key. `shamir`: the cluster's operators, in shares; `static`: a key in "
            "a file; `transit`: a key of another server; `pkcs11`: a key in an HSM"
        ),
    ] = "shamir"
    migrate_from: Annotated[
        SealType | None,
        Meta(
            description="who has kept it so far, where `name` is to keep it from `vault operator unseal -migrate` on"
        ),
    ] = None
    namespace: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
            extra={"allowed": "1 to 128 letters, digits, `_`, `.` or `-`, the first a letter or digit"},
            description="name of the cluster: the `resource` of cluster operators' tokens",
        ),
    ]
    node_name: Annotated[str, Meta(min_length=1, description="name of this node, in logs and reports")]
    second_cluster: Annotated[
        bool,
        Meta(
            description="allow a namespace of its own in a store that holds a cluster of another one; else a node "
            "does not start there, since a mistyped namespace would look like the loss of everything"
        ),
    ] = False
    key_check_value: Annotated[
        str | None,
        Meta(
            description="check value of a master key made before by `kms-cli master-key create`; "
            "init then returns no shares"
        ),
    ] = None
    key_file: Annotated[
        str | None, Meta(description="`static`: file with the key, 64 hex characters, which others must not read")
    ] = None
    key_credential: Annotated[
        str | None, Meta(description="`static`: name of the systemd credential with the key, in place of `key_file`")
    ] = None
    second_key_file: Annotated[
        str | None, Meta(description="`static`: file with a key that opens, too: the one before, or the one to come")
    ] = None
    second_key_credential: Annotated[
        str | None, Meta(description="`static`: name of the systemd credential with that key")
    ] = None
    transit: TransitSeal | None = None
    pkcs11: Pkcs11Seal | None = None

    @property
    def types(self) -> frozenset[str]:
        """Who keeps the master key, and who has kept it."""
        return frozenset({self.name} | ({self.migrate_from} if self.migrate_from is not None else set()))
