"""Paths on the server, and the names in them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ftpfs.errors import NameRefusedError, ProtocolError
from ftpfs.wire.reply import Reply

_QUOTED = re.compile(r'((?:[^"]|"")*)"')
_UNSENDABLE = re.compile(r"[\r\n\0]")
_SPECIAL = re.compile(r'[\x01-\x1f\x7f\\:*?"<>|]')
_NOT_TEXT = re.compile("[\udc80-\udcff]")
_UNLISTABLE = re.compile(r"[/\r\n\0]")


def parse_257(reply: Reply) -> str:
    """The path that the reply to PWD or MKD quotes, doubled quotes halved.

    Without quotes it is the first word with a slash ahead, or else the first word. Raises
    ProtocolError when there is none. RFC 959 appendix II.
    """
    before, _, after = reply.text.partition('"')
    if quoted := _QUOTED.match(after):
        path = quoted[1].replace('""', '"')
    else:
        path = _first_path(f"{before} {after}".split())
    if not path:
        raise ProtocolError(f"the server named no path: {reply}")
    return path


def _first_path(words: list[str]) -> str:
    rooted = (word for word in words if word.startswith("/"))
    return next(rooted, words[0] if words else "")


def join(base: str, *names: str) -> str:
    """`base` with the names below it, one slash at each seam. `..` is left as it is."""
    path = base
    for name in names:
        if name := name.lstrip("/"):
            path = f"{path.rstrip('/')}/{name}"
    return path or "/"


def split(path: str) -> tuple[str, str]:
    """Parent and last name; ("/", "") for the root."""
    parent, _, name = path.rstrip("/").rpartition("/")
    return parent.rstrip("/") or "/", name


def check_path(path: str) -> None:
    """Raises NameRefusedError when the path holds CR, LF or NUL."""
    if _UNSENDABLE.search(path):
        raise NameRefusedError(f"{path!r} holds CR, LF or NUL, which FTP cannot carry")


def is_listed_name(name: str) -> bool:
    """Whether a name that a server lists can stand in a directory.

    No to the empty name, `.` and `..`, and to names that would leave the directory or could be
    read as a second command when they are sent back.
    """
    return name not in ("", ".", "..") and not _UNLISTABLE.search(name)


def steps(path: str, limit: int, encoding: str = "utf-8") -> list[str]:
    """What to change directory to, one after the other, to get to `path`: it alone where it has
    at most `limit` bytes, else parts of it, where a single name allows.

    Parts begin with `./`, so that no name is taken for an option or for somebody's home.
    """
    if length(path, encoding) <= limit or "/" not in path.strip("/"):
        return [path]
    done: list[str] = []
    part = ""
    for name in path.strip("/").split("/"):
        longer = f"{part}/{name}" if part else ("./" if done else "/") + name
        if part and length(longer, encoding) > limit:
            done.append(part)
            part = f"./{name}"
        else:
            part = longer
    return [*done, part]


def length(path: str, encoding: str) -> int:
    """Bytes of a path on its way to the server."""
    return len(path.encode(encoding, "replace"))


def oddities(name: str) -> dict[str, str]:
    """What servers are known to change in this name when they make it: what it is, in words, and
    a sample name that has just that; no two samples would be changed into the same. Empty for
    ordinary names.
    """
    found = []
    if name[:1] == " ":
        found.append(("a blank at the beginning", " {}"))
    if name[-1:] == " ":
        found.append(("a blank at the end", "{} "))
    if name[-1:] == ".":
        found.append(("a dot at the end", "{}."))
    for char in sorted(set(_SPECIAL.findall(name))):
        found.append((f"the character {char!r}", "{}" + char + "{}"))
    for char in _NOT_TEXT.findall(name)[:1]:
        found.append(("bytes that are not text", "{}" + char + "{}"))
    return {kind: form.format(n, n) for n, (kind, form) in enumerate(found)}


def relative_target(link: str, target: str, base: str) -> str | None:
    """What readlink gives for a link, so that it stays inside the mount; None if it leaves it.

    `link` is its path inside the mount, `target` the text that the server lists, `base` the
    server's path of the mount's root. A relative target is given back as it is, an absolute one
    below `base` as a relative path. Only the text is looked at, no other link.
    """
    if not target or _UNSENDABLE.search(target):
        return None
    depth = len(_components(split(link)[0]))
    if not target.startswith("/"):
        return target if _stays_inside(target.split("/"), depth) else None
    root, parts = _components(base), _components(target)
    below = parts[len(root) :]
    if parts[: len(root)] != root or not _stays_inside(below, 0):
        return None
    return "/".join([".."] * depth + below) or "."


def _components(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _stays_inside(parts: Iterable[str], depth: int) -> bool:
    for part in parts:
        if part == "..":
            depth -= 1
        elif part not in ("", "."):
            depth += 1
        if depth < 0:
            return False
    return True
