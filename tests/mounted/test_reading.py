"""Reading through a real mount: few connections, broken ones, changed files, what is fetched ahead.

Commands and bytes are counted, times are not.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import random
import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exerciser.relay import Break, Relay, Way, counted
from mounted.places import vsftpd_with
from mounts import Mount, mounted, peak_memory, watched
from netsim import simulated
from servers import Server, connections
from waiting import eventually

from ftpfs.config import READ_AHEAD_BYTES, SEGMENT_BYTES

pytestmark = pytest.mark.mounted

MIB = 1 << 20
READERS = 5
CHUNK = 128 * 1024


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def put(server: Server, name: str, data: bytes) -> str:
    """A file on the server, as old as that its time tells versions apart."""
    path = f"{server.root}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


def relayed(server: Server) -> contextlib.AbstractContextManager[Relay]:
    return counted(server.port, f"{server.user}:{server.password}")


def compared(mount: Mount, server: Server, *names: str) -> None:
    """All of these at once, by a program each."""
    running = [
        subprocess.Popen(
            ["cmp", f"{mount.path}/{name}", f"{server.root}/{name}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in names
    ]
    said = [program.communicate(timeout=120)[0] for program in running]
    assert said == [""] * len(names)
    assert [program.returncode for program in running] == [0] * len(names)


# -- few connections ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_two(spoken: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that allows two connections from one address."""
    root = tmp_path_factory.mktemp("server")
    with vsftpd_with(spoken, str(root), max_per_ip=2) as server:
        yield server


@pytest.mark.parametrize("limit", [1, 2])
def test_five_readers_of_a_few_connections(vsftpd: Server, limit: int) -> None:
    names = [f"limit{limit}/{n}" for n in range(READERS)]
    for number, name in enumerate(names):
        put(vsftpd, name, noise(6 * MIB, number))
    before = connections(vsftpd)
    with mounted(vsftpd.url, *vsftpd.options, f"max_conns={limit}") as mount:
        compared(mount, vsftpd, *names)
        assert "no connection came free" not in mount.log()
    if vsftpd.name != "proftpd":  # there a download cut short may cost the connection
        assert connections(vsftpd) - before <= limit


def test_five_readers_of_a_server_that_allows_two(of_two: Server) -> None:
    names = [f"files/{n}" for n in range(READERS)]
    for number, name in enumerate(names):
        put(of_two, name, noise(6 * MIB, number))
    with mounted(of_two.url, *of_two.options) as mount:
        compared(mount, of_two, *names)
        assert sorted(os.listdir(f"{mount.path}/files")) == [str(n) for n in range(READERS)]
        assert "allows 2 connections" in mount.log()


