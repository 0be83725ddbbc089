"""Addresses of servers, named, IPv4 and IPv6, and that no refusal repeats them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.cluster import collect_hosts

from loan_default.addresses import (
    check_local_path,
    check_web_address,
    host_and_port,
    looks_like_address,
    server_list,
)

names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,20}\.){0,3}[A-Za-z0-9]", fullmatch=True)
hosts = st.one_of(names, st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
ports = st.integers(1, 65535)


def written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@given(st.lists(st.tuples(hosts, ports), min_size=1, max_size=4))
def test_what_is_written_is_read_back_and_the_client_reads_the_same(servers):
    addresses = server_list(",".join(written(*server) for server in servers))
    assert [host_and_port(address) for address in addresses] == servers
    assert [(host, port) for host, port, _ in collect_hosts(list(addresses), randomize=False)] == servers


@pytest.mark.slow
@given(st.text(max_size=40))
def test_a_text_is_an_address_or_refused_and_never_repeated(text):
    try:
        host, port = host_and_port(text)
    except ValueError as error:
        message = str(error)
    else:
        message = ""
        assert 1 <= port <= 65535
        assert re.search(r"[\s,/@]", host) is None
    assert len(text) < 4 or text not in message


@pytest.mark.parametrize(
    "address", ["[::1]:9092", "[2001:db8::1]:9093", "[::ffff:10.0.0.1]:1", "[fe80::1%eth0]:9"]
)
def test_an_ipv6_address_stands_in_brackets(address):
    assert written(*host_and_port(address)) == address


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "kafka", "kafka:", ":9092", "kafka:0", "kafka:65536", "kafka:9092,", "kafka:9092 ", "kafka:٣"),
        *("::1:9092", "[::1]", "[::1]9092", "[kafka]:9092", "[]:9092", "[[::1]]:9092", "[10.0.0.1]:9092"),
        *("u:p4ssword@kafka:9092", "SASL_SSL://kafka:9092", "kafka:9092,u:p4ssword@[::1]:9092"),
    ],
)
def test_what_is_not_host_and_port_is_refused(wrong):
    with pytest.raises(ValueError, match="must be host:port") as caught:
        server_list(wrong)
    assert "p4ssword" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "url", ["http://airflow:8080", "https://a.example/base", "http://[::1]:8080/", "http://a"]
)
def test_a_web_address_may_have_a_port_and_a_path(url):
    check_web_address(url)


@pytest.mark.parametrize(
    "url",
    [
        *("airflow:8080", "ftp://airflow", "http://", "http://a:99999", "http://[::1", "http://[p4ssword]/"),
        *("http://u:p4ssword@airflow", "http://airflow/?token=p4ssword", "http://a/#p4ssword", "http://a b"),
    ],
)
def test_a_web_address_has_no_user_and_no_query(url):
    with pytest.raises(ValueError, match="must be http://host:port without") as caught:
        check_web_address(url)
    assert "p4ssword" not in str(caught.value)


@given(user=names, password=names, host=names)
def test_what_may_hold_a_password_is_no_path(user, password, host):
    for text in (f"{user}:{password}@{host}", f"s3://{user}:{password}@{host}/x", f"mongodb://{host}"):
        assert looks_like_address(text)
        with pytest.raises(ValueError, match=r"^must be a path of this machine, not an address$"):
            check_local_path(text)
    for path in (f"/{user}/{password}", f"{user}@{host}/{password}.csv", f"file:/{user}/me@{host}/x.csv"):
        assert not looks_like_address(path)
        check_local_path(path)
