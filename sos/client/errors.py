"""What can go wrong, in words for the one who typed the command."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from minio.error import InvalidResponseError, MinioAdminException, S3Error, ServerError
from urllib3 import exceptions as http

TEXT_MAX = 300
_OF_ADMIN = ("Code", "Message", "BucketName", "Key", "Resource", "RequestId", "HostId")


class Failure(Exception):
    """A refusal or a fault, explained.

    :param code: the S3 or admin code, empty where the server said nothing
    :param detail: what the server said, for ``--json``
    """

    def __init__(self, message: str, code: str = "", detail: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.detail = message, code, detail or {}


class Missing(Failure):
    """No such object, file or bucket."""


class Stop(Exception):
    """Ends the command.

    :param what: what could not be done
    :param why: the error, explained when it is shown
    """

    def __init__(self, what: str, why: BaseException | None = None) -> None:
        super().__init__(what)
        self.what, self.why = what, why


class Cancelled(Exception):
    """The user interrupted a transfer."""


#: What talking to a server or to the file system raises.
FAULTS = (
    Failure, S3Error, ServerError, MinioAdminException, InvalidResponseError, ElementTree.ParseError, http.HTTPError,
    OSError, ValueError,
)  # fmt: skip


def explain(error: BaseException) -> Failure:
    """Any of ``FAULTS`` as a failure. Nothing in it comes from the credentials."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, S3Error):
        return _of_s3(error)
    if isinstance(error, MinioAdminException):
        return _of_admin(error)
    if isinstance(error, http.HTTPError):
        return _of_http(error)
    if isinstance(error, InvalidResponseError | ElementTree.ParseError):
        return Failure(f"The server's answer is not S3: {str(error)[:TEXT_MAX]}")
    if isinstance(error, OSError) and error.strerror:
        name = f" `{_name(error.filename)}`" if error.filename is not None else ""
        return Failure(f"{error.strerror}{name}")
    return Failure(str(error)[:TEXT_MAX] or type(error).__name__)


def _name(filename: object) -> str:
    return filename.decode(errors="replace") if isinstance(filename, bytes) else str(filename)


def _of_s3(error: S3Error) -> Failure:
    headers = error.response.headers
    # an answer to HEAD has no body: the code is in a header, or guessed by the library
    code = headers.get("x-minio-error-code") or error.code or ""
    message = (headers.get("x-minio-error-desc") or "").strip('"') or error.message or code
    named = {
        "Code": code,
        "Message": message,
        "BucketName": error.bucket_name or "",
        "Key": error.object_name or "",
        "Resource": error.resource or "",
        "RequestId": error.request_id or "",
        "HostId": error.host_id or "",
    }
    if code == "NoSuchBucket" and error.bucket_name:
        return Missing(f"Bucket `{error.bucket_name}` does not exist.", code, named)
    if code in ("NoSuchKey", "NoSuchVersion"):
        return Missing("Object does not exist", code, named)
    return Failure(message, code, named)


def _of_admin(error: MinioAdminException) -> Failure:
    status, body = error._code, error._body
    found = _parsed(str(body))
    named = {name: found[name] for name in _OF_ADMIN if found.get(name)}
    code = named.get("Code", "")
    return Failure(named.get("Message") or f"The server answered with status {status}.", code, named)


def _parsed(body: str) -> dict[str, str]:
    """The members of an error document; admin calls answer in JSON, and in XML before they know what was asked."""
    try:
        if body.lstrip().startswith("<"):
            root = ElementTree.fromstring(body)
            return {child.tag.rpartition("}")[2]: child.text or "" for child in root}
        found = json.loads(body)
    except (ValueError, ElementTree.ParseError):
        return {}
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _of_http(error: http.HTTPError) -> Failure:
    reason: object = error
    while isinstance(reason, http.MaxRetryError) and reason.reason is not None:
        reason = reason.reason
    where = (
        f"{error.pool.scheme}://{error.pool.host}:{error.pool.port}" if isinstance(error, http.MaxRetryError) else ""
    )
    at = f" {where}" if where else " the server"
    if isinstance(reason, http.NameResolutionError):
        return Failure(f"Cannot reach{at}: no such host.")
    if isinstance(reason, http.SSLError):
        return Failure(f"Cannot trust{at}: {str(reason)[:TEXT_MAX]} (`--insecure` takes any certificate).")
    # it is a ConnectTimeoutError too
    if isinstance(reason, http.NewConnectionError):
        return Failure(f"Cannot reach{at}: {_last(str(reason))}.")
    if isinstance(reason, http.TimeoutError):
        return Failure(f"Cannot reach{at}: no answer in time.")
    return Failure(f"The connection to{at} failed: {_last(str(reason))}.")


def _last(text: str) -> str:
    """What stands behind the last colon, where urllib3 has the cause, without Python's decoration."""
    return text.rpartition(": ")[2].replace("[Errno 111] ", "").strip("'\")(")[:TEXT_MAX] or text[:TEXT_MAX]
