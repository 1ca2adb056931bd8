"""Which access key a request names, whether or not its signature holds: to tell an operator who was refused."""

from __future__ import annotations

import re

from ...domain.errors import StoreError
from ...http.message import Request
from ...services.identity.principal import ANONYMOUS, Principal
from .identity import KeyLookup
from .query import parse_query

_HEADER = re.compile(r"(?:\bCredential=|^\s*AWS )([^/:,\s]{1,128})[/:]")
_PARAMETERS = ("X-Amz-Credential", "AWSAccessKeyId")


def claimed(request: Request, keys: KeyLookup) -> Principal:
    """Whose key it names, anonymous for none and for one that is not known: what is no access key may be a secret that
    somebody put in its place.
    """
    found = _HEADER.search(request.headers.get("authorization"))
    name = found[1] if found else ""
    try:
        query = dict(parse_query(request.query)) if request.query and not name else {}
        name = name or next((query[one].partition("/")[0] for one in _PARAMETERS if query.get(one)), "")
        credentials = keys(name) if name else None
    except StoreError:
        return ANONYMOUS
    return ANONYMOUS if credentials is None else credentials.principal
