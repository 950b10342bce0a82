"""The configuration of both halves: the options, and the values they give.

The tables `HRAS_OPTIONS` and `HRAC_OPTIONS` are the whole truth about the two files; the samples in etc/sofw
are tested against them.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from attrs import field, frozen

from sofw.address import Transport, bracketed
from sofw.errors import ConfigError
from sofw.net.tls import TlsFiles
from sofw.service import kinds
from sofw.service.certificates import TLS_OPTIONS, tls_files
from sofw.service.settings import (
    Option,
    Values,
    read_secret_file,
    read_settings,
    refuse_world_readable,
    section,
)
from sofw.sip.proxy import transport_of
from sofw.sip.session_timer import SHORTEST
from sofw.sip.uri import Uri

HRAS_FILE = "/etc/sofw/hras.toml"
HRAC_FILE = "/etc/sofw/hrac.toml"


@frozen
class SipConfig:
    """Where a half speaks SIP: `address` is what peers are told, `listen` what is bound."""

    address: str
    listen: str
    port: int
    transports: tuple[Transport, ...]
    tls_port: int

    @property
    def secure_port(self) -> int | None:
        """The port for TLS, None without it."""
        return self.tls_port if Transport.TLS in self.transports else None


@frozen
class CallConfig:
    """What the proxy does for calls; sessions in seconds."""

    follow_redirects: bool
    session_expires: int
    min_session_expires: int


@frozen
class HttpConfig:
    """Where HRAS listens for tunnels, and how many connections it accepts, in all and from one address."""

    address: str
    port: int
    max_connections: int
    max_per_source: int


@frozen
class MediaConfig:
    """Relay ports: `first_port` is even; pairs lie within `first_port` to `last_port`. `tick` in seconds."""

    address: str
    listen: str
    first_port: int
    last_port: int
    tick: float


@frozen
class SilenceConfig:
    """After how many seconds without a packet a call (or one on hold) counts as gone."""

    silence: float
    held_silence: float


@frozen
class RegistrarConfig:
    """Limits of a registration, in seconds (RFC 3261 §10.3 step 7), contacts per user, digest algorithms."""

    min_expires: int
    max_expires: int
    default_expires: int
    max_contacts: int
    digests: tuple[str, ...]
    md5_agents: tuple[str, ...]


@frozen
class StateConfig:
    """Where a half keeps what survives a restart."""

    directory: str

    @property
    def database(self) -> str:
        """The path of the database."""
        return f"{self.directory}/hras.db"

    def switch(self, half: str) -> str:
        """The path of the file that is there while a half is switched off."""
        return f"{self.directory}/{half}.off"

    @property
    def rungs(self) -> str:
        """The path of HRAC's note of how the tunnel got through last time."""
        return f"{self.directory}/rungs.json"


@frozen
class ControlConfig:
    """The control socket; `group` may use it besides the owner ("" for none)."""

    socket: str
    group: str


@frozen
class ProxyConfig:
    """The web proxy between HRAC and HRAS; `user` is "" when it wants no login.

    `password` is what stood in `password_file` ("" for none), which may change later.
    """

    url: str
    user: str
    password: str = field(repr=False)
    password_file: str = ""


@frozen
class LimitsConfig:
    """Ceilings of what the tunnel takes of the network it is a guest in; 0 for none."""

    requests_per_second: float
    bytes_per_second: int


@frozen
class HrasConfig:
    """The outside half; `routes` says per foreign domain where its requests go instead of asking DNS.

    `tls` is None when phones cannot use it, as in HracConfig.
    """

    domains: tuple[str, ...]
    sip: SipConfig
    call: CallConfig
    http: HttpConfig
    media: MediaConfig
    silence: SilenceConfig
    registrar: RegistrarConfig
    routes: dict[str, Uri]
    state: StateConfig
    control: ControlConfig
    tls: TlsFiles | None


@frozen
class HracConfig:
    """The inside half; `hras` is the web address of HRAS, `proxy` None when it is reached straight."""

    site: str
    secret: bytes = field(repr=False)
    hras: str
    proxy: ProxyConfig | None
    sip: SipConfig
    media: MediaConfig
    limits: LimitsConfig
    state: StateConfig
    control: ControlConfig
    tls: TlsFiles | None


def _sip_options(example: str) -> tuple[Option, ...]:
    return (
        Option("sip.address", kinds.ADDRESS, example, required=True),
        Option("sip.listen", kinds.LISTEN, like=("sip.address",)),
        Option("sip.port", kinds.PORT, 5060),
        Option("sip.transports", kinds.TRANSPORTS, ["udp", "tcp"]),
        Option("sip.tls_port", kinds.PORT, 5061),
    )


