from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth import cidrs
from kms_actors.errors import InvalidRequest


def test_blocks_are_kept_as_vault_shows_them() -> None:
    sent = ["10.1.2.3/8", "1.2.3.4/32", "::1/64", "FE80::1", " 1.1.1.1 ", "::ffff:1.2.3.4"]
    assert cidrs.checked("f", sent) == ("10.1.2.3/8", "1.2.3.4", "::1/64", "fe80::1", "1.1.1.1", "1.2.3.4")


@pytest.mark.parametrize(
    "text", ["", "x", "10.1.2.3/99", "/tmp/x", "1.2.3.4:80", "01.2.3.4", "fe80::1%eth0", "1" * 99]
)
def test_what_is_no_address_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidRequest, match="in f: unable to convert to an IPv4 or IPv6 address or block"):
        cidrs.checked("f", [text])


def test_a_list_is_bounded() -> None:
    with pytest.raises(InvalidRequest, match="f: more than 256 blocks"):
        cidrs.checked("f", ["1.1.1.1"] * 257)


def test_an_address_lies_in_blocks_of_its_family() -> None:
    assert cidrs.contains(("10.0.0.0/8",), "10.255.0.1")
    assert cidrs.contains(("10.0.0.0/8",), "::ffff:10.255.0.1")
    assert cidrs.contains(("fd00::/8", "1.1.1.1"), "fd12::1")
    assert not cidrs.contains(("10.0.0.0/8",), "11.0.0.1")
    assert not cidrs.contains(("0.0.0.0/0",), "::1")
    assert not cidrs.contains(("::/0",), "10.0.0.1")
    assert not cidrs.contains(("0.0.0.0/0",), "")
    assert not cidrs.contains((), "10.0.0.1")


def test_a_list_lies_within_another() -> None:
    assert cidrs.within(("10.1.0.0/16", "10.2.3.4"), ("10.0.0.0/8",))
    assert cidrs.within(("10.1.0.0/16",), ())
    assert not cidrs.within(("10.0.0.0/7",), ("10.0.0.0/8",))
    assert not cidrs.within(("::1",), ("10.0.0.0/8",))


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 32))
def test_it_agrees_with_the_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    base: ipaddress.IPv4Address | ipaddress.IPv6Address,
    length: int,
) -> None:
    block = f"{base}/{length}"
    if getattr(address, "ipv4_mapped", None) is None:
        expected = address in ipaddress.ip_network(block, strict=False)
        assert cidrs.contains(cidrs.checked("f", [block]), str(address)) == expected
