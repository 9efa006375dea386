"""Configuration: TOML into frozen types, every wrong key named.

Each field carries its description and bounds, so `docs/config/configuration.md` can be compared with the code.
"""

from kms_actors.config.audit import Audit
from kms_actors.config.callers import Authenticator, BiscuitProvider
from kms_actors.config.keys import Cluster, MasterKeyringProvider, RootTenantKeyringProvider
from kms_actors.config.listeners import UNIX, Listener, Tls
from kms_actors.config.reading import check, load, read
from kms_actors.config.seals import Pkcs11Seal, SealType, TransitSeal
from kms_actors.config.section import ConfigurationError, Section, SettingError, bytes_of, section_of
from kms_actors.config.serving import Limits, Log, Metrics
from kms_actors.config.tenants import Cache, Tenants, Transit
from kms_actors.config.whole import Configuration

__all__ = [
    "UNIX",
    "Audit",
    "Authenticator",
    "BiscuitProvider",
    "Cache",
    "Cluster",
    "Configuration",
    "ConfigurationError",
    "Limits",
    "Listener",
    "Log",
    "MasterKeyringProvider",
    "Metrics",
    "Pkcs11Seal",
    "RootTenantKeyringProvider",
    "SealType",
    "Section",
    "SettingError",
    "Tenants",
    "Tls",
    "Transit",
    "TransitSeal",
    "bytes_of",
    "check",
    "load",
    "read",
    "section_of",
]
