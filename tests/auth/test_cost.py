"""What holders' checks may cost is known before they run.

The kind: a small text that makes much work, by repeating, by multiplying or by growing what it works on. Made
impossible by counting each operation with the bytes that it may go through, of values whose length is bounded.
"""

from __future__ import annotations

import time

import biscuit_auth
import pytest

from kms_actors.auth import cost, datalog, wire
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import attenuate
from kms_actors.auth.cost import MAX_FACT, require_cheap
from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.principal import Access, Capability
from kms_actors.auth.wire import TokenRefused
from kms_actors.errors import AuthenticationFailed
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
        "check if path($p), " + " + ".join(["$p"] * 300) + " == $p;",
        "check if path($p), (" + " + ".join(["$p"] * 300) + ").length() > 0;",
        "check if " + " or ".join(["path($p), ($p + $p + $p + $p + $p + $p).length() > 0"] * 200) + ";",
        f"check if path($p), {SET}.all($x -> ($p + $p + $p + $p + $p + $p + $p + $p).length() > 0);",
        f'check if path($p), ["a", "b"].all($x -> {" + ".join(["$x"] * 200)} == $p);',
        f"n({SET}); check if {' or '.join(['n($a), $a.union($a).union($a).union($a).union($a) == $a'] * 120)};",
        f"{FACTS} check if n($a), n($b), n($c), path($p), ($p + $p).length() > 0;",
        "check if true || " + " || ".join(['"a".contains("b")'] * 20_000) + ";",
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
        'check if resource($r), path($p), $p.starts_with("secret/data/" + $r + "/");',
        "check if time($t), " + ", ".join(["operation($o)"] * 20) + ";",
        'check if [1, 2, 3].all($x -> $x + 1 > 1), {"a"}.union({"b"}).contains("a");',
        "check if " + " or ".join([f'path($p), $p.starts_with("secret/data/{n}/")' for n in range(60)]) + ";",
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


@pytest.mark.parametrize("kind", [(2, 4), (3, 28)])
def test_calls_of_functions_are_refused(kind: tuple[int, int]) -> None:
    number, call = kind
    variable = (1, wire.write([(1, wire.write([(1, 0)]))]))
    with pytest.raises(TokenRefused, match="function"):
        require_cheap(checking([variable, variable, (1, wire.write([(number, wire.write([(1, call), (2, 0)]))]))]))


def test_operations_of_unknown_kinds_grow_what_they_work_on() -> None:
    variable = (1, wire.write([(1, wire.write([(1, 0)]))]))
    with pytest.raises(TokenRefused, match="too costly"):
        require_cheap(checking([variable, *[variable, binary(99)] * 500]))


@pytest.mark.parametrize("operation", [[], [(1, b""), (2, b"")], [(5, b"")], [(1, 7)], [(2, b"")], [(3, b"")]])
def test_an_operation_is_one_of_the_four(operation: list[wire.Field]) -> None:
    with pytest.raises(TokenRefused):
        require_cheap(checking([(1, wire.write(operation))]))


def checking(operations: list[wire.Field]) -> wire.Token:
    """Return a token with a check of these operations on a path."""
    token = holders("check if true;")
    predicate = wire.write([(1, 21), (2, wire.write([(1, 0)]))])
    check = wire.write([(1, wire.write([(2, predicate), (3, wire.write(operations))]))])
    payload = wire.write([(3, 3), (6, check)])
    return token._replace(blocks=(*token.blocks[:2], token.blocks[2]._replace(payload=payload)))


def test_facts_that_the_issuers_rules_may_add_are_counted() -> None:
    root, service = pair(MINT.keys.root.reveal()), pair(MINT.keys.service.reveal())
    issued = third_party(biscuit_auth.BiscuitBuilder("m($a) <- n($a);").build(root.private_key), service, "")
    for check, cheap in (("check if m($a), m($b);", False), ("check if n($a), n($b);", True)):
        token = wire.parse(bytes(issued.append(biscuit_auth.BlockBuilder(check)).to_bytes()))
        if cheap:
            require_cheap(token)
            continue
        with pytest.raises(TokenRefused, match="too costly"):
            require_cheap(token)


def test_facts_of_other_names_do_not_multiply() -> None:
    require_cheap(holders(f"{FACTS} check if m($a), m($b), m($c), m($d);"))


@pytest.mark.parametrize("name", ["path", "mount", "method", "client_ip"])
def test_a_value_past_the_bound_is_refused_without_running(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = BiscuitAuthenticator([MINT.keys.public], "toto", NAMESPACE)
    bearer = authenticator.authenticate(MINT.narrowed(MINT.token(), "check if path($p), $p != $p + $p;"), NOW)
    plain = authenticator.authenticate(MINT.token(), NOW)
    values = {"path": "p", "mount": "m/", "method": "GET", "client_ip": "192.0.2.7"}
    longest = Access(operation=Capability.READ, time=NOW, **(values | {name: "é" * (MAX_FACT // 2)}))
    longer = Access(operation=Capability.READ, time=NOW, **(values | {name: "é" * (MAX_FACT // 2) + "e"}))
    assert bearer.allows(longest)
    monkeypatch.setattr(datalog, "fact", lambda *_: pytest.fail("run"))
    assert not bearer.allows(longer)
    assert plain.allows(longer)


def test_what_is_not_text_is_refused() -> None:
    authenticator = BiscuitAuthenticator([MINT.keys.public], "toto", NAMESPACE)
    bearer = authenticator.authenticate(MINT.narrowed(MINT.token(), "check if path($p);"), NOW)
    use = Access(operation=Capability.READ, path="\udc80", mount="", method="GET", client_ip="", time=NOW)
    assert not bearer.allows(use)


def test_a_made_up_token_is_refused_before_its_checks_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = BiscuitAuthenticator([MINT.keys.public], "toto", NAMESPACE)
    strange = Mint(TokenKeys(TokenKeys.generate().root, MINT.keys.service))
    monkeypatch.setattr(cost, "require_cheap", lambda _: pytest.fail("looked at"))
    with pytest.raises(AuthenticationFailed):
        authenticator.authenticate(strange.narrowed(strange.token(), 'check if path("a");'), NOW)
