"""Request documents: strict and bounded."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos.s3.codes import Code
from sos.s3.errors import Refusal
from sos.s3.xml.requests import parse_complete, parse_create_bucket, parse_delete, parse_tagging


def refused(document: bytes) -> bool:
    for parse in (parse_delete, parse_complete, parse_create_bucket, parse_tagging):
        try:
            parse(document)
        except Refusal as refusal:
            if refusal.code is not Code.MalformedXML:
                return False
        else:
            return False
    return True


def test_documents_of_real_clients() -> None:
    """minio-go, botocore, and an SDK that sends a declaration, attributes and white space."""
    body = b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>false</Quiet><Object><Key>a</Key></Object></Delete>'
    assert [(o.key, o.version_id) for o in parse_delete(body).object] == [("a", "")]
    body = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUpload xmlns:xsi="x">\n <Part>\n  <ETag>&quot;e&quot;</ETag>'
        b"\n  <PartNumber> 1 </PartNumber><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>\n</CompleteMultipartUpload>\n"
    )
    part = parse_complete(body).part[0]
    assert (part.number, part.etag, part.checksums) == (1, '"e"', {"CRC32": "AAAAAA=="})
    assert parse_tagging(b"<Tagging><TagSet><Tag><Key>k</Key><Value/></Tag></TagSet></Tagging>").pairs == [("k", "")]


def test_keys_keep_their_white_space() -> None:
    assert (
        parse_delete("<Delete><Object><Key> a\u00a0\tb&#13; </Key></Object></Delete>".encode()).object[0].key
        == " a\u00a0\tb\r "
    )


BOMB = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">%s]><Delete><Object><Key>&z;</Key></Object></Delete>'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<",
        b"<Delete>",
        b"\x00",
        b"\xff\xfe<\x00",
        b"<Delete/><Delete/>",
        b"<Other/>",
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete/>',
        b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>',
        b'<!DOCTYPE d [<!ENTITY % x SYSTEM "http://localhost/">%x;]><Delete/>',
        (
            BOMB
            % "".join(
                f'<!ENTITY {b} "&{a};&{a};&{a};&{a};">' for a, b in zip("abcdefghijkl", "bcdefghijklz", strict=True)
            )
        ).encode(),
        b"<Delete><Object><Key>&undefined;</Key></Object></Delete>",
        b"<Delete><Object><Key><Key>a</Key></Key></Object></Delete>",
        b"<Delete><Quiet>true</Quiet><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>",
        b"<CompleteMultipartUpload><Part><PartNumber>1.0</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>-1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>"
        + b"9" * 5000
        + b"</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>0x1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber/><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Parts/></CompleteMultipartUpload>",
        b"<Tagging><TagSet><Tag><Key>k</Key><Vaule>v</Vaule></Tag></TagSet></Tagging>",
        b"<Tagging/>",
        b"<Delete><Object><Key>\xff</Key></Object></Delete>",
        b'<?xml version="1.0" encoding="utf-7"?><Delete/>',
    ],
)
def test_refused_documents(document: bytes) -> None:
    """P05 P08."""
    assert refused(document)


@pytest.mark.parametrize("filler", [b"<a>", b"<Delete>", b"<Object>", b"&lt;", b"<!-- x -->", b'<a b="c">'])
def test_large_hostile_documents_cost_little(filler: bytes) -> None:
    """P05: eight megabytes of nesting or of elements that are not allowed are refused at the first of them."""
    document = b"<Delete>" + filler * (8 * 1024 * 1024 // len(filler))
    tracemalloc.start()
    started = time.process_time()
    assert refused(document)
    taken = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 1024 * 1024
    assert taken < 10


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_parsed_or_refused(noise: bytes) -> None:
    """P07."""
    for document in (
        noise,
        b"<Delete>" + noise + b"</Delete>",
        b"<Delete><Object><Key>" + noise + b"</Key></Object></Delete>",
    ):
        try:
            parse_delete(document)
        except Refusal as refusal:
            assert refusal.code is Code.MalformedXML


@pytest.mark.parametrize(
    ("parse", "root", "entry", "most"),
    [
        (parse_delete, "Delete", "<Object><Key>a</Key></Object>", 1000),
        (parse_complete, "CompleteMultipartUpload", "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>", 10_000),
    ],
)
def test_parsing_stops_at_one_entry_too_many(parse: Any, root: str, entry: str, most: int) -> None:
    """P05: eight mebibytes of entries cost no more than the most that are allowed."""
    parse(f"<{root}>{entry * most}</{root}>".encode())
    with pytest.raises(Refusal):
        parse(f"<{root}>{entry * (most + 1)}</{root}>".encode())
    document = f"<{root}>{entry * (8_000_000 // len(entry))}</{root}>".encode()
    tracemalloc.start()
    with pytest.raises(Refusal) as caught:
        parse(document)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code is Code.MalformedXML
    assert peak < 32 * 1024 * 1024
