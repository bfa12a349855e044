"""scripts/bench from end to end, with sizes that are no measurement."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_workloads import WORKLOADS

pytestmark = pytest.mark.mounted

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DEADLINE_S = 120


def bench(work: Path, *arguments: str, path: Path | None = None) -> subprocess.Popen[str]:
    """`path` has programs that are found before the usual ones."""
    folders = [str(path)] if path else []
    return subprocess.Popen(
        [sys.executable, str(SCRIPTS / "bench.py"), "--work", str(work), "--runs", "1", *arguments],
        env={**os.environ, "PATH": os.pathsep.join([*folders, os.environ["PATH"]])},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def measured(work: Path, *arguments: str, path: Path | None = None) -> tuple[dict[str, Any], str]:
    """The report, and what was printed."""
    report = work.parent / "report.json"
    with bench(work, "--json", str(report), *arguments, path=path) as process:
        said, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, said
    return json.loads(report.read_text(encoding="utf-8")), said


def program(folder: Path, name: str, script: str) -> None:
    """One that says its version, and else does what the script says."""
    folder.mkdir(exist_ok=True)
    text = f'#!/bin/sh\n[ "$1" != --version ] || exec echo {name} 0\n{script}\n'
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def nothing_is_left(work: Path) -> None:
    assert list(work.iterdir()) == []
    assert str(work) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    lines = [read(entry / "cmdline") for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    assert not [line for line in lines if str(work) in line]


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # the process has ended


def test_every_workload_runs_and_is_counted(work: Path) -> None:
    picture = work.parent / "picture.svg"
    chosen = [word for name in ("curl", "ftpfs", "ftpfs-url") for word in ("--client", name)]
    found, said = measured(work, *chosen, "--scale", "0.002", "--plot", str(picture))
    for network in found["networks"]:
        wanted = [w.name for w in WORKLOADS if w.belongs(network["rtt_ms"])]
        assert list(network["runs"]) == wanted
        assert network["errors"] == [], said
        for workload in wanted:
            if "ftpfs" not in network["runs"][workload]:
                (run,) = network["runs"][workload]["ftpfs-url"]  # without a mount
                assert run["done"] > 0
                continue
            (run,) = network["runs"][workload]["ftpfs"]
            assert 1 << 20 < run["peak"] < 1 << 30
            if network["rtt_ms"] or "no network of our own" not in said:
                assert 0 < run["moved"] < 64 << 20
        (warm,) = network["runs"]["ls-warm"]["ftpfs"]
        assert warm["commands"] == 0
        assert warm["answers"] < 20  # and not one for each of 20 names, twice
    assert picture.read_text(encoding="utf-8").startswith("<svg ")
    nothing_is_left(work)


def test_what_another_program_cannot_is_told_and_the_rest_goes_on(work: Path) -> None:
    program(work.parent / "bin", "curl", "echo curl: no luck today >&2; exit 7")
    chosen = ("--client", "curl", "--client", "ftpfs", "--only", "heads", "--rtt", "0")
    found, said = measured(work, *chosen, "--scale", "0.01", path=work.parent / "bin")
    (network,) = found["networks"]
    assert network["runs"]["heads"]["curl"] == [None]
    assert network["runs"]["heads"]["ftpfs"][0]["done"] > 0
    assert "no luck today" in network["errors"][0]
    assert "no luck today" in said


def test_a_signal_ends_the_run_and_leaves_nothing(work: Path) -> None:
    """In the middle of a command that works in the mount and does not end."""
    pipe = work.parent / "pipe"
    os.mkfifo(pipe)
    program(work.parent / "bin", "head", f"echo reading >{pipe}; cd / && sleep 600; exit 1")
    chosen = ("--client", "ftpfs", "--only", "heads", "--rtt", "20", "--scale", "0.05")
    with bench(work, *chosen, path=work.parent / "bin") as process:
        assert pipe.read_text(encoding="utf-8") == "reading\n"
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1, said
    nothing_is_left(work)
