"""vsftpd. It logs in through PAM, with a service file of its own in /etc/pam.d."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator

from certificates import Certificates

from servers.running import (
    PASSWORD,
    USER,
    Server,
    reachable,
    server_on,
    started,
    stopped_at_exit,
    write_text,
)

PAM_DIRECTORY = "/etc/pam.d"

_serial = itertools.count(1)


@contextlib.contextmanager
def vsftpd_server(root: str, tls: str = "no", **settings: object) -> Iterator[Server]:
    """vsftpd on `root`; `settings` add to or replace lines of its configuration. `tls` is
    explicit, implicit or no; with TLS, data connections must resume the session.

    Bools become YES and NO. Logins are mapped to the system user `guest_username`: by default
    root, which sees everything a test writes into `root`. With another one (`ftp`, to be denied
    things) `root` and all in it is handed to that user first.
    """
    if os.geteuid() != 0:
        raise RuntimeError("vsftpd_server needs root: run scripts/test")
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="ftpfs-vsftpd-"))
        os.chmod(work, 0o711)  # the guest passes through it to its root
        log = write_text(os.path.join(work, "vsftpd.log"), "")
        service = stack.enter_context(_pam_service())
        guest = str(settings.get("guest_username", "root"))
        served = stack.enter_context(reachable(str(root), guest, work))
        lines = _settings(work, served, service, log)
        certificates = Certificates(work) if tls != "no" else None
        lines |= _protection(certificates.good, tls) if certificates else {}
        lines |= settings

        def arguments(port: int) -> list[str]:
            return [_program(), _write_config(work, {**lines, "listen_port": port})]

        said = os.path.join(work, "vsftpd.out")
        process, port = started(said, arguments, implicit=tls == "implicit")
        os.truncate(log, 0)  # what it said to the one who looked whether it listens
        with process, stopped_at_exit(process):
            uid = pwd.getpwnam(guest).pw_uid
            yield server_on("vsftpd", root, port, process.pid, log, uid, tls, certificates)


def _program() -> str:
    program = shutil.which("vsftpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise RuntimeError("vsftpd is not installed: run scripts/test")
    return program


def _settings(work: str, served: str, service: str, log: str) -> dict[str, object]:
    empty = os.path.join(work, "empty")  # where vsftpd's processes without rights are locked in
    os.mkdir(empty, 0o755)
    return {
        "listen": True,
        "listen_address": "127.0.0.1",
        "background": False,
        "ftpd_banner": "test server ready",
        # logins
        "anonymous_enable": False,
        "local_enable": True,
        "pam_service_name": service,
        "guest_enable": True,
        "guest_username": "root",
        "virtual_use_local_privs": True,
        "delay_failed_login": 0,
        "delay_successful_login": 0,
        "max_login_fails": 3,
        "max_per_ip": 0,
        "max_clients": 0,
        # files
        "local_root": served,
        "chroot_local_user": True,
        "allow_writeable_chroot": True,
        "write_enable": True,
        "local_umask": "022",
        "chmod_enable": True,
        "mdtm_write": True,
        # logs
        "xferlog_enable": True,
        "xferlog_std_format": False,
        "vsftpd_log_file": log,
        "log_ftp_protocol": True,
        # processes: sandboxes that need what containers and new kernels refuse
        "secure_chroot_dir": empty,
        "nopriv_user": "nobody",
        "seccomp_sandbox": False,
        "isolate": False,
        "isolate_network": False,
    }


def _protection(certificate: str, tls: str) -> dict[str, object]:
    return {
        "ssl_enable": True,
        "implicit_ssl": tls == "implicit",
        "rsa_cert_file": certificate,
        "require_ssl_reuse": True,
        "ssl_ciphers": "HIGH",  # its own choice knows no cipher for TLS 1.2 that clients still do
    }


def _write_config(work: str, settings: dict[str, object]) -> str:
    words = {True: "YES", False: "NO"}
    lines = (
        f"{name}={words[value] if isinstance(value, bool) else value}\n"
        for name, value in settings.items()
    )
    return write_text(os.path.join(work, "vsftpd.conf"), "".join(lines), 0o600)


@contextlib.contextmanager
def _pam_service() -> Iterator[str]:
    """A PAM service that knows our one user and its password, and refuses without a delay.

    Of the modules every Linux has, pam_exec would be the one to compare passwords, but vsftpd
    waits for all its children in a SIGCHLD handler and hangs for good when the module's child
    ends. pam_ftp, made for anonymous logins, puts the password (up to an @) in the field for
    the remote user's name, where pam_succeed_if can read it; pam_permit only gives setcred,
    which both leave alone, a module to succeed.
    """
    service = f"ftpfs-test-{os.getpid()}-{next(_serial)}"
    path = os.path.join(PAM_DIRECTORY, service)
    try:
        write_text(
            path,
            f"auth required pam_ftp.so users={USER}\n"
            f"auth required pam_succeed_if.so quiet ruser = {PASSWORD}\n"
            "auth required pam_permit.so\n"
            "account required pam_permit.so\n",
        )
        yield service
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
