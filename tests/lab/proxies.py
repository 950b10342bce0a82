"""Web proxies of Debian, each as a child process with settings of its own, as shipped where that matters."""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from sofw.demo.process import Process, until

_TINYPROXY = """\
Port {port}
Listen {address}
Timeout 600
MaxClients 100
LogLevel Error
"""
_PRIVOXY = """\
confdir /etc/privoxy
logdir {folder}
actionsfile match-all.action
actionsfile default.action
filterfile default.filter
listen-address {address}:{port}
keep-alive-timeout 5
tolerate-pipelining 1
socket-timeout 300
"""
_APACHE = """\
ServerRoot {folder}
ServerName proxy
PidFile {folder}/pid
ErrorLog {folder}/error.log
User www-data
Group www-data
Listen {address}:{port}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
ProxyRequests On
<Proxy *>
Require all granted
</Proxy>
"""
_NGINX = """\
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {address}:{port};
    location / {{ proxy_pass http://{origin}; }}
  }}
}}
"""
_HAPROXY = """\
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
frontend web
  bind {address}:{port}
  default_backend hras
backend hras
  server hras {origin}
"""


@frozen
class Kind:
    """A web proxy: its name, command ("{file}" stands for its settings) and settings.

    A `reverse` one stands in front of HRAS, and HRAC takes it for HRAS itself.
    """

    name: str
    command: tuple[str, ...]
    settings: str
    reverse: bool = False


TINYPROXY = Kind("tinyproxy", ("tinyproxy", "-d", "-c", "{file}"), _TINYPROXY)
PRIVOXY = Kind("privoxy", ("privoxy", "--no-daemon", "{file}"), _PRIVOXY)
APACHE = Kind("apache2", ("apache2", "-D", "FOREGROUND", "-f", "{file}"), _APACHE)
NGINX = Kind("nginx", ("nginx", "-e", "stderr", "-g", "daemon off;", "-c", "{file}"), _NGINX, reverse=True)
HAPROXY = Kind("haproxy", ("haproxy", "-db", "-f", "{file}"), _HAPROXY, reverse=True)


class WebProxy:
    """One that runs, on an address of loopback, in front of everything or of `origin`; to be stopped."""

    def __init__(self, kind: Kind, folder: Path, address: str, port: int, origin: str) -> None:
        self.url = f"http://{address}:{port}"
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            # Some give up root, and write into their folder then.
            folder.chmod(0o777)
        settings = folder / "settings"
        settings.write_text(kind.settings.format(folder=folder, address=address, port=port, origin=origin))
        program = shutil.which(kind.command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        arguments = [each.format(file=settings) for each in kind.command[1:]]
        self._process = Process(kind.name, (program or kind.command[0], *arguments), folder / "output.log")
        until(lambda: self._answers(address, port), 10.0, f"{kind.name} to listen")

    def stop(self) -> None:
        """End it and wait until it is gone."""
        self._process.stop()

    def _answers(self, address: str, port: int) -> bool:
        with suppress(OSError):
            socket.create_connection((address, port), 1).close()
            return True
        return False
