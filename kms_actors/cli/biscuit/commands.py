"""`kms-cli biscuit`: make a token, show one, narrow one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from kms_actors import config
from kms_actors.auth.build import RIGHT_OF, Privilege, attenuate, build_token
from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.principal import Capability
from kms_actors.auth.scope import require_scope
from kms_actors.auth.wire import TokenRefused
from kms_actors.cli.biscuit.inspection import describe, verified
from kms_actors.cli.biscuit.parameters import (
    DURATION,
    PRIVATE_KEY,
    PUBLIC_KEY,
    token_argument,
)
from kms_actors.cli.key_file import read_key_file, read_namespace
from kms_actors.cli.manners import FAILED, configured_by, heeds_nothing, not_looked, tell, tells
from kms_actors.cli.private_file import create_private, replace_private
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes

F = TypeVar("F", bound=Callable[..., Any])

KEY_FILE: Final = Path("kms-keys.toml")

_key_file_option = click.option(
    "--keys",
    "key_file",
    type=click.Path(path_type=Path),
    envvar="KMS_KEYS_FILE",
    show_envvar=True,
    metavar="FILE",
    help=f"Key file of `kms-cli keys`; {KEY_FILE} if it is here.",
)


def _writes(command: F) -> F:
    """Add the options of what writes a token."""
    for option in (
        click.option("--force", is_flag=True, help="Replace the file if it is there, whole at every moment."),
        click.option(
            "--output",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write the token to a new file that only you can read, instead of printing it.",
        ),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@click.option("--addon-id", metavar="ID", help="Vault id; for a cluster operator, the cluster's namespace.")
@click.option("--privilege", type=click.Choice([privilege.value for privilege in Privilege]))
@click.option("--owner", default="orga_local", show_default=True, metavar="ORGA", help="Who owns the vault.")
@click.option(
    "--namespace",
    envvar="KMS_NAMESPACE",
    show_envvar=True,
    metavar="NAME",
    help="The cluster's namespace, if not in the key file: no vault is called so, and operators' tokens are.",
)
@click.option(
    "--configuration",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A node's configuration, for the namespace in it.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="NAME",
    help="Policy of the vault: the bearer may do what it says, in place of all data. Repeatable; `default` is added.",
)
@click.option("--ttl", type=DURATION, help="Life of the token: 90s, 30m, 1h, 7d. Without it, no end.")
@click.option(
    "--root-private-key",
    type=PRIVATE_KEY,
    envvar="KMS_ROOT_PRIVATE_KEY",
    show_envvar=True,
    help="Instead of a key file. Prefer the variable: options show in process lists.",
)
@click.option(
    "--service-private-key",
    type=PRIVATE_KEY,
    envvar="KMS_SERVICE_PRIVATE_KEY",
    show_envvar=True,
    help="Likewise.",
)
@_key_file_option
@_writes
@tells("Print the token alone.")
@click.pass_context
def biscuit(
    context: click.Context,
    /,
    *,
    addon_id: str | None,
    privilege: str | None,
    owner: str,
    namespace: str | None,
    configuration: Path | None,
    policies: tuple[str, ...],
    ttl: int | None,
    root_private_key: SecretBytes | None,
    service_private_key: SecretBytes | None,
    key_file: Path | None,
    output: Path | None,
    force: bool,
) -> None:
    """Make a token, or inspect or narrow one.

    \b
    kms-cli biscuit --addon-id kms-c1 --privilege cluster-operator
    kms-cli biscuit --addon-id vault_8fa9b31c --privilege tenant-operator
    kms-cli biscuit --addon-id vault_8fa9b31c --privilege tenant --ttl 12h --output tenant.token
    kms-cli biscuit --addon-id vault_8fa9b31c --privilege tenant --policy app-read

    A cluster operator initialises and unseals the node, a tenant operator one vault; a tenant uses its data.
    """  # noqa: D301  click keeps lines after \b
    if context.invoked_subcommand is not None:
        heeds_nothing(context)
        return
    if not addon_id or privilege is None:
        raise click.UsageError("--addon-id and --privilege are needed to make a token")
    if configuration is not None:
        if context.get_parameter_source("namespace") is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--namespace or --configuration, not both")
        namespace = _namespace(context, configuration)
    require_scope(RIGHT_OF[Privilege(privilege)], addon_id, namespace)  # before keys are asked for
    keys = _keys(root_private_key, service_private_key, key_file)
    if namespace is None and root_private_key is None:
        namespace = read_namespace(key_file or KEY_FILE)
    try:
        token = build_token(
            keys.root,
            keys.service,
            addon_id,
            Privilege(privilege),
            owner=owner,
            now=time.time(),
            ttl=ttl,
            namespace=namespace,
            policies=policies,
        )
    except TokenRefused as error:  # by what was given: there is no token yet
        raise InvalidRequest(str(error)) from None
    root, service = keys.public
    public = {"root_public_key": root, "service_public_key": service}
    lines = f"Root Public Key ed25519/{root}\nService Public Key ed25519/{service}"
    if output is None:
        tell({"token": token, **public}, f"Token: {token}\n{lines}", token)
        return
    _write(output, token, force=force)
    tell({"token_file": str(output), **public}, f"Token file {output}\n{lines}")


@biscuit.command()
@token_argument
@click.option("--root-public-key", type=PUBLIC_KEY, help="Check the token's signatures with this root key.")
@click.option("--service-public-key", type=PUBLIC_KEY, help="Check that this key signed the second block.")
@_key_file_option
@tells("Print nothing: the exit code says whether it is a token, and verifies.")
def inspect(
    *, token: str, root_public_key: str | None, service_public_key: str | None, key_file: Path | None
) -> None:
    """Say what a token is, what it may do and what it holds; check its signatures if keys are given.

    Of a token that does not verify, what stands in it is told as well. Exit code 1 for it, or if it is no token.

    \b
    kms-cli biscuit inspect - < token
    kms-cli biscuit inspect - --root-public-key 11aa… --service-public-key 22bb… < token
    """  # noqa: D301  click keeps lines after \b
    if key_file is not None:
        try:
            root, service = read_key_file(key_file).public
        except OSError as error:
            raise not_looked(error) from None
        root_public_key, service_public_key = root_public_key or root, service_public_key or service
    described = describe(token)
    if root_public_key is not None:
        described = verified(token, described, root_public_key, service_public_key)
    tell(described, "\n".join(described.lines()))
    if described.verified is False:
        sys.exit(FAILED)


@biscuit.command("attenuate")
@token_argument
@click.option("--ttl", type=DURATION, help="End of the new token, from now.")
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="PATTERN",
    help="API path, exact; `*` ends a prefix, `+` is one segment. Repeat for alternatives.",
)
@click.option(
    "--operation",
    "operations",
    multiple=True,
    type=click.Choice([capability.value for capability in Capability]),
    help="Vault capability. Repeat for alternatives.",
)
@click.option("--mount", "mounts", multiple=True, metavar="MOUNT", help="Mount, such as secret. Repeatable.")
@click.option("--service", "services", multiple=True, metavar="NAME", help="`service` of a node's configuration.")
@_writes
@tells("Print the token alone, as without --output anyway.")
def attenuate_command(
    *,
    token: str,
    ttl: int | None,
    paths: tuple[str, ...],
    operations: tuple[str, ...],
    mounts: tuple[str, ...],
    services: tuple[str, ...],
    output: Path | None,
    force: bool,
) -> None:
    """Narrow a token and print the new one; needs neither keys nor a server.

    Each kind of limit must hold; values of one kind are alternatives. A token can be narrowed again and
    again, and never widened. The token given stays as it is.

    \b
    kms-cli biscuit attenuate - --ttl 1h --path 'secret/data/app/*' --operation read < token
    kms-cli biscuit attenuate - --path 'transit/encrypt/orders' --operation update < token

    Secrets of KV version 2 lie under <mount>/data/, their listing under <mount>/metadata/. Writing one takes
    the operations create and update.
    """  # noqa: D301  click keeps lines after \b
    narrowed = attenuate(
        token,
        now=time.time(),
        ttl=ttl,
        paths=paths,
        operations=[Capability(operation) for operation in operations],
        mounts=mounts,
        services=services,
    )
    if output is None:
        tell({"token": narrowed}, narrowed, narrowed)
        return
    _write(output, narrowed, force=force)
    tell({"token_file": str(output)}, f"Token file {output}")


def _write(output: Path, token: str, *, force: bool) -> None:
    """Write a token; over another file only if that is wanted: a slip would cost the keys, say."""
    (replace_private if force else create_private)(output, token + "\n")


def _namespace(context: click.Context, path: Path) -> str:
    configured_by(context, path)
    return config.load(path).master_keyring_provider.namespace


def _keys(root: SecretBytes | None, service: SecretBytes | None, path: Path | None) -> TokenKeys:
    """Return the keys given one by one, or those of the file."""
    if root is not None and service is not None:
        return TokenKeys(root, service)
    if root is not None or service is not None:
        raise click.UsageError("both private keys are needed, or a key file")
    if path is None and not KEY_FILE.exists():
        raise click.UsageError("no keys: make them with `kms-cli keys`, or give --keys FILE or both private keys")
    return read_key_file(path or KEY_FILE)
