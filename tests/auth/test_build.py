from __future__ import annotations

import re
from collections.abc import Callable

import biscuit_auth
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth import wire
from kms_actors.auth.append import append
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import Privilege, attenuate, build_token
from kms_actors.auth.principal import Access, Capability
from kms_actors.auth.wire import TokenRefused
from kms_actors.errors import InvalidRequest
from tests.auth.mint import NAMESPACE, NOW, VAULT, Mint, third_party

MINT = Mint.new()
TOKEN = MINT.token()
AUTHENTICATOR = BiscuitAuthenticator([MINT.keys.public], "toto", NAMESPACE)

segments = st.sampled_from(["secret", "data", "app", "application", "db", "a.b", "ab", "é"])
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    parts = draw(st.lists(segments | st.just("+"), min_size=1, max_size=4))
    return "/".join(parts) + draw(st.sampled_from(["", "*", "/*"]))


def oracle(pattern: str, path: str) -> bool:
    """Match segment by segment; what follows the last whole segment is a prefix if the pattern ends in `*`."""
    head, star = pattern.removesuffix("*"), pattern.endswith("*")
    wanted, given = head.split("/"), path.split("/")
    if not star:
        return len(wanted) == len(given) and all(w in ("+", g) for w, g in zip(wanted, given, strict=True))
    *whole, last = wanted
    if len(given) < len(wanted) or not all(w in ("+", g) for w, g in zip(whole, given, strict=False)):
        return False
    return last == "+" or given[len(whole)].startswith(last)


@given(
    pattern=st.lists(patterns(), max_size=2),
    operations=st.lists(st.sampled_from(Capability), max_size=2),
    mounts=st.lists(st.sampled_from(["secret", "kv/", "/transit/"]), max_size=2),
    use=st.builds(
        Access,
        operation=st.sampled_from(Capability),
        path=paths,
        mount=st.sampled_from(["secret/", "kv/", "transit/", ""]),
        method=st.just("GET"),
        client_ip=st.just("::1"),
        time=st.just(NOW),
    ),
    rounds=st.integers(1, 2),
)
def test_narrowing_allows_exactly_what_the_oracle_does(
    pattern: list[str],
    operations: list[Capability],
    mounts: list[str],
    use: Access,
    rounds: int,
) -> None:
    token = attenuate(TOKEN, now=NOW, ttl=60, paths=pattern, operations=operations, mounts=mounts)
    if rounds == 2:  # a wider block after a narrower one takes nothing back
        token = attenuate(token, now=NOW, ttl=3600, paths=["*"])
    expected = (
        (not pattern or any(oracle(one, use.path) for one in pattern))
        and (not operations or use.operation in operations)
        and (not mounts or use.mount in {f"{name.strip('/')}/" for name in mounts})
    )
    bearer = AUTHENTICATOR.authenticate(token, NOW)
    assert bearer.allows(use) == expected
    assert (bearer.resource, bearer.right, bearer.expires_at) == (
        VAULT,
        AUTHENTICATOR.authenticate(TOKEN, NOW).right,
        NOW + 60,
    )


@pytest.mark.parametrize(
    "text", ["a.c*", "a(b", "[a]*", "a\\b", 'a"b*', "a{b}", "+/a.c", "+/a|b", "+/^a$", "+/a\\d*", "$x", "a b"]
)
def test_special_characters_of_a_pattern_stand_for_themselves(text: str) -> None:
    bearer = AUTHENTICATOR.authenticate(attenuate(TOKEN, now=NOW, paths=[text]), NOW)

    def allowed(path: str) -> bool:
        return bearer.allows(
            Access(operation=Capability.READ, path=path, mount="", method="GET", client_ip="", time=NOW)
        )

    literal = text.replace("+", "x").replace("*", "")
    assert allowed(literal)
    for other in ("abc", "x/abc", "x/a", "b", "x/a1", literal[:-1], f"y{literal}", re.sub(r"\W", "z", literal)):
        assert allowed(other) == oracle(text, other)


@pytest.mark.parametrize(
    "path", ["", "/", "a*b", "**", "a/../b", "./a", "a\x00", "a\nb", "a//b", "//*", "/v1/a", "/a", "v1/a", "a" * 5121]
)
def test_patterns_that_never_match_are_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="path"):
        attenuate(TOKEN, now=NOW, paths=[path])


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({}, "nothing"),
        ({"ttl": 0}, "ttl"),
        ({"ttl": 10**12}, "9999"),
        ({"mounts": ["/"]}, "mount"),
        ({"mounts": ["a*"]}, "mount"),
    ],
)
def test_wrong_limits_are_refused(limits: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest, match=field):
        attenuate(TOKEN, now=NOW, **limits)  # type: ignore[arg-type]


def test_a_token_is_bound_to_a_service(access: Callable[..., Access]) -> None:
    token = attenuate(TOKEN, now=NOW, services=["toto"])
    other = BiscuitAuthenticator([MINT.keys.public], "titi", NAMESPACE)
    assert AUTHENTICATOR.authenticate(token, NOW).allows(access())
    assert not other.authenticate(token, NOW).allows(access())


