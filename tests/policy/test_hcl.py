"""HCL and JSON as one tree; anything else is refused with its place, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.policy import hcl
from kms_actors.policy.lexer import MAX_STRING
from kms_actors.policy.tree import MAX_DEPTH, ListNode, Literal, Node, ObjectNode


def plain(node: Node) -> Any:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return [([key.text for key in member.keys], plain(member.value)) for member in node.members]


def read(text: str) -> Any:
    return plain(ObjectNode(tuple(hcl.read(text)[0]), 0))


def value(text: str) -> Any:
    [(_, found)] = read(f"x = {text}\n")
    return found


def error(text: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read(text)
    return str(caught.value).removeprefix("failed to parse policy: ")


def test_blocks_attributes_labels_and_comments() -> None:
    text = """
    # one
    // two
    path "secret/*" { /* three
      lines */ capabilities = ["read", "list",] // four
      "quoted" = 1, bare-key.x = true
    }
    a "b" "c" {}
    """
    assert read(text) == [
        (["path", "secret/*"], [(["capabilities"], ["read", "list"]), (["quoted"], 1), (["bare-key.x"], True)]),
        (["a", "b", "c"], []),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a\\n\\t\\"\\\\\\u00e9\\U0001F600\\x41\\101"', 'a\n\t"\\é😀AA'),
        ('"${a "b" {c}} d"', '${a "b" {c}} d'),
        ('"${ \\n }\\n"', "${ \\n }\n"),
        ('"$5"', "$5"),
        ("0x1F", 31),
        ("017", 15),
        ("-5", -5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("0", 0),
        ("false", False),
        ("[1, [2], {a = 3}]", [1, [2], [(["a"], 3)]]),
        ("<<EOF\n  a\n b\n  EOF\n", "  a\n b\n"),
        ("<<-EOF\n    a\n      b\n    EOF\n", "a\n  b\n"),
        ("<<-EOF\n  a\n b\n  EOF\n", "  a\n b\n"),
        ("<<E\nE x\nE\n", "E x\n"),
    ],
)
def test_values(text: str, expected: object) -> None:
    assert value(text) == expected


def test_windows_line_ends_are_line_ends() -> None:
    assert read("a = 1\r\nb = <<X\r\ny\r\nX\r\n") == [(["a"], 1), (["b"], "y\n")]


def test_json_is_read_where_the_first_character_is_a_brace() -> None:
    text = ' {"path": {"a": {"capabilities": ["read"], "n": -1.5e2, "t": true, "u": "\\u00e9\\n"}}}'
    inner = [(["capabilities"], ["read"]), (["n"], -150.0), (["t"], True), (["u"], "é\n")]
    assert read(text) == [(["path", "a"], inner)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "line 1, column 2: '{' or '=' is expected after a key"),
        ("a = ", "line 1, column 5: a value is expected, and this is none"),
        ("a = b", "line 1, column 5: a value is expected, and this is none"),
        ("\n  = 1", "line 2, column 3: a key is expected"),
        ("a b = 1", "line 1, column 5: a block with labels is no attribute: '{' is expected, not '='"),
        ("a {\n b = 1", "line 1, column 3: the object has no end: '}' is missing"),
        ("a = [1 2]", "line 1, column 8: ',' or ']' is expected in the list"),
        ("a = [1", "line 1, column 7: ',' or ']' is expected in the list"),
        ('a = "x', "line 1, column 5: the text has no end"),
        ('a = "x\ny"', "line 1, column 5: the text has no end"),
        ('a = "${x"', "line 1, column 5: the text has no end"),
        ('a = "\\q"', "line 1, column 6: no such escape"),
        ('a = "\\xff"', "line 1, column 6: the escape is no character"),
        ('a = "\\ud800"', "line 1, column 6: the escape is no character"),
        ("a = <<X\ny\n", "line 1, column 5: the here-document has no end"),
        ("a = <X", "line 1, column 5: no such character here"),
        ("a = << X\n", "line 1, column 5: a here-document begins with << or <<-, a word, and the end of the line"),
        ("/* a", "line 1, column 1: the comment has no end"),
        ("a = 08", "line 1, column 5: no such number"),
        ("a = 99999999999999999999", "line 1, column 5: the number takes more than 64 bits"),
        ("a = 1e999", "line 1, column 5: no such number"),
        ("a = 1\0", "line 1, column 6: no such character here"),
        ("}", "line 1, column 1: a key is expected"),
        ('{"a": null}', "line 1, column 7: a value other than null is expected"),
        ('{"a": 1,}', "line 1, column 9: a key in quotes is expected"),
        ('{"a": [1,]}', "line 1, column 10: a value other than null is expected"),
        ('{"a": 1} b', "line 1, column 10: this is no JSON"),
        ('{"a": 1} {', "line 1, column 10: nothing may follow the object"),
        ('{"a": "\\ud800"}', "line 1, column 7: no such escape, or half of a character"),
        ('{"a" 1}', "line 1, column 6: ':' is expected"),
        ('{"a": 1 "b": 2}', "line 1, column 9: ',' or '}' is expected"),
    ],
)
def test_what_is_refused_is_told_with_its_place(text: str, expected: str) -> None:
    assert error(text) == expected


def test_depth_and_length_are_bounded() -> None:
    assert value("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert "within each other" in error("a = " + "[" * 100_000)
    assert "within each other" in error('{"a":' * 40_000)
    assert error("#" * (hcl.MAX_TEXT + 1)) == "it is longer than 262,144 bytes"
    assert error("# \ud800") == "it is not all characters"


@given(st.text(st.sampled_from('ab"\\{}[]=,<-\n\r #/*$19.exuE') | st.characters(), max_size=60))
@example('{"a":"\\')
@example("a = <<-A\n\tA")
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for shape in (text, "a = " + text, '{"a":' + text, f'path "{text}" {{ }}'):
        try:
            members, source = hcl.read(shape)
            assert all(source.where(member.at) >= (1, 1) for member in members)
        except InvalidRequest:
            pass


_JSON = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), _JSON, max_size=4), st.booleans())
def test_json_that_others_write_is_read_as_they_mean_it(document: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps({"a": {"b": document}}, ensure_ascii=ascii_only)
    if "\0" in text or "\ue123" in text:
        return

    def back(node: Node) -> Any:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, ListNode):
            return [back(item) for item in node.items]
        return {member.name: back(member.value) for member in node.members}

    [member] = hcl.read(text)[0]
    assert [key.text for key in member.keys] == ["a", "b"]
    assert back(member.value) == document


def test_texts_are_bounded() -> None:
    text = "\\n" * (MAX_STRING // 2 - 1)
    assert len(value(f'"{text}"')) == MAX_STRING // 2 - 1
    assert error(f'x = "{text * 2}"') == "line 1, column 5: a text is longer than 16,384 characters"
    lines = "a\n" * (MAX_STRING // 2)
    assert value(f"<<E\n{lines}E\n") == lines
    assert error(f"x = <<E\n{lines * 2}E\n") == "line 1, column 5: a text is longer than 16,384 characters"


def test_json_that_stands_for_blocks() -> None:
    text = '{"path": {"a": {"x": 1}, "b": [{"x": 2}, {"x": 3}]}, "rule": [{"c": {"x": 4}}, 5], "length": 6}'
    assert read(text) == [
        (["path", "a"], [(["x"], 1)]),
        (["path", "b"], [(["x"], 2)]),
        (["path", "b"], [(["x"], 3)]),
        (["rule", "c"], [(["x"], 4)]),
        (["rule"], [5]),
        (["length"], 6),
    ]


@pytest.mark.parametrize("form", ['path "a" {{ x = [{}] }}', '{{"path": {{"a": {{"x": [{}]}}}}}}'])
def test_how_long_a_member_takes_is_bounded(form: str) -> None:
    assert "more than 2,000 words and signs" in error(form.format("1," * hcl.MAX_TOKENS))
    rules = "\n".join(f'path "{number}" {{}}' for number in range(hcl.MAX_TOKENS))
    assert len(read(rules)) == hcl.MAX_TOKENS
    rules = ",".join(f'"{number}": {{}}' for number in range(hcl.MAX_TOKENS))
    assert len(read(f'{{"path": {{{rules}}}}}')) == hcl.MAX_TOKENS
