"""Every bound of the program, with its unit and its reason."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# -- network ----------------------------------------------------------------------------------

CONNECT_TIMEOUT_S = 10.0
"""A TCP connect that takes longer will not come: three SYNs are lost by then (1 + 2 + 4 s)."""

EPSV_CONNECT_S = 5.0
"""The same for the first data connection by EPSV: two SYNs are lost by then (1 + 2 s). Behind some
NAT boxes it never comes, and PASV is asked for."""

EPSV_SILENT_S = 15.0
"""A server that has taken a mount's first data connection and says nothing for so long may not have
it: a box between took it, and PASV is tried. Disks that were asleep are awake by then."""

FINAL_REPLY_TIMEOUT_S = 120.0
"""Servers that scan or copy a file before 226 take 15 s and more (field report: 60 s and more)."""

ABORT_TIMEOUT_S = 2.0
"""The reply to a transfer cut by us comes within a round trip, or the session is dropped."""

ARMED_S = 2.0
"""How long a port asked for in advance is used: three servers kept it open that long and more,
a firewall between may not."""

PASSING_PAUSES_S = (0.25, 0.5, 1.0, 2.0)
"""Before each further try of what the server cannot do at the moment (421, 425, 426, 450): five
tries in four seconds. A program that waits longer looks hung; a port or a file that is taken for
longer is taken."""

GROUP_TIMEOUT_S = 5.0
"""A server that has answered the first of several commands in one packet, and none of the others
for so long, has thrown them away. Only until one such group was answered in full."""

GROUP_COMMANDS = 20
"""Commands without a transfer in one packet: three servers took 20, and their answers fit what
the sockets hold."""

EARLY_BYTES = 64 * KIB
"""An upload of at most this size is sent without waiting for the 150: it fits what the sockets
hold, so a server that refuses it costs no more than these bytes."""

COPIED_BYTES = 64 * KIB
"""Uploads up to this are read and sent; sendfile's preparations cost more than such a copy."""

LONG_PATH_BYTES = 480
"""Longer paths are walked to by CWD in parts: 512 bytes, with verb and line end, is the smallest
command buffer that a server is known to have."""

IDLE_SESSION_S = 60.0
"""Unused sessions are closed then: well below the 120 s (IIS) to 900 s after which servers do."""

IDLE_SHARE = 0.5
"""Part of a server's idle limit, learnt from its 421, after which a connection is closed by us: it
is looked for every quarter of that limit, so at three quarters it is gone."""

IDLE_LIMIT_MIN_S = 5.0
"""A 421 that speaks of a timeout sooner than this is about something else."""

LIMIT_PAUSE_S = 1.0
"""Between two tries to log in to a server that takes no connection more, when we have none open:
others have taken them all, or it has not noticed yet that ours are closed."""

LIMIT_TRIED_AGAIN_S = 300.0
"""After a server has refused a connection, one more is allowed again: others may have had its
place. It costs one refused login at most, for which nobody gets an error."""

SPARES_PAUSE_S = 60.0
"""After a connection that nobody waits for could not be opened, none is tried for so long. Some
servers and boxes between let it wait for a greeting that never comes, and who reads a file that is
to be fetched over it waits as well (EXPECTED_S)."""

KEEPALIVE_S = 30
"""TCP keepalive of control connections: NAT boxes forget silent ones after a few minutes."""

TLS_CLOSE_S = 10.0
"""The server answers the end of an upload (close_notify) within a round trip of having received it
all. One that has not by then is asked for its reply, with the data connection still open."""

TLS_RECORD_BYTES = 16 * KIB
"""What one TLS record carries at most: RFC 8446 5.1."""

TLS_SEND_BYTES = MIB
"""Read from the spool and encrypted at a time: 64 records."""

VERDICT_YES_KEPT_S = 7 * 86_400.0
VERDICT_NO_KEPT_S = 86_400.0
"""How long the next mounts act upon what one has learnt of a server. A wrong yes shows at its first
use; a no is never looked at again, and a server gets better: so a day."""

LIMIT_KEPT_S = 3600.0
"""The same of the number of connections: others may have had a part of it at that time."""

VERDICT_FILE_BYTES = 64 * KIB
"""Such a file has 2 KB; what is larger is not ours."""

# -- examining a server -------------------------------------------------------------------------

EXAMINED_READ_BYTES = 64 * MIB
EXAMINED_READ_S = 5.0
"""How much of a file is read to see how fast that goes, and for how long at most: longer than a
connection needs to come up to speed, short enough to wait for."""

EXAMINED_WRITE_BYTES = 4 * MIB
"""What is sent for the same: at 1 MB/s, four seconds."""

EXAMINED_DIRECTORIES = 8
"""Directories looked into for a file to read, where the mounted one has none."""

