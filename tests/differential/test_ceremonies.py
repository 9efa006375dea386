"""Who cancels a ceremony, and by what: on a node and on the reference server alike.

The kind: a nonce that is thought to be looked at. Both cancel for whoever may, whatever nonce is sent along.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.differential.pair import Pair, Side
from tests.support.api import Api

SHARES: Final = {"secret_shares": 1, "secret_threshold": 1}
#: Where each is begun, cancelled and looked at, and what begins it.
CEREMONIES: Final[tuple[tuple[str, dict[str, int]], ...]] = (
    ("sys/rotate/root/init", SHARES),
    ("sys/generate-root-token/attempt", {}),
)
#: What is sent with a DELETE: behind the path, and as a body.
SENT: Final = (
    ("", None),
    ("", {"nonce": "another"}),
    ("?nonce=another", None),
    ("", {"nonce": 5}),
    ("", [1]),
)


def cancelled(side: Side, path: str, begin: Any) -> list[tuple[Any, ...]]:
    """Return what each way of cancelling, and of having begun before it, is answered with, and what is left."""
    found: list[tuple[Any, ...]] = []
    for query, body in SENT:
        begun = side("POST", path, begin)
        again = side("POST", path, begin)
        ended = side("DELETE", path + query, body)
        found.append((begun.status, again.status, ended.status, side("GET", path).data["started"]))
    found.append((side("DELETE", path).status,))
    return found


@pytest.mark.parametrize(("path", "begin"), CEREMONIES)
def test_a_ceremony_is_cancelled_by_whoever_may_whatever_nonce_is_sent(pair: Pair, path: str, begin: Any) -> None:
    ours, theirs = (cancelled(side, path, begin) for side in (pair.ours, pair.reference))
    assert ours == theirs
    assert ours[1] == (200, 400, 204, False)


@pytest.mark.parametrize(("path", "begin"), CEREMONIES)
def test_nobody_cancels_one_without_a_token(pair: Pair, path: str, begin: Any) -> None:
    for side in (pair.ours, pair.reference):
        nonce = side("POST", path, begin).data["nonce"]
        assert Api(side.address).call("DELETE", f"{path}?nonce={nonce}").status == 403
        assert side("GET", path).data["started"] is True
        assert side("DELETE", path).status == 204


def test_a_verification_is_begun_anew_whatever_nonce_is_sent(pair: Pair) -> None:
    for side in (pair.ours, pair.reference):
        assert side("DELETE", "sys/rotate/root/verify", {"nonce": "another"}).status == 400
        assert side("POST", "sys/rotate/root/init", {**SHARES, "require_verification": True}).status == 200
        told = side("DELETE", "sys/rotate/root/verify", {"nonce": "another"})
        shown = {
            name: value for name, value in told.data.items() if name != "nonce"
        }  # theirs has one before there is a key
        assert (told.status, shown) == (200, {"n": 1, "progress": 0, "started": False, "t": 1})
        assert side("DELETE", "sys/rotate/root/init").status == 204
