from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.outbound import MAX_URL, NotAllowed, Outbound, is_public, read_url


def allowed(entries: list[str], url: str, address: str) -> bool:
    outbound = Outbound(entries)
    try:
        target = outbound.check(url)
    except NotAllowed:
        return False
    return outbound.allows(target, ip_address(address))


INNER = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd12::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",  # Teredo, of 10.0.0.1
]


@pytest.mark.parametrize("address", INNER)
def test_no_address_of_an_inner_network_is_public_in_whatever_words(address: str) -> None:
    assert not allowed(["public"], "https://idp.example.com/keys", address)
    assert not allowed(["public"], f"https://[{address}]/" if ":" in address else f"https://{address}/", address)


OUTER = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", OUTER)
def test_addresses_of_the_internet_are(address: str) -> None:
    assert allowed(["public"], "https://idp.example.com/keys", address)
    assert not allowed([], "https://idp.example.com/keys", address)
    assert not allowed(["public"], "http://idp.example.com/keys", address)


@pytest.mark.parametrize(
    ("entry", "url", "address", "fits"),
    [
        ("10.2.0.0/16", "https://idp/", "10.2.3.4", True),
        ("10.2.0.0/16", "https://idp/", "::ffff:10.2.3.4", True),
        ("10.2.0.0/16", "https://idp/", "10.3.3.4", False),
        ("10.2.0.0/16", "http://idp/", "10.2.3.4", False),
        ("10.2.3.4", "https://10.2.3.4/", "10.2.3.4", True),
        ("fd00::/8", "https://[fd12::1]/", "fd12::1", True),
        ("fd00::/8", "https://idp/", "10.2.3.4", False),
        ("https://idp.internal", "https://idp.internal/keys?x=1", "10.0.0.1", True),
        ("https://idp.internal", "https://IDP.internal:443/", "10.0.0.1", True),
        ("https://idp.internal", "https://idp.internal:444/", "10.0.0.1", False),
        ("https://idp.internal", "http://idp.internal/", "10.0.0.1", False),
        ("https://idp.internal", "https://x.idp.internal/", "10.0.0.1", False),
        ("https://idp.internal:8443", "https://idp.internal:8443/", "10.0.0.1", True),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/k", "127.0.0.1", True),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8081/k", "127.0.0.1", False),
        ("https://*.corp", "https://a.corp/", "10.0.0.1", True),
        ("https://*.corp", "https://a.b.corp/", "10.0.0.1", True),
        ("https://*.corp", "https://corp/", "10.0.0.1", False),
        ("https://*.corp", "https://evilcorp/", "10.0.0.1", False),
        ("https://*.corp", "https://a.corp.example.com/", "10.0.0.1", False),
    ],
)
def test_entries(entry: str, url: str, address: str, fits: bool) -> None:
    assert allowed([entry], url, address) is fits


@pytest.mark.parametrize(
    "url",
    [
        "",
        "idp.example.com",
        "//idp.example.com/",
        "ftp://idp.example.com/",
        "file:///etc/passwd",
        "https:///path",
        "https://user@idp.example.com/",
        "https://idp.example.com@127.0.0.1/",
        "https://idp.example.com\\@127.0.0.1/",
        "https://idp.example.com/#f",
        "https://idp.example.com /",
        "https://idp.example.com/\r\nX: y",
        "https://idp.example.com:99999/",
        "https://idp.example.com:x/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.0x1/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://bücher.example/",
        "https://.example.com/",
        "https://" + "a" * MAX_URL,
    ],
)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(NotAllowed):
        Outbound(["public", "0.0.0.0/0", "::/0"]).check(url)


NO_ENTRIES = [
    "",
    "Public",
    "idp.internal",
    "10.0.0.1/8",
    "https://idp/path",
    "https://",
    "*",
    "https://*",
    "https://a.*.b",
]


@pytest.mark.parametrize("entry", NO_ENTRIES)
def test_entries_that_are_none(entry: str) -> None:
    with pytest.raises(NotAllowed):
        Outbound([entry])


def test_an_address_in_the_url_is_refused_before_anything_is_looked_up() -> None:
    with pytest.raises(NotAllowed, match="address"):
        Outbound(["public"]).check("https://169.254.169.254/latest/meta-data")


@given(st.ip_addresses())
def test_an_address_is_public_or_not_in_each_form(address: object) -> None:
    assert isinstance(is_public(address), bool)  # type: ignore[arg-type]


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com/{text}"):
        try:
            target = read_url(url)
        except NotAllowed:
            continue
        assert target.host
        assert target.path.startswith("/")