EXAMINED_STAT_NAMES = 500
"""A STAT lists a directory in one reply: not tried on larger ones (REPLY_BYTES)."""

# -- what a server may send ---------------------------------------------------------------------

REPLY_LINE_BYTES = 8 * KIB
"""The longest honest lines carry a path (4 KiB on Linux) or a status text; twice that is room
enough, and a peer that never ends a line cannot fill the memory."""

REPLY_BYTES = 256 * KIB
"""A STAT of a directory lists it in one reply: these are some 3,000 names. Longer listings belong
on a data connection."""

PROXY_HEAD_BYTES = 16 * KIB
"""The head of an HTTP proxy's answer, which is a hundred bytes and may hold a cookie."""

REPLY_LOOSE_LINES = 50
"""Lines without a code ahead of the first reply: a banner that a tcp wrapper or a proxy prints."""

LISTING_LINES = 1_000_000
"""Lines of one listing: 300 MB at 300 bytes a name, and five seconds of work. Beyond it stands an
error and no memory used up: it is an attack or a loop."""

LISTING_BYTES = 256 * MIB
"""Bytes of one listing, as names and link targets may be long: a million lines of 260 bytes."""

LISTING_LINE_BYTES = 64 * KIB
"""Room for a name and a link target of 4 KiB each, in any encoding; a server that never ends a
line costs no more memory than this."""

NAME_BYTES = KIB
"""Linux answers EIO for a whole directory in which FUSE lists a longer name (FUSE_NAME_MAX)."""

UNANSWERED = 3
"""Times that a listing is completed by a question (MDTM for the zone, SIZE) without an answer of
use before that is given up: a file may be deleted just then, a server hang up each time."""

SIZES_ASKED = 1_000
"""Files of one listing whose size is asked for because the listing does not tell it."""

REFUSING_DIRECTORIES = 3
"""That have refused a temporary file beside another, or its rename, before no further one is tried
on a mount; where it has worked somewhere, each is tried once: it may be the rights of one."""

REFUSALS_KEPT = 1000
"""Directories remembered for that: 100 KB."""

# -- memory -----------------------------------------------------------------------------------

CYCLES_OBJECTS = 50_000
"""So many objects are made before Python looks for cycles among them: a listing is nothing but
objects, and at its own 700 a tenth of the time of reading one goes into that. To load a command
makes 30,000, and to look through them takes as long as ten of its modules."""

DIRECTORY_CACHE_BYTES = 96 * MIB
"""Listings: about 300 bytes a name, so 300,000 names; one listing of 100,000 is 30 MB."""

ENTRY_COST_BYTES = 320
"""What one cached name costs: Entry, its name, two integers and the place in the dict."""

BLOCK_BYTES = 512 * KIB
"""Unit of the read cache: as much as the kernel asks for at once in a sequential read, so that this
spends its time there and not in Python. A random read fills only a part of one."""

COPIED_ASIDE_BYTES = 64 * KIB
"""To let go of Python's lock and of the cache's takes as long as to copy so much."""

READ_CACHE_BYTES = 48 * MIB
"""All blocks of a mount together: what one reader has ahead of it over several connections, three
times the small files fetched ahead, or a dozen sequential readers with a full window each. With it
a mount that reads 2 GB stays below 100 MB, over TLS too: some 30 MB are not blocks."""

READ_CACHE_LEAST_BYTES = 8 * MIB
"""However small `read_cache` is: with less, blocks fall out before those who wait for them have
read them, when five streams fill three blocks each."""

KEPT_READERS = 4096
"""Closed files of which something is kept: 1 KiB each besides the blocks."""

TOLD_LISTINGS = 64
TOLD_NAMES = 200_000
"""Listings, and names in them, of which the kernel may still go by what it was told: 64 bytes for
each name. Programs that read more within a few seconds do not open what they find."""

TOLD_MARGIN_S = 1.0
"""The kernel's time begins when it has the answer, which is after we have given it."""

CLOSE_WAIT_S = 5.0
"""How long an open waits for the file of that name that is being put away: that takes microseconds,
but for a spool file on a slow disk."""

RACY_S = 2.0
"""A file changed less than this ago may change again within the second its time is exact to."""

SPARE_BLOCKS = 8
"""Memory of blocks kept for the next ones: 4 MiB, a full window."""

READ_BLOCKS = 2
"""Blocks that were read to the last byte and stay a while all the same: what the kernel asks for
together comes in any order."""

WINDOW_FIRST_BYTES = 128 * KIB
WINDOW_ELSEWHERE_BYTES = 32 * KIB
WINDOW_MAX_BYTES = 4 * MIB
"""Read-ahead of one stream, at offset 0 and elsewhere: doubles while reads are sequential; 4 MiB is
40 ms at 100 MB/s."""

