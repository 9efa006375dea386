"""Policies: ACL policies, also under the name they first had (`sys/policy`), and password policies.

Source: Vault's API pages `sys/policies`, `sys/policy` and `sys/policies-password`; what is said of an ACL policy
beside its text (versions, ends, templates) is OpenBao's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, UnsupportedOperation
from kms_actors.messages import Message
from kms_actors.policy import hcl
from kms_actors.policy.messages import (
    DeletePolicy,
    DescribePolicies,
    GeneratePassword,
    ListPolicies,
    PolicyKind,
    ReadPolicy,
    WritePolicy,
)
from kms_actors.policy.names import acl_name, one_spelling, password_name
from kms_actors.policy.records import PolicyRecord
from kms_actors.transit.go_base64 import decode
from kms_http.fields import Fields, WrongType, silent_null, to_bool, to_duration, to_int, to_str
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route
from kms_http.times import rfc3339
from kms_http.wire.errors import HttpError

_SECOND: Final = 10**9
_LATEST: Final = (1 << 63) - 1  # nanoseconds since 1970
#: Characters of a text that may be base64.
_MAX_SENT: Final = 2 * hcl.MAX_TEXT
_DEPRECATED: Final = "'rules' is deprecated, please use 'policy' instead"


@silent_null
def _to_moment(value: Any) -> int:
    """Return nanoseconds since 1970 of an RFC 3339 time, or of seconds."""
    if isinstance(value, str) and not value.isdecimal():
        try:
            moment = datetime.fromisoformat(value) if "T" in value and len(value) < 64 else None
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise WrongType("could not parse string as date and time")
        return int(moment.timestamp()) * _SECOND + moment.microsecond * 1000
    return to_int(value) * _SECOND


# From calls to messages.


def _list_acl(call: Call) -> ListPolicies:
    folder = call.captures.get("name", "").strip().lower()
    return ListPolicies(PolicyKind.ACL, f"{folder.removesuffix('/')}/" if folder else "")


def _read_acl(call: Call) -> ReadPolicy:
    return ReadPolicy(PolicyKind.ACL, acl_name(call.captures["name"]))


def _delete_acl(call: Call) -> DeletePolicy:
    return DeletePolicy(PolicyKind.ACL, acl_name(call.captures["name"]))


def _write_acl(call: Call) -> WritePolicy:
    return _acl(call, _text(_named(call)))


def _patch_acl(call: Call) -> WritePolicy:
    return _acl(call, _text(call.values["policy"]) if "policy" in call.values else None, patch=True)


def _acl(call: Call, text: str | None, *, patch: bool = False) -> WritePolicy:
    sent = call.values
    if "expiration" in sent and "ttl" in sent:
        raise InvalidRequest("cannot supply both 'expiration' and 'ttl' for policies")
    expires_at = sent.get("expiration")
    if "ttl" in sent:
        expires_at = int(call.now) * _SECOND + sent["ttl"]
    if expires_at is not None and expires_at > _LATEST:
        raise InvalidRequest("the expiration is too far away")
    return WritePolicy(
        PolicyKind.ACL,
        acl_name(call.captures["name"]),
        text,
        cas=sent.get("cas"),
        cas_required=sent.get("cas_required"),
        expires_at=expires_at,
        allow_slashes=sent.get("allow_slashes_in_identity_templates"),
        allow_wildcards=sent.get("allow_wildcards_in_identity_templates"),
        patch=patch,
    )


def _list_password(_: Call) -> ListPolicies:
    return ListPolicies(PolicyKind.PASSWORD)


def _password(call: Call) -> Message:
    name = password_name(call.captures["name"])
    if name.endswith("/generate"):  # a read of that path gives a password, so it can be no policy's own
        raise UnsupportedOperation("unsupported operation")
    if call.operation is Operation.READ:
        return ReadPolicy(PolicyKind.PASSWORD, name)
    if call.operation is Operation.DELETE:
        return DeletePolicy(PolicyKind.PASSWORD, name)
    if not call.values.get("policy"):
        raise InvalidRequest("missing policy")
    return WritePolicy(PolicyKind.PASSWORD, name, _text(call.values["policy"]))


def _generate(call: Call) -> GeneratePassword:
    return GeneratePassword(password_name(call.captures["name"]))


def _named(call: Call) -> str:
    """Return the text as `policy` or, at the path that once was, as `rules` gives it."""
    text: str = call.values.get("policy") or call.values.get("rules", "")
    return text


def _text(sent: str) -> str:
    """Return a policy's text, which may have been sent in base64."""
    if not sent:
        raise InvalidRequest("'policy' parameter not supplied or empty")
    if len(sent) > _MAX_SENT:
        raise InvalidRequest(f"the policy is longer than {hcl.MAX_TEXT:,} bytes")
    try:
        raw = decode(sent)
    except InvalidRequest:
        return sent
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the policy is base64 of what is no text") from None


# From answers to replies.


def _show_names(_: Call, names: list[str]) -> Reply:
    if not names:
        raise HttpError(404)
    return Reply(data={"keys": names})


