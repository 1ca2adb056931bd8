"""Who uploads a form, and whether its policy permits what it holds.

Source: S3 API, "POST Policy" and "Authenticating requests: browser-based uploads using POST".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import msgspec

from ...domain.errors import AccessDenied, InvalidArgument
from . import canonical, sigv2
from .accounts import find, parse_scope
from .errors import (
    AuthorizationParametersError,
    AuthorizationQueryParametersError,
    InvalidPolicyDocument,
    MalformedDate,
    MissingFields,
    PolicyRefused,
    RequestExpired,
    SignatureDoesNotMatch,
)
from .form import Form
from .identity import Identity, KeyLookup, Scheme
from .moments import parse_iso, parse_stamp
from .sigv4 import Place, check_region

POLICY_BYTES_MAX = 256 * 1024
CONDITIONS_MAX = 1000
SIZE_MAX = 5 * 1024**4

UNCOVERED = frozenset(
    {
        "policy",
        "file",
        "signature",
        "awsaccesskeyid",
        "x-amz-signature",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-customer-key-md5",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-context",
    }
)
"""Fields that the policy need not mention."""

SIGNING = frozenset({"policy", "signature", "awsaccesskeyid", "x-amz-signature", "x-amz-credential"})
FILE_NAME = "${filename}"


class Granted(msgspec.Struct, frozen=True):
    """A form upload that may go on.

    :param fields: the form's fields, ``${filename}`` filled in
    :param size_min: bytes the file must have at least
    :param size_max: and at most
    """

    identity: Identity
    fields: dict[str, str]
    size_min: int = 0
    size_max: int = SIZE_MAX


def check_form(form: Form, bucket: str, keys: KeyLookup, region: str, now_s: float) -> Granted:
    """Authenticate a form and hold it against its policy.

    :param bucket: the bucket of the request's target; a field ``bucket`` never overrides it
    :raises AuthError, AccessDenied, InvalidArgument
    """
    if not form.fields.get("key"):
        raise InvalidArgument(
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."
        )
    if form.fields.get("bucket", bucket) != bucket:
        raise AccessDenied("The bucket field of the form is not the bucket of the request.")
    fields = _expanded(form)
    if SIGNING.isdisjoint(fields):
        return Granted(Identity(anonymous=True, scheme=Scheme.FORM), fields)
    if "policy" not in fields:
        raise MissingFields()
    identity = _authenticate(fields, keys, region)
    low, high = check_policy(fields["policy"], fields | {"bucket": bucket}, now_s)
    return Granted(identity, fields, low, high)


def check_policy(encoded: str, fields: dict[str, str], now_s: float) -> tuple[int, int]:
    """Hold fields against a base64 policy document; the permitted (least, largest) size of the file in bytes.

    :raises InvalidPolicyDocument, RequestExpired, PolicyRefused, AccessDenied
    """
    document = _decode(encoded)
    expiration = document.get("expiration")
    deadline_s = parse_iso(expiration) if isinstance(expiration, str) else None
    if deadline_s is None:
        raise InvalidPolicyDocument("The expiration of the policy is missing or malformed.")
    if now_s > deadline_s:
        raise RequestExpired("Invalid according to Policy: Policy expired.")
    covered: set[str] = set()
    low, high = 0, SIZE_MAX
    for condition in _conditions(document):
        if condition[0] == "content-length-range":
            first, last = _size_range(condition)
            low, high = max(low, first), min(high, last)
        else:
            covered.add(_check(condition, fields))
    for name in fields:
        if name not in covered and name not in UNCOVERED and not name.startswith("x-ignore-"):
            raise AccessDenied(
                "Each form field that you specify in a form must appear in the list of policy conditions. "
                f'"{name[:64]}" not specified in the policy.'
            )
    return low, high


def _expanded(form: Form) -> dict[str, str]:
    """Fields with ``${filename}`` replaced by the last segment of the file's name."""
    base = form.file_name.replace("\\", "/").rpartition("/")[2]
    return {n: v if n in SIGNING else v.replace(FILE_NAME, base) for n, v in form.fields.items()}


def _authenticate(fields: dict[str, str], keys: KeyLookup, region: str) -> Identity:
    v2 = {"signature", "awsaccesskeyid"} & fields.keys()
    v4 = {"x-amz-signature", "x-amz-credential", "x-amz-algorithm"} & fields.keys()
    if v2 and v4:
        raise MissingFields("Only one authentication mechanism is allowed in a form.")
    if len(v2) == 2:
        return _authenticate_v2(fields, keys)
    if len(v4) == 3 and "x-amz-date" in fields:
        return _authenticate_v4(fields, keys, region)
    raise MissingFields()