_MEDIA_OPTIONS = (
    Option("media.address", kinds.ADDRESS, like=("sip.address",)),
    Option("media.listen", kinds.LISTEN, like=("media.address", "sip.listen")),
    Option("media.first_port", kinds.integer(1024, 65534, "an even port"), 20000),
    Option("media.last_port", kinds.integer(1025, 65535, "a port"), 29999),
    Option("media.tick", kinds.seconds(0, 0.02), 0.002),
)

HRAS_OPTIONS = (
    Option("domains", kinds.DOMAINS, ["example.com"], required=True),
    *_sip_options("203.0.113.10"),
    Option("sip.follow_redirects", kinds.SWITCH, False),
    Option("sip.session_expires", kinds.integer(SHORTEST, 86400), 1800),
    Option("sip.min_session_expires", kinds.integer(SHORTEST, 86400), SHORTEST),
    *TLS_OPTIONS,
    Option("http.address", kinds.LISTEN, like=("sip.listen",)),
    Option("http.port", kinds.PORT, 80),
    Option("http.max_connections", kinds.integer(10, 50000), 4000),
    Option("http.max_per_source", kinds.integer(4, 50000), 500),
    *_MEDIA_OPTIONS,
    Option("media.silence", kinds.seconds(5, 86400), 60),
    Option("media.held_silence", kinds.seconds(5, 86400), 600),
    Option("registrar.min_expires", kinds.integer(1, 86400), 60),
    Option("registrar.max_expires", kinds.integer(1, 86400), 7200),
    Option("registrar.default_expires", kinds.integer(1, 86400), 3600),
    Option("registrar.max_contacts", kinds.integer(1, 100), 10),
    Option("registrar.digests", kinds.DIGESTS, ["SHA-256", "MD5"]),
    Option("registrar.md5_agents", kinds.AGENTS, ["baresip v0.", "baresip v1."]),
    Option("routes", kinds.ROUTE, names=kinds.DOMAIN),
    Option("state.directory", kinds.PATH, "/var/lib/sofw"),
    Option("control.socket", kinds.PATH, "/run/sofw/hras.sock"),
    Option("control.group", kinds.NAME, ""),
)

HRAC_OPTIONS = (
    Option("site", kinds.SITE, "head-office", required=True),
    Option("secret", kinds.SECRET, ""),
    Option("secret_file", kinds.OPTIONAL_PATH, ""),
    Option("hras", kinds.URL, "http://203.0.113.10", required=True),
    Option("proxy.url", kinds.PROXY_URL, ""),
    Option("proxy.user", kinds.NAME, ""),
    Option("proxy.password", kinds.PASSWORD, ""),
    Option("proxy.password_file", kinds.OPTIONAL_PATH, ""),
    *_sip_options("192.168.1.10"),
    *TLS_OPTIONS,
    *_MEDIA_OPTIONS,
    Option("limits.requests_per_second", kinds.RATE, 0),
    Option("limits.bytes_per_second", kinds.BANDWIDTH, 0),
    Option("state.directory", kinds.PATH, "/var/lib/sofw"),
    Option("control.socket", kinds.PATH, "/run/sofw/hrac.sock"),
    Option("control.group", kinds.NAME, ""),
)


def load_hras(path: str = HRAS_FILE) -> HrasConfig:
    """The checked configuration of HRAS. Raises ConfigError."""
    values = read_settings(path, HRAS_OPTIONS)
    sip, media = section(values, "sip"), section(values, "media")
    call = CallConfig(*map(sip.pop, ("follow_redirects", "session_expires", "min_session_expires")))
    silence = SilenceConfig(media.pop("silence"), media.pop("held_silence"))
    config = HrasConfig(
        domains=values["domains"],
        sip=SipConfig(**sip),
        call=call,
        http=HttpConfig(**section(values, "http")),
        media=MediaConfig(**media),
        silence=silence,
        registrar=RegistrarConfig(**section(values, "registrar")),
        routes=values["routes"],
        state=StateConfig(**section(values, "state")),
        control=ControlConfig(**section(values, "control")),
        tls=tls_files(path, values),
    )
    _check_ports(path, config.sip, config.media)
    _check_expires(path, config.registrar)
    _check_session(path, config.call)
    _check_routes(path, config)
    return config


def load_hrac(path: str = HRAC_FILE) -> HracConfig:
    """The checked configuration of HRAC. Raises ConfigError."""
    values = read_settings(path, HRAC_OPTIONS)
    config = HracConfig(
        site=values["site"],
        secret=_site_secret(path, values).encode(),
        hras=values["hras"],
        proxy=_proxy(path, values),
        sip=SipConfig(**section(values, "sip")),
        media=MediaConfig(**section(values, "media")),
        limits=LimitsConfig(**section(values, "limits")),
        state=StateConfig(**section(values, "state")),
        control=ControlConfig(**section(values, "control")),
        tls=tls_files(path, values),
    )
    _check_ports(path, config.sip, config.media)
    return config


