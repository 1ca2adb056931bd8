"""multipart/form-data of a form upload, read as a stream: fields in memory, the file as a body.

The file must be the last part. Its size is what is left of Content-Length without the closing delimiter, which is
``CRLF -- boundary -- CRLF``; a form short enough to be held whole may leave out the last CRLF. A delimiter inside the
file, or anything behind it, refuses the form.
Source: RFC 7578, RFC 2046 §5.1; S3 API, "POST Object".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import Message

import msgspec

from ...domain.body import Body, Digests
from ...domain.errors import EntityTooLarge, EntityTooSmall, IncompleteBody
from ...http.message import RawBody, Request
from .digests import Digester, declared
from .errors import MalformedForm, MissingContentLength

PARTS_MAX = 1000
FIELD_BYTES_MAX = 1024 * 1024
#: Of all fields of a form together: they are held in memory before it is known who sends them.
FIELDS_BYTES_MAX = 1024 * 1024
HEAD_BYTES_MAX = 8 * 1024
BOUNDARY_BYTES_MAX = 200
PIECE_BYTES = 16 * 1024
WHOLE_BYTES_MAX = 1024 * 1024


class Form(msgspec.Struct, frozen=True):
    """A form up to its file.

    :param fields: lower-case name → value, in the order sent
    :param file_name: as sent, may be empty
    :param file_type: Content-Type of the file part, may be empty
    :param size: bytes of the file
    :param lead: bytes of the file, and of the closing delimiter, that were received already
    :param boundary: without dashes
    """

    fields: dict[str, str]
    file_name: str
    file_type: str
    size: int
    lead: bytes
    boundary: bytes


async def parse_form(request: Request) -> Form:
    """Read a form up to the first byte of its file.

    :raises MalformedForm: not well-formed, a field twice, no file, or a bound was passed
    :raises MissingContentLength: the size of the file cannot be known
    """
    if request.body.length is None:
        raise MissingContentLength()
    return await _Reader(request.body, _boundary(request.headers.get("content-type"))).form()


def open_file(request: Request, form: Form, size_min: int, size_max: int) -> Body:
    """The file of a form, verified against the digests among the fields.

    :param size_min: bytes, from the policy's content-length-range
    :raises EntityTooSmall, EntityTooLarge, InvalidDigest, InvalidRequest
    """
    if form.size > size_max:
        raise EntityTooLarge()
    if form.size < size_min:
        raise EntityTooSmall(proposed=form.size, minimum=size_min)
    headers: Mapping[str, list[str]] = {name: [value] for name, value in form.fields.items() if name != "x-amz-trailer"}
    return FormBody(request.body, form, Digester(declared(headers, "", True)))


class FormBody:
    """The file of a form."""

    __slots__ = ("_delimiter", "_digester", "_lead", "_left", "_raw", "_search", "_seen", "size")

    def __init__(self, raw: RawBody, form: Form, digester: Digester) -> None:
        self.size = self._left = form.size
        self._raw = raw
        self._digester = digester
        self._lead = memoryview(form.lead)
        self._delimiter = b"\r\n--" + form.boundary
        self._search = re.compile(re.escape(self._delimiter)).search
        self._seen = b"\r\n"  # the part's head ends so: a delimiter may follow at once

    async def fill(self, view: memoryview) -> None:
        """See ``Body.fill``."""
        if len(view) > self._left:
            raise IncompleteBody()
        self._left -= len(view)
        count = min(len(view), len(self._lead))
        view[:count] = self._lead[:count]
        self._lead = self._lead[count:]
        await self._raw.fill([view[count:]] if count < len(view) else [], lambda: self._check(view))

    async def finish(self) -> Digests:
        """See ``Body.finish``. :raises MalformedForm: something follows the file"""
        if self._left:
            raise IncompleteBody()
        most = len(self._delimiter) + 4
        tail = bytes(self._lead)
        while len(tail) <= most and (data := await self._raw.read_some(most)):
            tail += data
        if tail not in (self._delimiter + b"--\r\n", self._delimiter + b"--"):
            raise MalformedForm("The file must be the last part of the form.")
        return self._digester.conclude({})

    def _check(self, view: memoryview) -> None:
        """Refuse a delimiter inside the file, also one across two views."""
        overlap = len(self._delimiter) - 1
        edge = self._seen + bytes(view[:overlap])
        if self._delimiter in edge or self._search(view):
            raise MalformedForm("The file must be the last part of the form.")
        self._seen = (self._seen + bytes(view[-overlap:]))[-overlap:]
        self._digester.update(view)


class _Reader:
    """Reads parts one after the other from a buffer that is refilled in pieces."""

    def __init__(self, raw: RawBody, boundary: bytes) -> None:
        self._raw = raw
        self._boundary = boundary
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # the first delimiter stands at the very beginning
        self._total = 0

    async def form(self) -> Form:
        fields: dict[str, str] = {}
        await self._value(0)
        for _ in range(PARTS_MAX):
            head = await self._head()
            name, file_name = _disposition(head)
            if name == "file":
                return await self._file(fields, file_name, str(head.get("content-type", "")))
            if name in fields:
                raise MalformedForm(f"The field {name[:64]} is given twice.")
            fields[name] = _text(await self._value(FIELD_BYTES_MAX))
        raise MalformedForm("The form has too many parts.")

    async def _file(self, fields: dict[str, str], file_name: str, file_type: str) -> Form:
        rest = len(self._buffer) + self._raw.left
        while rest <= WHOLE_BYTES_MAX and self._raw.left:
            await self._more()
        closing = self._delimiter + b"--\r\n"
        if rest <= WHOLE_BYTES_MAX and not self._buffer.endswith(closing):
            closing = self._delimiter + b"--"
        size = rest - len(closing)
        if size < 0:
            raise MalformedForm()
        return Form(fields, file_name, file_type, size, bytes(self._buffer), self._boundary)

    async def _head(self) -> Message:
        """The header fields of the next part; the buffer stands behind its delimiter."""
        end = await self._find(b"\r\n", HEAD_BYTES_MAX)
        if bytes(self._buffer[:end]).strip(b" \t"):
            raise MalformedForm()  # "--": the form ends without a file
        del self._buffer[:end]
        end = await self._find(b"\r\n\r\n", HEAD_BYTES_MAX)
        head = bytes(self._buffer[2:end])
        del self._buffer[: end + 4]
        self._count(len(head))
        return _fields_of(head)

    async def _value(self, most: int) -> bytes:
        """What stands before the next delimiter, which is taken off too."""
        end = await self._find(self._delimiter, most)
        value = bytes(self._buffer[:end])
        del self._buffer[: end + len(self._delimiter)]
        self._count(len(value))
        return value

    async def _find(self, mark: bytes, most: int) -> int:
        """Where ``mark`` starts. :raises MalformedForm: not within ``most`` bytes, or the form ends before"""
        start = 0
        while (at := self._buffer.find(mark, start)) < 0 and len(self._buffer) < most + len(mark):
            start = max(0, len(self._buffer) - len(mark) + 1)
            await self._more()
        if not 0 <= at <= most:
            raise MalformedForm()
        return at

    async def _more(self) -> None:
        data = await self._raw.read_some(PIECE_BYTES)
        if not data:
            raise MalformedForm()
        self._buffer += data

    def _count(self, length: int) -> None:
        self._total += length
        if self._total > FIELDS_BYTES_MAX:
            raise MalformedForm("The fields of the form are too long.")


def _boundary(content_type: str) -> bytes:
    head = Message()
    head["content-type"] = content_type.replace("\r", " ").replace("\n", " ")
    boundary = head.get_param("boundary")
    if head.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise MalformedForm()
    raw = boundary.encode("latin-1", "replace")
    if not 0 < len(raw) <= BOUNDARY_BYTES_MAX:
        raise MalformedForm()
    return raw


def _fields_of(head: bytes) -> Message:
    """Header fields of a part, without folding."""
    message = Message()
    for line in head.split(b"\r\n"):
        name, mark, value = line.decode("utf-8", "replace").partition(":")
        if not mark or not name or name != name.strip() or name in message:
            raise MalformedForm()
        message[name] = value.strip(" \t")
    return message


def _disposition(head: Message) -> tuple[str, str]:
    """Lower-case field name and file name of a part."""
    kind, given = _parameters(str(head.get("content-disposition", "")))
    if kind != "form-data" or not given.get("name"):
        raise MalformedForm()
    return given["name"].lower(), given.get("filename", "")


_PARAMETER = re.compile(r'[ \t]*+;[ \t]*+([!-:<>-~]++)[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|([^;"\s]*+))')


def _parameters(value: str) -> tuple[str, dict[str, str]]:
    """Value and parameters of a header. Browsers escape a quote as ``%22`` or with a backslash."""
    kind, mark, _ = value.partition(";")
    given: dict[str, str] = {}
    at = len(kind)
    while mark and (match := _PARAMETER.match(value, at)):
        at = match.end()
        name = match[1].lower()
        if name in given:
            raise MalformedForm()
        given[name] = match[3] if match[2] is None else match[2].replace('\\"', '"').replace("%22", '"')
    if value[at:].strip(" \t;"):
        raise MalformedForm()
    return kind.strip().lower(), given


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise MalformedForm("A field is not UTF-8.") from None
