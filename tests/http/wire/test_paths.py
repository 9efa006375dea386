"""One path a request.

The kind: what a path means is decided in two places, which differ. It was made impossible by decoding it once, as a
whole, before anything looks at it, and refusing what is not canonical then: all later readers have one string.
"""

from __future__ import annotations

from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_http.wire import paths
from kms_http.wire.errors import HttpError


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/v1/secret/data/app", "secret/data/app", ""),
        ("/v1/secret/data/app?version=2&x", "secret/data/app", "version=2&x"),
        ("/v1/", "", ""),
        ("/v1/a/", "a/", ""),
        ("/v1/a/b.c/.hidden/..x/x..", "a/b.c/.hidden/..x/x..", ""),
        ("/v1/a/b%20c", "a/b c", ""),
        ("/v1/a/%C3%A9t%c3%a9", "a/été", ""),
        ("/v1/a/été", "a/été", ""),
        ("/v1/a/100%25", "a/100%", ""),
        ("/v1/a/%2525", "a/%25", ""),
        ("/v1/%72oot/x", "root/x", ""),
        ("/%76%31/x", "x", ""),
        ("/v1/a%2Fb", "a/b", ""),
        ("/v1/a%2fb%2F", "a/b/", ""),
        ("/v1/a/b%2Ec", "a/b.c", ""),
        ("/v1/a/%2e%2ex", "a/..x", ""),
        ("/v1/a/DOM%5Cuser", "a/DOM\\user", ""),
        ("/v1/a%252Fb", "a%2Fb", ""),
        ("/v1/a%3Fb%23c?d", "a?b#c", "d"),
        ("http://host/v1/a?b", "a", "b"),
        ("HTTPS://user@host:1/v1/a%2Fb", "a/b", ""),
        ("/v1/a/b?x=../..//%2F", "a/b", "x=../..//%2F"),
    ],
)
def test_a_plain_path_is_taken_as_it_is_and_an_encoded_one_decoded_once(target: str, path: str, query: str) -> None:
    assert paths.parse(target) == (path, query)


@pytest.mark.parametrize("path", ["a//", "a/%2F", "a%2F/", "a%2f%2F"])
def test_slashes_at_the_end_are_one(path: str) -> None:
    """The official client for Go asks for the list of `a/` as `a%2F/`, and for that of a whole mount as `//`."""
    assert paths.parse(f"/v1/{path}") == ("a/", "")


@pytest.mark.parametrize(
    "path",
    [
        "secret/../sys/seal",
        "..",
        "../x",
        ".",
        "a/.",
        "a/..",
        "a/./b",
        "/a",
        "a//b",
        "a%2F%2Fb",
        "%2Fa",
        "a/%2e%2e/b",
        "a/%2E/b",
        "a/.%2e/b",
        "a%2F..%2Fb",
        "a%2F%2e",
        "a%00b",
        "a%0Ab",
        "a%7fb",
        "a\\b",
        "a#b",
        "a%",
        "a%2",
        "a%zz",
        "a%C3",
        "a%ff",
        "a/\udcff",
        "a%E2%80%A8b",
        "a%C0%AFb",
        "a%25%32%46/%2E",
        "a" * 5121,
        "%C3%A9" * 2561,
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest):
        paths.parse(f"/v1/{path}")


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v1",
        "/V1/x",
        "/v2/x",
        "/ui/",
        "*",
        "v1/x",
        "ftp://host/v1/x",
        "http:/v1/x",
        "http://host",
        "http://v1/",
        "//v1/x",
        "/%2Fv1/x",
    ],
)
def test_there_is_nothing_outside_v1(target: str) -> None:
    with pytest.raises(HttpError) as raised:
        paths.parse(target)
    assert (raised.value.status, raised.value.texts) == (404, ())


def _canonical(path: str) -> bool:
    segments = path.split("/")
    return path.isprintable() and not {".", ".."} & set(segments) and "" not in segments[:-1]


@given(
    st.text(alphabet=st.sampled_from("abé./%25 ?#\\~+\U0001f511"), min_size=1, max_size=20).filter(_canonical),
    st.randoms(use_true_random=False),
)
def test_any_way_of_writing_a_path_means_that_path(path: str, random: Random) -> None:
    """Whichever bytes of it are encoded, and however, as long as those are that have to be."""

    def written(byte: int) -> str:
        if chr(byte) in "abé./~+" and random.random() < 0.5:
            return chr(byte)
        return random.choice((f"%{byte:02x}", f"%{byte:02X}"))

    target = "".join(written(byte) for byte in path.encode())
    assert paths.parse(f"/v1/{target}") == (path, "")
    assert paths.parse(f"http://a/v1/{target}?q") == (path, "q")


@given(st.text(alphabet=st.sampled_from("a./%2fFeE5cC0\\#é\x00 ~"), max_size=30))
def test_no_accepted_path_has_a_segment_that_is_a_dot_or_empty(text: str) -> None:
    try:
        path, _ = paths.parse(f"/v1/{text}")
    except InvalidRequest:
        return
    assert _canonical(path)
    assert paths.canonical(path) == path
    assert paths.parse(f"/v1/{quote(path, safe='')}") == (path, "")


def test_repeated_fields_of_a_form_become_lists() -> None:
    assert paths.form("a=1&b=x%20y&a=2&a=&c=") == {"a": ["1", "2", ""], "b": "x y", "c": ""}


@pytest.mark.parametrize("text", ["a=%ff", "a=\udcff", "&".join(f"a{i}=" for i in range(200))])
def test_a_form_that_is_no_text_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        paths.form(text)


def test_large_forms_are_refused_before_their_escapes_are_undone() -> None:
    assert paths.form("a=" + "%41" * 1000) == {"a": "A" * 1000}
    with pytest.raises(InvalidRequest, match="too large"):
        paths.form("a=" + "%41" * paths.MAX_FORM)
