"""Which plan is carried out, what is secured before, and what is brought in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.memory import MemoryRemote

from ftpfs.content.conflict import Verdict, compare, name_aside
from ftpfs.content.ranges import RangeSet
from ftpfs.content.space import Space
from ftpfs.content.spool import Spool
from ftpfs.content.upload import Steps, Uploader, Version
from ftpfs.errors import ChangedError, NetworkError, QuotaError, UnsupportedError
from ftpfs.remote.api import Fingerprint, Stored

S = 1_000_000_000
PATH = "/file"


class Case:
    """A file on the server, and a changed local copy of it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.remote = MemoryRemote()
        self.steps: list[str] = []
        self.patching = True
        self.old = b""
        self.base: Fingerprint | None = None
        self.spool = Spool.create(directory, 0, Space(1 << 40))

    def has(self, old: bytes) -> None:
        self.spool.close()
        self.remote.put(PATH, old)
        self.old, self.base = old, Fingerprint(len(old), 1000 * S)
        self.spool = Spool.create(self.directory, len(old), Space(1 << 40))

    def all_here(self) -> None:
        self.spool.fill(memoryview(self.old), 0)

    def version(self) -> Version:
        spool = self.spool
        return Version(PATH, spool, spool.size, self.base, spool.dirty.copy(), 0o640)

    def complete(self) -> None:
        self.steps.append("complete")
        self.all_here()

    def secure(self) -> None:
        self.steps.append("secure")
        assert self.remote.data(PATH) == self.old, "secured too late"

    def send(self, *, again: bool = False) -> Stored:
        steps = Steps(self.complete, self.secure, lambda: self.steps.append("untouched"))
        return Uploader(self.remote, patching=self.patching).send(
            self.version(), steps, again=again
        )

    def compare(self, *, in_place: bool = False) -> Verdict:
        return compare(self.remote, self.version(), in_place=in_place)[0]


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    made = Case(str(tmp_path))
    yield made
    made.spool.close()


