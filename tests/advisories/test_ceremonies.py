"""Rekeys, root tokens and shares: nobody begins, ends or disturbs them who has not proved that he may."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, SupportsIndex

import pytest

from kms_actors.keyring import shamir
from tests.support.api import Answer, Api
from tests.support.tenant import Tenant

#: Where a ceremony is begun and given up.
CEREMONIES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("sys/generate-root/attempt", {}),
    ("sys/generate-root-token/attempt", {}),
    ("sys/rekey/init", {"secret_shares": 3, "secret_threshold": 2}),
    ("sys/rotate/root/init", {"secret_shares": 3, "secret_threshold": 2}),
)


@pytest.mark.parametrize(("path", "fields"), CEREMONIES, ids=[path for path, _ in CEREMONIES])
def test_cve_2026_5807_nobody_gives_up_a_ceremony_of_others(
    path: str, fields: dict[str, Any], tenant: Tenant, other: Tenant, nobody: Api
) -> None:
    """Whoever reached the port began and cancelled root generations and rekeys, so that no operator came to an end.

    Here a ceremony is begun, gone on with and given up by operators of its own vault only.
    """
    operator = tenant.operator
    begun = operator.put(path, fields)
    assert begun.status == 200, begun.body
    nonce = told(begun)["nonce"]
    strangers = [nobody, nobody.with_headers(**{"X-Vault-Namespace": ""}), nobody.with_token("hvs.madeup")]
    strangers += [tenant.user, other.user.with_headers(**{"X-Vault-Namespace": tenant.vault_id})]
    strangers.append(other.operator.with_headers(**{"X-Vault-Namespace": tenant.vault_id}))
    update = path.replace("attempt", "update").replace("init", "update")
    for stranger in strangers:
        for answer in (
            stranger.delete(path),
            stranger.put(path, fields),
            stranger.put(update, {"key": tenant.shares[0], "nonce": nonce}),
        ):
            assert answer.status in {400, 403}, (answer.status, answer.body)
    now = told(operator.get(path))
    assert (now["nonce"], now["started"], now["progress"]) == (nonce, True, 0)
    assert operator.delete(path).status in {200, 204}


def told(answer: Answer) -> Any:
    """Return what an answer says, in an envelope or without one."""
    return answer.json.get("data") or answer.json


@pytest.mark.parametrize(("path", "fields"), CEREMONIES, ids=[path for path, _ in CEREMONIES])
def test_cve_2025_52894_who_tries_to_give_up_a_rekey_is_in_the_audit_log(
    *, path: str, fields: dict[str, Any], tenant: Tenant, nobody: Api, cluster: Api, directory: Path
) -> None:
    """The cancellation of a rekey was anonymous, and no audit device heard of it.

    Here it takes an operator's token, and each refusal has its entry: in the log of the vault if somebody of it has
    tried, in that of the node if it was nobody.
    """
    operator = tenant.operator
    device = {"type": "file", "options": {"file_path": "audit.log"}}
    assert operator.put("sys/audit/file", device).status == 204
    assert cluster.put("sys/audit/file", device).status == 204
    assert operator.put(path, fields).status == 200
    assert tenant.user.delete(path).status == 403
    assert nobody.delete(path).status == 403
    assert operator.delete(path).status in {200, 204}
    assert cluster.delete("sys/audit/file").status == 204
    of_vault = _told_of(directory / "audit/vaults" / tenant.vault_id / "audit.log", path)
    assert of_vault == [(tenant.vault_id, True), (tenant.vault_id, False)]
    of_node = _told_of(directory / "audit/node/audit.log", path)
    assert sorted(of_node) == sorted([*of_vault, ("", True)])
    operator.put("sys/seal")
    (directory / "audit/node/audit.log").unlink()


def _told_of(log: Path, path: str) -> list[tuple[str, bool]]:
    """Return of whose scope who tried to delete what is at a path was, and whether he was refused."""
    return [
        (entry["request"].get("namespace", {}).get("id", ""), "permission denied" in entry.get("error", ""))
        for entry in _entries(log)
        if (entry["type"], entry["request"]["operation"], entry["request"]["path"]) == ("response", "delete", path)
    ]


def _entries(path: Path) -> Iterator[Any]:
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["type"] != "checkpoint":
            yield entry


class Unseen:
    """A number that a secret has: it can be reckoned with, and nothing can be done by what it is.

    It is no index, no condition, equal to nothing, and no number of places to move another by.
    """

    def __init__(self, value: int) -> None:
        self.value = value

    def _told(self, *_: object) -> Any:
        raise AssertionError("something depends on what a secret is")

    __bool__ = __index__ = __int__ = __hash__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _told
    __rlshift__ = __rrshift__ = bit_length = bit_count = _told

    def __and__(self, other: Any) -> Unseen:
        return Unseen(self.value & _plain(other))

    def __or__(self, other: Any) -> Unseen:
        return Unseen(self.value | _plain(other))

    def __xor__(self, other: Any) -> Unseen:
        return Unseen(self.value ^ _plain(other))

    def __mul__(self, other: Any) -> Unseen:
        return Unseen(self.value * _plain(other))

    __rand__, __ror__, __rxor__, __rmul__ = __and__, __or__, __xor__, __mul__

    def __lshift__(self, places: int) -> Unseen:
        return Unseen(self.value << places)

    def __rshift__(self, places: int) -> Unseen:
        return Unseen(self.value >> places)

    def to_bytes(self, length: int, order: Literal["little", "big"]) -> UnseenBytes:
        return UnseenBytes(self.value.to_bytes(length, order))


class UnseenBytes(bytes):
    """Bytes of a secret, each of them `Unseen`."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return UnseenBytes(found) if isinstance(found, bytes) else Unseen(found)

    def __iter__(self) -> Iterator[Any]:
        return map(Unseen, super().__iter__())

    def __mul__(self, times: SupportsIndex) -> UnseenBytes:
        return UnseenBytes(super().__mul__(times))

    def _told(self, *_: object) -> Any:
        raise AssertionError("something depends on what a secret is")

    __hash__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = find = index = _told


