"""A server behind an alias: minio-py for S3 and for the admin API, over one pool of connections."""

from __future__ import annotations

import os
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from xml.etree import ElementTree

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials.providers import Provider, StaticProvider
from minio.crypto import decrypt, encrypt
from minio.error import S3Error
from urllib3.response import BaseHTTPResponse

from .. import __version__
from .aliases import Alias, checked
from .errors import Failure

CONNECT_S, READ_S = 10.0, 300.0
RETRIES, BACKOFF_S = 3, 0.2
CONNECTIONS = 32
DEFAULT_REGION = "us-east-1"
_WRONG_REGION = ("AuthorizationHeaderMalformed", "InvalidRegion")


class S3(Minio):
    """minio-py, for users who may not ask where a bucket is, and for servers with a region of their own."""

    def _get_region(self, bucket_name: str | None = None) -> str:
        try:
            return super()._get_region(bucket_name)
        except S3Error as error:
            if error.code != "AccessDenied":
                raise
            return DEFAULT_REGION

    def _url_open(self, method: str, region: str, **named: Any) -> BaseHTTPResponse:  # type: ignore[override]
        headers = dict(named.pop("headers", None) or {})
        try:
            return super()._url_open(method, region, headers=dict(headers), **named)
        except S3Error as error:
            right = _region_of(error)
            if right in ("", region):
                raise
            if bucket := named.get("bucket_name"):
                self._region_map[bucket] = right
            return super()._url_open(method, right, headers=headers, **named)


def _region_of(error: S3Error) -> str:
    """The region that a server wants instead of the one in the signature; empty where that is not the matter."""
    if error.code not in _WRONG_REGION or not error.response.data:
        return ""
    root = ElementTree.fromstring(error.response.data.decode())
    return next((child.text or "" for child in root if child.tag.rpartition("}")[2] == "Region"), "")


@dataclass(frozen=True, slots=True)
class _Route:
    """Stands where minio-py has its enumeration of calls, which lacks some."""

    value: str


class Admin(MinioAdmin):
    """The admin API of MinIO and what this server adds to it."""

    def ask(
        self,
        call: str,
        query: dict[str, Any] | None = None,
        body: bytes | None = None,
        *,
        sealed: bool = False,
        opened: bool = False,
    ) -> bytes:
        """:param call: method and path below ``/minio/admin/v3/``
        :param sealed: the body goes encrypted; ``opened``: so does the answer
        """
        method, path = call.split(" ")
        secret = self._provider.retrieve().secret_key
        if sealed:
            body = encrypt(body or b"", secret)
        response = self._url_open(
            method=method,
            command=_Route(path),  # type: ignore[arg-type]
            query_params=query,
            body=body,
            preload_content=not opened,
        )
        return decrypt(response, secret) if opened else response.data


@dataclass(frozen=True, slots=True)
class Connection:
    """:param s3: what talks S3; :param admin: the admin API"""

    alias: Alias
    s3: S3
    admin: Admin


def connect(alias: Alias, directory: Path, insecure: bool = False, timeout_s: float = CONNECT_S) -> Connection:
    """Nothing is sent yet.

    :param directory: the client's, for ``certs/CAs``
    :raises Failure: an alias that cannot be used
    """
    checked(alias)
    parts = urlsplit(alias.url)
    secure = parts.scheme == "https"
    pool = _pool(alias.url, directory, insecure, timeout_s)
    token = alias.token or None
    keys: Provider | None = StaticProvider(alias.access_key, alias.secret_key, token) if alias.access_key else None
    s3 = S3(parts.netloc, secure=secure, credentials=keys, http_client=pool)
    style: Any = s3
    (style.enable_virtual_style_endpoint if alias.path in ("off", "dns") else style.disable_virtual_style_endpoint)()
    admin = Admin(
        endpoint=parts.netloc,
        secure=secure,
        credentials=keys or StaticProvider("anonymous", "anonymous"),
        http_client=pool,
    )
    for one in (s3, admin):
        cast(Any, one).set_app_info("sos-client", __version__)
    return Connection(alias, s3, admin)


def _pool(url: str, directory: Path, insecure: bool, connect_s: float) -> urllib3.PoolManager:
    retries = urllib3.Retry(
        total=RETRIES, connect=1, backoff_factor=BACKOFF_S, status_forcelist=(502, 503, 504), raise_on_status=False
    )
    settings: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=connect_s, read=READ_S),
        "retries": retries,
        "maxsize": CONNECTIONS,
        "ssl_context": _trust(directory, insecure),
    }
    proxy = _proxy(url)
    return urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)


def _proxy(url: str) -> str:
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme, "")
    return "" if urllib.request.proxy_bypass(parts.hostname or "") else proxy


def _trust(directory: Path, insecure: bool) -> ssl.SSLContext:
    """The machine's authorities (``SSL_CERT_FILE`` too) and those in mc's ``certs/CAs``."""
    context = ssl.create_default_context()
    if insecure:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    authorities = directory / "certs" / "CAs"
    for path in sorted(authorities.iterdir()) if authorities.is_dir() else []:
        if path.is_file() and os.access(path, os.R_OK):
            try:
                context.load_verify_locations(path)
            except ssl.SSLError:
                raise Failure(f"`{path}` is no certificate.") from None
    return context
