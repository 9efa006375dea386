"""Batches of bare plaintexts are read on a way of their own, which nobody can tell from the general one."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.messages import Grants
from kms_actors.transit.items import EncryptItem, Plaintext
from kms_http.routing import Operation
from kms_http.wire import json_codec
from tests.actors.transit_tenant import opened
from tests.http.transit_api import FOX, WRITE, Api, call_of

ENCRYPT = "encrypt/k"
ENDPOINT, CALL = call_of(WRITE, ENCRYPT, {}, Grants())


def read(body: bytes) -> Mapping[str, Any] | None:
    assert ENDPOINT.read is not None
    return ENDPOINT.read(body)


_TEXTS = st.one_of(
    st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
    st.text("AQgw+/=-_ \n\r.", max_size=9),
)
_ROWS = st.one_of(
    st.fixed_dictionaries({"plaintext": _TEXTS}),
    st.fixed_dictionaries(
        {},
        optional={
            "plaintext": st.one_of(_TEXTS, st.none(), st.integers()),
            "context": _TEXTS,
            "associated_data": _TEXTS,
            "nonce": _TEXTS,
            "key_version": st.integers(-1, 3),
            "reference": st.text(max_size=3),
            "unknown": st.none(),
        },
    ),
)
_BODIES = st.fixed_dictionaries(
    {"batch_input": st.one_of(st.lists(_ROWS, max_size=4), st.none(), st.text(max_size=2))},
    optional={"plaintext": _TEXTS, "type": st.just("aes128-gcm96"), "partial_failure_response_code": st.just(200)},
)


def _options(item: Any) -> Any:
    """Return all that an item says, whichever class it is of, but its place."""
    if isinstance(item, InvalidRequest):
        return str(item)
    if isinstance(item, Plaintext):
        item = EncryptItem(item.plaintext)
    return item.plaintext, item.context, item.associated_data, item.key_version, item.padding_scheme


def _outcome(fields: Any) -> Any:
    """Return what a message is built of, or why it is not."""
    values, unknown = ENDPOINT.fields.parse(fields)
    try:
        message: Any = ENDPOINT.build(msgspec.structs.replace(CALL, values=values))
    except InvalidRequest as error:
        return str(error)
    return [_options(item) for item in message.items], message.with_context, message.type, unknown


@given(_BODIES)
@example({"batch_input": [{"plaintext": ""}]})
@example({"batch_input": [{"plaintext": "QR=="}]})
@example({"batch_input": [{"plaintext": "QQ"}, {"plaintext": "QQ==="}]})
def test_what_it_takes_is_taken_as_in_general(sent: dict[str, Any]) -> None:
    body = json.dumps(sent, separators=(",", ":")).encode()
    fields = read(body)
    if fields is not None:
        assert _outcome(fields) == _outcome(json_codec.loads(body))


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=5))
def test_it_takes_every_batch_of_bare_plaintexts(plaintexts: list[bytes]) -> None:
    rows = [{"plaintext": base64.b64encode(plaintext).decode()} for plaintext in plaintexts]
    fields = read(json.dumps({"batch_input": rows}).encode())
    assert fields is not None
    assert [item.plaintext for item in fields["batch_input"]] == plaintexts


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"plaintext":"QQ=="}',
        b'{"batch_input":[]}',
        b'{"batch_input":[{"plaintext":"QQ==","context":"QQ=="}]}',
        b'{"batch_input":[{"plaintext":"QQ==","reference":"r"}]}',
        b'{"batch_input":[{"plaintext":"QQ=="}],"type":"rsa-2048"}',
        b'{"batch_input":[{"plaintext":"QQ=="}]}{}',
        b'{"batch_input":[{"plaintext":"QQ=="}',
        b'{"batch_input":[{"plaintext":"\xff"}]}',
        b'{"batch_input":[{"plaintext":null}]}',
        b'{"batch_input":[{"plaintext":"Q"}]}',
    ],
)
def test_it_leaves_other_bodies_alone(body: bytes) -> None:
    assert read(body) is None


def test_it_has_the_same_bounds() -> None:
    rows = b'{"plaintext":""},' * json_codec.MAX_ELEMENTS
    with pytest.raises(InvalidRequest, match="elements"):
        read(b'{"batch_input":[%b]}' % rows[:-1])


def test_its_items_show_no_plaintext() -> None:
    fields = read(b'{"batch_input":[{"plaintext":"%b"}]}' % base64.b64encode(b"canary"))
    assert fields is not None
    assert "canary" not in repr(fields)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        yield Api(tenant)


@pytest.mark.parametrize("type_name", ["aes256-gcm96", "chacha20-poly1305", "rsa-2048"])
async def test_its_items_come_back(api: Api, type_name: str) -> None:
    await api.post("keys/k", type=type_name)
    status, sealed = await api.batch(ENCRYPT, *[{"plaintext": FOX}] * 3)
    assert (status, [item["reference"] for item in sealed]) == (200, [""] * 3)
    assert len({item["ciphertext"] for item in sealed}) == 3
    opened_again = await api.batch("decrypt/k", *({"ciphertext": item["ciphertext"]} for item in sealed))
    assert opened_again == (200, [{"plaintext": FOX, "reference": ""}] * 3)


async def test_a_key_that_needs_a_context_refuses_each_of_its_items(api: Api) -> None:
    await api.post("keys/k", derived=True)
    status, results = await api.batch(ENCRYPT, *[{"plaintext": FOX}] * 2)
    assert status == 400
    assert [sorted(result) for result in results] == [["error", "reference"]] * 2


async def test_it_makes_a_missing_key(api: Api) -> None:
    status, _ = await api.batch(ENCRYPT, {"plaintext": FOX})
    assert status == 200
    assert (await api(Operation.READ, "keys/k"))[1]["type"] == "aes256-gcm96"
