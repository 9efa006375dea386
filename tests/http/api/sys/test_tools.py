"""Hashes and random bytes without a mount."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.transit.digests import hashes_of
from kms_actors.transit.messages import MakeHash, MakeRandom

if TYPE_CHECKING:
    from tests.http.conftest import Service

SHA2_256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA2_256_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
SHA3_256_OF_HELLO = "3338be694f50c5f338814986cdf0686453a888b84f424d792af4b9202398f392"


@pytest.fixture
def tools(service: Service) -> Service:
    async def hashed(message: MakeHash) -> Any:
        return hashes_of(message.algorithm, message.items)

    async def random(message: MakeRandom) -> bytes:
        return bytes(range(message.length % 256))

    service.tenant.answers |= {MakeHash: hashed, MakeRandom: random}
    return service


@pytest.mark.parametrize(
    ("path", "sent", "sum_"),
    [
        ("hash", {}, SHA2_256_OF_NOTHING),
        ("hash", {"input": "aGVsbG8="}, SHA2_256_OF_HELLO),
        ("hash/sha2-256", {"input": "aGVsbG8="}, SHA2_256_OF_HELLO),
        ("hash", {"input": "aGVsbG8=", "algorithm": "sha3-256"}, SHA3_256_OF_HELLO),
        ("hash/sha3-256", {"input": "aGVsbG8=", "algorithm": "sha2-256"}, SHA3_256_OF_HELLO),
        ("hash", {"input": "aGVsbG8=", "format": "base64"}, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
    ],
)
async def test_a_hash_is_made_for_whoever_may_use_data(
    tools: Service, path: str, sent: dict[str, str], sum_: str
) -> None:
    answer = await tools.call("POST", f"/v1/sys/tools/{path}", "data", json=sent)
    assert (answer.status, answer.json["data"]) == (200, {"sum": sum_})


@pytest.mark.parametrize(
    ("path", "sent", "encoded"),
    [
        ("random/3", {}, "AAEC"),
        ("random", {"bytes": 3, "format": "hex"}, "000102"),
        ("random/platform/2", {}, "AAE="),
        ("random/platform", {"bytes": 2}, "AAE="),
    ],
)
async def test_random_bytes_are_given(tools: Service, path: str, sent: dict[str, Any], encoded: str) -> None:
    answer = await tools.call("POST", f"/v1/sys/tools/{path}", "data", json=sent)
    assert (answer.status, answer.json["data"]) == (200, {"random_bytes": encoded})


@pytest.mark.parametrize(
    ("path", "sent", "text"),
    [
        ("hash/md5", {}, "unsupported algorithm md5"),
        ("hash", {"format": "x"}, 'unsupported encoding format x; must be "hex" or "base64"'),
        ("hash", {"input": "aGVsb!"}, "unable to decode input as base64: illegal base64 data at input byte 5"),
        ("random", {"bytes": 0}, "'bytes' cannot be less than 1"),
        ("random", {"bytes": 131_073}, "'bytes' should be less than 131072"),
        ("random", {"format": "x"}, 'unsupported encoding format "x"; must be "hex" or "base64"'),
        ("random/foo", {}, 'error parsing url-set byte count: strconv.Atoi: parsing "foo": invalid syntax'),
    ],
)
async def test_mistakes_are_told_as_by_the_reference(
    tools: Service, path: str, sent: dict[str, Any], text: str
) -> None:
    answer = await tools.call("POST", f"/v1/sys/tools/{path}", "data", json=sent)
    assert (answer.status, answer.errors) == (400, [text])


async def test_tools_need_a_token_of_a_vault(tools: Service) -> None:
    for token in ("", "operator", "bad"):
        assert (await tools.call("POST", "/v1/sys/tools/random", token)).status == 403
    assert (await tools.call("GET", "/v1/sys/tools/random", "data")).status == 405
