"""Rekeys, root tokens and shares: nobody begins, ends or disturbs them who has not proved that he may."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, Final

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


def test_cve_2025_52894_who_tries_to_give_up_a_rekey_is_in_the_audit_log(
    tenant: Tenant, nobody: Api, directory: Path
) -> None:
    """The cancellation of a rekey was anonymous, and no audit device heard of it.

    Here it takes an operator's token, and the refusal of any other has its entry.
    """
    operator = tenant.operator
    device = {"type": "file", "options": {"file_path": "audit.log"}}
    assert operator.put("sys/audit/file", device).status == 204
    operator.put("sys/rekey/init", {"secret_shares": 3, "secret_threshold": 2})
    assert tenant.user.delete("sys/rekey/init").status == 403
    assert nobody.delete("sys/rekey/init").status == 403
    assert operator.delete("sys/rekey/init").status in {200, 204}
    entries = _entries(directory / "audit/vaults" / tenant.vault_id / "audit.log")
    of_it = [each for each in entries if each["request"]["path"] == "sys/rekey/init"]
    assert {(each["type"], each["request"]["operation"], "error" in each) for each in of_it} >= {
        ("response", "delete", True),
        ("response", "delete", False),
    }
    operator.put("sys/seal")


def _entries(path: Path) -> Iterator[Any]:
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["type"] != "checkpoint":
            yield entry


def test_cve_2023_25000_what_shares_are_does_not_show_in_what_is_done() -> None:
    """Tables of logarithms, looked up by bytes of the secret, told it to who watched the cache.

    Here the arithmetic has no table and no branch that depends on a secret: the same lines are run for any shares.
    """
    draw, runs = Random(7), set()
    for _ in range(40):
        shares = [bytes([x]) + draw.randbytes(32) for x in (1, 2, 3)]
        runs.add(tuple(_lines_run(shares)))
    assert len(runs) == 1
    tables = (ast.List, ast.Tuple, ast.Dict, ast.ListComp)
    made = [
        node for node in ast.parse(inspect.getsource(shamir)).body if isinstance(node, ast.Assign | ast.AnnAssign)
    ]
    assert not [ast.unparse(node) for node in made if isinstance(node.value, tables)]


def _lines_run(shares: list[bytes]) -> list[int]:
    lines: list[int] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename == shamir.__file__:
            lines.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        shamir.combine(shares)
    finally:
        sys.settrace(before)
    return lines


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
