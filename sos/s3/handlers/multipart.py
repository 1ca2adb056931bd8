"""Multipart uploads."""

from __future__ import annotations

from itertools import pairwise

from ...domain.checksums import LINEAR, SIZES
from ...domain.conditions import Conditions
from ...domain.errors import InvalidPartOrder, InvalidRequest
from ...http.message import Headers, Reply
from ...services.types import PartsPage, UploadsPage
from ..call import Call
from ..codes import Code
from ..conditions import read_conditions
from ..describe import checksum_headers, version_headers
from ..errors import Refusal
from ..identifiers import read_upload
from ..late import reply_in_time
from ..numbers import PARTS_MAX, read_count, read_part_number, read_size
from ..template import read_template
from ..urls import location
from ..xml import documents
from ..xml.requests import parse_complete
from ..xml.text import XML
from .copying import read_algorithm
from .listing import read_encoding

PAGE_MAX = 1000


def read_checksum(headers: Headers) -> tuple[str, str]:
    """Algorithm and type of an upload's checksum, both empty without one.

    :raises InvalidRequest: an unknown one, or a pair that cannot be
    """
    algorithm, kind = read_algorithm(headers), headers.get("x-amz-checksum-type").upper()
    if not algorithm:
        if kind:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return "", ""
    kind = kind or ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
    possible = {"COMPOSITE": algorithm != "CRC64NVME", "FULL_OBJECT": algorithm in LINEAR}
    if not possible.get(kind, False):
        raise InvalidRequest(
            f"The {kind[:32]} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return algorithm, kind


async def create_multipart_upload(call: Call) -> Reply:
    """S3: CreateMultipartUpload."""
    headers = call.request.headers
    template = read_template(headers, call.identity.account)
    algorithm, kind = read_checksum(headers)
    bucket = await call.bucket_record()
    upload_id = await call.services.multipart.create(bucket, call.key, template, algorithm, kind)
    fields = list(XML)
    if algorithm:
        fields += [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)]
    return Reply(200, fields, documents.initiated(call.bucket, call.key, upload_id.hex()))


async def upload_part(call: Call) -> Reply:
    """S3: UploadPart."""
    number = read_part_number(call.query["partNumber"])
    upload_id = read_upload(call.query["uploadId"])
    multipart = call.services.multipart
    bucket = await call.bucket_record()
    upload = await multipart.upload(bucket, call.key, upload_id)  # before the body: an unknown upload is refused early
    body = call.body(upload.checksum_algorithm)
    part = await multipart.put_part(bucket, call.key, upload_id, number, body)
    return Reply(200, [("ETag", f'"{part.etag}"'), *checksum_headers(part.checksums, "")])


async def complete_multipart_upload(call: Call) -> Reply:
    """S3: CompleteMultipartUpload."""
    conditions = read_conditions(call.request.headers)
    await call.require_to_tell(conditions, call.key)
    document = await call.parsed(parse_complete, object_checksums=False)
    if not 1 <= len(document.part) <= PARTS_MAX:
        raise Refusal(Code.MalformedXML)
    numbers = [part.number for part in document.part]
    if any(a >= b for a, b in pairwise(numbers)):
        raise InvalidPartOrder()
    parts = [(part.number, part.etag.strip().strip('"'), part.checksums) for part in document.part]
    return await reply_in_time(call, _complete(call, parts, conditions))


async def _complete(call: Call, parts: list[tuple[int, str, dict[str, str]]], conditions: Conditions) -> Reply:
    headers = call.request.headers
    upload_id = read_upload(call.query["uploadId"])
    bucket = await call.bucket_record()
    size = read_size(headers.get("x-amz-mp-object-size"), "x-amz-mp-object-size")
    given = {name: value for name in SIZES if (value := headers.get(f"x-amz-checksum-{name.lower()}"))}
    multipart = call.services.multipart
    if kind := headers.get("x-amz-checksum-type").upper():
        upload = await multipart.upload(bucket, call.key, upload_id)
        if kind != upload.checksum_type:
            raise InvalidRequest("The checksum type does not match the one of the upload.")
    done = await multipart.complete(bucket, call.key, upload_id, parts, conditions, size, given)
    record = done.record
    values, kind = (record.checksums, record.checksum_type) if record is not None else ({}, "")
    fields = [*XML, *version_headers(bucket, done.version_id)]
    where = location(call.request, call.bucket, call.key)
    return Reply(200, fields, documents.completed(where, call.bucket, call.key, done.etag, values, kind))


async def abort_multipart_upload(call: Call) -> Reply:
    """S3: AbortMultipartUpload."""
    upload_id = read_upload(call.query["uploadId"])
    await call.services.multipart.abort(await call.bucket_record(), call.key, upload_id)
    return Reply(204)


async def list_parts(call: Call) -> Reply:
    """S3: ListParts."""
    query = call.query
    upload_id = read_upload(query["uploadId"])
    most = read_count(query.get("max-parts", ""), "max-parts", PAGE_MAX, PAGE_MAX)
    after = read_count(query.get("part-number-marker", ""), "part-number-marker", 0)
    url = read_encoding(query)
    bucket = await call.bucket_record()
    multipart = call.services.multipart
    if most:
        page = await multipart.list_parts(bucket, call.key, upload_id, after, most)
    else:
        page = PartsPage(await multipart.upload(bucket, call.key, upload_id), [], False)
    return Reply(200, XML, documents.parts(call.bucket, call.key, upload_id.hex(), page, after, most, url, call.known))


async def list_multipart_uploads(call: Call) -> Reply:
    """S3: ListMultipartUploads. The upload id marker counts only together with a key marker."""
    query = call.query
    most = read_count(query.get("max-uploads", ""), "max-uploads", PAGE_MAX, PAGE_MAX)
    url = read_encoding(query)
    prefix, delimiter = query.get("prefix", "").encode(), query.get("delimiter", "").encode()
    key_marker = query.get("key-marker", "").encode()
    marker = query.get("upload-id-marker", "") if key_marker else ""
    bucket = await call.bucket_record()
    page = UploadsPage([], [], False)
    if most:
        upload_marker = read_upload(marker) if marker else b""
        page = await call.services.multipart.list_uploads(bucket, prefix, delimiter, key_marker, upload_marker, most)
    body = documents.uploads(call.bucket, prefix, delimiter, key_marker, marker, most, url, page, call.known)
    return Reply(200, XML, body)
