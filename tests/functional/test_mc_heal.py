"""``mc admin heal``: buckets and objects item by item as they stand on the drives, whole and with a drive lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.admin_wire import AdminWire
from tests.kit.clients import Tool, mc
from tests.kit.mc_json import Mc
from tests.kit.server import Server, until

BIG = os.urandom(300_000)
KEYS = ("a/big", "a/parts", "a/small", "top")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("heal")) as running:
        fill(running.boto3())
        yield running
        assert "Traceback" not in running.log()


def fill(s3: Any) -> None:
    s3.create_bucket(Bucket="healed")
    s3.create_bucket(Bucket="other")
    for key, body in (("a/big", BIG), ("a/small", b"one"), ("top", b"")):
        s3.put_object(Bucket="healed", Key=key, Body=body)
    part = {"Bucket": "healed", "Key": "a/parts"}
    upload = s3.create_multipart_upload(**part)["UploadId"]
    etag = s3.upload_part(**part, UploadId=upload, PartNumber=1, Body=BIG)["ETag"]
    s3.complete_multipart_upload(**part, UploadId=upload, MultipartUpload={"Parts": [{"ETag": etag, "PartNumber": 1}]})


@pytest.fixture(scope="module")
def tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return mc(server.url, tmp_path_factory.mktemp("mc"))


@pytest.fixture(scope="module")
def json_tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mc:
    return Mc(server, tmp_path_factory.mktemp("mc-json"))


def items(mc: Mc, *arguments: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What is told of each item, and the summary."""
    *found, summary = mc.rows("admin", "heal", *arguments)
    assert (summary["type"], summary["items_scanned"]) == ("summary", len(found))
    assert all(one["before"] == one["after"] for one in found), "a call heals nothing"
    return found, summary


def counts(item: dict[str, Any]) -> tuple[int, int, int]:
    before = item["before"]
    return before["online"], before["offline"], before["missing"]


def drives(item: dict[str, Any]) -> dict[str, str]:
    return {one["endpoint"]: one["state"] for one in item["before"]["drives"]}


# -- whole -------------------------------------------------------------------------------------------------


def test_a_whole_bucket_is_told_item_by_item(server: Server, tool: Tool, json_tool: Mc) -> None:
    for flags in ((), ("--dry-run",)):
        found, summary = items(json_tool, "-r", *flags, "sos/healed")
        assert [one["name"] for one in found] == ["healed/", *(f"healed/{key}" for key in KEYS)]
        assert [one["type"] for one in found] == ["bucket"] + ["object"] * 4
        for one in found:
            assert counts(one) == (4, 0, 0) and one["before"]["color"] == "green"
            assert drives(one) == dict.fromkeys(server.paths, "ok")
        assert (summary["objects_scanned"], summary["objects_healed"]) == (4, 0)
        assert summary["size"] == 2 * len(BIG) + 3
    printed = tool("admin", "heal", "-r", "sos/healed").out
    for name in ("healed/", "healed/a/big", "healed/top"):
        assert f"[Green  ->  Green] {name}\n" in printed
    assert "0/4 objects" in printed


def test_a_report_is_of_what_was_asked_for(json_tool: Mc, tool: Tool) -> None:
    def names(*arguments: str) -> list[str]:
        return sorted({one["name"] for one in items(json_tool, *arguments)[0]})

    assert names("sos/healed") == ["healed/"]
    assert names("-r", "sos/healed/a") == ["healed/", "healed/a/big", "healed/a/parts", "healed/a/small"]
    assert names("-r", "sos/healed/a/s") == ["healed/", "healed/a/small"]
    assert names("sos/healed/a/small") == ["healed/", "healed/a/small"]
    assert names("-r", "sos/healed/none") == ["healed/"]
    assert names("-r", "sos") == ["healed/", *(f"healed/{key}" for key in KEYS), "other/"]
    assert tool("admin", "heal", "sos").out == "No active healing is detected for new disks.\n"


