"""`kms-cli master-key`: a master key made in shares, and the check value of the key that shares give."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from kms_actors.cli.manners import tell, tells
from kms_actors.cli.private_file import create_private
from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.keyring.check_value import has_check_value, key_check_value
from kms_actors.keyring.seal import validate_counts
from kms_actors.keyring.shamir import SECRET_LENGTH, combine, encode_share, parse_share, split
from kms_actors.secret import SecretBytes

#: A line of what `create` and `vault operator init` print, or a share alone.
_SHARE: Final = re.compile(r"\s*(?:Unseal Key \d+:)?\s*([A-Za-z0-9+/_=-]{44,66})\s*")
#: Other lines of theirs, which hold no share.
_OTHER: Final = re.compile(r"\s*(?:Key Check Value:.*|Initial Root Token:.*|\[.*\]|\w+ = .*|#.*)?\s*")
_LONGEST: Final = 1 << 16  # characters of a file or of standard input


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
    shares = [share for path in files for share in _in_lines(_read(path), f"{path}: ")] if files else list(_given())
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


def _given() -> Iterator[bytes]:
    """Yield the shares on standard input, or ask a person for them."""
    if not _terminal():
        yield from _in_lines(sys.stdin.read(_LONGEST))
        return
    while text := click.prompt(
        "Unseal Key (empty: no more)", default="", show_default=False, hide_input=True, err=True
    ):
        yield from _in_lines(text)


def _terminal() -> bool:
    return sys.stdin.isatty()


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(_LONGEST)


def _in_lines(text: str, whose: str = "") -> Iterable[bytes]:
    """Yield the share in each line; a line that is none is refused, and not repeated."""
    for line in text.splitlines():
        found = _SHARE.fullmatch(line)
        if found is not None:
            yield parse_share(found[1])
        elif not _OTHER.fullmatch(line):
            raise InvalidRequest(f"{whose}a line is no share: 44 characters of base64 or 66 of hex")


def _setting(check_value: str) -> str:
    return (
        f"Key Check Value: {check_value}\n\n"
        f'[master_keyring_provider]\nname = "shamir"\nkey_check_value = "{check_value}"'
    )
