"""Clever KMS: actors, engines and store. `kms_http` holds the HTTP edge."""

__version__ = "0.1.0"

#: What `sys/seal-status` and `sys/health` name as version: the Vault API level clients may rely on
#: (they parse it as a semantic version), with our own version as build metadata.
API_VERSION = f"1.14.2+kms.{__version__}"