def _authenticate_v2(fields: dict[str, str], keys: KeyLookup) -> Identity:
    found = find(keys, fields["awsaccesskeyid"], fields.get("x-amz-security-token", ""))
    if not canonical.same(sigv2.sign(found.secret_key, fields["policy"].encode()), fields["signature"]):
        raise SignatureDoesNotMatch()
    return Identity(found.access_key, scheme=Scheme.FORM, version=2, principal=found.principal)


def _authenticate_v4(fields: dict[str, str], keys: KeyLookup, region: str) -> Identity:
    if fields["x-amz-algorithm"] != canonical.ALGORITHM:
        raise AuthorizationQueryParametersError("x-amz-algorithm only supports AWS4-HMAC-SHA256.")
    scope, stamp = parse_scope(fields["x-amz-credential"]), fields["x-amz-date"]
    if scope is None or scope.terminator != "aws4_request":
        raise AuthorizationQueryParametersError()
    if scope.service != "s3":
        raise AuthorizationParametersError()
    moment_s = parse_stamp(stamp)
    if moment_s is None or scope.date != stamp[:8]:
        raise MalformedDate()
    if not check_region(scope.region, Place(region, "s3")):
        raise AuthorizationQueryParametersError(f"The region is wrong; expecting '{region}'.", Region=region)
    found = find(keys, scope.access_key, fields.get("x-amz-security-token", ""))
    key = canonical.signing_key(found.secret_key, scope.date, scope.region, "s3")
    if not canonical.same(canonical.sign(key, fields["policy"].encode()), fields["x-amz-signature"]):
        raise SignatureDoesNotMatch()
    return Identity(found.access_key, scheme=Scheme.FORM, version=4, signed_at_s=moment_s, principal=found.principal)


def _decode(encoded: str) -> dict[str, Any]:
    if len(encoded) > POLICY_BYTES_MAX:
        raise InvalidPolicyDocument()
    try:
        compact = "".join(encoded.split())  # tools wrap base64 into lines; the signature is over the text as sent
        document = msgspec.json.decode(base64.b64decode(compact, validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        raise InvalidPolicyDocument("The policy is not the base64 of a JSON document.") from None
    if not isinstance(document, dict):
        raise InvalidPolicyDocument()
    if document.keys() - {"expiration", "conditions"}:
        raise InvalidPolicyDocument("The policy has an unknown element.")
    return document


def _conditions(document: dict[str, Any]) -> list[list[Any]]:
    """Conditions in list form: operator and operands."""
    given = document.get("conditions")
    if not isinstance(given, list) or len(given) > CONDITIONS_MAX:
        raise InvalidPolicyDocument("The conditions of the policy are missing or too many.")
    conditions: list[list[Any]] = []
    for item in given:
        if isinstance(item, dict) and item:
            conditions += [["eq", f"${name}", value] for name, value in item.items()]
        elif isinstance(item, list) and len(item) == 3 and isinstance(item[0], str):
            conditions.append([item[0].lower(), *item[1:]])
        else:
            raise InvalidPolicyDocument("A condition of the policy is malformed.")
    return conditions


def _size_range(condition: list[Any]) -> tuple[int, int]:
    sizes = []
    for value in condition[1:]:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidPolicyDocument("The content-length-range of the policy is malformed.")
        sizes.append(value)
    return sizes[0], sizes[1]


def _starts_with(name: str, value: str, wanted: str) -> bool:
    if name == "content-type":  # a list of types: each must match
        return all(piece.strip(" \t").startswith(wanted) for piece in value.split(","))
    return value.startswith(wanted)


OPERATORS: dict[str, Callable[[str, str, str], bool]] = {
    "eq": lambda _name, value, wanted: value == wanted,
    "starts-with": _starts_with,
}


def _check(condition: list[Any], fields: dict[str, str]) -> str:
    """Hold one condition against the fields; the field's name."""
    operator, field, wanted = condition
    holds = OPERATORS.get(operator)
    if holds is None or not isinstance(field, str) or field[:1] != "$" or not isinstance(wanted, str):
        raise InvalidPolicyDocument("A condition of the policy is malformed.")
    name = field[1:].lower()
    if not holds(name, fields.get(name, ""), wanted):
        # worded as by MinIO, without quotes: clients look for it in the XML as it stands
        raise PolicyRefused(f"Invalid according to Policy: Policy Condition failed: [{operator}, {field}, {wanted}]")
    return name
