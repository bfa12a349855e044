from __future__ import annotations

import os

import pytest

from ftpfs.errors import UsageError
from ftpfs.options import IGNORED_OPTIONS, MountOptions, ProxyServer, TlsMode, parse_options

GIVEN = {
    (): MountOptions(),
    ("",): MountOptions(),
    ("ro",): MountOptions(ro=True),
    ("ro,rw",): MountOptions(ro=False),
    ("rw", "ro"): MountOptions(ro=True),
    ("ro,allow_other",): MountOptions(ro=True, allow_other=True),
    ("ro", "allow_root,,strict"): MountOptions(ro=True, allow_root=True, strict=True),
    ("default_permissions",): MountOptions(default_permissions=True),
    ("uid=0,gid=1000",): MountOptions(uid=0, gid=1000),
    ("umask=022",): MountOptions(umask=0o022),
    ("umask=0",): MountOptions(umask=0),
    ("dir_cache=0",): MountOptions(dir_cache=0.0),
    ("dir_cache=2.5",): MountOptions(dir_cache=2.5),
    ("max_conns=1",): MountOptions(max_conns=1),
    ("max_conns=8", "max_conns=2"): MountOptions(max_conns=2),
    ("timeout=1",): MountOptions(timeout=1.0),
    ("tls=explicit",): MountOptions(tls=TlsMode.EXPLICIT),
    ("tls=implicit",): MountOptions(tls=TlsMode.IMPLICIT),
    ("tls=no",): MountOptions(tls=TlsMode.NONE),
    ("proxy=socks5://joe:s%40%2Ct@[::1]:1080",): MountOptions(
        proxy=ProxyServer("socks5", "::1", 1080, "joe", "s@,t")
    ),
    ("proxy=http://proxy:3128/",): MountOptions(proxy=ProxyServer("http", "proxy", 3128)),
    ("active",): MountOptions(active=True),
    ("pasv_address=server",): MountOptions(pasv_address="server"),
    ("tls_max=1.2",): MountOptions(tls_max="1.2"),
    ("cafile=/a/ca.pem,insecure",): MountOptions(cafile="/a/ca.pem", insecure=True),
    ("cert=/a/c.pem,key=/a/k.pem",): MountOptions(cert="/a/c.pem", key="/a/k.pem"),
    ("fingerprint=SHA256:" + "0a" * 32,): MountOptions(fingerprint="0a" * 32),
    ("fingerprint=" + "0A" * 32,): MountOptions(fingerprint="0a" * 32),
    ("fingerprint=sha256:" + ":".join(["0A"] * 32),): MountOptions(fingerprint="0a" * 32),
    ("defaults,_netdev,nofail,noatime,user",): MountOptions(),
    ("x-systemd.automount,x-gvfs-hide,comment=what you like",): MountOptions(),
}


@pytest.mark.parametrize(("given", "options"), GIVEN.items(), ids=str)
def test_parse(given: tuple[str, ...], options: MountOptions) -> None:
    assert parse_options(given) == options


@pytest.mark.parametrize("word", sorted(IGNORED_OPTIONS))
def test_words_of_fstab_mean_nothing(word: str) -> None:
    assert parse_options([word]) == MountOptions()


BAD = {
    "nonsense": "unknown option -o nonsense; known are",
    "nonsense=1": "unknown option -o nonsense;",
    "RO": "unknown option",
    "ro=1": "-o ro takes no value",
    "ro=": "-o ro takes no value",
    "uid": "-o uid=: uid must be a user id",
    "uid=": "must be a user id",
    "uid=joe": "must be a user id",
    "uid=-1": "must be a user id",
    "uid=" + "9" * 5000: "must be a user id",
    "gid=1.5": "must be a group id",
    "umask=9": "octal",
    "umask=-1": "octal",
    "dir_cache=": "seconds, 0 or more",
    "dir_cache=-1": "seconds, 0 or more",
    "dir_cache=nan": "seconds, 0 or more",
    "dir_cache=inf": "seconds, 0 or more",
    "dir_cache=1e999": "seconds, 0 or more",
    "max_conns=0": "a number, 1 or more",
    "max_conns=2.5": "a number, 1 or more",
    "encoding=": "an encoding that contains ASCII",
    "encoding=utf-99": "an encoding that contains ASCII",
    "encoding=utf-16": "an encoding that contains ASCII",  # a NUL in every name
    "encoding=cp037": "an encoding that contains ASCII",  # EBCDIC
    "encoding=utf-7": "an encoding that contains ASCII",
    "encoding=iso2022_jp": "an encoding that contains ASCII",  # a slash in the middle of a kanji
    "encoding=hz": "an encoding that contains ASCII",
    "encoding=rot13": "an encoding that contains ASCII",
    "encoding=base64": "an encoding that contains ASCII",
    "timeout=0": "seconds, 1 or more",
    "timeout=soon": "seconds, 1 or more",
    "tls": "tls must be explicit, implicit or no",
    "tls=yes": "tls must be explicit, implicit or no",
    "pasv_address=10.0.0.1": "control or server",
    "tls_max=1.1": "1.2 or 1.3",
    "cafile": "cafile must be a PEM file",
    "key=": "key must be a PEM file",
    "insecure=1": "-o insecure takes no value",
    "fingerprint=": "SHA256: and 64 hex digits",
    "fingerprint=SHA1:" + "0a" * 20: "SHA256: and 64 hex digits",
    "fingerprint=" + "0a" * 31 + "0g": "SHA256: and 64 hex digits",
}


@pytest.mark.parametrize(("word", "reason"), BAD.items(), ids=lambda text: text[:24])
def test_bad_option(word: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(["strict", f"allow_other,{word}"])
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("UTF8", "utf-8"),
        ("latin-1", "iso8859-1"),
        ("windows-1251", "cp1251"),
        ("GBK", "gbk"),
        ("shift_jis", "shift_jis"),
        ("euc-kr", "euc_kr"),
    ],
)
def test_encoding(word: str, name: str) -> None:
    assert parse_options([f"encoding={word}"]).encoding == name
    assert parse_options([]).encoding == "utf-8"


def test_every_known_option_is_named_when_one_is_unknown() -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(["nonsense"])
    for name in MountOptions._fields:
        assert name in str(caught.value)


def test_a_file_is_found_from_everywhere() -> None:
    options = parse_options(["cafile=ca.pem,cert=~/c.pem"])
    assert options.cafile == os.path.abspath("ca.pem")
    assert options.cert == os.path.expanduser("~/c.pem")


def test_owner() -> None:
    assert MountOptions().owner() == (os.getuid(), os.getgid())
    assert MountOptions(uid=12, gid=34).owner() == (12, 34)
    assert MountOptions(uid=0).owner() == (0, os.getgid())


@pytest.mark.parametrize(
    "text",
    [
        "joe:secret@proxy:1",
        "socks4://joe:secret@proxy:1",
        "http://joe:secret@proxy",
        "http://:secret@:1",
    ],
)
def test_the_password_of_a_proxy_is_not_shown(text: str) -> None:
    with pytest.raises(UsageError, match=r"proxy must be socks5://") as caught:
        parse_options([f"proxy={text}"])
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(parse_options(["proxy=socks5://joe:secret@proxy:1080"]))
