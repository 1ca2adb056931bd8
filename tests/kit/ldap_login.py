"""Logging in with a name and a password of a directory, as its users do."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from .server import Client, Reply, Server

FORM = {"content-type": "application/x-www-form-urlencoded"}


def assume(client: Client, username: str, password: str, **more: str) -> Reply:
    """AssumeRoleWithLDAPIdentity, without a signature."""
    form = {"Action": "AssumeRoleWithLDAPIdentity", "Version": "2011-06-15"}
    form |= {"LDAPUsername": username, "LDAPPassword": password, **more}
    return client.be("").request("POST", "/", body=urlencode(form).encode(), headers=FORM)


class User:
    """Somebody who is logged in, on a connection of its own."""

    def __init__(self, server: Server, username: str, password: str, **more: str) -> None:
        self.server, self.client = server, server.client()
        reply = assume(self.client, username, password, **more)
        assert reply.status == 200, reply
        self.access_key, self.secret = reply.element("AccessKeyId"), reply.element("SecretAccessKey")
        self.token, self.expiration = reply.element("SessionToken"), reply.element("Expiration")
        self.client.be(self.access_key, self.secret, self.token)

    def code(self, method: str, path: str, **query: str) -> str:
        """The error code of a request; empty when it was done."""
        reply = self.client.request(method, path, query)
        return reply.code or ("" if reply.status < 300 else f"status {reply.status}")

    def boto3(self, **config: Any) -> Any:
        import boto3
        from botocore.config import Config

        settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config)
        return boto3.client(
            "s3", endpoint_url=self.server.url, region_name="us-east-1", config=settings,
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret, aws_session_token=self.token,
        )  # fmt: skip


def message(reply: Reply) -> str:
    """What an error of the STS API says."""
    found = re.search(rb"<Message>(.*?)</Message>", reply.body, re.DOTALL)
    return found[1].decode() if found else ""