@pytest.fixture
def _small_files_are_big(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftpfs.content.plan.PATCH_MIN_BYTES", 100)


big = pytest.mark.usefixtures("_small_files_are_big")
OLD = bytes(range(200))

# -- sending --------------------------------------------------------------------------------------


def test_a_new_file(case: Case) -> None:
    case.spool.write(b"content", 0)
    assert case.send().size == 7
    assert case.remote.data(PATH) == b"content"
    assert case.remote.uploads() == ["store"]
    assert case.steps == ["complete"]
    assert case.remote.count("fingerprint") == 0, "a new file costs no question"


def test_a_new_file_that_is_a_hole(case: Case) -> None:
    case.spool.truncate(1000)
    case.send()
    assert case.remote.data(PATH) == bytes(1000)


def test_an_append_sends_what_was_appended(case: Case) -> None:
    case.has(OLD)
    case.spool.write(b"more", 200)
    case.send()
    assert case.remote.data(PATH) == OLD + b"more"
    assert (case.remote.uploads(), case.remote.received) == (["append"], 4)
    assert case.steps == ["secure"], "nothing was fetched"


def test_a_replacement_keeps_the_mode_and_secures_nothing(case: Case) -> None:
    case.has(OLD)
    case.spool.write(b"X", 3)
    case.send()
    assert case.remote.data(PATH) == OLD[:3] + b"X" + OLD[4:]
    assert case.remote.uploads() == ["replace"]
    assert case.remote.mode(PATH) == 0o640
    assert case.steps == ["complete"]


def test_where_replacing_is_refused_it_is_secured_and_stored(case: Case) -> None:
    case.has(OLD)
    case.remote.replaces = False
    case.spool.write(b"X", 3)
    case.send()
    assert case.remote.data(PATH) == OLD[:3] + b"X" + OLD[4:]
    assert case.remote.uploads() == ["replace", "store"]
    assert case.steps == ["complete", "secure"]


def test_another_refusal_of_replacing_destroys_nothing(case: Case) -> None:
    case.has(OLD)
    case.remote.fail_next("replace", QuotaError("full"))
    case.spool.write(b"X", 3)
    with pytest.raises(QuotaError):
        case.send()
    assert case.remote.data(PATH) == OLD
    assert case.steps == ["complete"]


@big
def test_a_patch_sends_the_ranges_alone(case: Case) -> None:
    case.has(OLD)
    case.spool.write(b"AB", 3)
    case.spool.write(b"end", 199)
    case.send()
    assert case.remote.data(PATH) == OLD[:3] + b"AB" + OLD[5:199] + b"end"
    assert (case.remote.uploads(), case.remote.received) == (["patch"], 5)
    assert case.steps == ["secure"]


@big
@pytest.mark.parametrize("why", ["the server cannot", "the user does not want it"])
def test_without_patching_it_is_replaced(case: Case, why: str) -> None:
    case.has(OLD)
    if why == "the server cannot":
        case.remote.patches = False
    else:
        case.patching = False
    case.spool.write(b"AB", 3)
    case.send()
    assert case.remote.uploads() == ["replace"]
    assert case.remote.count("can_patch") == (why == "the server cannot")
    assert case.steps == ["complete"]


@big
def test_a_change_at_byte_0_is_patched_from_byte_1_on(case: Case) -> None:
    case.has(OLD)
    case.spool.write(OLD[:1] + b"AB", 0)
    case.send()
    assert case.remote.data(PATH) == OLD[:1] + b"AB" + OLD[3:]
    assert (case.remote.uploads(), case.remote.received) == (["patch"], 2)


@big
def test_another_byte_0_takes_a_replacement(case: Case) -> None:
    case.has(OLD)
    case.spool.write(b"AB", 0)
    case.send()
    assert case.remote.data(PATH) == b"AB" + OLD[2:]
    assert case.remote.uploads() == ["replace"]
    assert case.steps == ["complete"]


CHANGES = {
    "another size": (OLD + b"!", 1000 * S),
    "another time": (OLD, 1001 * S),
}


@big
@pytest.mark.parametrize(("data", "mtime_ns"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("offset", [3, 200])
def test_a_file_that_others_changed_is_replaced(
    case: Case, offset: int, data: bytes, mtime_ns: int
) -> None:
    case.has(OLD)
    case.all_here()
    case.spool.write(b"AB", offset)
    case.remote.put(PATH, data, mtime_ns)
    case.send()
    assert case.remote.uploads() == ["replace"]
    assert case.remote.data(PATH) == OLD[:offset] + b"AB" + OLD[offset + 2 :]


@pytest.mark.parametrize(("data", "mtime_ns"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("offset", [3, 200])
def test_two_versions_are_not_mixed(case: Case, offset: int, data: bytes, mtime_ns: int) -> None:
    case.has(OLD)
    case.spool.write(b"AB", offset)
    case.remote.put(PATH, data, mtime_ns)
    with pytest.raises(ChangedError, match="not mixed"):
        case.send()
    assert case.remote.uploads() == []
    assert case.remote.data(PATH) == data


def test_a_server_without_append_gets_the_whole(case: Case) -> None:
    case.has(OLD)
    case.spool.write(b"more", 200)
    case.remote.fail_next("append", UnsupportedError("no APPE"))
    case.send()
    assert case.remote.data(PATH) == OLD + b"more"
    assert case.remote.uploads() == ["append", "replace"]
    assert case.steps == ["secure", "untouched", "complete"]


def test_an_append_to_what_others_removed_makes_it_anew(case: Case) -> None:
    case.has(OLD)
    case.all_here()
    case.spool.write(b"more", 200)
    case.remote.unlink(PATH)
    case.send()
    assert case.remote.data(PATH) == OLD + b"more"


@big
@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_broken_patch_is_repeated(case: Case, after: int) -> None:
    case.has(OLD)
    case.spool.write(b"AB", 3)
    case.spool.write(b"end", 199)
    case.remote.break_next("patch", after, NetworkError("lost"))
    with pytest.raises(NetworkError):
        case.send()
    case.old = case.remote.data(PATH)
    case.steps.clear()
    case.send(again=True)
    assert case.remote.data(PATH) == OLD[:3] + b"AB" + OLD[5:199] + b"end"
    assert case.remote.uploads() == ["patch", "patch"]
    assert case.steps == ["secure"]


@pytest.mark.parametrize("after", [0, 1, 3, 4])
def test_a_broken_append_goes_on_where_it_broke(case: Case, after: int) -> None:
    case.has(OLD)
    case.spool.write(b"more", 200)
    case.remote.break_next("append", after, NetworkError("lost"))
    with pytest.raises(NetworkError):
        case.send()
    case.old = case.remote.data(PATH)
    assert case.send(again=True).size == 204
    assert case.remote.data(PATH) == OLD + b"more"
    assert case.remote.received == 4
    assert case.remote.count("append") == (1 if after == 4 else 2), "all had arrived"


@big
def test_a_broken_patch_of_which_less_is_left_is_replaced(case: Case) -> None:
    case.has(OLD)
    case.spool.write(b"AB", 3)
    case.remote.put(PATH, OLD[:100], 2000 * S)
    case.send(again=True)
    assert case.remote.uploads() == ["replace"]


def test_needs_all(case: Case) -> None:
    uploader = Uploader(case.remote, patching=True)
    case.has(OLD)
    case.spool.write(b"more", 200)
    assert not uploader.needs_all(case.version())
    case.spool.write(b"X", 0)
    assert uploader.needs_all(case.version())
    assert case.remote.calls == []


# -- comparing ------------------------------------------------------------------------------------


def local(case: Case, data: bytes, *, old: bytes | None) -> None:
    if old is not None:
        case.has(old)
    case.spool.truncate(0)
    if data:
        case.spool.write(data, 0)


COMPARED = {
    # file at the beginning, local version, file now, whether broken off in place, verdict
    "new, and still not there": (None, b"new", None, False, Verdict.SEND),
    "as it was": (b"old", b"new!", b"old", False, Verdict.SEND),
    "as it was, in place": (b"old", b"new!", b"old", True, Verdict.SEND),
    "arrived, new": (None, b"new", b"new", False, Verdict.ARRIVED),
    "arrived, new and empty": (None, b"", b"", False, Verdict.ARRIVED),
    "arrived, replaced": (b"old", b"new!", b"new!", False, Verdict.ARRIVED),
    "a part arrived, new": (None, b"new", b"ne", False, Verdict.SEND),
    "nothing arrived but the name": (None, b"new", b"", False, Verdict.SEND),
    "a part arrived, it was empty": (b"", b"new", b"ne", False, Verdict.SEND),
    "a part arrived, in place": (b"long old", b"new!", b"ne", True, Verdict.SEND),
    "in between, in place": (b"old", b"new!!!", b"newx", True, Verdict.SEND),
    "another's, new": (None, b"new", b"foo", False, Verdict.CONFLICT),
    "another's, shorter, new": (None, b"new", b"xy", False, Verdict.CONFLICT),
    "another's, longer, new": (None, b"new", b"new and more", False, Verdict.CONFLICT),
    "another's": (b"old", b"new!", b"else", False, Verdict.CONFLICT),
    "another's, that ours begins with": (b"old", b"new!", b"new", False, Verdict.CONFLICT),
    "another's, in place": (b"old", b"new!", b"longer", True, Verdict.CONFLICT),
    "removed by another": (b"old", b"new!", None, False, Verdict.CONFLICT),
}


@pytest.mark.parametrize(
    ("old", "new", "now", "in_place", "verdict"), COMPARED.values(), ids=COMPARED
)
def test_compare(
    case: Case, old: bytes | None, new: bytes, now: bytes | None, in_place: bool, verdict: Verdict
) -> None:
    local(case, new, old=old)
    if now is None:
        if old is not None:
            case.remote.unlink(PATH)
    elif now != old:
        case.remote.put(PATH, now, 2000 * S)
    assert case.compare(in_place=in_place) is verdict
    assert case.remote.uploads() == []


def test_what_lacks_bytes_is_not_taken_for_arrived(case: Case) -> None:
    case.has(OLD)
    case.spool.write(OLD[:1], 0)
    case.remote.put(PATH, OLD, 2000 * S)
    assert case.compare() is Verdict.CONFLICT
    assert case.compare(in_place=True) is Verdict.SEND
    assert case.remote.count("open_read") == 0


def test_a_difference_in_the_last_byte_of_many(case: Case) -> None:
    data = bytes(700_000)
    case.spool.write(data, 0)
    case.remote.put(PATH, data)
    assert case.compare() is Verdict.ARRIVED
    case.remote.put(PATH, data[:-1] + b"x")
    assert case.compare() is Verdict.CONFLICT


def test_the_name_aside() -> None:
    remote = MemoryRemote()
    now_ns = 1_700_000_000 * S + 999
    name = "/file.conflict-20231114T221320"
    assert name_aside(remote, PATH, now_ns) == name
    remote.put(name, b"")
    assert name_aside(remote, PATH, now_ns) == name + "-2"
    remote.put(name + "-2", b"")
    assert name_aside(remote, PATH, now_ns) == name + "-3"


def test_a_version_does_not_change_with_its_spool(case: Case) -> None:
    case.has(OLD)
    version = case.version()
    case.spool.write(b"X", 0)
    assert version.dirty == RangeSet()


@big
def test_a_change_that_begins_at_byte_0_goes_from_byte_1_on(case: Case) -> None:
    """STOR at 0 would cut the file; the first byte of a database stays what it is."""
    case.has(OLD)
    case.spool.write(OLD[:1] + b"XY", 0)
    case.send()
    assert case.remote.uploads() == ["patch"]
    assert case.remote.data(PATH) == OLD[:1] + b"XY" + OLD[3:]


@big
def test_another_first_byte_replaces_the_whole_file(case: Case) -> None:
    case.has(OLD)
    case.spool.write(bytes([OLD[0] ^ 1]), 0)
    case.send()
    assert case.remote.uploads() == ["replace"]
    assert case.remote.data(PATH) == bytes([OLD[0] ^ 1]) + OLD[1:]
