import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.base import LinkError
from transports.wifi.tcp_address import parse_address, spell, spell_peer

ports = st.integers(1, 65_535)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:7", "127.0.0.1", 7),
        (" box.local:65535\n", "box.local", 65_535),
        ("[::1]:80", "::1", 80),
        ("[fe80::1%wlan0]:80", "fe80::1%wlan0", 80),
        ("bücher.example:1", "bücher.example", 1),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)
    assert spell(host, port) == text.strip()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no port"),
        ("box", "has no port"),
        ("[::1]", "has no port"),
        (":80", "is no host"),
        ("box:", "a port is a number"),
        ("box:http", "a port is a number"),
        ("box:+80", "a port is a number"),
        ("box:8_0", "a port is a number"),
        ("box:٨٠", "a port is a number"),
        ("box:000080", "a port is a number"),
        ("box:0", "there is no port 0"),
        ("box:65536", "there is no port 65536"),
        ("::1:80", "in brackets|as \\[ADDRESS\\]"),
        ("http://box:80", "write HOST:PORT"),
        ("[box]:80", "is no IPv6 address"),
        ("[127.0.0.1]:80", "is no IPv6 address"),
        ("[::1]x:80", "write HOST:PORT"),
        ("a b:80", "is no host"),
        ("a\0b:80", "is no host"),
        ("me@box:80", "is no host"),
        ("b" * 254 + ":80", "is no host"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(LinkError, match=says) as caught:
        parse_address(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 160


@given(st.text())
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        host, port = parse_address(text)
    except LinkError as refused:
        host, port = "", 0
        said = str(refused)
    else:
        said = spell(host, port)
        assert parse_address(said) == (host, port)
    assert said.isprintable()


@given(st.ip_addresses(v=4), ports)
def test_the_address_of_an_ipv4_peer_can_be_dialled(host: object, port: int) -> None:
    assert parse_address(spell_peer((str(host), port)) or "") == (str(host), port)


@given(st.ip_addresses(v=6), ports)
def test_the_address_of_an_ipv6_peer_can_be_dialled(host: object, port: int) -> None:
    spelled = spell_peer((str(host), port, 0, 0)) or ""
    assert parse_address(spelled)[1] == port
    assert parse_address(spelled)[0] in {str(host), str(getattr(host, "ipv4_mapped", None))}


def test_a_link_local_peer_is_written_with_its_interface() -> None:
    index, name = socket.if_nameindex()[0]
    assert spell_peer(("fe80::1", 80, 0, index)) == f"[fe80::1%{name}]:80"
    assert spell_peer(("fe80::1", 80, 0, 999_999)) == "[fe80::1%999999]:80"


def test_an_ipv4_peer_on_an_ipv6_socket_is_written_as_what_it_is() -> None:
    assert spell_peer(("::ffff:10.0.0.7", 80, 0, 0)) == "10.0.0.7:80"


def test_a_socket_that_knows_no_other_end_has_no_address() -> None:
    assert spell_peer(None) is spell_peer(()) is None