def _show_old_names(_: Call, names: list[str]) -> Reply:
    if not names:  # of a folder; the form of the reference
        return Reply(data={"policies": None}, mirrored=True)
    return Reply(data={"keys": names, "policies": names}, mirrored=True)


def _describe(call: Call) -> DescribePolicies:
    prefix, after = call.captures.get("name", "").lower(), call.values.get("after", "")
    return DescribePolicies(prefix, after, max(0, call.values.get("limit", 0)))


def _show_described(_: Call, found: list[tuple[str, PolicyRecord]]) -> Reply:
    entries = {name: _entry(name, record, "policy") for name, record in found}
    return Reply(data={"key_info": entries, "keys": list(entries)})


def _show_acl(call: Call, record: PolicyRecord) -> Reply:
    return Reply(data=_entry(acl_name(call.captures["name"]), record, "policy"))


def _show_old_acl(call: Call, record: PolicyRecord) -> Reply:
    return Reply(data=_entry(acl_name(call.captures["name"]), record, "rules"), mirrored=True)


def _entry(name: str, record: PolicyRecord, text: str) -> Mapping[str, Any]:
    entry = {
        "allow_slashes_in_identity_templates": record.allow_slashes,
        "allow_wildcards_in_identity_templates": record.allow_wildcards,
        "cas_required": record.cas_required,
        "name": name,
        text: record.text,
        "version": record.version,
    }
    if record.expires_at:
        entry["expiration"] = rfc3339(record.expires_at)
    if record.modified:
        entry["modified"] = rfc3339(record.modified)
    return dict(sorted(entry.items()))


def _show_written(call: Call, _: None) -> Reply:
    if not call.values.get("policy") and call.values.get("rules"):
        return Reply(warnings=(_DEPRECATED,))
    return Reply(status=204)


def _show_patched(_: Call, __: None) -> Reply:
    return Reply()


def _no_content(_: Call, __: Any) -> Reply:
    return Reply(status=204)


def _show_password_policy(_: Call, record: PolicyRecord) -> Reply:
    return Reply(data={"policy": record.text})


def _show_password(_: Call, password: str) -> Reply:
    return Reply(data={"password": password})


_NEW: Final = Fields(
    policy=to_str,
    cas=to_int,
    cas_required=to_bool,
    expiration=_to_moment,
    ttl=to_duration,
    allow_slashes_in_identity_templates=to_bool,
    allow_wildcards_in_identity_templates=to_bool,
)
_OLD: Final = _NEW.with_(rules=to_str)


def _of(build: Any, show: Any, capability: Capability, fields: Fields | None = None) -> Endpoint:
    return Endpoint(build, show, capability, fields or Fields(), TENANT_ADMIN)


_NAMES: Final = _of(_list_acl, _show_names, Capability.LIST)
_OLD_NAMES: Final = _of(_list_acl, _show_old_names, Capability.LIST)
_DESCRIBED: Final = _of(_describe, _show_described, Capability.LIST, Fields(after=to_str, limit=to_int))

POLICY_ROUTES: Final = (
    Route("sys/policies/detailed/acl", {Operation.LIST: _DESCRIBED}),
    Route("sys/policies/detailed/acl/{name...}", {Operation.LIST: _DESCRIBED}, spelling={"name": one_spelling}),
    Route("sys/policies/acl", {Operation.LIST: _NAMES}),
    Route(
        "sys/policies/acl/{name...}",
        spelling={"name": one_spelling},
        operations={
            Operation.LIST: _NAMES,
            Operation.READ: _of(_read_acl, _show_acl, Capability.READ),
            Operation.WRITE: _of(_write_acl, _show_written, Capability.UPDATE, _NEW),
            Operation.PATCH: _of(_patch_acl, _show_patched, Capability.PATCH, _NEW),
            Operation.DELETE: _of(_delete_acl, _no_content, Capability.DELETE),
        },
    ),
    Route(
        "sys/policy",
        {
            Operation.READ: _of(_list_acl, _show_old_names, Capability.READ),
            Operation.LIST: _OLD_NAMES,
        },
    ),
    Route(
        "sys/policy/{name...}",
        spelling={"name": one_spelling},
        operations={
            Operation.LIST: _OLD_NAMES,
            Operation.READ: _of(_read_acl, _show_old_acl, Capability.READ),
            Operation.WRITE: _of(_write_acl, _show_written, Capability.UPDATE, _OLD),
            Operation.DELETE: _of(_delete_acl, _no_content, Capability.DELETE),
        },
    ),
    Route("sys/policies/password", {Operation.LIST: _of(_list_password, _show_names, Capability.LIST)}),
    Route(
        "sys/policies/password/{name...}/generate",
        {Operation.READ: _of(_generate, _show_password, Capability.READ)},
    ),
    Route(
        "sys/policies/password/{name...}",
        {
            Operation.READ: _of(_password, _show_password_policy, Capability.READ),
            Operation.WRITE: _of(_password, _no_content, Capability.UPDATE, Fields(policy=to_str)),
            Operation.DELETE: _of(_password, _no_content, Capability.DELETE),
        },
    ),
)
