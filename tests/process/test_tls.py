"""TLS: certificates in MinIO's layout, chosen by name, replaced by SIGHUP, checked before anything starts."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
from pathlib import Path

import pytest

from sos.config.values import ConfigError
from sos.worker.tls import Certificates, has_certificates
from tests.kit.server import PASSWORD, USER, Server, until


def make_pair(directory: Path, name: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            *["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"],
            f"/CN={name}",
            *("-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"),
            *("-keyout", directory / "private.key", "-out", directory / "public.crt"),
        ],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    make_pair(tmp_path / "certs", "localhost")
    return tmp_path / "certs"


def test_without_files_there_is_no_tls(tmp_path: Path) -> None:
    assert not has_certificates("")
    assert not has_certificates(str(tmp_path))


def test_pairs_in_subdirectories_are_chosen_by_name(certs: Path) -> None:
    make_pair(certs / "example.test", "example.test")
    found = Certificates(str(certs))
    assert list(found._by_name) == ["example.test"]


def test_a_bad_pair_is_refused_and_leaves_the_old_one(certs: Path) -> None:
    found = Certificates(str(certs))
    (certs / "private.key").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"private\.key"):
        found.reload()
    with pytest.raises(ConfigError):
        Certificates(str(certs))


def _serial(port: int, name: str) -> str:
    """Of the certificate that the server shows to a client that asks for ``name``."""
    import socket

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as sock, context.wrap_socket(sock, server_hostname=name) as tls:
        shown = tls.getpeercert(binary_form=True)
    assert shown is not None
    return shown.hex()


def test_sdk_default_uploads_are_stored_as_sent_over_tls(certs: Path, tmp_path: Path) -> None:
    """R25: checksum trailers and signed chunks over TLS, in sizes of every path of the body."""
    import boto3

    with Server(tmp_path, env={"MINIO_CERTS_DIR": str(certs)}) as server:
        client = boto3.client(
            "s3", endpoint_url=f"https://127.0.0.1:{server.port}", region_name="us-east-1",
            aws_access_key_id=USER, aws_secret_access_key=PASSWORD, verify=str(certs / "public.crt"),
        )  # fmt: skip
        client.create_bucket(Bucket="secure")
        for size in (0, 1, 65_536, 262_145, 3_000_001, 12_345_678):
            body = os.urandom(size)
            client.put_object(Bucket="secure", Key=f"k{size}", Body=body)
            assert client.get_object(Bucket="secure", Key=f"k{size}")["Body"].read() == body
        body = os.urandom(11 << 20)
        upload = client.create_multipart_upload(Bucket="secure", Key="parts", ChecksumAlgorithm="CRC32C")["UploadId"]
        parts = []
        for number, start in enumerate((0, 6 << 20), 1):
            piece = body[start : start + (6 << 20)]
            done = client.upload_part(
                Bucket="secure", Key="parts", UploadId=upload, PartNumber=number, Body=piece, ChecksumAlgorithm="CRC32C"
            )
            parts.append({"PartNumber": number, "ETag": done["ETag"], "ChecksumCRC32C": done["ChecksumCRC32C"]})
        client.complete_multipart_upload(
            Bucket="secure", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        assert client.get_object(Bucket="secure", Key="parts")["Body"].read() == body


def test_a_reload_shows_the_new_certificate(certs: Path, tmp_path: Path) -> None:
    with Server(tmp_path, env={"MINIO_CERTS_DIR": str(certs)}) as server:
        old = _serial(server.port, "localhost")
        make_pair(certs, "localhost")
        os.kill(server.pid, signal.SIGHUP)
        until(lambda: _serial(server.port, "localhost") != old, "the new certificate")