def test_what_there_is_not_is_refused(json_tool: Mc) -> None:
    assert json_tool.run("admin", "heal", "-r", "sos/no-such-bucket").told == ["NoSuchBucket"]
    deep = json_tool.run("admin", "heal", "-r", "--scan", "deep", "sos/healed")
    assert deep.told == ["NotImplemented"] and "scan of everything" in deep.message
    removing = json_tool.run("admin", "heal", "-r", "--remove", "--force", "sos/healed")
    assert removing.told == ["NotImplemented"]
    assert json_tool.run("admin", "heal", "hers").told == ["InvalidAccessKeyId"]


def test_a_report_comes_in_steps_from_whichever_worker(server: Server) -> None:
    s3, root = server.boto3(), AdminWire(server)
    s3.create_bucket(Bucket="many")
    for number in range(1100):
        s3.put_object(Bucket="many", Key=f"{number:04}", Body=b"")
    token = root.ask("POST heal/many", {"recursive": True}).json["clientToken"]
    told: list[str] = []
    steps, status = 0, {"summary": "running"}
    clients = [AdminWire(server) for _ in range(6)]
    while status["summary"] == "running":
        status = clients[steps % len(clients)].ask("POST heal/many", clientToken=token).json
        told += [one["object"] for one in status["items"]]
        steps += 1
    assert status["summary"] == "finished" and steps > 1
    assert sorted(told) == ["", *(f"{number:04}" for number in range(1100))]
    again = root.ask("POST heal/many", clientToken=token).json
    assert (again["summary"], again["items"]) == ("finished", [])


def test_who_may_heal_sees_the_buckets_of_the_own_account_alone(server: Server) -> None:
    root = AdminWire(server)
    secret = "a-secret-of-theirs"
    wanted = {"name": "tenant", "accessKey": "tenant-root", "secretKey": secret}
    assert root.ask("PUT add-account", wanted, sealed=True).status == 200
    with server.client() as tenant:
        assert tenant.be("tenant-root", secret).request("PUT", "/theirs").status == 200
    root.ask("PUT add-user", {"secretKey": secret}, sealed=True, accessKey="healer")
    root.ask("POST idp/builtin/policy/attach", {"policies": ["consoleAdmin"], "user": "healer"}, sealed=True)
    for admin, sees in ((root, True), (AdminWire(server, "healer", secret), False)):
        token = admin.ask("POST heal/", {"recursive": False}).json["clientToken"]
        told = {one["bucket"] for one in admin.ask("POST heal/", clientToken=token).json["items"]}
        assert "healed" in told and ("theirs" in told) is sees
        assert admin.ask("POST heal/theirs", {}).status == (200 if sees else 404)
    assert AdminWire(server, "tenant-root", secret).ask("POST heal/theirs", {}).code == "AccessDenied"


# -- with a drive lost -------------------------------------------------------------------------------------


def test_a_lost_drive_is_told_truly_and_a_blank_one_is_healed(tmp_path: Path, servers: list[Server]) -> None:
    server = Server(tmp_path)
    servers.append(server)
    server.start()
    s3 = server.boto3()
    fill(s3)
    lost = server.paths[3]
    shutil.rmtree(lost)
    told, plain = Mc(server, tmp_path / "json"), mc(server.url, tmp_path / "mc")

    def offline() -> bool:
        s3.put_object(Bucket="other", Key="meanwhile", Body=BIG)
        return "1 drive offline" in plain("admin", "info", "sos").out

    until(offline, "the drive to be missed")
    assert "though 1 offline disk(s) found" in plain("admin", "heal", "sos").out
    found, _ = items(told, "-r", "sos/healed")
    assert len(found) == 5
    for one in found:
        assert counts(one) == (3, 1, 0) and drives(one)[lost] == "offline"
        assert one["before"]["color"] == ("red" if one["type"] == "bucket" else "yellow")
    assert "[Yellow -> Yellow] healed/a/big\n" in plain("admin", "heal", "-r", "--dry-run", "sos/healed").out
    server.stop()
    Path(lost).mkdir()
    server.start()

    def whole() -> bool:
        return all(counts(one) == (4, 0, 0) for one in items(told, "-r", "sos")[0])

    until(whole, "everything to be rebuilt", 60)
    assert "offline" not in plain("admin", "heal", "sos").out
