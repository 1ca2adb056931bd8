"""Quotas of buckets and accounts over two pools, four sets and four workers: never exceeded, usable to the last byte."""

from __future__ import annotations

import itertools
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.functional.test_posting import form, post
from tests.kit.admin_wire import AdminWire
from tests.kit.clients import Tool, mc, refusal
from tests.kit.server import BROKEN, Client, Server, until
from tests.kit.shapes import Shape, names, server_of

SECRET = "a-secret-of-theirs"
EXCEEDED = (400, "XMinioAdminBucketQuotaExceeded")
MIB = 1 << 20
SHAPE = Shape(
    ("a{1...4}", "b{1...4}"),
    (names("a", 1, 2), names("a", 3, 4), names("b", 1, 2), names("b", 3, 4)),
    1,
    "",
    workers=4,
    env={"MINIO_ERASURE_SET_DRIVE_COUNT": "2"},
)
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server_of(tmp_path_factory.mktemp("quota"), SHAPE) as running:
        yield running


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    return server.boto3()


@pytest.fixture(scope="module")
def root(server: Server) -> AdminWire:
    return AdminWire(server)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"bucket-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    return name


def limit(root: AdminWire, bucket: str, size: int) -> None:
    wanted = {"quota": size, "quotatype": "hard" if size else ""}
    assert root.ask("PUT set-bucket-quota", wanted, bucket=bucket).status == 200


def held(root: AdminWire, *buckets: str) -> int:
    """Bytes of all versions, as the server's exact counters have them."""
    usage = root.ask("GET datausageinfo").json["bucketsUsageInfo"]
    return sum(int(usage[bucket]["size"]) for bucket in buckets)


