"""ListObjects, ListObjectsV2 and ListObjectVersions against a sorted model (R07), over several sets and workers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree

import pytest

from tests.kit.clients import refusal
from tests.kit.server import Client, Server

#: Keys around every kind of border: prefixes of each other, delimiters alone, repeated and at the ends, astral planes.
KEYS = [
    *("a", "a/", "a//", "a//b", "a/b", "a/b/", "a/b/c", "a-b", "a.b", "a0", "aa", "ab/c", "A/b", "/", "//", "/a", "b"),
    *("dir/1", "dir/2", "dir/sub/1", "dir/sub/2", "dir/sub2/1", "dir0", "dir:", "..", ".", "./a", "../a", "x y", "x+y"),
    *("x%y", "x%2Fy", "é", "é/1", "\u07ff", "\u0800", "\uffee", "\U00010000", "\U00010000/1", "\U0010fffd", "z" * 1024),
    *(f"n/{i:03}" for i in range(40)),
    *(f"m-{i:02}-{j}" for i in range(8) for j in "xy"),
]
PREFIXES = ["", "a", "a/", "a//", "dir", "dir/", "dir/sub", "/", "n/", "m-0", "é", "\U00010000", "none", "z" * 1000]
DELIMITERS = ["", "/", "//", "-", "b", "/sub", "00", "\U00010000"]
MAX_KEYS = [1, 2, 3, 7, 1000]
#: Of the product of all, so many are tried with each seed; the seed is in the test's name.
TRIED, SEEDS = 150, range(4)


@dataclass(frozen=True)
class Asked:
    prefix: str
    delimiter: str
    after: str
    most: int


def expected(keys: list[bytes], asked: Asked) -> list[tuple[str, bytes]]:
    """All entries of a listing, in order: ("key", …) or ("prefix", …)."""
    prefix, delimiter, after = asked.prefix.encode(), asked.delimiter.encode(), asked.after.encode()
    found: list[tuple[str, bytes]] = []
    for key in keys:
        if not key.startswith(prefix):
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if end >= 0:
            common = key[: end + len(delimiter)]
            if ("prefix", common) not in found[-1:] and not after.startswith(common) and common > after:
                found.append(("prefix", common))
        elif key > after:
            found.append(("key", key))
    return found


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Eight drives in four sets: pages are merged."""
    env = {"MINIO_ERASURE_SET_DRIVE_COUNT": "2"}
    with Server(tmp_path_factory.mktemp("wide"), drives=8, workers=2, env=env) as running:
        yield running


@pytest.fixture(scope="module", params=["one set", "four sets"])
def listed(request: pytest.FixtureRequest, server: Server) -> Iterator[tuple[Client, str, list[bytes]]]:
    """A connection, and a bucket that holds ``KEYS``."""
    used = server if request.param == "one set" else request.getfixturevalue("wide")
    name = f"listed-{request.param.replace(' ', '-')}"
    with used.client() as client:
        client.request("PUT", f"/{name}")
        for key in KEYS:
            assert client.request("PUT", f"/{name}/{key}", body=b"x").status == 200
        yield client, name, sorted(key.encode() for key in KEYS)


def document(client: Client, bucket: str, query: dict[str, str]) -> ElementTree.Element:
    reply = client.request("GET", f"/{bucket}", query)
    assert reply.status == 200, reply.body
    root = ElementTree.fromstring(reply.body)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def entries(root: ElementTree.Element) -> list[tuple[str, bytes]]:
    """Keys and common prefixes of a page with encoding-type=url, merged in order."""
    found = [("key", unquote_plus(e.findtext("Key") or "").encode()) for e in root.findall("Contents")]
    found += [("prefix", unquote_plus(e.findtext("Prefix") or "").encode()) for e in root.findall("CommonPrefixes")]
    return sorted(found, key=lambda item: item[1])


def pages_v1(client: Client, bucket: str, asked: Asked) -> Iterator[ElementTree.Element]:
    query = {"prefix": asked.prefix, "max-keys": str(asked.most), "encoding-type": "url", "marker": asked.after}
    query |= {"delimiter": asked.delimiter} if asked.delimiter else {}
    while True:
        root = document(client, bucket, query)
        yield root
        if root.findtext("IsTruncated") != "true":
            return
        query["marker"] = unquote_plus(root.findtext("NextMarker") or "")


def pages_v2(client: Client, bucket: str, asked: Asked) -> Iterator[ElementTree.Element]:
    query = {"list-type": "2", "prefix": asked.prefix, "max-keys": str(asked.most), "encoding-type": "url"}
    query |= {"delimiter": asked.delimiter} if asked.delimiter else {}
    query |= {"start-after": asked.after} if asked.after else {}
    while True:
        root = document(client, bucket, query)
        count = len(root.findall("Contents")) + len(root.findall("CommonPrefixes"))
        assert int(root.findtext("KeyCount") or "") == count
        yield root
        if root.findtext("IsTruncated") != "true":
            assert root.find("NextContinuationToken") is None
            return
        query["continuation-token"] = root.findtext("NextContinuationToken") or ""


