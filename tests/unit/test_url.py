from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.errors import UsageError
from ftpfs.options import TlsMode
from ftpfs.url import Location, parse_url

URLS = {
    "ftp://host": Location("host"),
    "ftp://host/": Location("host"),
    "FTP://host/": Location("host"),
    "ftp://host:2121/": Location("host", 2121),
    "ftp://host:/": Location("host"),
    "ftp://joe@host": Location("host", user="joe"),
    "ftp://joe:pw@host/a/b": Location("host", user="joe", password="pw", path="a/b"),
    "ftp://joe:@host/": Location("host", user="joe", password=""),
    "ftp://joe:p@ss@host/": Location("host", user="joe", password="p@ss"),
    "ftp://joe:a:b@host/": Location("host", user="joe", password="a:b"),
    "ftp://joe%40example.com:p%2Fw%3A%25@host/": Location(
        "host", user="joe@example.com", password="p/w:%"
    ),
    "ftp://anonymous@host/": Location("host"),
    "ftp://192.0.2.1:21/": Location("192.0.2.1"),
    "ftp://[::1]/": Location("::1"),
    "ftp://joe@[2001:db8::1]:2121/a": Location("2001:db8::1", 2121, "joe", None, "a"),
    "ftp://host//abs/dir": Location("host", path="/abs/dir"),
    "ftp://host/%2Fabs": Location("host", path="/abs"),
    "ftp://host//": Location("host", path="/"),
    "ftp://host/dir/": Location("host", path="dir"),
    "ftp://host/a%20b/Gr%C3%BC%C3%9Fe": Location("host", path="a b/Grüße"),
    "ftp://host/a b/Grüße": Location("host", path="a b/Grüße"),
    "ftp://host/%E4": Location("host", path="\udce4"),
    "ftp://host/what?#": Location("host", path="what?#"),
    "ftp://host/a@b:c": Location("host", path="a@b:c"),
    "ftp://host/../up": Location("host", path="../up"),
    "ftpes://host/": Location("host", 21, tls=TlsMode.EXPLICIT),
    "FTPES://host:2121/": Location("host", 2121, tls=TlsMode.EXPLICIT),
    "ftps://host/": Location("host", 990, tls=TlsMode.IMPLICIT),
    "ftps://joe@host:21/a": Location("host", 21, "joe", path="a", tls=TlsMode.IMPLICIT),
}


@pytest.mark.parametrize(("text", "location"), URLS.items(), ids=URLS)
def test_parse(text: str, location: Location) -> None:
    assert parse_url(text) == location


BAD = {
    "": "not a URL",
    "host/dir": "not a URL",
    "ftp:host": "not a URL",
    "http://host/": "unknown scheme http://",
    "ftpis://host/": "unknown scheme ftpis://; known are ftp://, ftpes:// and ftps://",
    "ftp://": "no host",
    "ftp:///dir": "no host",
    "ftp://joe@/": "no host",
    "ftp://:2121/": "no host",
    "ftp://@host/": "no user",
    "ftp://:pw@host/": "no user",
    "ftp://host:0/": "the port in the URL",
    "ftp://host:65536/": "the port in the URL",
    "ftp://host:-1/": "the port in the URL",
    "ftp://host:ftp/": "the port in the URL",
    "ftp://host:²/": "port",
    "ftp://host:" + "9" * 5000: "port",
    "ftp://joe:pa/ss@host/": "%2F",
    "ftp://::1/": "brackets",
    "ftp://[::1/": "brackets",
    "ftp://[::1]2121/": "brackets",
    "ftp://[host]/": "not an IPv6 address",
    "ftp://[]/": "not an IPv6 address",
    "ftp://host/a%0D%0ADELE": "path",
    "ftp://host/a%00": "path",
    "ftp://jo%0Ae@host/": "user",
    "ftp://joe:%0D@host/": "password",
    "ftp://ho%0Ast/": "host",
}


@pytest.mark.parametrize(("text", "reason"), BAD.items(), ids=lambda text: text[:30])
def test_bad_url(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


SHOWN = {
    "ftp://host": "ftp://host/",
    "ftp://joe:secret@host:2121/a b": "ftp://joe@host:2121/a%20b",
    "ftp://[::1]:21//abs": "ftp://[::1]//abs",
    "ftp://jo%40e@host/": "ftp://jo%40e@host/",
    "ftp://jo%E4@host/%E4": "ftp://jo%E4@host/%E4",
    "ftpes://joe:secret@host:21/": "ftpes://joe@host/",
    "ftpes://host:990/": "ftpes://host:990/",
    "ftps://host:990/a": "ftps://host/a",
    "ftps://host:21/": "ftps://host:21/",
}


@pytest.mark.parametrize(("text", "shown"), SHOWN.items(), ids=SHOWN)
def test_shown(text: str, shown: str) -> None:
    assert str(parse_url(text)) == shown


TLS_OPTIONS = {
    ("ftp://host/", None): "ftp://host/",
    ("ftp://host/", TlsMode.NONE): "ftp://host/",
    ("ftp://host/", TlsMode.EXPLICIT): "ftpes://host/",
    ("ftp://host:2121/a", TlsMode.EXPLICIT): "ftpes://host:2121/a",
    ("ftp://host/", TlsMode.IMPLICIT): "ftps://host/",
    ("ftp://host:2990/", TlsMode.IMPLICIT): "ftps://host:2990/",
    ("ftpes://host/", None): "ftpes://host/",
    ("ftpes://host/", TlsMode.EXPLICIT): "ftpes://host/",
    ("ftps://host/", TlsMode.IMPLICIT): "ftps://host/",
}


@pytest.mark.parametrize(("given", "shown"), TLS_OPTIONS.items(), ids=str)
def test_an_option_asks_for_tls(given: tuple[str, TlsMode | None], shown: str) -> None:
    url, tls = given
    assert str(parse_url(url).with_tls(tls)) == shown


@pytest.mark.parametrize("url", ["ftpes://joe:secret@host/", "ftps://host/"])
def test_no_option_takes_tls_away(url: str) -> None:
    location = parse_url(url)
    for tls in set(TlsMode) - {location.tls}:
        with pytest.raises(UsageError, match=f"tls={tls.value} contradicts") as caught:
            location.with_tls(tls)
        assert "secret" not in str(caught.value)


def test_the_password_never_shows() -> None:
    location = parse_url("ftp://joe@host/").with_password("secret")
    assert location.password == "secret"
    assert "secret" not in f"{location} {location!r}"


def test_a_password_that_cannot_be_sent() -> None:
    with pytest.raises(UsageError):
        Location("host").with_password("a\r\nDELE b")


words = st.binary(min_size=1, max_size=8).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
sendable = words.filter(lambda word: not set(word) & set("\r\n\0"))


@given(
    sendable,
    st.integers(1, 65535),
    st.lists(sendable.filter(lambda w: "/" not in w)),
    st.sampled_from(TlsMode),
)
def test_what_is_shown_is_read_back(user: str, port: int, names: list[str], tls: TlsMode) -> None:
    location = Location("host.example", port, user, None, "/".join(names), tls)
    assert parse_url(str(location)) == location


@given(st.text())
def test_any_text_is_a_location_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert parse_url("ftp://" + text).host
