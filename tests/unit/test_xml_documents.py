"""Reply documents: well-formed whatever the key, and cheap."""

from __future__ import annotations

import time
from urllib.parse import unquote, unquote_plus
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.meta.records import Kind, ObjectRecord
from sos.s3.xml import listings
from sos.s3.xml.text import escape, escape_key, http_time, iso_time, url_key
from sos.services.types import Page
from tests.kit.fake_services import marker

RECORD = ObjectRecord(1, b"", Kind.OBJECT, 5, 1_700_000_000_123_456_789, "d41d8cd98f00b204e9800998ecf8427e")
ASKED = listings.Listing("bucket", b"", b"", 1000, True)
NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
text_keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(text_keys)
def test_url_encoding_gives_the_key_back_in_both_readings(key: str) -> None:
    encoded = url_key(key.encode())
    assert unquote(encoded) == unquote_plus(encoded) == key
    assert escape(encoded) == encoded


@given(text_keys)
def test_escaped_text_is_well_formed(key: str) -> None:
    """A key that XML can carry comes back; any other still leaves the document well-formed."""
    read = ElementTree.fromstring(f"<Key>{escape_key(key.encode())}</Key>").text
    legal = all(c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff") for c in key)
    assert read == key if legal else read is not None


def test_times() -> None:
    assert iso_time(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123Z"
    assert iso_time(5_000_000) == "1970-01-01T00:00:00.005Z"
    assert http_time(1_700_000_000_999_999_999) == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert iso_time(9_999_999_999 * 10**9).startswith("2286")


def test_version_listing_tells_markers_and_latest() -> None:
    version = bytes(range(16))
    entries = [(b"k", marker(3, version)), (b"k", msgspec.structs.replace(RECORD, version_id=b""))]
    page = Page(entries, [b"p/"], True, b"k", b"", [True, False])
    tree = ElementTree.fromstring(listings.versions(ASKED, page, b"", ""))
    assert tree.findtext(f"{NS}DeleteMarker/{NS}VersionId") == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert tree.findtext(f"{NS}DeleteMarker/{NS}IsLatest") == "true"
    assert tree.findtext(f"{NS}Version/{NS}IsLatest") == "false"
    assert tree.findtext(f"{NS}Version/{NS}VersionId") == "null"
    assert tree.findtext(f"{NS}NextVersionIdMarker") == "null"


@pytest.mark.parametrize("url", [True, False])
def test_a_page_of_a_thousand_keys_is_cheap(url: bool) -> None:
    """A generous bound on the figure in BENCHMARKS.md: what it guards against is a step in the order of cost."""
    mtimes = (RECORD.mtime_ns + i * 10**9 for i in range(1000))
    entries = [(b"prefix/key %06d" % i, msgspec.structs.replace(RECORD, mtime_ns=m)) for i, m in enumerate(mtimes)]
    page = Page(entries, [], True, b"prefix/key 000999")
    asked = listings.Listing("bucket", b"prefix/", b"/", 1000, url)
    best = min(_timed(lambda: listings.objects_v2(asked, page, b"", "", "token")) for _ in range(5))
    assert best < 0.015


def _timed(work) -> float:  # type: ignore[no-untyped-def]
    started = time.process_time()
    work()
    return time.process_time() - started
