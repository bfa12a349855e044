"""scripts/bench: what it makes of its figures, who gets how many turns, and the picture."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import bench
import bench_bars
import bench_plot
import pytest
from bench_bars import AT_LEAST, AT_MOST, BARS, LESS_THAN, Bar, judge, rate, times
from bench_base import Place, Workload
from bench_programs import CLIENTS, Client, no_mount
from bench_results import Results, Run, from_report, report, returned
from bench_workloads import WORKLOADS

NAMES = {client.name for client in CLIENTS}
SVG = "{http://www.w3.org/2000/svg}"


def runs(*seconds: float | None) -> list[Run | None]:
    return [None if s is None else Run(s, s) for s in seconds]


def results(rtt_ms: int = 0, /, **programs: list[Run | None]) -> Results:
    """Of one workload, `read`."""
    by_program = {name.replace("_", "-"): given for name, given in programs.items()}
    return Results(rtt_ms, {"read": by_program}, {"read": "read 1 MB"}, {"read": 1})


# -- figures --------------------------------------------------------------------------------------


def test_the_ratio_is_the_median_of_the_turns() -> None:
    # Of all ftpfs runs and of all lftp runs it would be 20 / 10.
    found = results(ftpfs=runs(1, 20, 40), lftp=runs(10, 10, 100))
    assert found.ratio("read", "ftpfs", "lftp") == 0.4


def test_a_run_in_which_curl_slept_does_not_count() -> None:
    found = results(ftpfs=runs(1, 1, 1), curl=runs(0.5, 3.5, 0.7))
    assert found.median("read", "curl") == 0.6
    assert found.ratio("read", "ftpfs", "curl") == pytest.approx(1 / 0.6)  # 2, 1/0.6, 1/0.7


def test_only_curl_sleeps() -> None:
    assert results(lftp=runs(0.5, 3.5, 0.7)).median("read", "lftp") == 0.7


def test_a_failed_run_counts_for_nothing_and_the_rivals_usual_time_stands_for_it() -> None:
    found = results(ftpfs=runs(1, 2, None), rclone=runs(10, None, 10))
    assert found.median("read", "ftpfs") == 1.5
    assert found.ratio("read", "ftpfs", "rclone") == pytest.approx(0.15)
    assert found.failed("ftpfs")


def test_without_a_good_run_there_is_no_figure() -> None:
    found = results(ftpfs=runs(1), rclone=runs(None))
    assert found.median("read", "rclone") is None
    assert found.ratio("read", "ftpfs", "rclone") is None
    assert found.ratio("read", "ftpfs", "lftp") is None


def test_the_time_until_the_closes_returned_is_compared_with_the_whole_time_of_the_rival() -> None:
    found = results(ftpfs=[Run(1, 5)], rclone=[Run(0.1, 10)])
    assert found.ratio("read", "ftpfs", "rclone", returned) == 0.1


def test_a_report_comes_back_the_same_from_json() -> None:
    found = results(20, ftpfs=[Run(1, 2, 3, 4, 5, 6), None], curl=runs(1.5))
    found.errors.append("read, ftpfs: no")
    found.left_out.append("read, rclone: slow")
    assert from_report(json.loads(json.dumps(report(found)))) == found


# -- bars -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: f"{bar.rtt_ms}-{bar.workload}")
def test_a_bar_is_about_something_that_is_measured(bar: Bar) -> None:
    workloads = {w.name: w for w in WORKLOADS if w.belongs(bar.rtt_ms)}
    client = next(client for client in CLIENTS if client.name == bar.client)
    if bar.workload:
        assert bench.takes_part(client, workloads[bar.workload])
    if bar.figure.rival:
        rival = next(client for client in CLIENTS if client.name == bar.figure.rival)
        assert bench.takes_part(rival, workloads[bar.workload])


@pytest.mark.parametrize(("word", "met"), [(AT_MOST, [1, 2]), (LESS_THAN, [1]), (AT_LEAST, [2, 3])])
def test_a_bar_is_met(word: str, met: list[int]) -> None:
    bar = Bar(0, "read", "ftpfs", times("curl"), word, 2)
    assert [figure for figure in (1, 2, 3) if bar.met(figure)] == met


def test_every_bar_of_the_network_gets_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = (
        Bar(0, "read", "ftpfs", rate("curl"), AT_LEAST, 0.7),
        Bar(0, "read", "ftpfs", times("curl"), AT_MOST, 1.0),
        Bar(0, "out", "ftpfs", times("curl"), AT_MOST, 1.0),
        Bar(20, "read", "ftpfs", times("curl"), AT_MOST, 1.0),
    )
    monkeypatch.setattr(bench_bars, "BARS", bars)
    verdicts = judge(results(ftpfs=runs(1.25), curl=runs(1)))
    assert [(v.verdict, v.measured) for v in verdicts] == [
        ("met", 0.8),
        ("missed", 1.25),
        ("not measured", None),
    ]
    assert verdicts[0].bar == "RTT  0 ms, read 1 MB, ftpfs: at least 0.7 of curl's rate"


def test_the_peak_is_the_largest_of_all_runs_but_those_of_the_huge_listing() -> None:
    found = results(ftpfs=[Run(1, 1, 70_000_000), Run(1, 1, 90_000_000), None])
    found.add("out", "ftpfs", Run(1, 1, 80_000_000))
    found.add("ls-huge", "ftpfs", Run(1, 1, 190_000_000))
    assert bench_bars.PEAK.find(found, "", "ftpfs") == 90


def test_answers_are_told_for_each_name() -> None:
    found = results(ftpfs=[Run(1, 1, answers=50)])
    found.units["read"] = 1000
    assert bench_bars.ANSWERS.find(found, "read", "ftpfs") == 0.05


# -- turns ----------------------------------------------------------------------------------------


def workload(name: str, after: str = "") -> Workload:
    def nothing(_place: Place) -> None:
        return

    return Workload(name, lambda place: name, nothing, {"curl": nothing}, after=after)


def clients(*names: str) -> list[Client]:
    return [Client(name, "curl", no_mount, ()) for name in names]


def test_each_program_is_first_in_turn() -> None:
    turns = bench.Turns(workload("w"), clients("a", "b", "c"), Results(0), 4)
    orders = ["".join(client.name for client in turns.order(turn)) for turn in range(4)]
    assert orders == ["abc", "bca", "cab", "abc"]


@pytest.mark.parametrize(("rtt_ms", "limit"), [(0, bench.TURNS_S), (20, bench.ASIDE_S)])
def test_a_slow_program_gets_fewer_turns_and_that_is_said(rtt_ms: int, limit: float) -> None:
    """Without a delay there is a bar for it, with one there is none."""
    found = Results(rtt_ms)
    slow, quick = clients("rclone-off", "lftp")
    turns = bench.Turns(workload("write-4k"), [slow, quick], found, 3)
    for _ in range(2):
        turns.took(quick, bench.ASIDE_S / 3)
    turns.took(slow, limit / 2)
    assert turns.order(0) == [slow, quick]
    turns.took(slow, limit / 2)
    assert turns.order(0) == [quick]
    assert found.left_out == [f"write-4k, rclone-off: no more turns, 2 took {limit:.0f} s"]


def test_nothing_is_said_after_the_last_turn() -> None:
    found = Results(0)
    (slow,) = clients("slow")
    bench.Turns(workload("w"), [slow], found, 1).took(slow, 2 * bench.TURNS_S)
    assert found.left_out == []


def test_a_bar_names_whom_it_compares() -> None:
    assert bench_bars.compared(20, "in") == {"ftpfs", "ftpfs-wb", "curl", "lftp-4"}


def test_who_failed_the_workload_before_is_not_tried() -> None:
    found = Results(0, {"cold": {"a": runs(None, None), "b": runs(None, 1)}})
    turns = bench.Turns(workload("warm", after="cold"), clients("a", "b"), found, 3)
    assert [client.name for client in turns.order(0)] == ["b"]
    assert len(found.left_out) == 1


# -- plot -----------------------------------------------------------------------------------------


def drawn(*networks: Results) -> ElementTree.Element:
    return ElementTree.fromstring(bench_plot.plot(networks))


def words(picture: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def bars(picture: ElementTree.Element, style: str) -> list[ElementTree.Element]:
    """Those of rows: a legend's is at the left."""
    found = picture.iter(f"{SVG}rect")
    return [e for e in found if e.get("class") == style and float(e.get("x", 0)) > bench_plot.LEFT]


