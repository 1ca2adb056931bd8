"""Every setting of the server, once: its default, where it may come from and what it means."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from .values import COUNT, NETWORKS, PATHS, SECONDS, SIZE, SWITCH, TEXT, WORDS, Kind, choice

DEFAULT_USER = "minioadmin"
DEFAULT_PASSWORD = "minioadmin"


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of one setting besides its value.

    :param section: table of the TOML file
    :param names: environment names without their ``MINIO_`` or ``SOS_``; earlier ones win, the rest are old names
    :param flags: of the command line; empty for none
    :param secret: shown masked
    :param file_twin: a variable with ``_FILE`` appended may name a file that holds the value
    :param live: taken over by a reload (SIGHUP); others need a restart
    """

    name: str
    section: str
    kind: Kind
    default: Any
    help: str
    names: tuple[str, ...]
    flags: tuple[str, ...] = ()
    secret: bool = False
    file_twin: bool = False
    live: bool = False


def _option(section: str, kind: Kind, default: Any, help: str, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"section": section, "kind": kind, "help": help, **more})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one server. Times in seconds, sizes in bytes."""

    address: str = _option(
        "server", TEXT, ":9000",
        "Address of the S3 and admin API, [host]:port. Without a host: every address of the machine, but only loopback "
        "while the credentials are the default ones.",
        flags=("--address",),
    )  # fmt: skip
    console_address: str = _option(
        "server", TEXT, ":9001", "Address of the web console, [host]:port.", flags=("--console-address",)
    )
    volumes: tuple[str, ...] = _option(
        "server", PATHS, (), "Drives: directories, or patterns like /data{1...4}; several patterns are several pools.",
        names=("VOLUMES", "ARGS", "ENDPOINTS"),
    )  # fmt: skip
    workers: int = _option("server", COUNT, 0, "Worker processes; 0 is one for each core.", flags=("--workers",))
    region: str = _option(
        "server", TEXT, "", "Region of this site. Empty: any region is accepted in a signature.",
        names=("SITE_REGION", "REGION", "REGION_NAME"), live=True,
    )  # fmt: skip
    domains: tuple[str, ...] = _option(
        "server", WORDS, (), "Domains under which BUCKET.DOMAIN names a bucket.", names=("DOMAIN",)
    )
    cors_allow_origin: tuple[str, ...] = _option(
        "server", WORDS, ("*",), "Origins whose browsers may use the S3 API; each may hold one *.",
        names=("API_CORS_ALLOW_ORIGIN",), live=True,
    )  # fmt: skip
    trusted_proxies: tuple[str, ...] = _option(
        "server", NETWORKS, (),
        "Reverse proxies, as addresses or networks, whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )  # fmt: skip
    server_url: str = _option("server", TEXT, "", "Public URL of the S3 API, where it differs from the address.")
    prometheus_auth: str = _option(
        "server", choice("jwt", "public"), "jwt",
        "Who may read metrics: the bearer of a token (mc admin prometheus generate), or anybody.",
        names=("PROMETHEUS_AUTH_TYPE",),
    )  # fmt: skip
    certs_dir: str = _option(
        "server",
        TEXT,
        "",
        "Directory with public.crt and private.key (TLS is on where they are), and further pairs in sub-directories by name.",
        flags=("--certs-dir", "-S"),
    )
    root_user: str = _option(
        "credentials", TEXT, DEFAULT_USER, "Root user, 3 characters or more.",
        names=("ROOT_USER", "ACCESS_KEY"), file_twin=True,
    )  # fmt: skip
    root_password: str = _option(
        "credentials", TEXT, DEFAULT_PASSWORD, "Its password, 8 characters or more.",
        names=("ROOT_PASSWORD", "SECRET_KEY"), file_twin=True, secret=True,
    )  # fmt: skip
    root_user_old: str = _option(
        "credentials", TEXT, "", "Root user before a change of the root credentials, for the start that changes them.",
        names=("ROOT_USER_OLD", "ACCESS_KEY_OLD"), file_twin=True,
    )  # fmt: skip
    root_password_old: str = _option(
        "credentials", TEXT, "", "Its password then.",
        names=("ROOT_PASSWORD_OLD", "SECRET_KEY_OLD"), file_twin=True, secret=True,
    )  # fmt: skip
    root_access: bool = _option(
        "credentials", SWITCH, True, "The root credentials may be used; its service accounts and other users always may.",
        names=("API_ROOT_ACCESS",), live=True,
    )  # fmt: skip
    sts_duration_s: float = _option(
        "credentials", SECONDS, 0.0, "Life of all temporary credentials, whatever is asked for; 0 is as asked, 1 h by default.",
        names=("STS_DURATION",),
    )  # fmt: skip
    allow_default_credentials: bool = _option(
        "credentials", SWITCH, False, "Listen beyond loopback with the default credentials. For closed test networks only.",
        flags=("--allow-default-credentials",),
    )  # fmt: skip
    storage_class_standard: str = _option(
        "storage",
        TEXT,
        "",
        "Parity of STANDARD as EC:n; empty: by the size of the set (1: 0, 2-3: 1, 4-5: 2, 6-7: 3, 8-16: 4).",
        live=True,
    )
    storage_class_rrs: str = _option(
        "storage", TEXT, "", "Parity of REDUCED_REDUNDANCY as EC:n; empty: EC:1.", live=True
    )
    set_drive_count: int = _option(
        "storage", COUNT, 0, "Drives of one erasure set, 2 to 16; 0 chooses the largest that spreads evenly.",
        names=("ERASURE_SET_DRIVE_COUNT",),
    )  # fmt: skip
    reserve_bytes: int = _option(
        "storage", SIZE, 0,
        "Space kept free on each drive so that deletes and recovery always work; 0 is 1/256 of it, 16 MiB to 1 GiB.",
    )  # fmt: skip
    inline_bytes_max: int = _option(
        "storage", SIZE, 128 << 10, "Objects up to this size are stored in the index, beside their record."
    )
    drive_deadline_s: float = _option(
        "storage",
        SECONDS,
        20.0,
        "A drive that takes longer for one write is left out, or half as long again for one sync.",
        names=("DRIVE_MAX_TIMEOUT",),
        live=True,
    )
    buffers_bytes_max: int = _option(
        "limits", SIZE, 160 << 20,
        "Memory of all workers together for payloads on their way; up to four times as much for those of slow clients.",
    )
    requests_max: int = _option(
        "limits", COUNT, 0, "Requests under way in one worker before others are asked to slow down; 0 is 4,096.",
        names=("API_REQUESTS_MAX",), live=True,
    )  # fmt: skip
    connections_max: int = _option("limits", COUNT, 16384, "Open client connections of one worker.")
    head_timeout_s: float = _option(
        "limits",
        SECONDS,
        15.0,
        "Time for a client to send the head of a request.",
        names=("READ_HEADER_TIMEOUT",),
        flags=("--read-header-timeout",),
    )
    body_timeout_s: float = _option("limits", SECONDS, 30.0, "Longest silence of a client inside a body, either way.")
    idle_timeout_s: float = _option(
        "limits", SECONDS, 120.0, "Time an idle connection is kept.", names=("IDLE_TIMEOUT",), flags=("--idle-timeout",)
    )
    drain_timeout_s: float = _option(
        "limits",
        SECONDS,
        30.0,
        "Time for requests under way when the server stops.",
        names=("SHUTDOWN_TIMEOUT",),
        flags=("--shutdown-timeout",),
    )
    silence_s: float = _option(
        "limits", SECONDS, 5.0, "A worker whose event loop stands still for this long is replaced."
    )
    log_level: str = _option(
        "log", choice("debug", "info", "warning", "error"), "info", "Least severe message that is logged.", live=True
    )
    log_json: bool = _option("log", SWITCH, False, "Log lines as JSON objects.", flags=("--json",))
    quiet: bool = _option("log", SWITCH, False, "No banner at start.", flags=("--quiet", "-q"))
    anonymous: bool = _option("log", SWITCH, False, "Hide bucket and object names in the log.", flags=("--anonymous",))

    @property
    def default_credentials(self) -> bool:
        """Whether the password is the one that everybody knows."""
        return self.root_user == DEFAULT_USER and self.root_password == DEFAULT_PASSWORD

    def __repr__(self) -> str:
        shown = ", ".join(f"{o.name}={display(o, getattr(self, o.name))}" for o in OPTIONS)
        return f"Settings({shown})"


def _describe(field: dataclasses.Field[Any]) -> Option:
    more = dict(field.metadata)
    own = field.name.removesuffix("_s").upper()
    names = more.pop("names", (own,))
    if own not in names:
        names = (*names, own)
    return Option(name=field.name, default=field.default, names=names, **more)


OPTIONS: tuple[Option, ...] = tuple(_describe(field) for field in dataclasses.fields(Settings))
BY_NAME = {option.name: option for option in OPTIONS}


def display(option: Option, value: Any) -> str:
    """The value as text for people; secrets masked."""
    return '"********"' if option.secret else option.kind.show(value)