WINDOWS = 8
"""So many windows of their largest size fit into a small read cache; more streams than there are
connections, as what was read stays a while."""

NARROW_BYTES = 64 * KIB
"""What the server may send of a file before we read it, until a second read follows the first:
without this bound a read of 4 KiB moves 300 KB on loopback, and megabytes on a long line."""

FETCHER_STOP_S = 2.0
"""At unmount: what is on its way has come by then, or its connection is dead."""

AHEAD_FILES = 32
AHEAD_BYTES = 8 * MIB
AHEAD_FILE_BYTES = MIB
"""Small files are fetched before a program that reads a directory in order asks for them: so many,
of so many bytes together, none larger than the last. An eighth of the read cache."""

AHEAD_LISTINGS = 16
AHEAD_FIRST_LISTINGS = 4
"""Directories that are listed before a program that walks a tree comes to them; the second for
one that has only entered the first directory of a listing, and may be a user who looks around."""

WALKS = 64
WALKS_NAMES = 200_000
"""Directories in which it is known where a program is, more than any walks at once, and the names
of files in them, at 130 bytes each: 26 MB."""

DIRECTORIES_KNOWN = 4096
"""Directories whose sub-directories are known in order, for walks of trees: 1 MB and more."""

AHEAD_WHOLE_BYTES = 64 * KIB
"""A file of up to so many bytes that is fetched ahead is there when all of it is: to show it in
pieces takes longer than to receive it, unless the line is slower than a modem."""

EXPECTED_S = 5.0
"""How long a read waits for a file that is about to be fetched ahead, before it fetches itself."""

FETCHERS_NEAR = 2
SLOW_JOB_S = 0.005
"""So many threads fetch ahead from a near server (NEAR_S) that needs no longer for a file: more of
them only wait for each other (37 instead of 20 changes of threads for each file of a `cp -r`), and
each needs a login first. One with a slow disk gets as many as there are connections."""

FETCHER_IDLE_S = 0.2
"""A thread that fetches ahead keeps its connection so long without work: a program that copies
files asks for the next one within that."""

SKIP_GAP_BYTES = 512 * KIB
"""A reader that jumps ahead by no more than this is served by reading through: a new RETR costs
two round trips, which at 20 ms and 10 MB/s is 400 KB."""

SEGMENT_BYTES = 8 * MIB
"""What one of several connections fetches of a file before it goes on to the next free part. The
change costs four round trips: 80 ms of 800 ms, at 20 ms and 10 MB/s."""

SEGMENTS_AFTER_BYTES = MIB
"""A file read in order gets more connections after so much, if the network is what it waits for."""

SEGMENTS_BELOW_BPS = 100 * MIB
"""Bytes a second above which a transfer is left alone: there the copying is the limit."""

SEGMENTS_AHEAD_BYTES = 24 * MIB
"""How far the connections together run ahead of the reader; well within the read cache."""

SEGMENTS_JUDGED_BYTES = 16 * MIB
SEGMENTS_GAIN = 1.25
SEGMENTS_PAUSE_S = 60.0
"""After so many bytes several connections must have been so many times as fast as one, or they are
not tried again for a while: where the line is the limit they only take from each other."""

STREAMS_PER_FILE = 2
"""One file read in two places at once (an archive's index and its data) keeps both streams."""

STREAM_IDLE_S = 5.0
"""A stream whose reader has gone quiet gives its connection back then."""

STREAM_QUANTUM_S = 0.5
"""A busy stream gives its connection to a waiter after this time: with a limit of one
connection, `ls` beside a running copy takes half a second, not the whole copy."""

SKIP_TURN_S = 5.0
"""The same while it receives what comes before its offset, from a server without REST: it will have
to begin anew at 0, so it gets further; and who waits for a connection does so for 30 s."""

STREAM_POLL_S = 0.05
"""How often a stream that waits for its reader looks whether its connection is wanted."""

READ_WAIT_S = 300.0
"""Backstop of a waiting read, since something came last; the stream it waits for has shorter
deadlines of its own."""

SPOOL_SHARE = 0.8
"""Part of the free local disk that spool files may take, where `spool_limit` does not say."""

REMEMBERED_ATTRIBUTES = 20_000
"""Exact times and local modes kept for a mount's life, in names: 6 MB at 300 bytes."""

ABSENCE_S = 1.0
"""A name not found is looked up on the server again after this time, before ENOENT."""

FREE_BYTES_UNKNOWN = 1 << 40
"""Free space shown where the server does not tell: file managers refuse to copy into 0."""

MAINTENANCE_S = 20.0
"""How often idle connections are closed and the free space is asked for."""

# -- kernel -----------------------------------------------------------------------------------