def test_five_readers_of_a_server_with_one_port(spoken: str, tmp_path: Path) -> None:
    """For data connections: where vsftpd has none, it ends with a word."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ports = {"pasv_min_port": port, "pasv_max_port": port}
    with vsftpd_with(spoken, str(tmp_path / "root"), **ports) as server:
        names = [f"files/{n}" for n in range(READERS)]
        for number, name in enumerate(names):
            put(server, name, noise(3 * MIB, number))
        small = [f"small/{n:02}" for n in range(60)]
        for number, name in enumerate(small):
            put(server, name, noise(5000, number))
        with mounted(server.url, *server.options) as mount:
            compared(mount, server, *names)
            for number, name in enumerate(small):
                assert Path(mount.path, name).read_bytes() == noise(5000, number)


def test_five_places_of_one_file_with_one_connection(vsftpd: Server) -> None:
    data = noise(20 * MIB)
    put(vsftpd, "places", data)
    with mounted(vsftpd.url, *vsftpd.options, "max_conns=1") as mount:
        running = [
            subprocess.Popen(
                ["dd", f"if={mount.path}/places", "bs=64K", f"skip={n * 64}", "count=16"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for n in range(READERS)
        ]
        for number, program in enumerate(running):
            start = number * 64 * 65536
            assert program.communicate(timeout=120)[0] == data[start : start + MIB]


# -- broken connections ---------------------------------------------------------------------------


@pytest.mark.in_clear
@pytest.mark.parametrize("way", Way, ids=lambda way: way.name)
@pytest.mark.parametrize("after", [1, 100_000, 5 * MIB + 17])
def test_a_broken_data_connection_is_continued_from_the_last_byte(
    server: Server, way: Way, after: int
) -> None:
    name = f"broken-{way.name}-{after}"
    put(server, name, noise(12 * MIB, after))
    with relayed(server) as relay, mounted(relay.url, "timeout=2") as mount:
        os.stat(f"{mount.path}/{name}")
        relay.breaks.append(Break(after, way))
        compared(mount, server, name)
        assert not relay.breaks
        assert relay.received < 12 * MIB + 8 * MIB, "read again from the start"


@pytest.mark.in_clear
def test_a_connection_that_breaks_again_and_again(vsftpd: Server) -> None:
    put(vsftpd, "fragile", noise(12 * MIB))
    with relayed(vsftpd) as relay, mounted(relay.url, "timeout=2") as mount:
        os.stat(f"{mount.path}/fragile")
        ways = [Way.CUT, Way.RESET] * 4
        relay.breaks.extend(Break(MIB + 1000 * n, way) for n, way in enumerate(ways))
        compared(mount, vsftpd, "fragile")
        assert not relay.breaks


@pytest.mark.in_clear
def test_a_broken_connection_that_fetches_ahead_is_not_seen(vsftpd: Server) -> None:
    for number in range(60):
        put(vsftpd, f"many/{number:03}", noise(20_000, number))
    with relayed(vsftpd) as relay, mounted(relay.url, "timeout=2") as mount:
        names = sorted(os.listdir(f"{mount.path}/many"))
        for name in names:
            if name == "004":
                relay.breaks.extend([Break(15_000, Way.RESET), Break(1, Way.CUT)])
            with open(f"{mount.path}/many/{name}", "rb") as file:
                assert file.read() == noise(20_000, int(name))
        assert not relay.breaks


# -- without REST ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_rest(spoken: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("server")
    with vsftpd_with(spoken, str(root), cmds_denied="REST") as server:
        yield server


def test_without_rest_files_are_read_from_the_start(without_rest: Server) -> None:
    data = noise(3 * MIB)
    put(without_rest, "file", data)
    with mounted(without_rest.url, *without_rest.options) as mount:
        with open(f"{mount.path}/file", "rb", buffering=0) as file:
            for offset in (2 * MIB, 5, 2 * MIB + 700_000):
                assert os.pread(file.fileno(), 1000, offset) == data[offset : offset + 1000]
        assert mount.log().count("refuses REST") == 1


def test_without_rest_a_read_far_into_a_file_gives_way(tmp_path: Path) -> None:
    """Else it held the only connection until it came there: for 12 seconds."""
    limits = {"cmds_denied": "REST", "local_max_rate": 2_000_000}
    with vsftpd_with("plain", str(tmp_path / "root"), **limits) as server:
        put(server, "other/file", b"")
        path = put(server, "large", b"")
        os.truncate(path, 24_000_000)
        os.utime(path, (1_600_000_000, 1_600_000_000))
        options = (*server.options, "max_conns=1", "timeout=8")
        with (
            mounted(server.url, *options) as mount,
            subprocess.Popen(["tail", "-c", "10", f"{mount.path}/large"]) as tail,
        ):
            eventually(lambda: "refuses REST" in mount.log(), "it is read from the start")
            assert os.listdir(f"{mount.path}/other") == ["file"]
            tail.kill()


@pytest.mark.in_clear
def test_without_rest_a_file_is_read_in_one_pass(without_rest: Server) -> None:
    """Also where the network is slow enough for several connections."""
    put(without_rest, "slow", noise(24 * MIB))
    with (
        simulated(("127.0.0.1", without_rest.port), 0.002, 20e6) as port,
        mounted(f"ftp://demo:demo@127.0.0.1:{port}/") as mount,
    ):
        os.stat(f"{mount.path}/slow")
        with watched(without_rest) as seen:
            compared(mount, without_rest, "slow")
        # Those that were to begin in the middle are cut off before a byte of theirs is taken.
        assert mount.log().count("refuses REST") == 1
        assert seen.verbs().count("REST") <= 4
        assert 1 <= seen.verbs().count("RETR") <= 1 + seen.verbs().count("REST")


# -- side by side ---------------------------------------------------------------------------------


@pytest.mark.in_clear
def test_a_slow_line_is_read_over_several_connections(vsftpd: Server) -> None:
    put(vsftpd, "wide", noise(40 * MIB))
    with (
        simulated(("127.0.0.1", vsftpd.port), 0.002, 20e6) as port,
        mounted(f"ftp://demo:demo@127.0.0.1:{port}/") as mount,
    ):
        os.stat(f"{mount.path}/wide")
        with watched(vsftpd) as seen:
            compared(mount, vsftpd, "wide")
        assert seen.verbs().count("RETR") > 2
        assert 0 < peak_memory(mount) < 150 * MIB


@pytest.mark.in_clear
def test_readers_of_a_slow_line_do_not_take_each_others_connections(vsftpd: Server) -> None:
    names = [f"four/{n}" for n in range(4)]
    for number, name in enumerate(names):
        put(vsftpd, name, noise(20 * MIB, number))
    with (
        simulated(("127.0.0.1", vsftpd.port), 0.002, 20e6) as port,
        mounted(f"ftp://demo:demo@127.0.0.1:{port}/", "max_conns=5") as mount,
    ):
        os.listdir(f"{mount.path}/four")
        with watched(vsftpd) as seen:
            compared(mount, vsftpd, *names)
        assert seen.verbs().count("RETR") <= 2 * len(names)


@pytest.mark.in_clear  # with TLS a busy machine is no fast line
def test_a_fast_line_is_read_over_one(vsftpd: Server) -> None:
    put(vsftpd, "fast", noise(40 * MIB))
    with mounted(vsftpd.url, *vsftpd.options) as mount:
        os.stat(f"{mount.path}/fast")
        with watched(vsftpd) as seen:
            compared(mount, vsftpd, "fast")
        assert seen.verbs().count("RETR") <= 2


@pytest.mark.parametrize("program", ["cat", "tail -c +1"])
def test_root_lets_the_kernel_ask_for_much_at_once(vsftpd: Server, program: str) -> None:
    """The kernel lowers its read-ahead to what the mount's first answer says. `cat` has it doubled:
    what it asks for at once must not be taken for reads in several places."""
    assert os.getuid() == 0, "mounts of other users ask for 128 KiB at a time"
    size = 2 * SEGMENT_BYTES - MIB  # which is never divided between connections
    put(vsftpd, "ordered/large", noise(size))
    with mounted(vsftpd.url, *vsftpd.options) as mount:
        with watched(vsftpd, mount) as seen:
            words = [*program.split(), f"{mount.path}/ordered/large"]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        requests = [verb for verb, _ in mount.callbacks() if verb == "read"]
    assert len(requests) < 1.5 * size / READ_AHEAD_BYTES
    assert seen.verbs().count("RETR") == 1, seen.commands


@pytest.mark.in_clear
def test_what_goes_past_the_page_cache_is_kept_here(vsftpd: Server) -> None:
    """The kernel keeps nothing of what a program reads with O_DIRECT, so the mount does."""
    data = noise(8 * MIB)
    put(vsftpd, "past", data)
    page = mmap.mmap(-1, 4096)  # O_DIRECT wants it aligned
    with mounted(vsftpd.url, *vsftpd.options) as mount:
        file = os.open(f"{mount.path}/past", os.O_RDONLY | os.O_DIRECT)
        try:
            for offset in range(0, len(data), len(page)):
                assert os.preadv(file, [page], offset) == len(page)
            with watched(vsftpd) as seen:
                for number in random.Random(1).sample(range(len(data) // len(page)), 100):
                    os.preadv(file, [page], number * len(page))
                    assert page[:] == data[number * len(page) : (number + 1) * len(page)]
        finally:
            os.close(file)
    assert "RETR" not in seen.verbs()


def test_memory_of_many_readers(vsftpd: Server) -> None:
    names = [f"memory/{n}" for n in range(READERS)]
    for number, name in enumerate(names):
        put(vsftpd, name, noise(32 * MIB, number))
    with mounted(vsftpd.url, *vsftpd.options) as mount:
        compared(mount, vsftpd, *names)
        assert 0 < peak_memory(mount) < 150 * MIB


# -- files that change ----------------------------------------------------------------------------

SIZE = 48 * MIB
OLD, NEW = noise(SIZE, 1), noise(SIZE, 2)


def replaced(path: str) -> bytes:
    """What a careful program does: a new file under the old name."""
    with open(f"{path}.new", "wb") as out:
        out.write(NEW)
    os.rename(f"{path}.new", path)
    return NEW


def replaced_by_a_longer_one(path: str) -> bytes:
    with open(f"{path}.new", "wb") as out:
        out.write(NEW + b"more")
    os.rename(f"{path}.new", path)
    return NEW + b"more"


def cut(path: str) -> bytes:
    os.truncate(path, SIZE // 2)
    return OLD[: SIZE // 2]


def grown(path: str) -> bytes:
    with open(path, "ab") as out:
        out.write(b"more")
    return OLD + b"more"


CHANGES = [replaced, replaced_by_a_longer_one, cut, grown]


def read_to_the_end(file: int, found: bytearray) -> int | None:
    """The errno that ends it."""
    try:
        while data := os.read(file, CHUNK):
            found += data
    except OSError as error:
        return error.errno
    return None


def changed_in_mid_read(
    mount: Mount, server: Server, name: str, change: Callable[[str], bytes]
) -> None:
    file = os.open(f"{mount.path}/{name}", os.O_RDONLY)
    try:
        found = bytearray(os.read(file, CHUNK))
        while len(found) < 4 * MIB:
            found += os.read(file, CHUNK)
        now = change(f"{server.root}/{name}")
        error = read_to_the_end(file, found)
    finally:
        os.close(file)
    same = bytes(found) == OLD[: len(found)]
    assert same, "two versions in one"
    if error is None:
        assert len(found) == SIZE
    else:
        assert error == errno.EIO
        assert re.search(r"WARNING.*(changed on the server|the file ended at)", mount.log())

    def whole() -> bool:
        seen = bytearray()
        file = os.open(f"{mount.path}/{name}", os.O_RDONLY)
        try:
            if read_to_the_end(file, seen) is not None:
                return False
        finally:
            os.close(file)
        right = bytes(seen) in (now, OLD)
        assert right, f"neither the one nor the other: {len(seen)} of {len(now)} bytes"
        return bytes(seen) == now

    eventually(whole, "the new version is read")


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read(
    server: Server, change: Callable[[str], bytes]
) -> None:
    name = f"changes-{change.__name__}"
    put(server, name, OLD)
    with mounted(server.url, *server.options, "dir_cache=2") as mount:
        changed_in_mid_read(mount, server, name, change)


def replaced_by_a_shorter_one(path: str) -> bytes:
    with open(f"{path}.new", "wb") as out:
        out.write(NEW[: 5 * MIB])
    os.rename(f"{path}.new", path)
    return NEW[: 5 * MIB]


@pytest.mark.in_clear
@pytest.mark.parametrize("opened", [False, True], ids=["looked-at", "opened"])
@pytest.mark.parametrize("change", [replaced_by_a_shorter_one, grown])
def test_a_file_that_changes_while_it_is_read_and_others_look_at_it(
    vsftpd: Server, change: Callable[[str], bytes], opened: bool
) -> None:
    """By that the kernel is told of another size, at which it would end the reads."""
    name = f"looked-at-{change.__name__}-{opened}"
    path = put(vsftpd, name, OLD)
    with mounted(vsftpd.url, *vsftpd.options, "dir_cache=2") as mount:
        file = os.open(f"{mount.path}/{name}", os.O_RDONLY)
        found = bytearray(os.read(file, CHUNK))
        while len(found) < 8 * MIB:
            found += os.read(file, CHUNK)
        now = change(path)
        time.sleep(2.5)  # until that may be seen
        subprocess.run(["ls", "-l", mount.path], check=True, capture_output=True)
        if opened:
            assert Path(f"{mount.path}/{name}").read_bytes() == now
        os.stat(f"{mount.path}/{name}")
        error = read_to_the_end(file, found)
        os.close(file)
        assert bytes(found) == OLD[: len(found)]
        assert len(found) == SIZE if error is None else error == errno.EIO

        def seen() -> bool:
            return os.stat(f"{mount.path}/{name}").st_size == len(now)

        eventually(seen, "others' change is shown once nobody has the file open")


@pytest.mark.in_clear
def test_what_is_changed_while_its_directory_is_read(vsftpd: Server) -> None:
    """The rest of the directory comes as it was; what is known better is not taken back."""
    for number in range(1000):
        put(vsftpd, f"changed/{number:04}", b"old")
    with mounted(vsftpd.url, *vsftpd.options) as mount:
        place = f"{mount.path}/changed"
        with os.scandir(place) as rest:
            first = next(rest).name
            with open(f"{place}/0998", "ab") as out:
                out.write(b" and more")
            os.unlink(f"{place}/0999")
            names = [first, *(each.name for each in rest)]
        assert sorted(names) == [f"{number:04}" for number in range(999)]
        assert os.stat(f"{place}/0998").st_size == 12
        assert Path(f"{place}/0998").read_bytes() == b"old and more"
        assert not os.path.exists(f"{place}/0999")


@pytest.mark.in_clear
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_several_connections_read_it(
    vsftpd: Server, change: Callable[[str], bytes]
) -> None:
    name = f"several-{change.__name__}"
    put(vsftpd, name, OLD)
    with (
        simulated(("127.0.0.1", vsftpd.port), 0.002, 20e6) as port,
        mounted(f"ftp://demo:demo@127.0.0.1:{port}/", "dir_cache=2") as mount,
    ):
        changed_in_mid_read(mount, vsftpd, name, change)


@pytest.mark.xfail(strict=True, reason="one transfer does not notice that its file is overwritten")
def test_a_file_overwritten_where_it_lies_while_it_is_read(vsftpd: Server) -> None:
    def overwritten(path: str) -> bytes:
        with open(path, "r+b") as out:
            out.write(NEW)
        return NEW

    put(vsftpd, "overwritten", OLD)
    with mounted(vsftpd.url, *vsftpd.options, "dir_cache=2") as mount:
        changed_in_mid_read(mount, vsftpd, "overwritten", overwritten)


# -- ahead, and kept ------------------------------------------------------------------------------


def test_small_files_are_fetched_ahead_and_once(server: Server) -> None:
    files = {f"{n:03}": noise(8000, n) for n in range(80)}
    for name, data in files.items():
        put(server, f"small/{name}", data)
    before = connections(server)
    with mounted(server.url, *server.options) as mount, watched(server) as seen:
        for name in sorted(os.listdir(f"{mount.path}/small")):
            with open(f"{mount.path}/small/{name}", "rb") as file:
                assert file.read() == files[name]
    fetched = Counter(command for command in seen.commands if command.startswith("RETR"))
    assert sorted(fetched) == [f"RETR /small/{name}" for name in sorted(files)]
    assert {command: count for command, count in fetched.items() if count > 1} == {}
    assert 1 < connections(server) - before <= 5


def test_a_copied_tree_is_whole(server: Server, tmp_path: Path) -> None:
    for number in range(60):
        put(server, f"tree/d{number % 6}/{number:03}", noise(number * 1500, number))
    with mounted(server.url, *server.options) as mount:
        subprocess.run(["cp", "-r", f"{mount.path}/tree", tmp_path], check=True, timeout=120)
    subprocess.run(["diff", "-r", f"{server.root}/tree", tmp_path / "tree"], check=True)


def test_directories_are_listed_ahead_and_once(server: Server) -> None:
    for number in range(60):
        put(server, f"walk/d{number % 12:02}/s{number % 3}/{number}", b"x")
    with mounted(server.url, *server.options) as mount:
        os.stat(f"{mount.path}/walk")
        with watched(server) as seen:
            done = subprocess.run(
                ["find", f"{mount.path}/walk"], check=True, capture_output=True, text=True
            )
    there = subprocess.run(
        ["find", f"{server.root}/walk"], check=True, capture_output=True, text=True
    )
    below = {line.partition("/walk")[2] for line in there.stdout.splitlines()}
    assert {line.partition("/walk")[2] for line in done.stdout.splitlines()} == below
    entered = Counter(c for c in seen.commands if c.startswith("CWD /walk"))
    assert set(entered.values()) == {1}


def test_a_second_cat_costs_nothing(server: Server) -> None:
    data = noise(3 * MIB)
    put(server, "twice", data)
    # One connection: what is fetched side by side may still be ended when the second one begins.
    with mounted(server.url, *server.options, "max_conns=1") as mount:
        for _ in range(2):
            with watched(server) as seen, open(f"{mount.path}/twice", "rb") as file:
                assert file.read() == data
        assert [verb for verb in seen.verbs() if verb != "EPSV"] == []


def test_a_cat_after_a_change_that_was_noticed(server: Server) -> None:
    old, new = noise(MIB, 1), noise(MIB, 2)
    put(server, "noticed", old)
    with mounted(server.url, *server.options, "dir_cache=1") as mount:
        with open(f"{mount.path}/noticed", "rb") as file:
            assert file.read() == old
        with open(f"{server.root}/noticed", "wb") as out:
            out.write(new)

        def seen() -> bytes:
            with open(f"{mount.path}/noticed", "rb") as file:
                return file.read()

        eventually(lambda: seen() == new, "the new content is read")