def _site_secret(path: str, values: Values) -> str:
    if bool(values["secret"]) == bool(values["secret_file"]):
        problem = "give either secret or secret_file; `sofw site add` on HRAS makes one"
        raise ConfigError(path, "secret", problem)
    secret = _secret(path, values, "secret")
    if len(secret) < kinds.SECRET_LENGTH:
        raise ConfigError(path, "secret_file", f"the secret has fewer than {kinds.SECRET_LENGTH} characters")
    return secret


def _proxy(path: str, values: Values) -> ProxyConfig | None:
    proxy = section(values, "proxy")
    if not proxy["url"]:
        _refuse_without(path, proxy, "url", ("user", "password", "password_file"))
        return None
    if not proxy["user"]:
        _refuse_without(path, proxy, "user", ("password", "password_file"))
    elif ":" in proxy["user"]:
        raise ConfigError(path, "proxy.user", "holds a colon, which a Basic login cannot carry (RFC 7617 §2)")
    if proxy["password"] and proxy["password_file"]:
        raise ConfigError(path, "proxy.password", "give either password or password_file, not both")
    url, user = proxy["url"], proxy["user"]
    password = _secret(path, values, "proxy.password")
    if url != kinds.ENVIRONMENT:
        return ProxyConfig(url, user, password, proxy["password_file"])
    found = _read_environment(path, values["hras"])
    if found is None:
        return None
    return found if not user else ProxyConfig(found.url, user, password, proxy["password_file"])


def _read_environment(path: str, hras: str) -> ProxyConfig | None:
    """The proxy that `http_proxy` names, unless `no_proxy` leaves out HRAS; as curl and others read them."""
    named = getproxies().get("http", "")
    if not named or proxy_bypass(urlsplit(hras).netloc):
        return None
    try:
        parts = urlsplit(named if "://" in named else f"http://{named}")
        port = f":{parts.port}" if parts.port else ":80"
        url = kinds.PROXY_URL.read(f"{parts.scheme}://{bracketed(parts.hostname or '')}{port}")
    except ValueError:
        problem = "http_proxy in the environment is not of the form http://host:port"
        raise ConfigError(path, "proxy.url", problem) from None
    return ProxyConfig(url, unquote(parts.username or ""), unquote(parts.password or ""))


def _refuse_without(path: str, given: Values, needed: str, names: tuple[str, ...]) -> None:
    for name in names:
        if given[name]:
            raise ConfigError(path, f"proxy.{name}", f"is of no use without proxy.{needed}")


def _secret(path: str, values: Values, key: str) -> str:
    """The secret at `key`, or in the file named by `key`_file; "" when neither is given."""
    if values[f"{key}_file"]:
        return read_secret_file(path, f"{key}_file", values[f"{key}_file"])
    if values[key]:
        refuse_world_readable(path, key, path)
    return str(values[key])


def _check_ports(path: str, sip: SipConfig, media: MediaConfig) -> None:
    """RTP stands on an even port and RTCP on the odd one above it (RFC 3550 §11)."""
    if media.first_port % 2:
        raise ConfigError(path, "media.first_port", f"{media.first_port} is not allowed; it must be even")
    if media.last_port <= media.first_port:
        problem = f"{media.last_port} is not allowed; it must be above first_port, {media.first_port}"
        raise ConfigError(path, "media.last_port", problem)
    if Transport.UDP in sip.transports and media.first_port <= sip.port <= media.last_port:
        problem = f"{sip.port} is not allowed; it lies within the media ports"
        raise ConfigError(path, "sip.port", problem)
    if Transport.TCP in sip.transports and sip.secure_port == sip.port:
        raise ConfigError(path, "sip.tls_port", f"{sip.tls_port} is not allowed; it is the port for TCP")


def _check_routes(path: str, config: HrasConfig) -> None:
    for domain, uri in config.routes.items():
        if domain in config.domains:
            raise ConfigError(path, f"routes.{domain}", "is one of our own domains; its users are known here")
        transport = transport_of(uri)
        named = uri.scheme == "sips" or uri.has_param("transport")
        if named and transport not in config.sip.transports:
            problem = f"{str(uri)!r} is not allowed; sip.transports has no {transport.value.lower()}"
            raise ConfigError(path, f"routes.{domain}", problem)


def _check_session(path: str, call: CallConfig) -> None:
    if call.session_expires < call.min_session_expires:
        problem = f"{call.session_expires} is not allowed; it is less than sip.min_session_expires"
        raise ConfigError(path, "sip.session_expires", problem)


def _check_expires(path: str, registrar: RegistrarConfig) -> None:
    if not registrar.min_expires <= registrar.default_expires <= registrar.max_expires:
        problem = (
            f"{registrar.default_expires} is not allowed; it must lie between min_expires,"
            f" {registrar.min_expires}, and max_expires, {registrar.max_expires}"
        )
        raise ConfigError(path, "registrar.default_expires", problem)
