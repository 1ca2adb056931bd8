"""Addresses of objects in replies."""

from __future__ import annotations

from ..http.message import Request
from .xml.text import url_key


def location(request: Request, bucket: str, key: bytes) -> str:
    """The object's address by the host that the client used, path style unless the bucket is in the host's name."""
    host = request.headers.get("host")
    base = f"{'https' if request.secure else 'http'}://{host}" if host else ""
    path = url_key(key) if host.startswith(bucket + ".") else f"{bucket}/{url_key(key)}"
    return f"{base}/{path}"
