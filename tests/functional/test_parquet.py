"""Data frames in Parquet, written and read by pandas through s3fs and by pyarrow's own S3 client."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.server import PASSWORD, USER, Server

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
s3fs = pytest.importorskip("s3fs")
pads = pytest.importorskip("pyarrow.dataset")
pafs = pytest.importorskip("pyarrow.fs")
pq = pytest.importorskip("pyarrow.parquet")

ROWS = 150_000


def frame(rows: int = ROWS) -> Any:
    """Columns of every usual kind; the texts do not compress, so that there is something to store."""
    source = random.Random(rows)
    return pd.DataFrame(
        {
            "number": range(rows),
            "ratio": [source.random() for _ in range(rows)],
            "text": [source.randbytes(24).hex() for _ in range(rows)],
            "at": pd.date_range("2026-01-01", periods=rows, freq="s"),
            "kind": [("even", "odd")[i % 2] for i in range(rows)],
            "missing": [None if i % 3 else i / 2 for i in range(rows)],
        }
    )


@pytest.fixture
def options(server: Server) -> dict[str, Any]:
    """What a user of pandas passes as ``storage_options``."""
    return {"key": USER, "secret": PASSWORD, "client_kwargs": {"endpoint_url": server.url, "region_name": "us-east-1"}}


@pytest.fixture
def files(options: dict[str, Any]) -> Iterator[Any]:
    found = s3fs.S3FileSystem(**options, default_block_size=5 << 20, skip_instance_cache=True, use_listings_cache=False)
    yield found


@pytest.fixture
def arrow(server: Server) -> Any:
    return pafs.S3FileSystem(
        access_key=USER, secret_key=PASSWORD, endpoint_override=server.url.removeprefix("http://"), scheme="http",
        region="us-east-1", allow_bucket_creation=True, allow_bucket_deletion=True,
    )  # fmt: skip


def test_pandas_writes_and_reads_a_frame(bucket: str, options: dict[str, Any]) -> None:
    written = frame(5_000)
    written.to_parquet(f"s3://{bucket}/small frame.parquet", storage_options=options)
    read = pd.read_parquet(f"s3://{bucket}/small frame.parquet", storage_options=options)
    pd.testing.assert_frame_equal(read, written)


def test_pandas_writes_in_parts_and_reads_columns(bucket: str, options: dict[str, Any], files: Any, s3: Any) -> None:
    """More than one part of a multipart upload; columns and row groups are read by ranges."""
    written = frame()
    with files.open(f"{bucket}/large.parquet", "wb") as file:
        written.to_parquet(file, row_group_size=20_000, compression=None)
    head = s3.head_object(Bucket=bucket, Key="large.parquet")
    assert head["ContentLength"] > 10 << 20 and "-" in head["ETag"]
    read = pd.read_parquet(
        f"s3://{bucket}/large.parquet", columns=["number", "ratio"], filters=[("number", ">=", ROWS - 1000)], storage_options=options
    )
    pd.testing.assert_frame_equal(read.reset_index(drop=True), written[["number", "ratio"]][-1000:].reset_index(drop=True))
    pd.testing.assert_frame_equal(pd.read_parquet(f"s3://{bucket}/large.parquet", storage_options=options), written)


def test_pandas_partitions_a_data_set(bucket: str, options: dict[str, Any], files: Any) -> None:
    written = frame(9_000)
    written.to_parquet(f"s3://{bucket}/parts", partition_cols=["kind"], storage_options=options)
    assert sorted(path.rpartition("/")[2] for path in files.ls(f"{bucket}/parts")) == ["kind=even", "kind=odd"]
    read = pd.read_parquet(f"s3://{bucket}/parts", storage_options=options)
    assert set(read["number"]) == set(written["number"]) and len(read) == len(written)
    files.rm(f"{bucket}/parts", recursive=True)
    assert not files.exists(f"{bucket}/parts")


def test_s3fs_moves_copies_and_lists(bucket: str, files: Any) -> None:
    data = random.Random(1).randbytes(11 << 20)
    files.pipe(f"{bucket}/a/one", data)
    files.mv(f"{bucket}/a/one", f"{bucket}/b/two")
    files.cp(f"{bucket}/b/two", f"{bucket}/b/three")
    assert sorted(files.find(bucket)) == [f"{bucket}/b/three", f"{bucket}/b/two"]
    assert files.cat_file(f"{bucket}/b/three") == data
    assert files.cat_file(f"{bucket}/b/two", start=5 << 20, end=(5 << 20) + 7) == data[5 << 20 : (5 << 20) + 7]


def test_pyarrow_writes_and_reads_a_data_set(arrow: Any) -> None:
    table = pa.Table.from_pandas(frame())
    arrow.create_dir("arrow-data")
    pads.write_dataset(
        table, "arrow-data/set", filesystem=arrow, format="parquet", partitioning=["kind"], partitioning_flavor="hive",
        max_rows_per_file=30_000, max_rows_per_group=10_000,
    )  # fmt: skip
    found = arrow.get_file_info(pafs.FileSelector("arrow-data/set", recursive=True))
    assert sum(info.type == pafs.FileType.File for info in found) == 6
    data = pads.dataset("arrow-data/set", filesystem=arrow, format="parquet", partitioning="hive")
    assert data.count_rows() == ROWS
    read = data.to_table().sort_by("number")
    assert read.select(table.column_names).cast(table.schema).equals(table)
    few = data.to_table(filter=(pads.field("kind") == "odd") & (pads.field("number") < 1_000), columns=["number"])
    assert sorted(few["number"].to_pylist()) == list(range(1, 1_000, 2))
    arrow.delete_dir("arrow-data")
    assert arrow.get_file_info("arrow-data").type == pafs.FileType.NotFound


def test_pyarrow_streams_in_parts(bucket: str, arrow: Any, s3: Any) -> None:
    table = pa.Table.from_pandas(frame())
    with pq.ParquetWriter(f"{bucket}/stream.parquet", table.schema, filesystem=arrow, compression="none") as writer:
        for batch in table.to_batches(max_chunksize=30_000):
            writer.write_batch(batch)
    assert "-" in s3.head_object(Bucket=bucket, Key="stream.parquet")["ETag"]
    assert pq.read_table(f"{bucket}/stream.parquet", filesystem=arrow).equals(table)
    arrow.move(f"{bucket}/stream.parquet", f"{bucket}/moved.parquet")
    assert pq.read_metadata(f"{bucket}/moved.parquet", filesystem=arrow).num_rows == ROWS
