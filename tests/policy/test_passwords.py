"""Password policies: what they may ask for, and that every password has it."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.policy.names import MAX_NAME, acl_name, password_name
from kms_actors.policy.passwords import CharsetRule, PasswordPolicy, generate, generating, parse, reading


def rule(charset: str, least: int | None = None) -> str:
    text = "" if least is None else f"min-chars = {least}"
    return f'rule "charset" {{ charset = "{charset}" {text} }}'


def error(text: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse(text)
    return str(caught.value)


def test_a_policy_as_the_documents_have_it() -> None:
    policy = parse(f"length = 20\n{rule('cba', 1)}\n{rule('0123', 2)} {rule('-')}")
    rules = (CharsetRule("abc", 1), CharsetRule("0123", 2), CharsetRule("-"))
    assert policy == PasswordPolicy(20, rules, "-0123abc")
    json = '{"length": 20, "rule": [{"charset": {"charset": "abc", "min-chars": 1}}, {"charset": {"charset": "0"}}]}'
    assert parse(json).rules == (CharsetRule("abc", 1), CharsetRule("0"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "passwords must be between 4 and 100 characters"),
        (f"length = 3 {rule('ab')}", "passwords must be between 4 and 100 characters"),
        (f"length = 101 {rule('ab')}", "passwords must be between 4 and 100 characters"),
        ("length = 20", "invalid password policy: no charset specified"),
        (
            f"length = 5 {rule('ab', 3)} {rule('c', 3)}",
            "invalid password policy: specified rules require at least 6 characters but 5 is specified",
        ),
        ('length = "20"', "failed to parse password policy: line 1, column 10: a whole number is expected"),
        (
            "length = 20\nother = 1",
            "failed to parse password policy: line 2, column 1: length, and rules of characters, are all there is",
        ),
        (
            'length = 20 rule "words" {}',
            'failed to parse password policy: line 1, column 13: a rule is of characters: rule "charset" { … }',
        ),
        (
            'rule "charset" { chars = "a" }',
            "failed to parse password policy: line 1, column 18: charset and min-chars are all there is",
        ),
        ('rule "charset" { }', "failed to parse password policy: line 1, column 1: charset is missing or empty"),
        (
            rule("a\\n"),
            "failed to parse password policy: line 1, column 28: non-printable character in charset",
        ),
        ("length = 20" + rule("a") * 65, "failed to parse password policy: line 1, column 2124: more than 64 rules"),
    ],
)
def test_what_cannot_be_is_refused(text: str, expected: str) -> None:
    assert error(text) == expected


def test_characters_in_all_are_bounded() -> None:
    charset = "".join(map(chr, range(0x4E00, 0x4E00 + 256)))
    assert len(parse(f"length = 20 {rule(charset)}").characters) == 256
    assert "more than 256 characters" in error(f"length = 20 {rule(charset)} {rule('a')}")


_CHARSET = st.text(st.sampled_from("abc123-_é"), min_size=1, max_size=6)


@given(st.integers(4, 100), st.lists(st.tuples(_CHARSET, st.integers(0, 40)), min_size=1, max_size=4))
def test_every_password_has_what_its_policy_asks_for(length: int, rules: list[tuple[str, int]]) -> None:
    text = f"length = {length} " + " ".join(rule(charset, least) for charset, least in rules)
    try:
        policy = parse(text)
    except InvalidRequest:
        assert sum(least for _, least in rules) > length
        return
    password = generate(policy, os.urandom)
    assert len(password) == length
    assert set(password) <= set(policy.characters)
    for charset, least in rules:
        assert sum(character in charset for character in password) >= least


def test_what_is_hardly_ever_drawn_is_made_all_the_same() -> None:
    policy = parse(f"length = 100 {rule('a', 100)} {rule('bcdefghij')}")
    drawn = 0

    def random(count: int) -> bytes:
        nonlocal drawn
        drawn += count
        return os.urandom(count)

    assert generate(policy, random) == "a" * 100
    assert drawn < 200_000


def test_what_takes_long_can_be_left_after_each_rule_and_each_draw() -> None:
    text = "length = 100\n" + rule("abc", 1) * 64
    assert sum(1 for _ in reading(text)) == 65
    policy = parse(f"length = 100 {rule('a', 100)} {rule('bcdefghij')}")
    assert sum(1 for _ in generating(policy, os.urandom)) == 64
    with pytest.raises(StopIteration) as ended:
        next(generating(parse(f"length = 4 {rule('a')}"), os.urandom))
    assert ended.value.value == "aaaa"


def test_no_character_is_likelier_than_another() -> None:
    """Of 30,000 draws of three: each within six standard deviations (82) of a third."""
    policy = parse(f"length = 100 {rule('abc')}")
    counts = Counter("".join(generate(policy, os.urandom) for _ in range(300)))
    assert all(abs(count - 10_000) < 500 for count in counts.values())
    assert len(counts) == 3


def test_required_characters_may_be_anywhere() -> None:
    policy = parse(f"length = 4 {rule('a', 1)} {rule('bcdefghijklmnopqrstuvwxyz0123456789', 3)}")
    places = {generate(policy, os.urandom).index("a") for _ in range(200)}
    assert places == {0, 1, 2, 3}


def test_names_have_one_spelling() -> None:
    assert acl_name(" Team-A ") == "team-a"
    assert acl_name("ROOT") == "root"
    assert acl_name(" Team/ App/b ") == "team/ app/b"
    assert password_name("Team-A/b") == "Team-A/b"


@pytest.mark.parametrize(
    "name", ["", "/", "/a", "a/ ", "a//b", "a/./b", "..", "a/..", "a\nb", "a\0", "x" * (MAX_NAME + 1), "é" * 129]
)
def test_names_that_no_policy_has(name: str) -> None:
    with pytest.raises(InvalidRequest):
        acl_name(name)
