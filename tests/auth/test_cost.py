from __future__ import annotations

import time

import biscuit_auth
import pytest

from kms_actors.auth import wire
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import attenuate
from kms_actors.auth.cost import require_cheap
from kms_actors.auth.principal import Access, Capability
from kms_actors.auth.wire import TokenRefused
from tests.auth.mint import NAMESPACE, NOW, Mint, pair, third_party

MINT = Mint.new()
SET = f"{{{','.join(map(str, range(60)))}}}"
FACTS = "".join(f"n({number});" for number in range(20))


def holders(block: str, **parameters: str) -> wire.Token:
    builder = biscuit_auth.BlockBuilder(block, parameters)
    return wire.parse(bytes(MINT.open(MINT.token()).append(builder).to_bytes()))


@pytest.mark.parametrize(
    "block",
    [
        f"{FACTS} check if n($a), n($b), n($c), n($d), $a > 100;",
        f"{FACTS} check if true or n($a), n($b), n($c), n($d);",
        f"{FACTS} reject if n($a), n($b), n($c), n($d);",
        f"{FACTS} check all n($a), n($b), n($c), n($d), $a > 0;",
        f"check if {SET}.all($x -> {SET}.all($y -> {SET}.all($z -> $x + $y + $z >= 0)));",
        f"check if true || {SET}.any($x -> {SET}.any($y -> {SET}.any($z -> $x + $y == $z)));",
        "check if time($t), " + ", ".join(["operation($o)"] * 20) + ";",
    ],
)
def test_costly_checks_are_refused(block: str) -> None:
    with pytest.raises(TokenRefused, match="too costly"):
        require_cheap(holders(block))


@pytest.mark.parametrize("pattern", ["\\w{1000}", "\\pL", "a{9}", "(?i)[a-z]", "\\d"])
def test_patterns_of_unknown_size_are_refused(pattern: str) -> None:
    with pytest.raises(TokenRefused, match="regular expression"):
        require_cheap(holders("check if path($p), $p.matches({x});", x=pattern))


def test_long_patterns_are_refused() -> None:
    with pytest.raises(TokenRefused, match="too costly"):
        require_cheap(holders("check if path($p), $p.matches({x});", x="[^/]" * 300))


@pytest.mark.parametrize(
    "check",
    [
        'path($p), "x".matches($p)',
        'path($p), $p.matches("a" + "b")',
        "path($p), $p.matches(($p))",
        'path($p), true && "x".matches($p)',
    ],
)
def test_a_pattern_must_stand_there(check: str) -> None:
    with pytest.raises(TokenRefused, match="plain string"):
        require_cheap(holders(f"check if {check};"))


def binary(kind: int) -> wire.Field:
    return (1, wire.write([(3, wire.write([(1, kind)]))]))


def test_an_operation_written_oddly_is_still_a_regular_expression() -> None:
    token = holders("check if true;")
    variable = (1, wire.write([(1, wire.write([(1, 0)]))]))
    both = (1, wire.write([(1, wire.write([(3, 0), (1, 0)]))]))
    for value in (variable, both):
        expression = wire.write([variable, value, binary(8 + 2**32)])
        check = wire.write([(1, wire.write([(3, expression)]))])
        payload = wire.write([(3, 3), (6, check)])
        forged = token._replace(blocks=(*token.blocks[:2], token.blocks[2]._replace(payload=payload)))
        with pytest.raises(TokenRefused, match="plain string"):
            require_cheap(forged)


def test_deep_closures_are_refused() -> None:
    operation = wire.write([(1, wire.write([(6, 1)]))])
    for _ in range(400):
        operation = wire.write([(4, wire.write([(2, operation)]))])
    check = wire.write([(1, wire.write([(3, wire.write([(1, operation)]))]))])
    token = holders("check if true;")
    forged = token._replace(
        blocks=(*token.blocks[:2], token.blocks[2]._replace(payload=wire.write([(3, 3), (6, check)])))
    )
    with pytest.raises(TokenRefused, match="too deep"):
        require_cheap(forged)


def test_rules_of_holders_are_refused() -> None:
    with pytest.raises(TokenRefused, match="rule"):
        require_cheap(holders("m($a) <- n($a);"))
    stranger = third_party(MINT.open(MINT.token()), biscuit_auth.KeyPair(), "m($a) <- n($a);")
    with pytest.raises(TokenRefused, match="rule"):
        require_cheap(wire.parse(bytes(stranger.to_bytes())))


def test_the_issuers_blocks_may_hold_rules() -> None:
    root, service = pair(MINT.keys.root.reveal()), pair(MINT.keys.service.reveal())
    token = biscuit_auth.BiscuitBuilder("m($a) <- n($a);").build(root.private_key)
    require_cheap(wire.parse(bytes(third_party(token, service, "o($a) <- n($a);").to_bytes())))


@pytest.mark.parametrize(
    "block",
    [
        'check if operation($o), ["read", "list"].contains($o);',
        'check if operation("read"), path($p), $p.starts_with("secret/"), mount("secret/"), method("GET");',
        'check if path($p), $p.matches("^secret/[^/]+/app$") || $p == "x";',
        'check if ["a", "b"].any($x -> $x == "a");',
        'team("a"); team("b"); check if team($t), resource($r), $t == "a";',
    ],
)
def test_usual_checks_are_within_the_budget(block: str) -> None:
    require_cheap(holders(block))


def test_a_token_narrowed_in_every_way_is_within_the_budget() -> None:
    token = attenuate(
        MINT.token(),
        now=NOW,
        ttl=60,
        paths=[f"secret/data/+/application-{number}/*" for number in range(8)],
        operations=list(Capability),
        mounts=["secret", "transit"],
        services=["toto"],
    )
    require_cheap(wire.parse(wire.decode(token)))


def test_what_the_budget_lets_through_is_quick() -> None:
    authenticator = BiscuitAuthenticator([MINT.keys.public], "toto", NAMESPACE)
    facts = "".join(f"n({number});" for number in range(10))
    checks = "check if n($a), n($b), n($c), $a < 100;"
    bearer = authenticator.authenticate(MINT.narrowed(MINT.token(), facts + checks), NOW)
    use = Access(operation=Capability.READ, path="x", mount="", method="GET", client_ip="", time=NOW)
    start = time.process_time()
    bearer.allows(use)
    assert time.process_time() - start < 0.5  # 10 ms where this was written
