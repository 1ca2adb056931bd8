"""The root credentials open the identity store: wrong ones say so and damage nothing, new ones are taken over by a start."""

from __future__ import annotations

from pathlib import Path

from tests.kit.operator import Operator
from tests.kit.server import PATIENCE_S, Server

MAIN = "000000000000"
SECRET = "a-secret-of-hers"
NEW = {"MINIO_ROOT_USER": "new-operator", "MINIO_ROOT_PASSWORD": "a-newer-password"}
OLD = {"MINIO_ROOT_USER_OLD": "operator", "MINIO_ROOT_PASSWORD_OLD": "a-good-password"}


def status(server: Server, access: str, secret: str) -> tuple[int, str]:
    with server.client() as client:
        reply = client.be(access, secret).request("GET", "/")
    return reply.status, reply.code


def refused(server: Server) -> str:
    """The log of a start that ends by itself."""
    server.launch()
    assert server.process is not None
    assert server.process.wait(PATIENCE_S) != 0
    return server.log()


def test_wrong_ones_end_the_start_and_the_right_ones_still_work(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        Operator(server).do(lambda i: i.users.put(MAIN, "alice", SECRET))
        server.stop()
        server.env["MINIO_ROOT_PASSWORD"] = "another-password"
        log = refused(server)
        assert "the root credentials do not open the identity store" in log
        assert "another-password" not in log and "a-good-password" not in log, "A26"
        del server.env["MINIO_ROOT_PASSWORD"]
        server.start()
        assert status(server, "operator", "a-good-password") == (200, "")
        assert status(server, "alice", SECRET) == (403, "AccessDenied")


def test_new_ones_are_taken_over_with_the_old_ones_given(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        Operator(server).do(lambda i: i.users.put(MAIN, "alice", SECRET))
        server.stop()
        server.env.update(NEW | OLD)
        server.start()
        assert status(server, "new-operator", "a-newer-password") == (200, "")
        assert status(server, "operator", "a-good-password") == (403, "InvalidAccessKeyId")
        assert status(server, "alice", SECRET) == (403, "AccessDenied"), "her secret still opens"
        server.stop()
        for name in OLD:
            del server.env[name]
        server.start()
        assert status(server, "new-operator", "a-newer-password") == (200, "")
        server.stop()
        for name in NEW:
            del server.env[name]
        assert "do not open the identity store" in refused(server), "the old ones are worth nothing any more"


def test_root_access_can_be_switched_off(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        Operator(server).do(lambda i: i.users.put(MAIN, "alice", SECRET))
        server.stop()
        server.env["MINIO_API_ROOT_ACCESS"] = "off"
        server.start()
        assert status(server, "operator", "a-good-password") == (403, "InvalidAccessKeyId")
        assert status(server, "alice", SECRET) == (403, "AccessDenied")
