"""Headers that a presigned request carries in its query.

Some SDKs move ``x-amz-*`` headers into the query of the links they sign (that for JavaScript does). They are taken for the
headers they were, in the one place from which routing, conditions of policies and handlers have their headers: what one of
them sees the others see. Version 4 signs the whole query, so nobody can add one to a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...http.message import Headers, Request
from .errors import AuthorizationQueryParametersError
from .sigv4 import PARAMETERS

PREFIX = "x-amz-"
OF_SIGNATURE = frozenset({*map(str.lower, PARAMETERS), "x-amz-content-sha256", "x-amz-security-token"})
OF_BODY = frozenset({"x-amz-trailer", "x-amz-decoded-content-length", "x-amz-sdk-checksum-algorithm"})
"""What is known of a body when a link to send one is signed is nothing: SDKs then sign checksums of an empty one. Neither
AWS nor MinIO looks at those."""
CHECKSUM = "x-amz-checksum-"
CHECKSUM_WISHES = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"})
_is_name = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_is_value = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*").fullmatch


def with_hoisted(request: Request, query: Mapping[str, str], pairs: Iterable[tuple[str, str]]) -> Request:
    """The request with the headers of its query, where it claims to be presigned with version 4. It is to be
    authenticated as it came, before anything is made of this one.

    :param query: the first value of each name
    :raises AuthorizationQueryParametersError: it has one of them twice, or one that no header can be
    """
    if "X-Amz-Signature" not in query:
        return request
    found: dict[str, str] = {}
    for name, value in pairs:
        lower = name.lower()
        if not _is_hoisted(lower):
            continue
        text = value.encode().decode("latin-1").strip(" \t")  # as the bytes of a header are read
        if not (_is_name(lower) and _is_value(text)):
            raise AuthorizationQueryParametersError("A parameter of the query cannot be a header.")
        if found.get(lower, text) != text or any(one != text for one in request.headers.all(lower)):
            raise AuthorizationQueryParametersError(f"{lower[:64]} is given twice.")
        found[lower] = text
    more = [item for item in found.items() if item[0] not in request.headers]
    return replace(request, headers=Headers([*request.headers.items, *more])) if more else request


def _is_hoisted(name: str) -> bool:
    if not name.startswith(PREFIX) or name in OF_SIGNATURE or name in OF_BODY:
        return False
    return not name.startswith(CHECKSUM) or name in CHECKSUM_WISHES
