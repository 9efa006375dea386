"""`kms-cli master-key`: a master key made in shares, and the check value of the key that shares give."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from kms_actors.cli.manners import not_looked, tell, tells
from kms_actors.cli.private_file import create_private
from kms_actors.cli.shares import given_shares, shares_in
from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.keyring.check_value import has_check_value, key_check_value
from kms_actors.keyring.seal import validate_counts
from kms_actors.keyring.shamir import SECRET_LENGTH, combine, encode_share, parse_share, split
from kms_actors.secret import SecretBytes


@click.group("master-key")
def master_key() -> None:
    """The key of a cluster, from which everything else is unsealed."""


@master_key.command()
@click.option("--key-shares", type=int, default=5, show_default=True)
@click.option("--key-threshold", type=int, default=3, show_default=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the shares to a new file that only you can read, one a line, instead of printing them.",
)
@tells(quiet="Print the shares alone; with --output, the check value.")
def create(*, key_shares: int, key_threshold: int, output: Path | None) -> None:
    """Make a master key in shares, and the value that nodes know it by.

    Give each share to another person; `vault operator unseal` takes them. With the key check value in
    its configuration, a new cluster is initialised for this key, and `vault operator init` returns no shares.
    """
    validate_counts(key_shares, key_threshold)
    key = SecretBytes(secrets.token_bytes(SECRET_LENGTH))
    shares = [encode_share(share) for share in split(key, key_shares, key_threshold)]
    value = key_check_value(key)
    lines = "\n".join(f"Unseal Key {number}: {share}" for number, share in enumerate(shares, start=1))
    if output is None:
        data = {"unseal_keys": shares, "key_check_value": value}
        tell(data, f"{lines}\n{_setting(value)}", "\n".join(shares))
        return
    create_private(output, lines + "\n")
    data = {"unseal_keys_file": str(output), "key_check_value": value}
    tell(data, f"Unseal Keys file {output}\n{_setting(value)}", value)


@master_key.command()
@click.option(
    "--share-file",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A file with a share, or with several, one a line. Repeatable.",
)
@click.option(
    "--key-threshold",
    type=click.IntRange(1, 255),
    default=3,
    show_default=True,
    help="How many shares give the key: fewer are refused.",
)
@click.option(
    "--key-check-value",
    "expected",
    metavar="HEX",
    help="Of a configuration: say whether the shares give that key; exit code 1 if not.",
)
@tells(quiet="Print the check value alone; with --key-check-value nothing, but the exit code.")
def check(*, files: tuple[Path, ...], key_threshold: int, expected: str | None) -> None:
    """Tell the key check value of the key that shares give.

    Shares come from files, or from standard input, one a line, or are asked for; never from arguments, which others
    can see. Lines as `create` prints them are taken. Nothing but the check value is printed. More shares than the
    threshold must all give one key; with just as many, any shares give some key, so compare its value.

    \b
    kms-cli master-key check
    kms-cli master-key check --share-file alice.share --share-file bob.share --share-file carol.share
    kms-cli master-key check --key-check-value 2b71… < shares
    """  # noqa: D301  click keeps lines after \b
    try:
        texts = [text for path in files for text in shares_in(path)] if files else given_shares()
        shares = [parse_share(text) for text in texts]
    except OSError as error:
        raise not_looked(error) from None
    if len(shares) < key_threshold:
        raise InvalidRequest(f"{len(shares)} shares are given, and {key_threshold} are needed (--key-threshold)")
    key = _key(shares, key_threshold)
    value = key_check_value(key)
    if expected is None:
        tell({"key_check_value": value}, _setting(value), value)
        return
    if not has_check_value(key, expected.strip()):
        raise click.ClickException("the shares give another key than that of this check value")
    tell({"key_check_value": value}, "The shares give the key of this check value.")


def _key(shares: list[bytes], threshold: int) -> SecretBytes:
    """Return the one key that all shares give."""
    try:
        key = combine(shares[:threshold])
        if combine(shares) == key:
            return key
    except InvalidShares as error:
        raise InvalidRequest(str(error)) from None
    raise InvalidRequest(f"the shares are not of one key with a threshold of {threshold}")


def _setting(check_value: str) -> str:
    return (
        f"Key Check Value: {check_value}\n\n"
        f'[master_keyring_provider]\nname = "shamir"\nkey_check_value = "{check_value}"'
    )
