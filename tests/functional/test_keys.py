"""Keys are any UTF-8 of 1 to 1,024 bytes, and nothing in them means anything."""

from __future__ import annotations

import random
import socket
from typing import Any
from urllib.parse import quote

import pytest

from tests.kit.clients import refusal
from tests.kit.server import Client, Server

ODD = [
    *("a", "a/", "a/b", "a//b", "a//", "/", "//", "/a", "//a", ".", "..", "./", "../", "./a", "../a", "a/.", "a/..", "a/./b"),
    *("a/../b", "../../etc/passwd", ".sos/format.json", ".minio.sys/x", "\\", "a\\..\\b", "C:\\x", "%2e%2e/x", "%252e", "%", "%%"),
    *("a b", " a", "a ", "a+b", "a&b=c", "a?b", "a#b", "a;b", "a:b", "a,b", "'\"`$|<>", "\t", "\n", "\r\n", "\x7f", "\x01"),
    *("null", "None", "true", "0", "-", "*", "~", "@", "[]", "{}", "^", "é", "e\u0301", "ﬁ", "\u200b", "\ufeff", "\u202e"),
    *("x" * 1024, "é" * 512, "\U0001d11e" * 256, "/" * 1024, "a/" * 512, "../" * 341 + "x", "%2F", "con.txt", "a.zip/b"),
]


def test_all_of_them_live_side_by_side(s3: Any, bucket: str) -> None:
    """R06 P01 S11: each is an object of its own, listed in byte order, copied and deleted under its own name."""
    for key in ODD:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in ODD:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 10})
    listed = [o["Key"] for page in pages for o in page["Contents"]]
    assert [key.encode() for key in listed] == sorted(key.encode() for key in ODD)
    for key in ODD[::2]:
        s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in ODD[1::4] if k.isprintable()], "Quiet": True})
    left = set(ODD[1::2]) - {k for k in ODD[1::4] if k.isprintable()}
    assert {o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]} == left


@pytest.mark.parametrize("unit", ["x", "/", "é", "\U0001d11e", "a/"])
def test_every_length(server: Server, bucket: str, unit: str) -> None:
    """R06: keys of 1 to 1,024 bytes in one segment or many; each length is stored, read and listed."""
    step = len(unit.encode())
    lengths = sorted({*range(step, 20 * step, step), *range(step * (240 // step), 270, step), *range(step * (380 // step), 420, step)})
    lengths += [step * (length // step) for length in (511, 512, 513, 800, 801, 1000, 1023, 1024)]
    keys = sorted({unit * (length // step) for length in lengths if length >= step})
    with server.client() as client:
        for key in keys:
            assert client.request("PUT", f"/{bucket}/{key}", body=b"%d" % len(key)).status == 200
        for key in keys:
            assert client.request("GET", f"/{bucket}/{key}").body == b"%d" % len(key)
        s3 = server.boto3()
        assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == sorted(keys, key=str.encode)
        for key in keys:
            assert client.request("DELETE", f"/{bucket}/{key}").status == 204
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_random_keys_from_all_planes(s3: Any, wire: Client, bucket: str) -> None:
    """R06: code points of every plane and length of encoding, in keys that share long beginnings."""
    chance = random.Random(6)
    ranges = [(0x20, 0x7E), (0xA0, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x1FFFF), (0xE0000, 0x10FFFD)]
    beginnings = ["", "p" * 399, "p" * 400, "p" * 401, "é" * 200, "\U00010000" * 100, "q" * 900]
    keys = set()
    while len(keys) < 150:
        key = chance.choice(beginnings) + "".join(
            chr(chance.randint(*chance.choice(ranges))) for _ in range(chance.randint(1, 40))
        )
        if len(key.encode()) <= 1024:
            keys.add(key)
    for key in keys:
        assert wire.request("PUT", f"/{bucket}/{key}", body=key.encode()).status == 200
    for key in keys:
        assert wire.request("GET", f"/{bucket}/{key}").body == key.encode()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 20})
    assert [o["Key"].encode() for page in pages for o in page["Contents"]] == sorted(k.encode() for k in keys)


def test_keys_that_are_too_long(s3: Any, shared: str) -> None:
    """R06: 1,024 bytes, not characters; refused in every operation that names a key."""
    for key in ("x" * 1025, "é" * 513, "/" * 1025):
        assert refusal(s3.put_object, Bucket=shared, Key=key, Body=b"1") == (400, "KeyTooLongError")
        assert refusal(s3.get_object, Bucket=shared, Key=key) == (400, "KeyTooLongError")
        assert refusal(s3.create_multipart_upload, Bucket=shared, Key=key) == (400, "KeyTooLongError")
        copy = {"Bucket": shared, "Key": key, "CopySource": f"{shared}/a"}
        assert refusal(s3.copy_object, **copy) == (400, "KeyTooLongError")


def target(server: Server, path: bytes) -> int:
    """The status of an anonymous GET with a target of exactly these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        return int(sock.makefile("rb").readline().split()[1])


def test_targets_that_name_no_key(server: Server, shared: str) -> None:
    """P07 S11: what is no UTF-8 or no percent-encoding is refused before anything is looked up."""
    name = shared.encode()
    for path in (b"/%s/%%ff" % name, b"/%s/%%zz" % name, b"/%s/%%" % name, b"/%s/%%c0%%ae" % name, b"/%s/%%ed%%a0%%80" % name):
        assert target(server, path) == 400
    for path in (b"/%s/../../etc/passwd" % name, b"/%s/%%2e%%2e/%%2e%%2e/x" % name, b"/%s/a%%00b" % name, b"//%s" % name):
        assert target(server, path) == 403


def test_encoded_and_plain_slashes_are_one_key(wire: Client, server: Server, s3: Any, shared: str) -> None:
    """S11: the signature and the store see the same key, however it was written."""
    s3.put_object(Bucket=shared, Key="dir/key", Body=b"1")
    signed = s3.generate_presigned_url("get_object", {"Bucket": shared, "Key": "dir/key"}, ExpiresIn=60)
    import http.client

    path = signed.removeprefix(server.url)
    for written in (path, path.replace("dir/key", "dir%2Fkey"), path.replace("dir/key", "%64ir/key")):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", written)
        reply = connection.getresponse()
        assert (reply.status, reply.read()) == (200, b"1"), written
        connection.close()
    other = path.replace("dir/key", quote("dir/key2"))
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", other)
    assert connection.getresponse().status == 403
    connection.close()
