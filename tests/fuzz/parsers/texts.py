"""Languages: policies in HCL and JSON, templates of paths, rules for passwords, filters of audit devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_actors.audit import filters
from kms_actors.auth import cidrs
from kms_actors.policy import document, passwords, templates
from kms_actors.policy.acl import compile_acl
from kms_actors.policy.templates import BrokenTemplate, ForbiddenValue
from kms_actors.transit import ciphertext
from tests.fuzz.parsers.target import Target, text

_POLICY: Final = b"""# a comment
path "secret/+/a*" {
  capabilities = ["read", "list"] /* and */
  allowed_parameters = { "x" = ["a", 1, true], "*" = [] }
  min_wrapping_ttl = "1h"
  expiration = "2030-01-01T00:00:00Z"
}
path "a" { policy = "write" }
"""


def take_policy(data: bytes) -> None:
    """A policy that is taken can be used."""
    policy = document.parse("one", text(data))
    acl = compile_acl([policy], _SUBJECT)
    acl.rule("secret/data/a")
    acl.rule("secret/", listing=True)
    acl.resultant()


def take_password_policy(data: bytes) -> None:
    policy = passwords.parse(text(data))
    assert policy.length >= 4


def take_template(data: bytes) -> None:
    path = text(data)
    if templates.is_template(path):
        templates.fill(path, None)
        templates.fill(path, _SUBJECT)


def take_filter(data: bytes) -> None:
    found = filters.parse(text(data))
    assert found(dict.fromkeys(filters.SELECTORS, "secret/")) in {True, False}


def take_blocks(data: bytes) -> None:
    blocks = cidrs.checked("blocks", text(data).split(",")[:20])
    assert cidrs.checked("blocks", blocks) == blocks
    cidrs.contains(blocks, "10.0.0.1")
    assert cidrs.within(blocks, blocks)


def take_ciphertext(data: bytes) -> None:
    version, _ = ciphertext.parse(text(data), 3, 1)
    assert 1 <= version <= 3


def take_signature(data: bytes) -> None:
    version, _ = ciphertext.parse_signature(text(data), 3, 1, jws=len(data) % 2 == 0)
    assert 1 <= version <= 3


_SUBJECT: Final = templates.Subject("entity", "name/with", {"a": "b", "c": "d/e"}, (), ())

TARGETS: Final[Mapping[str, Target]] = {
    "policy": Target(
        take_policy,
        lambda: (
            _POLICY,
            b'{"path":{"a":{"capabilities":["read"]},"b":{"policy":"deny"}}}',
            b'path "a" { capabilities = <<E\nread\nE\n }',
            b'path "{{identity.entity.id}}/${x}" { x = 0x1F y = 1.5e3 z = -1 }',
        ),
    ),
    "password-policy": Target(
        take_password_policy, lambda: (b'length = 20\nrule "charset" {\n charset = "abc"\n min-chars = 1\n}\n',)
    ),
    "template": Target(
        take_template,
        lambda: (b"a/{{identity.entity.metadata.a}}/b", b"{{identity.groups.ids.x.name}}", b"}}a{{", b"{{ x }}"),
        (BrokenTemplate, ForbiddenValue),
        256,
    ),
    "filter": Target(
        take_filter,
        lambda: (b'path contains "a" and not (operation == read or `x` in mount_type)', b"namespace is not empty"),
    ),
    "blocks": Target(take_blocks, lambda: (b"10.0.0.0/8,::1/128", b" 1.2.3.4 ,::ffff:1.2.3.4/120"), most=256),
    "ciphertext": Target(take_ciphertext, lambda: (b"vault:v1:AAAA", b"vault:v3:QUJD", b"vault:v-1:"), most=256),
    "signature": Target(take_signature, lambda: (b"vault:v1:AAAA", b"vault:v2:_-8"), most=256),
}