def cases(seed: int) -> list[Asked]:
    afters = ["", "a", "a/", "a//", "a/b", "b", "dir/", "dir/sub/", "dir/sub/1", "n/010", "é", "\U00010000", "zz", "none"]
    every = [Asked(*values) for values in itertools.product(PREFIXES, DELIMITERS, afters, MAX_KEYS)]
    return random.Random(seed).sample(every, TRIED)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_listing_agrees_with_the_model(listed: tuple[Client, str, list[bytes]], seed: int) -> None:
    """R07: no key or prefix is lost or repeated over the pages of any combination, in either version."""
    client, bucket, keys = listed
    for asked in cases(seed):
        wanted = expected(keys, asked)
        for pages in (pages_v1, pages_v2):
            got: list[tuple[str, bytes]] = []
            for root in pages(client, bucket, asked):
                page = entries(root)
                assert len(page) <= asked.most
                assert page or root.findtext("IsTruncated") == "false"
                got += page
            assert got == wanted, (asked, pages.__name__)


@pytest.mark.parametrize("version", [1, 2])
def test_boto3_pages_through_everything(listed: tuple[Client, str, list[bytes]], server: Server, wide: Server, version: int) -> None:  # fmt: skip
    """An SDK's own decoding of names and tokens; keys come in the order of their bytes."""
    _, bucket, keys = listed
    s3 = (server if bucket.endswith("one-set") else wide).boto3()
    paginator = s3.get_paginator("list_objects" if version == 1 else "list_objects_v2")
    pages = paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": 7})
    assert [o["Key"].encode() for page in pages for o in page.get("Contents", [])] == keys


def test_what_an_entry_says(s3: Any, bucket: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"12345")
    for entry in (s3.list_objects(Bucket=bucket)["Contents"], s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]):
        (one,) = entry
        assert (one["Key"], one["Size"], one["ETag"], one["StorageClass"]) == ("key", 5, put["ETag"], "STANDARD")
        assert one["Owner"]["DisplayName"] == "minio"
        assert one["LastModified"] >= s3.head_object(Bucket=bucket, Key="key")["LastModified"]
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]


def test_what_was_asked_is_repeated(wire: Client, bucket: str) -> None:
    query = {"list-type": "2", "prefix": "a b/&", "delimiter": "/&", "max-keys": "5000", "start-after": "a+"}
    root = document(wire, bucket, query)
    told = {name: root.findtext(name) for name in ("Name", "Prefix", "Delimiter", "MaxKeys", "StartAfter", "IsTruncated")}
    assert told == {
        "Name": bucket, "Prefix": "a b/&", "Delimiter": "/&", "MaxKeys": "1000", "StartAfter": "a+", "IsTruncated": "false",
    }  # fmt: skip
    encoded = document(wire, bucket, {**query, "encoding-type": "url"})
    assert unquote_plus(encoded.findtext("Prefix") or "") == "a b/&"
    assert encoded.findtext("EncodingType") == "url"


def test_no_keys_asked(wire: Client, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"1")
    for query in ({}, {"list-type": "2"}, {"versions": ""}):
        root = document(wire, bucket, {**query, "max-keys": "0"})
        assert (root.findtext("IsTruncated"), root.findall("Contents"), root.findall("Version")) == ("false", [], [])


@pytest.mark.parametrize(
    "query",
    [
        {"max-keys": "-1"},
        {"max-keys": "x"},
        {"max-keys": "2147483648"},
        {"max-keys": "1.5"},
        {"encoding-type": "base64"},
        {"list-type": "2", "continuation-token": ""},
        {"list-type": "2", "continuation-token": "!"},
        {"list-type": "2", "max-keys": "９"},
        {"versions": "", "version-id-marker": "00000000-0000-4000-8000-000000000000"},
        {"versions": "", "key-marker": "a", "version-id-marker": "x"},
        {"uploads": "", "max-uploads": "-5"},
    ],
)
def test_bad_arguments(wire: Client, shared: str, query: dict[str, str]) -> None:
    reply = wire.request("GET", f"/{shared}", query)
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_versions_of_a_bucket_without_versioning(listed: tuple[Client, str, list[bytes]], server: Server, wide: Server) -> None:  # fmt: skip
    _, bucket, keys = listed
    s3 = (server if bucket.endswith("one-set") else wide).boto3()
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 11})
    found = [version for page in pages for version in page.get("Versions", [])]
    assert [v["Key"].encode() for v in found] == keys
    assert {(v["VersionId"], v["IsLatest"]) for v in found} == {("null", True)}


def test_pages_stay_whole_while_keys_come_and_go(server: Server, s3: Any, bucket: str) -> None:
    """R07: what was there all the time is in every listing, exactly once."""
    stable = [f"{i:03}/stable" for i in range(0, 200, 2)]
    for key in stable:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    done = False

    def churn(start: int) -> None:
        with server.client() as client:
            for i in itertools.cycle(range(start, 200, 4)):
                if done:
                    return
                client.request("PUT", f"/{bucket}/{i:03}/churn", body=b"x")
                client.request("DELETE", f"/{bucket}/{i:03}/churn")

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(churn, start) for start in (1, 3)]
        try:
            for size in (3, 10, 33) * 2:
                pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
                keys = [o["Key"] for page in pages for o in page.get("Contents", [])]
                assert [key for key in keys if key.endswith("stable")] == stable
                assert keys == sorted(set(keys))
        finally:
            done = True
        for one in running:
            one.result()


def test_a_bucket_that_is_not_there(s3: Any) -> None:
    for call in (s3.list_objects, s3.list_objects_v2, s3.list_object_versions, s3.list_multipart_uploads):
        assert refusal(call, Bucket="not-there") == (404, "NoSuchBucket")
