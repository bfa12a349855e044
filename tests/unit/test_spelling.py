from __future__ import annotations

import pytest
from fakes.ftpserver import FtpServer, Talk, ftp_server
from remotes import connected

from ftpfs.errors import InvalidNameError
from ftpfs.remote.ftp import FtpRemote


class Windows(Talk):
    """Drops blanks and dots at the end of what is made; does not take a colon."""

    def made(self, argument: str) -> str:
        return argument.rstrip(" .") if argument.strip(" .") else argument

    def do_mkd(self, argument: str) -> None:
        if ":" in argument:
            self.say("550 The filename, directory name, or volume label syntax is incorrect. ")
        else:
            super().do_mkd(self.made(argument))

    def do_rnto(self, argument: str) -> None:
        super().do_rnto(self.made(argument))


class Closed(Talk):
    """Lets nobody make directories."""

    def do_mkd(self, _argument: str) -> None:
        self.say("550 Permission denied")


def trials(server: FtpServer) -> int:
    """How often a directory was made to try names in."""
    return sum(command.startswith("MKD ./.ftpfs-") for command in server.commands)


def make(remote: FtpRemote, name: str) -> None:
    remote.mkdir(f"/{name}")


@pytest.mark.parametrize("name", ["blank ", "dot.", "blank and dot ."])
def test_a_name_that_would_be_changed_is_refused(name: str) -> None:
    with ftp_server(Windows) as server, connected(server.url) as remote:
        server.tree["/" + name.rstrip(" .")] = b"another's"
        server.tree["/file"] = b"content"
        before = dict(server.tree)
        with pytest.raises(InvalidNameError):
            make(remote, name)
        with pytest.raises(InvalidNameError):
            remote.rename("/file", f"/{name}")
        assert server.tree == before


def test_each_oddity_is_tried_once() -> None:
    with ftp_server(Windows) as server, connected(server.url) as remote:
        for name in ("ordinary", "two  blanks", "ümläut"):
            make(remote, name)
        assert trials(server) == 0
        for name in (" a", " b"):
            make(remote, name)
        assert list(remote.list("/")) == [" a", " b", "ordinary", "two  blanks", "ümläut"]
        for name in ("a ", "b "):
            with pytest.raises(InvalidNameError):
                make(remote, name)
        count = len(server.commands)
        with pytest.raises(InvalidNameError):
            make(remote, "c ")
        assert len(server.commands) == count, "known by then"


def test_what_the_server_refuses_it_refuses_itself() -> None:
    with ftp_server(Windows) as server, connected(server.url) as remote:
        with pytest.raises(InvalidNameError, match="syntax is incorrect"):
            make(remote, "a:b")
        assert server.tree == {"/": None}


def test_nothing_is_concluded_where_nothing_can_be_tried() -> None:
    with ftp_server(Closed) as server, connected(server.url) as remote:
        server.tree["/file"] = b"content"
        remote.rename("/file", "/file ")
        assert set(server.tree) == {"/", "/file "}


def test_a_directory_of_our_own_is_not_shown() -> None:
    """Not even to another thread, while names are tried."""
    seen: list[list[str]] = []

    class Watched(Talk):
        def do_rmd(self, argument: str) -> None:
            if argument.count("/") == 1:
                with connected(self.server.url) as other:
                    seen.append(sorted(other.list("/")))
                seen.append(sorted(remote.list("/")))
            super().do_rmd(argument)

    with ftp_server(Watched) as server, connected(server.url) as remote:
        make(remote, "a ")
        assert len(seen[0]) == 1
        assert seen[0][0].startswith(".ftpfs-")
        assert seen[1] == []
