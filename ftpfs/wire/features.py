"""The answer to FEAT."""

from __future__ import annotations

from typing import NamedTuple

from ftpfs.wire.reply import Reply


class Features(NamedTuple):
    """What the server says it can do: a hint, to be tried before it is believed.

    `names` are upper-case verbs without their parameters. `mlst_facts` are the fact names that
    MLSx can give, lower-case, `enabled_facts` those that it gives without being asked.
    """

    names: frozenset[str]
    mlst_facts: tuple[str, ...] = ()
    enabled_facts: tuple[str, ...] = ()


NO_FEATURES = Features(frozenset())


def parse_features(reply: Reply) -> Features:
    """The features of a 211 reply, NO_FEATURES for any other. RFC 2389 3.2, RFC 3659 7.8."""
    if not reply.ok:
        return NO_FEATURES
    names = set()
    facts: list[str] = []
    # The inner lines, with the blank that RFC 2389 asks for or, from loose servers, without.
    for line in reply.lines[1:-1]:
        name, _, parameters = line.strip().partition(" ")
        if name:
            names.add(name.upper())
        if name.upper() == "MLST":
            facts = [fact.strip().lower() for fact in parameters.split(";") if fact.strip()]
    if "MLST" in names:
        names.add("MLSD")  # RFC 3659 7.8: the line MLST stands for both
    return Features(
        frozenset(names),
        tuple(fact.removesuffix("*") for fact in facts),
        tuple(fact.removesuffix("*") for fact in facts if fact.endswith("*")),
    )
