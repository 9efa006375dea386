"""Entries of a device, line by line."""

from __future__ import annotations

import json
from typing import Any

from kms_actors.audit.entries import Entries
from kms_actors.audit.facts import LARGE, Answered, Asked, Bearer, Entered, Place
from kms_actors.audit.masking import Masker
from kms_actors.audit.options import read

KEY = bytes(32)
NOW = 1_800_000_000_123_456_789
BEARER = Bearer("acc", "me", ("a", "b"), ("a",), ("b",), {"who": "me"}, "entity", "service", 60, 1_700_000_000)
PLACE = Place("secret/", "kv", "kv_1", frozenset({"open"}), frozenset({"shown"}))


def entries(whole: bool = True, **options: str) -> Entries:
    return Entries(read("file", {"file_path": "x", **options}), KEY, whole=whole)


def asked(**fields: Any) -> Asked:
    known: dict[str, Any] = {
        "token": "secret-token",
        "identity": BEARER,
        "describe": lambda bearer: bearer,
        "data": {"open": "o", "closed": "c"},
        "remote": "10.0.0.1",
        "port": 5,
    }
    operation, path = fields.pop("operation", "update"), fields.pop("path", "secret/data/x")
    return Asked("id-1", operation, path, "vault_1", PLACE, **(known | fields))


def line(raw: bytes) -> Any:
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n") == 1
    return json.loads(raw)


def mac(text: str) -> str:
    return Masker(KEY).hmac(text)


def test_a_request_is_shown_as_vault_shows_it() -> None:
    shown = line(entries().request(asked(), "", NOW))
    assert list(shown) == ["time", "type", "auth", "request"]
    assert (shown["time"], shown["type"]) == ("2027-01-15T08:00:00.123456789Z", "request")
    assert shown["auth"] == {
        "client_token": mac("secret-token"),
        "accessor": mac("acc"),
        "display_name": "me",
        "policies": ["a", "b"],
        "token_policies": ["a"],
        "identity_policies": ["b"],
        "policy_results": {"allowed": True},
        "metadata": {"who": "me"},
        "entity_id": "entity",
        "token_type": "service",
        "token_ttl": 60,
        "token_issue_time": "2023-11-14T22:13:20Z",
    }
    request = shown["request"]
    assert request["id"] == "id-1"
    assert request["data"] == {"open": "o", "closed": mac("c")}
    assert request["namespace"] == {"id": "vault_1"}
    assert (request["remote_address"], request["remote_port"]) == ("10.0.0.1", 5)
    assert (request["mount_point"], request["mount_class"], request["client_id"]) == ("secret/", "secret", "entity")


def test_an_answer_repeats_its_request() -> None:
    made, question = entries(), asked()
    first = line(made.request(question, "", NOW))
    second = line(made.answer(question, Answered({"shown": "s", "hidden": "h", "n": 1}), NOW + 1))
    assert list(second) == ["time", "type", "auth", "request", "response"]
    assert (second["request"], second["auth"]) == (first["request"], first["auth"])
    assert second["response"]["data"] == {"shown": "s", "hidden": mac("h"), "n": 1}


def test_a_device_that_is_not_the_vaults_shows_no_values_whatever_mounts_say() -> None:
    made, question = entries(whole=False), asked()
    assert line(made.request(question, "", NOW))["request"]["data"] == {"open": mac("o"), "closed": mac("c")}
    shown = line(made.answer(question, Answered({"shown": "s"}), NOW))
    assert shown["response"]["data"] == {"shown": mac("s")}


def test_nobody_has_no_token() -> None:
    shown = line(entries().request(asked(identity=None, token="", allowed=False), "permission denied", NOW))
    assert (shown["auth"], shown["error"]) == ({"token_type": "default"}, "permission denied")
    assert "client_token" not in shown["request"]


def test_who_logs_in_is_named_by_the_answer() -> None:
    made, question = entries(), asked(identity=None, token="", path="auth/x/login")
    auth = {"client_token": "new", "accessor": "acc", "policies": ["p"], "lease_duration": 5, "token_type": "batch"}
    shown = line(made.answer(question, Answered(auth=auth), NOW))
    for found in (shown["auth"], shown["response"]["auth"]):
        assert found["client_token"] == mac("new")
        assert (found["token_type"], found["token_ttl"], found["policies"]) == ("batch", 5, ["p"])


def test_what_was_wrapped_is_named_and_its_token_masked() -> None:
    info = {
        "token": "t",
        "accessor": "a",
        "ttl": 60,
        "creation_time": "now",
        "creation_path": "p",
        "wrapped_accessor": "w",
    }
    shown = line(entries().answer(asked(), Answered(wrap_info=info), NOW))["response"]["wrap_info"]
    assert shown == info | {"token": mac("t"), "accessor": mac("a"), "wrapped_accessor": mac("w")}


def test_options_of_a_device() -> None:
    raw = line(entries(log_raw="true").request(asked(), "", NOW))
    assert raw["request"]["data"] == {"open": "o", "closed": "c"}
    assert raw["auth"]["client_token"] == "secret-token"
    assert line(entries(hmac_accessor="false").request(asked(), "", NOW))["auth"]["accessor"] == "acc"
    assert entries(prefix="@cee: ").request(asked(), "", NOW).startswith(b'@cee: {"time":')
    elided = entries(elide_list_responses="true")
    shown = line(elided.answer(asked(operation="list"), Answered({"keys": ["a", "b"]}), NOW))
    assert shown["response"]["data"] == {"keys": 2}
    assert line(elided.answer(asked(), Answered({"keys": ["a"]}), NOW))["response"]["data"] == {"keys": [mac("a")]}
    assert not entries(filter="operation == read").takes(Entered(asked))


def test_headers_that_are_asked_for_are_shown() -> None:
    made = entries()
    made.headers = {"x-id": False, "authorization": True, "absent": True}
    sent = {"x-id": ["1", "2"], "authorization": ["secret"]}
    shown = line(made.request(asked(headers=lambda name: sent.get(name, [])), "", NOW))["request"]["headers"]
    assert shown == {"x-id": ["1", "2"], "authorization": [mac("secret")]}


def test_large_data_are_masked_in_steps_to_the_same() -> None:
    data = {"items": ["x" * 50] * 1_000}
    small, large = asked(data=data), asked(data=data, size=LARGE + 1)
    assert large.large
    made = entries()
    assert sum(1 for _ in made.masking(large)) > 1
    assert line(made.request(large, "", NOW)) == line(made.request(small, "", NOW))
    answered = Answered(data, LARGE + 1)
    assert sum(1 for _ in made.masking_answer(large, answered)) > 1
    assert line(made.answer(large, answered, NOW)) == line(made.answer(small, answered, NOW))


def test_what_is_no_utf_8_and_numbers_of_any_size_have_a_line_too() -> None:
    shown = line(entries().request(asked(path="a\udcff", data={"n": 10**40, "\udcff": "x"}), "", NOW))
    assert shown["request"]["data"]["n"] == 10**40