class Share(UnseenBytes):
    """A share, of which the coordinate alone may be looked at."""

    def __getitem__(self, place: Any) -> Any:
        return bytes(self)[0] if place == 0 else super().__getitem__(place)


class Integers:
    """What `int` is for Shamir's arithmetic: bytes of a secret stay one."""

    @staticmethod
    def from_bytes(raw: bytes, order: Literal["little", "big"]) -> Any:
        value = int.from_bytes(raw, order)
        return Unseen(value) if isinstance(raw, UnseenBytes) else value


class Kept:
    """What `SecretBytes` is for it: the bytes as they are."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def __len__(self) -> int:
        return len(self._raw)

    def reveal(self) -> bytes:
        return self._raw


def _plain(number: Any) -> int:
    return number.value if isinstance(number, Unseen) else int(number)


def _joined(parts: Iterable[bytes]) -> Any:
    whole = list(parts)
    number = int.from_bytes(b"".join(whole), "little")
    return Unseen(number) if any(isinstance(part, UnseenBytes) for part in whole) else number


def test_cve_2023_25000_what_a_secret_is_decides_nothing_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of logarithms, looked up by bytes of the secret, told it to who watched the cache.

    Here the arithmetic looks nothing up by a secret, and branches at none: it is run with numbers that allow neither.
    """
    monkeypatch.setattr(shamir, "int", Integers, raising=False)
    monkeypatch.setattr(shamir, "SecretBytes", Kept)
    monkeypatch.setattr(shamir, "_vector", _joined)
    draw = Random(7)
    for threshold, count in ((1, 1), (2, 3), (3, 5), (5, 5)):
        raw = draw.randbytes(32)
        secret: Any = Kept(UnseenBytes(raw))
        shares = shamir.split(secret, count, threshold, lambda size: UnseenBytes(draw.randbytes(size)))
        found = shamir.combine([Share(share) for share in draw.sample(shares, threshold)]).reveal()
        assert isinstance(found, UnseenBytes)  # none of it was lost on the way, so all was looked at
        assert bytes(found) == raw


def test_shares_that_repeat_or_are_of_zero_prove_nothing(tenant: Tenant) -> None:
    """The class: x = 0 is the secret itself, and an x that comes twice makes any secret."""
    operator = tenant.operator
    assert operator.put("sys/seal").status == 204
    answers: list[Answer] = [operator.put("sys/unseal", {"key": tenant.shares[0]}) for _ in range(4)]
    answers.append(operator.put("sys/unseal", {"key": "00" * 33}))
    assert all(answer.status == 400 or answer.json["sealed"] for answer in answers)
    operator.put("sys/unseal", {"reset": True})
    for share in tenant.shares[:3]:
        assert operator.put("sys/unseal", {"key": share}).status == 200
    assert operator.get("sys/seal-status").json["sealed"] is False
