"""PostObject: uploads from an HTML form. The form carries its own signature and policy."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

from ...domain.conditions import NO_CONDITIONS
from ...domain.errors import InvalidArgument
from ...domain.names import check_key
from ...http.message import Headers, Reply, Request
from ...meta.proposals import Done
from ..auth.form import open_file, parse_form
from ..auth.form_policy import check_form
from ..call import Call
from ..describe import Fields
from ..limits import check_headers
from ..patience import patiently
from ..template import check_tag_set, read_tags, read_template
from ..urls import location
from ..xml import documents
from ..xml.requests import parse_tagging
from .writing import made

TAGS = "x-amz-tagging"


def _headers(fields: dict[str, str]) -> Headers:
    """The fields as the headers that PutObject would have, in the encoding of headers.

    :raises InvalidArgument: a value that no header may hold
    """
    items = []
    for name, value in fields.items():
        if name.startswith("x-amz-meta-") or name in _STANDARD:
            if any(char < " " or char == "\x7f" for char in value):
                raise InvalidArgument(f"The form field {name[:64]} contains control characters.")
            items.append((_STANDARD.get(name, name), value.encode().decode("latin-1")))
        elif name.startswith("x-amz-"):
            items.append((name, value))
    return _with_tags(Headers(items), fields.get("tagging", ""))


def _with_tags(headers: Headers, tagging: str) -> Headers:
    """With the tags of the field ``tagging``, which is XML, as PutObject has them."""
    if not tagging:
        return headers
    tags = read_tags(headers.get(TAGS)) | check_tag_set(parse_tagging(tagging.encode()).pairs)
    return Headers([*(item for item in headers.items if item[0] != TAGS), (TAGS, urlencode(tags))])


def _as_signed(request: Request, headers: Headers) -> Request:
    """The request as policies see it: what it asks for stands in the form. A header or a parameter that says the same is
    covered by no signature, and counts for nothing.
    """
    own = [item for item in request.headers.items if not item[0].startswith("x-amz-") and item[0] not in headers]
    return replace(request, headers=Headers([*own, *headers.items]), query=b"")


_STANDARD = {
    "acl": "x-amz-acl",
    "cache-control": "cache-control",
    "content-disposition": "content-disposition",
    "content-encoding": "content-encoding",
    "content-language": "content-language",
    "content-type": "content-type",
    "expires": "expires",
    "x-amz-website-redirect-location": "x-amz-website-redirect-location",
}
"""Form field → header."""


async def post_object(call: Call) -> Reply:
    """S3: PostObject."""
    form = await parse_form(call.request)
    granted = await patiently(
        lambda: check_form(form, call.bucket, call.keys, call.settings.region, time.time()), call.wait
    )
    fields, key = granted.fields, granted.fields["key"].encode()
    call.identity, headers = granted.identity, _headers(fields)
    call.request, call.query = _as_signed(call.request, headers), {}
    await call.require(call.action, call.bucket, key)
    check_key(key)
    check_headers(headers)
    template = read_template(headers, granted.identity.account)
    bucket = await call.bucket_record()
    body = open_file(call.request, form, granted.size_min, granted.size_max)
    done = await call.services.objects.put(bucket, key, body, template, NO_CONDITIONS)
    return _success(call, fields, key, made(done, bucket), done)


def _success(call: Call, fields: dict[str, str], key: bytes, headers: Fields, done: Done) -> Reply:
    """What the form asked for in case of success; 204 by default."""
    redirect = _redirect(fields.get("success_action_redirect") or fields.get("redirect", ""))
    where = location(call.request, call.bucket, key)
    if redirect:
        added = urlencode({"bucket": call.bucket, "key": fields["key"], "etag": f'"{done.etag}"'})
        return Reply(303, [*headers, ("Location", f"{redirect}{'&' if '?' in redirect else '?'}{added}")])
    headers = [*headers, ("Location", where)]
    status = fields.get("success_action_status")
    if status == "201":
        body = documents.posted(where, call.bucket, key, done.etag)
        return Reply(201, [*headers, ("Content-Type", "application/xml")], body)
    return Reply(200 if status == "200" else 204, headers)


def _redirect(url: str) -> str:
    """The address, if it is one; anything else is ignored, as S3 does."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    good = parts.scheme in ("http", "https") and parts.netloc and url.isascii() and url.isprintable()
    return url if good else ""