def test_a_quicker_run_is_a_bar_to_the_left_of_one() -> None:
    quicker = drawn(results(ftpfs=runs(1), curl=runs(2), lftp=runs(3)))
    slower = drawn(results(ftpfs=runs(4), curl=runs(2)))
    (left,), (right,) = bars(quicker, "better"), bars(slower, "worse")
    one = float(left.get("x", 0)) + float(left.get("width", 0))
    assert float(right.get("x", 0)) == pytest.approx(one, abs=0.2)
    assert bars(quicker, "worse") == bars(slower, "better") == []


def test_every_network_and_workload_has_its_place_on_the_page() -> None:
    here, there = (results(rtt, ftpfs=runs(1), curl=runs(100)) for rtt in (0, 20))
    there.titles["read"] = "read <far & wide>"
    picture = drawn(here, there)
    assert {"read 1 MB", "read <far & wide>", "RTT 20 ms"} <= set(words(picture))
    width, height = float(picture.get("width", 0)), float(picture.get("height", 0))
    for element in picture.iter(f"{SVG}text"):
        assert 0 <= float(element.get("x", -1)) <= width
        assert 0 <= float(element.get("y", -1)) <= height


def test_where_curl_cannot_the_quickest_other_is_one() -> None:
    picture = drawn(results(ftpfs=runs(1), lftp=runs(3), rclone=runs(2)))
    assert "read 1 MB (1 = rclone)" in words(picture)


def test_what_ftpfs_failed_is_left_out() -> None:
    assert "read 1 MB" not in words(drawn(results(ftpfs=runs(None), curl=runs(1))))


def test_nothing_measured_is_an_empty_picture() -> None:
    assert drawn().tag == f"{SVG}svg"


def test_both_colour_schemes_colour_the_same_things() -> None:
    light, dark = (bench_plot._style(colours) for colours in (bench_plot.LIGHT, bench_plot.DARK))
    assert re.sub("#[0-9a-f]{6}", "", light) == re.sub("#[0-9a-f]{6}", "", dark) != light
