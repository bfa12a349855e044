"""The workloads of scripts/bench, in their order. To add one, add a line here."""

from __future__ import annotations

from bench_listing import long_listing, tree
from bench_reading import (
    LINE_RATE,
    heads,
    random_reads,
    sequential_read,
    side_by_side_reads,
    small_files_out,
)
from bench_urls import large_file_out, tree_in, tree_out
from bench_writing import (
    appends,
    sequential_write,
    small_change,
    small_files_in,
    small_files_removed,
)

WORKLOADS = (
    sequential_read("read"),
    sequential_read("read-tls", tls=True),
    sequential_read("read-line", LINE_RATE),
    side_by_side_reads(),
    heads(),
    random_reads(),
    small_files_out(),
    long_listing("ls-cold", 10_000),
    long_listing("ls-warm", 10_000, warm=True),
    long_listing("ls-huge", 100_000, far=False),
    tree(),
    small_files_removed(),
    sequential_write("write", 256, 32, "1M"),
    sequential_write("write-4k", 32, 32, "4k"),
    appends(),
    small_change(),
    small_files_in(),
    tree_out(),
    tree_in(),
    large_file_out(),
)
