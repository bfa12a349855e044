from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ftpfs.cli import password
from ftpfs.errors import UsageError
from ftpfs.url import ANONYMOUS_PASSWORD, Location, parse_url

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, no variable, and a standard input that is no terminal."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(password.VARIABLE, raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    return tmp_path


def write_netrc(home: Path, text: str) -> None:
    file = home / ".netrc"
    file.write_text(text)
    file.chmod(0o600)


def login(url: str) -> tuple[str, str | None]:
    location = password.complete(parse_url(url))
    return location.user, location.password


# -- where it comes from --------------------------------------------------------------------------


def test_the_url_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_netrc(home, "machine host login joe password from-netrc\n")
    monkeypatch.setenv(password.VARIABLE, "from-variable")
    assert login("ftp://joe:from-url@host/") == ("joe", "from-url")
    assert login("ftp://joe:@host/") == ("joe", "")


def test_netrc_comes_before_the_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_netrc(home, "machine host login joe password from-netrc\n")
    monkeypatch.setenv(password.VARIABLE, "from-variable")
    assert login("ftp://joe@host/") == ("joe", "from-netrc")


def test_netrc_names_the_user(home: Path) -> None:
    write_netrc(home, "machine host login joe password from-netrc\n")
    assert login("ftp://host/") == ("joe", "from-netrc")


def test_netrc_of_another_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_netrc(home, "machine host login ann password from-netrc\n")
    monkeypatch.setenv(password.VARIABLE, "from-variable")
    assert login("ftp://joe@host/") == ("joe", "from-variable")


SEVERAL = """
machine host login ann password of-ann
machine elsewhere login joe password of-elsewhere
machine host login joe password of-joe account accounting
machine host password of-all
machine host login ann password of-ann-later
default login joe password of-default
macdef init
machine host login joe password of-macro

"""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://ann@host/", ("ann", "of-ann")),
        ("ftp://joe@host/", ("joe", "of-joe")),
        ("ftp://eve@host/", ("eve", "of-all")),
        ("ftp://host/", ("ann", "of-ann")),
        ("ftp://joe@elsewhere/", ("joe", "of-elsewhere")),
        ("ftp://elsewhere/", ("joe", "of-elsewhere")),
    ],
)
def test_netrc_with_several_users_of_a_host(
    home: Path, url: str, expected: tuple[str, str]
) -> None:
    write_netrc(home, SEVERAL)
    assert login(url) == expected


def test_netrc_entries_without_a_password_are_passed_over(home: Path) -> None:
    write_netrc(home, "machine host login joe\nmachine host login joe password second\n")
    assert login("ftp://joe@host/") == ("joe", "second")


def test_netrc_that_others_may_read(home: Path) -> None:
    write_netrc(home, SEVERAL)
    (home / ".netrc").chmod(0o640)
    with pytest.raises(UsageError, match="permissive"):
        login("ftp://joe@host/")


def test_netrc_of_another_host(home: Path) -> None:
    write_netrc(home, "machine elsewhere login joe password from-netrc\n")
    with pytest.raises(UsageError):
        login("ftp://joe@host/")


def test_netrc_default_is_for_no_host_in_particular(home: Path) -> None:
    """curl and lftp send it to any host; a password for every server is better asked for."""
    write_netrc(home, "default login anonymous password guest@\n")
    with pytest.raises(UsageError):
        login("ftp://joe@host/")


def test_netrc_that_cannot_be_read(home: Path) -> None:
    write_netrc(home, "machine host nonsense\n")
    with pytest.raises(UsageError, match=r"~/\.netrc cannot be used"):
        login("ftp://joe@host/")


def test_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(password.VARIABLE, "from-variable")
    assert login("ftp://joe@host/") == ("joe", "from-variable")


def test_the_variable_is_not_sent_to_an_anonymous_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(password.VARIABLE, "from-variable")
    assert login("ftp://host/") == ("anonymous", ANONYMOUS_PASSWORD)


def test_a_variable_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(password.VARIABLE, "a\nb")
    with pytest.raises(UsageError):
        login("ftp://joe@host/")


def test_anonymous_needs_none() -> None:
    assert login("ftp://host/") == ("anonymous", ANONYMOUS_PASSWORD)


def test_nobody_to_ask() -> None:
    with pytest.raises(UsageError) as caught:
        login("ftp://joe@host/")
    assert "joe@host" in str(caught.value)
    assert password.VARIABLE in str(caught.value)


def test_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return "typed"

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", ask)
    assert login("ftp://joe@host/") == ("joe", "typed")
    assert asked == ["Password for joe@host: "]


def test_what_comes_out_never_shows_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(password.VARIABLE, "secret")
    location: Location = password.complete(parse_url("ftp://joe@host/"))
    assert "secret" not in f"{location} {location!r}"


# -- who can see it -------------------------------------------------------------------------------

HIDING = r"""
import sys
from ftpfs.cli import password
from ftpfs.url import parse_url

def shown(name):
    with open(f"/proc/self/{name}", "rb") as area:
        return area.read()

before = shown("cmdline") + shown("environ")
password.hide(parse_url(sys.argv[1]).password)
password.hide_environment()
sys.stdout.buffer.write(b"\n".join([before, shown("cmdline"), shown("environ")]))
"""


def seen(home: Path, url: str, variable: str) -> tuple[bytes, bytes, bytes]:
    """Arguments and environment as other processes see them: before, and each one after."""
    program = home / "hiding.py"
    program.write_text(HIDING)
    process = subprocess.run(
        [sys.executable, program, url, "last"],
        env={"PYTHONPATH": str(CHECKOUT), password.VARIABLE: variable, "AFTER": "stays"},
        capture_output=True,
        check=True,
    )
    before, arguments, environment = process.stdout.split(b"\n")
    return before, arguments, environment


FORMS = {
    "plain": ("p4ss", b"p4ss"),
    "as it stands in the URL": ("p%2Fss%3A", b"p%2Fss%3A"),
    "decoded in part": ("p:4%20ss", b"p:4%20ss"),
    "a lower-case escape": ("p%2fss", b"p%2fss"),
    "not ASCII": ("päss", "päss".encode()),
    "not UTF-8": ("p%E4ss", b"p%E4ss"),
}


@pytest.mark.parametrize(("written", "raw"), FORMS.values(), ids=FORMS)
def test_the_password_is_gone_from_the_command_line(home: Path, written: str, raw: bytes) -> None:
    before, arguments, environment = seen(home, f"ftp://joe:{written}@host/dir", "in-the-variable")
    assert raw in before
    assert b"in-the-variable" in before
    assert raw not in arguments
    assert b"in-the-variable" not in environment
    assert b"ftp://joe:" in arguments
    assert b"@host/dir\0last\0" in arguments
    assert b"AFTER=stays" in environment
    assert len(before) == len(arguments) + len(environment)