def test_only_an_expiry_is_decided_without_datalog() -> None:
    assert AUTHENTICATOR.authenticate(attenuate(MINT.token(ttl=600), now=NOW, ttl=60), NOW)._biscuit is None


def test_what_no_server_takes_is_not_made() -> None:
    """The kind: made, exit code 0, and good for nothing."""
    fits = attenuate(TOKEN, now=NOW, paths=[f"secret/data/application-{n}/*" for n in range(50)])
    assert len(fits) < wire.MAX_TOKEN_LENGTH
    with pytest.raises(TokenRefused, match="servers take 8,192"):
        attenuate(TOKEN, now=NOW, paths=[f"secret/data/application-{n}/{'x' * 80}/*" for n in range(60)])
    with pytest.raises(TokenRefused, match="servers take 8,192"):
        build_token(MINT.keys.root, MINT.keys.service, VAULT, Privilege.TENANT, owner="o" * 9000, now=NOW)
    token = TOKEN
    for _ in range(14):
        token = attenuate(token, now=NOW, ttl=60)
    with pytest.raises(TokenRefused, match="too many blocks"):
        attenuate(token, now=NOW, ttl=60)


@pytest.mark.parametrize(
    ("resource", "privilege", "namespace", "rule"),
    [
        ("bad id!", Privilege.TENANT, None, "letters, digits"),
        ("root", Privilege.TENANT_OPERATOR, None, "nor the namespace"),
        ("Root", Privilege.TENANT, None, "nor the namespace"),
        (NAMESPACE, Privilege.TENANT, NAMESPACE, "nor the namespace"),
        (NAMESPACE.upper(), Privilege.TENANT_OPERATOR, NAMESPACE, "nor the namespace"),
        ("a" * 129, Privilege.TENANT, None, "1 to 128"),
        ("a" * 129, Privilege.CLUSTER_OPERATOR, None, "1 to 128"),
        ("", Privilege.TENANT, None, "1 to 128"),
        ("-a", Privilege.CLUSTER_OPERATOR, None, "letter or digit first"),
        ("kms-c2", Privilege.CLUSTER_OPERATOR, NAMESPACE, NAMESPACE),
    ],
)
def test_a_resource_that_servers_refuse_is_refused_with_the_rule(
    resource: str, privilege: Privilege, namespace: str | None, rule: str
) -> None:
    with pytest.raises(InvalidRequest, match=rule):
        build_token(MINT.keys.root, MINT.keys.service, resource, privilege, owner="o", now=NOW, namespace=namespace)


names = st.text("abcxyz_", min_size=1, max_size=6)


@given(st.lists(st.tuples(names, names, st.booleans()), max_size=4), names, names)
def test_appending_encodes_as_the_library_does(earlier: list[tuple[str, str, bool]], name: str, text: str) -> None:
    """Symbols of all earlier first-party blocks count, those of third parties do not."""
    biscuit = MINT.open(TOKEN)
    for fact, value, foreign in earlier:
        source = f'f{fact}("{value}"); check if true trusting {{k}};'
        if foreign:
            biscuit = third_party(biscuit, biscuit_auth.KeyPair(), f'f{fact}("{value}");')
        else:
            key = {"k": biscuit_auth.KeyPair().public_key}
            biscuit = biscuit.append(biscuit_auth.BlockBuilder(source, None, key))
    code, parameters = f"f{name}({{text}}); check if f{name}($x), $x == {{text}};", {"text": text}
    ours = append(bytes(biscuit.to_bytes()), code, parameters)
    theirs = bytes(biscuit.append(biscuit_auth.BlockBuilder(code, parameters)).to_bytes())
    assert wire.parse(ours).blocks[-1].payload == wire.parse(theirs).blocks[-1].payload
    read = MINT.open(wire.encode(ours))
    assert read.block_source(read.block_count() - 1).startswith(f'f{name}("{text}")')
    again = append(ours, code, parameters)
    assert MINT.open(wire.encode(again)).block_count() == read.block_count() + 1


def test_a_root_key_id_is_kept() -> None:
    outer = wire.read(wire.decode(TOKEN))
    narrowed = attenuate(wire.encode(wire.write([(1, 7), *outer])), now=NOW, ttl=60)
    assert biscuit_auth.UnverifiedBiscuit.from_base64(narrowed).root_key_id() == 7
    assert AUTHENTICATOR.authenticate(narrowed, NOW).expires_at == NOW + 60


def test_a_sealed_token_takes_no_more_blocks() -> None:
    outer = [field for field in wire.read(wire.decode(TOKEN)) if field[0] != 4]
    sealed = wire.encode(wire.write([*outer, (4, wire.write([(2, bytes(64))]))]))
    with pytest.raises(TokenRefused, match="sealed"):
        attenuate(sealed, now=NOW, ttl=60)


@pytest.mark.parametrize("token", ["", "hvs.abc", "AAAA", TOKEN[:-8]])
def test_garbage_cannot_be_narrowed(token: str) -> None:
    with pytest.raises(TokenRefused):
        attenuate(token, now=NOW, ttl=60)
