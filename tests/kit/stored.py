"""A bucket of a real server beside a dictionary of what it has acknowledged."""

from __future__ import annotations

import random
import re

from .server import Client, Server

MIB = 1 << 20
#: Nothing, inline, the last inline size and the first extent, an extent with an odd tail, several batches.
SIZES = (0, 1, 5_000, 131_072, 131_073, MIB + 1, 9 * MIB + 7)
PART_BYTES = 5 * MIB


def content(key: str, size: int) -> bytes:
    return random.Random(key).randbytes(size)


class Stored:
    """What the server has acknowledged, read back over as many connections as workers may serve."""

    def __init__(self, server: Server, bucket: str = "shapes") -> None:
        self.server, self.bucket = server, bucket
        self.objects: dict[str, bytes] = {}

    def create(self) -> None:
        with self.server.client() as client:
            assert client.request("PUT", f"/{self.bucket}").status == 200

    def put(self, key: str, size: int, **headers: str) -> None:
        body = content(key, size)
        with self.server.client() as client:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            reply = client.request("PUT", f"/{self.bucket}/{key}", body=body, headers=sent)
        assert reply.status == 200, (key, reply)
        self.objects[key] = body

    def put_multipart(self, key: str, last_bytes: int) -> None:
        """Each part over a connection of its own, so that other workers take it."""
        body = content(key, PART_BYTES + last_bytes)
        target = f"/{self.bucket}/{key}"
        with self.server.client() as client:
            upload = client.request("POST", target, {"uploads": ""}).element("UploadId")
        lines = []
        for number, part in enumerate((body[:PART_BYTES], body[PART_BYTES:]), 1):
            with self.server.client() as client:
                reply = client.request("PUT", target, {"partNumber": str(number), "uploadId": upload}, body=part)
            assert reply.status == 200, reply
            lines.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{reply.etag}</ETag></Part>")
        document = f"<CompleteMultipartUpload>{''.join(lines)}</CompleteMultipartUpload>".encode()
        with self.server.client() as client:
            reply = client.request("POST", target, {"uploadId": upload}, body=document)
        assert reply.status == 200 and b"<ETag>" in reply.body, reply
        self.objects[key] = body

    def delete(self, key: str) -> None:
        with self.server.client() as client:
            assert client.request("DELETE", f"/{self.bucket}/{key}").status == 204
            assert client.request("GET", f"/{self.bucket}/{key}").status == 404
        del self.objects[key]

    def fill(self) -> None:
        for size in SIZES:
            self.put(f"plain/{size}", size)
        for size in (5_000, 2 * MIB + 3):
            self.put(f"reduced/{size}", size, x_amz_storage_class="REDUCED_REDUNDANCY")
        self.put_multipart("parts/inline tail", 1_000)
        self.put_multipart("parts/extent tail", 700_000)

    def check(self, only: str = "") -> None:
        """Everything reads back byte for byte, in whole and in a range, and the listing agrees."""
        for key, body in self.objects.items():
            if key.startswith(only):
                with self.server.client() as client:
                    self.check_one(client, key, body)
        if not only:
            assert self.listed() == sorted(self.objects)

    def check_one(self, client: Client, key: str, body: bytes) -> None:
        """One object, in whole and in a range."""
        reply = client.request("GET", f"/{self.bucket}/{key}")
        assert reply.status == 200, (key, reply)
        assert reply.body == body, f"{key} differs"
        if len(body) > 1:
            first, last = len(body) // 3, len(body) - 1 - len(body) // 5
            part = client.request("GET", f"/{self.bucket}/{key}", headers={"Range": f"bytes={first}-{last}"})
            assert (part.status, part.body) == (206, body[first : last + 1]), key

    def listed(self) -> list[str]:
        """All keys, in pages small enough that several are needed."""
        found: list[str] = []
        query = {"list-type": "2", "max-keys": "3"}
        while True:
            with self.server.client() as client:
                reply = client.request("GET", f"/{self.bucket}", query)
            assert reply.status == 200, reply
            found += [key.decode() for key in re.findall(rb"<Key>([^<]*)</Key>", reply.body)]
            if reply.element("IsTruncated") != "true":
                return found
            query["continuation-token"] = reply.element("NextContinuationToken")
