"""Ordinary programs do in a mount what they do on a disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mounted.places import OVER_TLS, PROFTPD, Work
from mounts import mounted
from servers import Server

pytestmark = pytest.mark.mounted

LARGE_BYTES = 300_000_000
TREE_FILES = 1000
VIM = shutil.which("vim") or shutil.which("vim.tiny") or "vim is not installed: run scripts/test"


def run(*command: str, cwd: str, **variables: str) -> str:
    """What a program prints; it must succeed and have nothing to complain about."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: str, content: str) -> None:
    with open(path, "w", encoding="utf-8") as out:
        out.write(content)


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def make_tree(top: str, files: int) -> None:
    """Small files in directories of 50, two deep, with contents, modes and times of their own."""
    for n in range(files):
        folder = f"{top}/d{n // 200}/e{n // 50}"
        os.makedirs(folder, exist_ok=True)
        path = f"{folder}/file {n}.txt"
        write(path, f"{n}\n" * (n % 40))
        if n % 7 == 0:
            os.chmod(path, 0o755)
        os.utime(path, (1_600_000_000 + n, 1_600_000_000 + n))


# -- large files and many files -------------------------------------------------------------------


@pytest.mark.parametrize("server", ["pyftpdlib", "vsftpd", *OVER_TLS], indirect=True)
def test_a_300_mb_file_is_copied_in_and_out_unchanged(work: Work, tmp_path: Path) -> None:
    local = f"{tmp_path}/large"
    with open(local, "wb") as out:
        for _ in range(LARGE_BYTES // 1_000_000):
            out.write(os.urandom(1_000_000))
    expected = sha256(local)
    run("cp", local, "large", cwd=work.path)
    assert sha256(f"{work.root}/large") == expected
    run("cp", "large", f"{tmp_path}/back", cwd=work.path)
    assert sha256(f"{tmp_path}/back") == expected
    os.unlink(local)
    os.unlink(f"{tmp_path}/back")


def test_a_tree_of_1000_files_is_copied_compared_and_removed(work: Work, tmp_path: Path) -> None:
    make_tree(f"{tmp_path}/tree", TREE_FILES)
    run("cp", "-r", f"{tmp_path}/tree", "copy", cwd=work.path)
    assert run("diff", "-r", f"{tmp_path}/tree", f"{work.root}/copy", cwd=work.path) == ""
    assert run("diff", "-r", f"{tmp_path}/tree", "copy", cwd=work.path) == ""
    assert len(run("find", "copy", "-type", "f", cwd=work.path).splitlines()) == TREE_FILES
    run("rm", "-r", "copy", cwd=work.path)
    assert os.listdir(work.root) == os.listdir(work.path) == []


def test_cp_takes_a_tree_out(work: Work, tmp_path: Path) -> None:
    make_tree(f"{work.root}/tree", 200)
    with mounted(work.url, *work.options) as fresh:
        run("cp", "-r", "tree", f"{tmp_path}/copy", cwd=fresh.path)
    assert run("diff", "-r", f"{work.root}/tree", f"{tmp_path}/copy", cwd=work.path) == ""


def test_tar_unpacks_with_times_and_packs_the_same(work: Work, tmp_path: Path) -> None:
    make_tree(f"{tmp_path}/tree", 120)
    run("tar", "cf", f"{tmp_path}/tree.tar", "tree", cwd=str(tmp_path))
    run("tar", "xf", f"{tmp_path}/tree.tar", cwd=work.path)
    assert run("tar", "df", f"{tmp_path}/tree.tar", "tree", cwd=work.path) == ""
    times = "find tree -type f -printf '%P %T@ %m\\n' | sort"
    expected = run("sh", "-c", times, cwd=str(tmp_path))
    assert "1600000119" in expected
    assert run("sh", "-c", times, cwd=work.root) == expected  # on the server's disk
    assert run("sh", "-c", times, cwd=work.path) == expected
    run("tar", "cf", "packed.tar", "tree", cwd=work.path)
    assert run("tar", "df", f"{work.root}/packed.tar", cwd=str(tmp_path)) == ""


# -- programs that use a directory as their database ----------------------------------------------


def test_git_keeps_a_repository(work: Work, tmp_path: Path) -> None:
    write(f"{tmp_path}/.gitconfig", "[user]\n name = A\n email = a@example.org\n")

    def git(*arguments: str) -> str:
        return run("git", *arguments, cwd=f"{work.path}/repository", HOME=str(tmp_path))

    os.mkdir(f"{work.path}/repository")
    git("init", "--quiet")
    for n in range(20):
        write(f"{work.path}/repository/{n}.txt", f"{n}\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    write(f"{work.path}/repository/3.txt", "three\n")
    assert git("status", "--short") == " M 3.txt\n"
    git("commit", "--quiet", "-a", "-m", "second")
    git("gc", "--quiet")
    assert git("fsck", "--strict", "--no-progress") == ""
    assert git("log", "--format=%s") == "second\nfirst\n"
    assert git("status", "--short") == ""
    server_side = f"{work.root}/repository"
    checked = run("git", "-c", "safe.directory=*", "fsck", "--no-progress", cwd=server_side)
    assert checked == ""


RSYNC = ("rsync", "-a", "--itemize-changes", "--stats")
NOTHING = "Number of regular files transferred: 0\n"


def itemized(said: str) -> list[str]:
    """The changes that rsync lists before its statistics."""
    return said[: said.index("Number of files:")].split("\n")[:-2]


def rsync_twice(source: str, at: str) -> None:
    """A first run that sends all, a second that finds nothing to do."""
    make_tree(source, 100)
    first = run(*RSYNC, f"{source}/", "copy", cwd=at)
    assert NOTHING not in first
    assert sum(line.startswith(">f") for line in itemized(first)) == 100
    second = run(*RSYNC, f"{source}/", "copy", cwd=at)
    assert NOTHING in second
    assert itemized(second) == []


def test_rsync_finds_nothing_to_do_the_second_time(work: Work, tmp_path: Path) -> None:
    rsync_twice(f"{tmp_path}/source", work.path)
    assert run("diff", "-r", f"{tmp_path}/source", f"{work.root}/copy", cwd=work.path) == ""


def test_rsync_finds_nothing_to_do_in_listings_without_times(work: Work, tmp_path: Path) -> None:
    """Each look is a new listing; that of a LIST server has days only, in a year long gone."""
    with mounted(work.url, *work.options, "dir_cache=0") as forgetful:
        rsync_twice(f"{tmp_path}/source", forgetful.path)


@pytest.mark.parametrize("server", ["pyftpdlib", *PROFTPD], indirect=True)
def test_rsync_finds_nothing_to_do_after_a_remount(work: Work, tmp_path: Path) -> None:
    rsync_twice(f"{tmp_path}/source", work.path)
    with mounted(work.url, *work.options) as again:
        third = run(*RSYNC, f"{tmp_path}/source/", "copy", cwd=again.path)
    assert NOTHING in third
    # pyftpdlib sets the times of files only: those of directories were kept for one mount's life.
    assert [line for line in itemized(third) if not line.startswith(".d..t...... ")] == []


def test_rsync_sends_what_changed(work: Work, tmp_path: Path) -> None:
    rsync_twice(f"{tmp_path}/source", work.path)
    write(f"{tmp_path}/source/d0/e0/file 1.txt", "changed\n")
    os.unlink(f"{tmp_path}/source/d0/e0/file 2.txt")
    said = run(*RSYNC, "--delete", f"{tmp_path}/source/", "copy", cwd=work.path)
    assert "Number of regular files transferred: 1\n" in said
    assert "*deleting   d0/e0/file 2.txt" in itemized(said)
    assert run("diff", "-r", f"{tmp_path}/source", f"{work.root}/copy", cwd=work.path) == ""


# -- editing --------------------------------------------------------------------------------------


def test_sed_in_place(work: Work) -> None:
    write(f"{work.path}/text", "one\ntwo\nthree\n")
    run("sed", "-i", "s/two/zwei/", "text", cwd=work.path)
    assert read(f"{work.root}/text") == read(f"{work.path}/text") == "one\nzwei\nthree\n"
    assert os.listdir(work.root) == ["text"]


def test_the_shell_appends(work: Work) -> None:
    run("sh", "-c", "echo one > log; echo two >> log; echo three >> log", cwd=work.path)
    assert read(f"{work.root}/log") == read(f"{work.path}/log") == "one\ntwo\nthree\n"


def test_dd_writes_in_the_middle(work: Work) -> None:
    write(f"{work.path}/disk", "a" * 10_000)
    dd = "printf XYZ | dd of=disk bs=1 seek=5000 conv=notrunc status=none"
    run("sh", "-c", dd, cwd=work.path)
    expected = "a" * 5000 + "XYZ" + "a" * 4997
    assert read(f"{work.root}/disk") == read(f"{work.path}/disk") == expected


def test_an_editor_saves_by_rename(work: Work) -> None:
    write(f"{work.path}/text", "old\n")
    fd = os.open(f"{work.path}/text.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(fd, b"new and longer\n")
    os.fsync(fd)
    assert read(f"{work.root}/text.tmp") == "new and longer\n"  # fsync said so
    os.close(fd)
    os.rename(f"{work.path}/text.tmp", f"{work.path}/text")
    assert read(f"{work.root}/text") == read(f"{work.path}/text") == "new and longer\n"
    assert os.listdir(work.root) == os.listdir(work.path) == ["text"]


@pytest.mark.parametrize("backupcopy", ["yes", "no"])
def test_vim_saves(work: Work, backupcopy: str) -> None:
    write(f"{work.path}/text", "one\ntwo\n")
    options = ("-es", "-u", "NONE", "-c", f"set backup backupskip= backupcopy={backupcopy}")
    run(VIM, *options, "-c", "%s/two/three/", "-c", "wq", "text", cwd=work.path, TERM="dumb")
    assert read(f"{work.root}/text") == read(f"{work.path}/text") == "one\nthree\n"
    assert read(f"{work.root}/text~") == "one\ntwo\n"
    assert sorted(os.listdir(work.path)) == ["text", "text~"]


def test_python_writes_and_reads_lines(work: Work) -> None:
    script = (
        "import pathlib; p = pathlib.Path('notes'); p.write_text('a\\nb\\n');"
        "f = p.open('r+'); f.readline(); f.seek(0, 2); f.write('c\\n'); f.close();"
        "print(p.read_text().split())"
    )
    assert run(sys.executable, "-c", script, cwd=work.path) == "['a', 'b', 'c']\n"
    assert read(f"{work.root}/notes") == "a\nb\nc\n"


# -- names, modes and times -----------------------------------------------------------------------


def test_mv_within_and_across_directories(work: Work) -> None:
    run("mkdir", "-p", "a/b/c", "d", cwd=work.path)
    write(f"{work.path}/a/file", "content\n")
    run("mv", "a/file", "a/renamed", cwd=work.path)
    run("mv", "a/renamed", "d", cwd=work.path)
    assert read(f"{work.root}/d/renamed") == "content\n"
    run("mv", "a", "d/moved", cwd=work.path)
    assert os.path.isdir(f"{work.root}/d/moved/b/c")
    assert run("find", ".", cwd=work.path).split() == run("find", ".", cwd=work.root).split()


def test_mv_replaces_but_not_with_n(work: Work) -> None:
    write(f"{work.path}/a", "a\n")
    write(f"{work.path}/b", "b\n")
    subprocess.run(["mv", "-n", "a", "b"], cwd=work.path, check=False, capture_output=True)
    assert read(f"{work.root}/b") == "b\n"
    assert read(f"{work.root}/a") == "a\n"
    run("mv", "a", "b", cwd=work.path)
    assert read(f"{work.root}/b") == read(f"{work.path}/b") == "a\n"
    assert os.listdir(work.root) == os.listdir(work.path) == ["b"]


def test_cp_and_mv_between_file_systems_keep_times_and_modes(work: Work, tmp_path: Path) -> None:
    write(f"{tmp_path}/script", "#!/bin/sh\necho it runs\n")
    os.chmod(f"{tmp_path}/script", 0o755)
    os.utime(f"{tmp_path}/script", (1_500_000_000, 1_500_000_000))
    run("cp", "-p", f"{tmp_path}/script", "script", cwd=work.path)
    for path in (f"{work.root}/script", f"{work.path}/script"):
        status = os.stat(path)
        assert (status.st_mtime, status.st_mode & 0o777) == (1_500_000_000, 0o755)
    assert run("./script", cwd=work.path) == "it runs\n"
    run("mv", "script", f"{tmp_path}/back", cwd=work.path)
    assert os.stat(f"{tmp_path}/back").st_mtime == 1_500_000_000
    assert os.listdir(work.root) == []


def test_touch_sets_and_creates(work: Work) -> None:
    run("touch", "-d", "2001-02-03 04:05:06", "file", cwd=work.path)
    assert os.stat(f"{work.path}/file").st_mtime == os.stat(f"{work.root}/file").st_mtime
    assert run("stat", "-c", "%y", "file", cwd=work.path).startswith("2001-02-03 04:05:06")


def test_find_and_du(work: Work) -> None:
    run("mkdir", "-p", "x/y/z", cwd=work.path)
    write(f"{work.path}/x/small", "s" * 100)
    write(f"{work.path}/x/y/large", "l" * 100_000)
    assert run("find", ".", "-size", "+50k", cwd=work.path) == "./x/y/large\n"
    assert run("find", ".", "-type", "d", "-empty", cwd=work.path) == "./x/y/z\n"
    apparent = int(run("du", "-sb", "x/y/large", cwd=work.path).split()[0])
    assert apparent == 100_000
    kib = int(run("du", "-sk", "x", cwd=work.path).split()[0])
    assert 98 <= kib <= 130


def test_ln_is_refused(work: Work) -> None:
    write(f"{work.path}/file", "x")
    for options in (("-s",), ()):
        done = subprocess.run(
            ["ln", *options, "file", "link"],
            cwd=work.path,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "Operation not permitted" in done.stderr
    assert os.listdir(work.root) == ["file"]


def test_the_second_of_two_mounts_sees_what_the_first_made(server: Server, work: Work) -> None:
    run("sh", "-c", "mkdir new; echo hello > new/file", cwd=work.path)
    with mounted(work.url, *work.options) as other:
        assert read(f"{other.path}/new/file") == "hello\n"
