"""What a mount costs: callbacks, FTP commands and memory are counted, never time."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from mounts import Mount, mounted, peak_memory, watched
from servers import Server

from ftpfs.fuse.binding import load

pytestmark = pytest.mark.mounted

NAMES = 10_000
MANY_NAMES = 100_000
LARGE_BYTES = 2_000_000_000
MIB = 1 << 20
LISTINGS = {"MLSD", "LIST"}


def make_names(folder: str, count: int) -> None:
    """Empty files, as fast as the disk makes them."""
    os.mkdir(folder)
    for n in range(count):
        os.close(os.open(f"{folder}/name-{n:06}", os.O_WRONLY | os.O_CREAT))


def list_all(mount: Mount) -> int:
    """How many names `ls -l` shows."""
    done = subprocess.run(["ls", "-l", mount.path], check=True, capture_output=True)
    return len(done.stdout.splitlines()) - 1


def test_ls_of_10000_names_asks_for_none_of_them(server: Server) -> None:
    make_names(f"{server.root}/names", NAMES)
    with mounted(f"{server.url}names", *server.options) as mount:
        with watched(server, mount) as cold:
            assert list_all(mount) == NAMES
        assert ("opendir", "b'/'") in cold.callbacks
        assert [path for verb, path in cold.callbacks if verb == "getattr" and path != "b'/'"] == []
        assert len(LISTINGS & set(cold.verbs())) == 1
        # The listing, and EPSV for its data connection. A server that knows LIST only shows at
        # the first one whether it understands `-a`, and is asked again if not; and the MDTM of
        # one file tells its zone.
        assert len(cold.commands) in ((3, 5) if "LIST" in cold.verbs() else (2,))
        assert cold.verbs().count("MDTM") == ("LIST" in cold.verbs())

        with watched(server, mount) as warm:
            assert list_all(mount) == NAMES
            assert os.stat(f"{mount.path}/name-000007").st_size == 0
        assert ("opendir", "b'/'") in warm.callbacks
        assert warm.commands == []
    shutil.rmtree(f"{server.root}/names")


def test_names_that_were_listed_are_removed_without_looking_at_them(server: Server) -> None:
    """Programs that read a whole directory before they go on, as `rm -r` does."""
    make_names(f"{server.root}/gone", 2_000)
    with mounted(server.url, *server.options) as mount, watched(server, mount) as seen:
        subprocess.run(["rm", "-r", f"{mount.path}/gone"], check=True)
    verbs = [verb for verb, _ in seen.callbacks]
    assert verbs.count("unlink") == 2_000
    assert verbs.count("getattr") < 10
    assert seen.verbs().count("DELE") == 2_000


def test_a_small_file_is_written_and_read_in_few_commands(server: Server) -> None:
    # One connection: else the end of a transfer and the next command meet at times, and the
    # latter logs in anew. Another file is read than was written: the kernel does not wait for
    # release, and what is still open there is read without the server.
    with open(f"{server.root}/there", "wb") as out:
        out.write(b"content")
    with mounted(server.url, *server.options, "max_conns=1") as mount:
        os.listdir(mount.path)
        with watched(server) as writing, open(f"{mount.path}/file", "wb") as out:
            out.write(b"content")
        assert writing.verbs() == ["EPSV", "STOR", "SIZE", "MDTM", "EPSV"]
        with watched(server, mount) as reading, open(f"{mount.path}/there", "rb") as file:
            assert file.read() == b"content"
        binding = load()
        flushes = [verb for verb, _ in reading.callbacks if verb == "flush"]
        assert len(flushes) == ((binding.major, binding.minor) < (3, 11))
        # The port that was asked for in advance does, unless that was long ago.
        asked = ["SIZE", "MDTM"]  # in the packet of the next command: which version it is
        assert reading.verbs() in ([*asked, "RETR"], [*asked, "EPSV", "RETR"])
        with watched(server) as removing:
            os.unlink(f"{mount.path}/there")
        assert removing.verbs() == ["DELE"]
        os.unlink(f"{mount.path}/file")


@pytest.mark.in_clear  # with TLS a busy machine is no fast line, and one is divided
def test_a_sequential_reader_is_served_by_one_transfer(server: Server) -> None:
    with open(f"{server.root}/large", "wb") as out:
        out.write(os.urandom(64 * MIB))
    with mounted(server.url, *server.options) as mount, watched(server) as seen:
        reader = subprocess.run(["cmp", f"{mount.path}/large", f"{server.root}/large"], check=False)
        assert reader.returncode == 0
    assert seen.verbs().count("RETR") == 1
    assert seen.verbs().count("REST") == 0
    os.unlink(f"{server.root}/large")


def test_memory_after_reading_2_gb(vsftpd: Server) -> None:
    with open(f"{vsftpd.root}/large", "wb") as out:
        out.truncate(LARGE_BYTES)
    with mounted(vsftpd.url, *vsftpd.options) as mount:
        dd = ["dd", f"if={mount.path}/large", "of=/dev/null", "bs=1M"]
        done = subprocess.run(dd, check=True, capture_output=True, text=True)
        assert f"{LARGE_BYTES} bytes" in done.stderr
        assert 0 < peak_memory(mount) < 100 * MIB


def test_memory_after_listing_100000_names(vsftpd: Server) -> None:
    make_names(f"{vsftpd.root}/many", MANY_NAMES)
    with mounted(f"{vsftpd.url}many", *vsftpd.options) as mount:
        assert list_all(mount) == MANY_NAMES
        assert 0 < peak_memory(mount) < 200 * MIB
    shutil.rmtree(f"{vsftpd.root}/many")
