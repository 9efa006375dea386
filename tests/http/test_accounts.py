"""Whose turn a request takes: nobody can make it another's."""

from __future__ import annotations

from typing import Any, cast

from multidict import CIMultiDict

from kms_http.accounts import Accounts


class Asked:
    def __init__(self, remote: str, **headers: str) -> None:
        self.remote = remote
        self.headers = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})


def account(accounts: Accounts, asked: Asked) -> str:
    return accounts.of(cast(Any, asked))


def test_a_token_that_has_proved_to_be_of_a_vault_is_its() -> None:
    accounts = Accounts()
    accounts.learn("hvs.known", "vault_a")
    assert account(accounts, Asked("10.0.0.1", X_Vault_Token="hvs.known")) == "vault_a"
    assert account(accounts, Asked("10.0.0.2", Authorization="Bearer hvs.known")) == "vault_a"


def test_all_others_share_the_account_of_their_address_and_no_header_changes_it() -> None:
    accounts = Accounts()
    accounts.learn("hvs.known", "vault_a")
    for asked in (Asked("10.0.0.1"), Asked("10.0.0.1", X_Vault_Token="hvs.made-up", X_Vault_Namespace="vault_a")):
        assert account(accounts, asked) == "@10.0.0.1"
    assert account(accounts, Asked("2001:db8::1")) == account(accounts, Asked("2001:db8::2"))


def test_no_token_is_kept_and_their_number_is_bounded() -> None:
    accounts = Accounts()
    for number in range(100_000):
        accounts.learn(f"hvs.{number}", "vault_a")
    assert len(accounts._vaults) <= 32_768
    assert not any(isinstance(key, str) for key in accounts._vaults)