def stored(s3: Any, bucket: str) -> int:
    """The same, counted from outside."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return sum(one["Size"] for page in pages for one in page.get("Contents", ()))


Failed = Callable[[Client], None]


class Writers:
    """Clients that put objects of random sizes under names of their own, until each is refused some times."""

    def __init__(self, server: Server, buckets: Sequence[str], who: tuple[str, str] | None = None) -> None:
        self.server, self.buckets, self.who = server, buckets, who
        self.refused = self.taken = self.broken = 0
        self._lock = threading.Lock()
        self._number = itertools.count()

    def run(self, count: int, size_max: int, refusals: int = 5) -> None:
        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(self._write, seed, size_max, refusals) for seed in range(count)]:
                done.result()

    def _write(self, seed: int, size_max: int, refusals: int) -> None:
        dice, refused = random.Random(seed), 0
        with self.server.client() as client:
            if self.who is not None:
                client.be(*self.who)
            while refused < refusals:
                key = f"{next(self._number)}" if dice.random() < 0.8 else f"again-{dice.randrange(5)}"
                path, size = f"/{dice.choice(self.buckets)}/{key}", dice.randint(1, size_max)
                try:
                    reply = client.request("PUT", path, body=bytes(size))
                except BROKEN:
                    with self._lock:
                        self.broken += 1
                    continue
                assert reply.status in (200, 400, 503), (reply.status, reply.code)
                if reply.status == 400:
                    assert reply.code == EXCEEDED[1]
                    refused += 1
                with self._lock:
                    self.taken += reply.status == 200
                    self.refused += reply.status == 400


def fill(s3: Any, root: AdminWire, buckets: Sequence[str], quota: int) -> None:
    """What is left can be used to the last byte, and no more."""
    left = quota - held(root, *buckets)
    assert left >= 0
    if left:
        s3.put_object(Bucket=buckets[0], Key="the-rest", Body=bytes(left))
    assert held(root, *buckets) == quota
    for number in range(8):  # in whichever set
        assert refusal(s3.put_object, Bucket=buckets[0], Key=f"one-more-{number}", Body=b"x") == EXCEEDED
        s3.put_object(Bucket=buckets[0], Key=f"empty-{number}", Body=b"")


@pytest.mark.parametrize("size_max", [20_000, 400_000])
def test_concurrent_writers_never_exceed_a_quota(
    server: Server, s3: Any, root: AdminWire, bucket: str, size_max: int
) -> None:
    """R16: inline and large objects, into all sets, through all workers, some over others."""
    quota = size_max * 30 + 7
    limit(root, bucket, quota)
    writers = Writers(server, [bucket])
    writers.run(12, size_max)
    assert writers.taken >= 30 and writers.broken == 0
    assert quota - size_max <= held(root, bucket) <= quota
    assert held(root, bucket) == stored(s3, bucket)
    fill(s3, root, [bucket], quota)


def test_what_an_object_takes_the_place_of_does_not_count(s3: Any, root: AdminWire, bucket: str) -> None:
    limit(root, bucket, 1000)
    s3.put_object(Bucket=bucket, Key="a", Body=bytes(600))
    s3.put_object(Bucket=bucket, Key="b", Body=bytes(400))
    s3.put_object(Bucket=bucket, Key="a", Body=bytes(600))
    s3.put_object(Bucket=bucket, Key="a", Body=bytes(599))
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=bytes(601)) == EXCEEDED
    s3.put_object(Bucket=bucket, Key="b", Body=bytes(401))
    assert refusal(s3.put_object, Bucket=bucket, Key="c", Body=b"x") == EXCEEDED
    s3.delete_object(Bucket=bucket, Key="b")
    s3.put_object(Bucket=bucket, Key="c", Body=bytes(401))


def test_a_quota_below_what_is_there_keeps_it_and_takes_no_more(s3: Any, root: AdminWire, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=bytes(600))
    s3.put_object(Bucket=bucket, Key="b", Body=bytes(600))
    limit(root, bucket, 1000)
    assert refusal(s3.put_object, Bucket=bucket, Key="c", Body=b"x") == EXCEEDED
    s3.put_object(Bucket=bucket, Key="a", Body=bytes(500))  # less than before
    assert s3.get_object(Bucket=bucket, Key="b")["ContentLength"] == 600
    s3.delete_object(Bucket=bucket, Key="b")
    s3.put_object(Bucket=bucket, Key="c", Body=bytes(500))
    limit(root, bucket, 0)
    s3.put_object(Bucket=bucket, Key="d", Body=bytes(5000))


def test_a_quota_that_is_set_while_all_write_holds_at_once(server: Server, root: AdminWire, bucket: str) -> None:
    """R16: what was on its way when it was set counts too."""
    writers = Writers(server, [bucket])
    running = threading.Thread(target=writers.run, args=(12, 20_000))
    running.start()
    until(lambda: writers.taken > 50, "some writes")
    quota = held(root, bucket) + 1_500_000
    limit(root, bucket, quota)
    limit(root, bucket, 0)
    limit(root, bucket, quota + 500_000)
    running.join()
    assert quota + 480_000 <= held(root, bucket) <= quota + 500_000


def test_a_copy_counts(s3: Any, root: AdminWire, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=bytes(600))
    limit(root, bucket, 1500)
    s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")
    assert refusal(s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/a") == EXCEEDED
    s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")


def test_a_form_counts(server: Server, s3: Any, root: AdminWire, bucket: str) -> None:
    limit(root, bucket, 1000)

    def send(size: int) -> int:
        made = s3.generate_presigned_post(bucket, f"form-{next(_numbers)}")
        return post(server, bucket, form([*made["fields"].items()], bytes(size))).status

    assert [send(600), send(600), send(400), send(1)] == [204, 400, 204, 400]


def test_parts_count_when_they_are_stored_and_not_again(s3: Any, root: AdminWire, bucket: str) -> None:
    quota = 11 * MIB
    limit(root, bucket, quota)
    upload = {"Bucket": bucket, "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]

    def part(number: int, size: int) -> str:
        return str(s3.upload_part(**upload, PartNumber=number, Body=bytes(size))["ETag"])

    part(1, 6 * MIB)
    first = part(1, 5 * MIB)  # in place of the other
    second = part(2, 5 * MIB)
    assert refusal(s3.upload_part, **upload, PartNumber=3, Body=bytes(MIB + 1)) == EXCEEDED
    third = part(3, MIB)
    assert refusal(s3.put_object, Bucket=bucket, Key="more", Body=b"x") == EXCEEDED
    etags = [{"PartNumber": i, "ETag": etag} for i, etag in enumerate((first, second, third), 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": etags})
    assert held(root, bucket) == quota
    assert refusal(s3.put_object, Bucket=bucket, Key="more", Body=b"x") == EXCEEDED
    more = s3.create_multipart_upload(Bucket=bucket, Key="aborted")["UploadId"]
    s3.delete_object(Bucket=bucket, Key="parts")
    s3.upload_part(Bucket=bucket, Key="aborted", UploadId=more, PartNumber=1, Body=bytes(quota))
    assert refusal(s3.put_object, Bucket=bucket, Key="more", Body=b"x") == EXCEEDED
    s3.abort_multipart_upload(Bucket=bucket, Key="aborted", UploadId=more)
    s3.put_object(Bucket=bucket, Key="more", Body=b"x")


def test_an_account_has_one_quota_over_all_its_buckets(server: Server, s3: Any, root: AdminWire, bucket: str) -> None:
    quota = 2_000_003
    name = f"tenant-{next(_numbers)}"
    wanted = {"name": name, "accessKey": f"{name}-root", "secretKey": SECRET, "quota": quota}
    assert root.ask("PUT add-account", wanted, sealed=True).status == 200
    with server.client() as client:
        client.be(f"{name}-root", SECRET)
        buckets = [f"{name}-{letter}" for letter in "abc"]
        for one in buckets:
            assert client.request("PUT", f"/{one}").status == 200
    writers = Writers(server, buckets, (f"{name}-root", SECRET))
    writers.run(8, 60_000)
    assert quota - 60_000 <= held(root, *buckets) <= quota
    fill(s3, root, buckets, quota)  # whoever writes
    assert root.ask("GET account-info", name=name).json["size"] == quota
    s3.put_object(Bucket=bucket, Key="of-the-deployment", Body=bytes(100))
    # a bucket's own quota holds within that of the account
    s3.delete_object(Bucket=buckets[0], Key="the-rest")
    limit(root, buckets[1], 1)
    assert refusal(s3.put_object, Bucket=buckets[1], Key="one-more", Body=b"xx") == EXCEEDED
    assert root.ask("POST set-account", {"quota": 0}, sealed=True, name=name).status == 200
    s3.put_object(Bucket=buckets[2], Key="more", Body=bytes(100_000))
    assert refusal(s3.put_object, Bucket=buckets[1], Key="one-more", Body=b"xx") == EXCEEDED


@pytest.mark.parametrize("slot", [0, 2])
def test_a_killed_worker_leaks_nothing_and_exceeds_nothing(
    server: Server, s3: Any, root: AdminWire, bucket: str, slot: int
) -> None:
    """R16: the worker that grants, and one that only writes, killed while all write."""
    quota = 9_000_011
    limit(root, bucket, quota)
    writers = Writers(server, [bucket])
    running = threading.Thread(target=writers.run, args=(12, 6_000, 8))
    running.start()
    kills = 0
    while kills < 3 and running.is_alive():
        before = writers.taken
        until(lambda before=before: writers.taken > before + 5 or not running.is_alive(), "some writes")  # type: ignore[misc]
        killed = server.kill_worker(slot, signal.SIGKILL)
        server.wait_worker(slot, killed)
        kills += 1
    running.join()
    assert kills and writers.broken
    assert held(root, bucket) <= quota
    until(lambda: fills(s3, root, bucket, quota), "the last byte")
    assert held(root, bucket) == stored(s3, bucket) == quota
    assert refusal(s3.put_object, Bucket=bucket, Key="one-more", Body=b"x") == EXCEEDED


def fills(s3: Any, root: AdminWire, bucket: str, quota: int) -> bool:
    """Whether what is left can be written; grants of a killed worker count until its outcomes are known."""
    left = quota - held(root, bucket)
    assert left >= 0
    try:
        if left:
            s3.put_object(Bucket=bucket, Key="the-rest", Body=bytes(left))
    except s3.exceptions.ClientError:
        return False
    return held(root, bucket) == quota


def test_mc_sets_shows_and_clears(server: Server, s3: Any, bucket: str, tmp_path: Path) -> None:
    tool: Tool = mc(server.url, tmp_path)
    tool("quota", "set", f"sos/{bucket}", "--size", "1KiB")
    assert "1.0 KiB" in tool("quota", "info", f"sos/{bucket}").out
    file = tmp_path / "file"
    file.write_bytes(bytes(1025))
    ended = tool.run("cp", file, f"sos/{bucket}/file")
    assert ended.code != 0 and "Bucket quota exceeded" in ended.err
    file.write_bytes(bytes(1024))
    tool("cp", file, f"sos/{bucket}/file")
    tool("quota", "clear", f"sos/{bucket}")
    tool("cp", file, f"sos/{bucket}/another")