KERNEL_SHARE = 0.25
"""Part of `dir_cache` for which the kernel keeps names and attributes by itself: what it has of
an answer that is almost too old adds to that age, so the rest is left for the directory cache.
5 s of 20 s: long enough that nothing is asked for again while a program works on it."""

KERNEL_ABSENCE_S = 0.5
"""The same of ABSENCE_S, for names that are not there: compilers ask for many of those."""

READ_AHEAD_BYTES = 512 * KIB
"""Read-ahead of the kernel, where root may raise it from 128 KiB: a sequential read takes a tenth
less of the processor. Programs that say that they read in order (`cp`, `cat`) get twice as much.
With 1 MiB for all, a sequential read is 4 % faster and the beginnings of many files 11 % slower."""

RELIST_NAMES = 2000
RELIST_S = 2.0
"""A directory of so many names is listed anew, and not asked for one more name, when two that are
not there are looked for within that time: copying a tree into it asks for each."""

FUSE_THREADS = 32
"""Requests served at once. Each may wait for the network; libfuse's own 10 are used up by a few
readers of a slow server, and then `ls` waits. None is ended when idle."""

MAX_WRITE_BYTES = MIB
"""Largest write request that the kernel sends through libfuse 3."""

# -- writing ----------------------------------------------------------------------------------

MEMORY_SPOOL_BYTES = 64 * KIB
"""A spool stays in memory up to this size and until a record names it: most files of a source
tree. Open files at this bound take 64 MB by the thousand."""

PATCH_MIN_BYTES = 16 * MIB
"""Smaller files are always sent whole: at 10 MB/s that is less than two seconds, and the atomic
replacement is kept."""

PATCH_MAX_SHARE = 0.25
"""A file of which more has changed is sent whole."""

PATCH_MAX_RANGES = 128
"""Each range costs two round trips: at 20 ms these are five seconds."""

WRITEBACK_WORKERS = 4
"""Files sent side by side with `-o writeback`; as lftp --parallel=4."""

RETRY_FIRST_S = 1.0
RETRY_MAX_S = 60.0
"""Pause between tries while the server is away: doubles from one to the other."""

SEND_WAIT_S = 3600.0
"""Backstop of a writer that waits until another thread has sent the file; each step of the
sending has deadlines of its own."""

# -- URL commands -----------------------------------------------------------------------------

SMALL_BYTES = 256 * KIB
"""A file of at most this size is copied in one piece: it is in memory as a whole before anything
is written, and connections to a near server are served in turn by one thread."""

NEAR_S = 0.001
"""A server whose answers take no longer is near: threads that wait for it, one a connection,
would take longer to change places than it takes to answer (2,000 files of 10 KiB: 0.7 s instead
of 0.4 s)."""

FILES_PER_LINE_NEAR = 50
FILES_PER_LINE_FAR = 4
"""Small files that make one more connection worth its login: as long as that lasts."""

LOGIN_LEFT_S = 0.5
"""How long a command that has copied all waits for a login that nobody needs any more."""

RESUME_MIN_BYTES = 8 * MIB
"""What is there of a larger file is kept when its copying breaks off, for `--continue`; a smaller
one is fetched again in a second at 10 MB/s."""

STEAL_MIN_BYTES = 4 * MIB
STEAL_MIN_S = 1.0
STEAL_LOOK_S = 0.1
"""A worker without a file takes over half of what another has left, if this much remains for both
and would take the other this long: beginning costs four round trips, and what was on its way to
the other one is lost. A pace can be told after a tenth of a second."""

OVERLAP_BYTES = 64 * KIB
"""What is there of a file that `--continue` found under its final name, and that nothing is known
of, is believed if its last bytes are the source's."""

COPY_STEP_BYTES = MIB
"""Received at a time, at most, between two looks at whether to stop."""

TOLD_BYTES = 256 * KIB
"""Sent at a time, and how often progress is told: every 2.6 s at 100 KB/s, where a MiB would look
hung."""

SAVE_S = 5.0
"""How often the record of what is there of a large file is written, behind a sync of the file."""

SIGNAL_S = 0.1
"""Waited at the end of what a pipe gave: Ctrl-C also ends the program that wrote into it, and the
signal may reach us after that end. What it wrote by then is not all."""

PAIRING_S = 30.0
PAIRING_LOOK_S = 0.5
"""A copy within one server takes two connections: how long they are waited for where no other copy
has them, and how often it is looked whether the server turned out to allow one alone."""

COPY_TRIES = 5
RETRY_COPY_S = 1.0
"""Tries of one file on connections that are lost without a byte of progress, and the pause before
the third; it doubles. A server that restarts is back within the 7 s."""

# -- disk -------------------------------------------------------------------------------------

LOG_BYTES = MIB
LOG_FILES = 2
"""The log of a mount in the background: at most two files of 1 MiB each."""
