"""A real web proxy, as a firewall has it: HTTP only, CONNECT refused, a login if wanted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sofw.demo.process import Process

#: Where Squid is; sbin is not in everybody's path. None when it is not installed.
SQUID = shutil.which("squid") or shutil.which("squid", path="/usr/sbin")

_SETTINGS = """\
http_port {address}:{port}
visible_hostname proxy
pid_filename {folder}/squid.pid
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
coredump_dir {folder}
cache_store_log none
cache deny all
pinger_enable off
shutdown_lifetime 0 seconds
{login}
acl CONNECT method CONNECT
http_access deny CONNECT
{known}
http_access allow all
"""
_LOGINS = {
    "basic": """\
auth_param basic program {folder}/login
auth_param basic realm proxy
acl known proxy_auth REQUIRED""",
    # A nonce is good for a few requests only, so that stale ones are met.
    "digest": """\
auth_param digest program /usr/lib/squid/digest_file_auth {folder}/passwords
auth_param digest realm proxy
auth_param digest nonce_max_count 5
acl known proxy_auth REQUIRED""",
}
_HELPER = """\
#!/bin/sh
while read -r login; do [ "$login" = "{user} {password}" ] && echo OK || echo ERR; done
"""


class Squid:
    """Squid in a namespace, or in none, with everything it writes in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        namespace: str | None,
        address: str,
        port: int,
        login: tuple[str, str] | None = None,
        scheme: str = "basic",
    ) -> None:
        self.folder = folder
        self._namespace = namespace
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            # Squid gives up root for this user and then opens its logs.
            shutil.chown(folder, "proxy")
        if login:
            self._write_login(*login)
        self._settings = folder / "squid.conf"
        self._settings.write_text(
            _SETTINGS.format(
                address=address,
                port=port,
                folder=folder,
                login=_LOGINS[scheme].format(folder=folder) if login else "",
                known="http_access deny !known" if login else "",
            )
        )
        self._process = self._start()

    def restart(self) -> None:
        """Stop it, cutting every connection, and start it again."""
        self.stop()
        self._process = self._start()

    def stop(self) -> None:
        """End it and wait until it is gone."""
        self._process.stop()

    def log(self) -> list[str]:
        """Its access log: one line per request that has ended."""
        path = self.folder / "access.log"
        return path.read_text().splitlines() if path.exists() else []

    def _start(self) -> Process:
        # The service name marks its shared memory; two Squids of one name disturb each other.
        service = "".join(filter(str.isalnum, f"sofw{os.getpid()}{self.folder.parent.name}"))
        command = (SQUID or "squid", "-N", "-n", service, "-f", str(self._settings), "-d", "1")
        process = Process("squid", command, self.folder / "output.log", self._namespace)
        process.expect("Accepting HTTP Socket connections")
        return process

    def _write_login(self, user: str, password: str) -> None:
        """What its helpers for either kind of login read."""
        helper = self.folder / "login"
        helper.write_text(_HELPER.format(user=user, password=password))
        helper.chmod(0o755)
        (self.folder / "passwords").write_text(f"{user}:{password}\n")
