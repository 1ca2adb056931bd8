"""A server's decisions from outside: identities made in a line, requests by any of them, and what explains the answers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sos.services.identity.access_keys import Issued, NewService, Parent
from sos.services.identity.policies import Target

from .operator import Operator
from .server import PASSWORD, USER, Client, Reply, Server

MAIN = "000000000000"
SECRET = "a-secret-of-hers"
ROOT = Issued(USER, PASSWORD)
ANONYMOUS = Issued("", "")
_numbers = itertools.count(1)


def statement(effect: str, actions: str, *resources: str, **more: Any) -> dict[str, Any]:
    """:param resources: without ``arn:aws:s3:::``; none for admin actions"""
    about = {"Resource": [f"arn:aws:s3:::{one}" for one in resources]} if resources else {}
    return {"Effect": effect, "Action": actions.split(), **about, **more}


def allow(actions: str, *resources: str, **more: Any) -> dict[str, Any]:
    return statement("Allow", actions, *resources, **more)


def deny(actions: str, *resources: str, **more: Any) -> dict[str, Any]:
    return statement("Deny", actions, *resources, **more)


def policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def document(*statements: Mapping[str, Any]) -> bytes:
    return json.dumps(policy(*statements)).encode()


@dataclass
class Bench:
    """One server, and one connection to it.

    :param names: user → the name of its policy
    """

    server: Server
    client: Client
    operator: Operator
    names: dict[str, str] = field(default_factory=dict)

    # -- who -------------------------------------------------------------------------------------------

    def name(self, kind: str) -> str:
        return f"judged-{kind}-{next(_numbers)}"  # apart from what other tests make

    def user(self, *statements: Mapping[str, Any], account: str = MAIN, attach: str = "") -> Issued:
        """A user with a policy of its own (none without statements), and a built-in one attached."""
        name = self.name("user")
        self.operator.do(lambda i: i.users.put(account, name, SECRET))
        if statements:
            self.names[name] = f"of-{name}"
            self.put_policy(f"of-{name}", *statements, account=account)
            self.attach(f"of-{name}", name, account)
        if attach:
            self.attach(attach, name, account)
        return Issued(name, SECRET)

    def put_policy(self, name: str, *statements: Mapping[str, Any], account: str = MAIN) -> str:
        self.operator.do(lambda i: i.policies.put(account, name, document(*statements)))
        return name

    def attach(self, name: str, user: str, account: str = MAIN) -> None:
        self.operator.do(lambda i: i.policies.attach(account, [name], Target(user)))

    def service(self, user: str, *session: Mapping[str, Any], account: str = MAIN) -> Issued:
        """A service account; with statements it has a session policy."""
        new = NewService(policy=document(*session) if session else b"")
        return self.operator.do(lambda i: i.access_keys.create(Parent(account, user), new))

    def temporary(self, user: str, *session: Mapping[str, Any], account: str = MAIN) -> Issued:
        made = document(*session) if session else b""
        return self.operator.do(lambda i: i.access_keys.issue(Parent(account, user), 900, made))

    def account(self) -> tuple[str, Issued]:
        """Another account and its root."""
        name = self.name("account")
        key = f"root-of-{name}"
        made = self.operator.do(lambda i: i.accounts.add(name, key, SECRET))
        return made.account, Issued(key, SECRET)

    # -- what ------------------------------------------------------------------------------------------

    def ask(self, who: Issued, method: str, path: str, query: Mapping[str, str] | None = None, **more: Any) -> Reply:
        self.client.be(who.access_key, who.secret, who.token)
        return self.client.request(method, path, query, **more)

    def bucket(self, *statements: Mapping[str, Any], owner: Issued = ROOT) -> str:
        """A bucket with the object ``key``; statements are those of its policy, ``BUCKET`` in them its name."""
        name = self.name("bucket")
        assert self.ask(owner, "PUT", f"/{name}").status == 200
        assert self.ask(owner, "PUT", f"/{name}/key", body=b"text").status == 200
        if statements:
            self.set_bucket_policy(name, policy(*statements), owner)
        return name

    def set_bucket_policy(self, bucket: str, made: Mapping[str, Any], owner: Issued = ROOT) -> None:
        text = json.dumps(made).replace("BUCKET", bucket).encode()
        reply = self.ask(owner, "PUT", f"/{bucket}", {"policy": ""}, body=text)
        assert reply.status == 204, reply.body

    # -- why -------------------------------------------------------------------------------------------

    def call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, made: Any = None, who: Issued = ROOT
    ) -> Reply:
        """An admin call."""
        body = b"" if made is None else json.dumps(made).encode()
        return self.ask(who, method, f"/minio/admin/v3/{path}", query, body=body)

    def told(self, *arguments: Any, **more: Any) -> Any:
        """The answer of an admin call that must succeed."""
        reply = self.call(*arguments, **more)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def explain(self, reply: Reply, who: Issued = ROOT) -> list[dict[str, Any]]:
        """The denials of an answered request, as somebody is told."""
        found = self.told("GET", "sos/explain", {"requestId": reply.headers["x-amz-request-id"]}, who=who)
        denials: list[dict[str, Any]] = found["denials"]
        return denials

    def why(self, reply: Reply) -> dict[str, Any]:
        """The only denial of a request."""
        assert reply.status == 403, (reply.status, reply.body)
        (denial,) = self.explain(reply)
        return denial

    def simulate(self, who: Issued, action: str, resource: str = "", as_: Issued = ROOT, **more: Any) -> dict[str, Any]:
        asked = {"accessKey": who.access_key} if who.access_key else {"anonymous": True}
        question = {**asked, "action": action, "resource": resource, **more}
        answer: dict[str, Any] = self.told("POST", "sos/policy/simulate", made=question, who=as_)
        return answer

    def replay(self, draft: Mapping[str, Any], as_: Issued = ROOT, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.told("POST", "sos/policy/replay", made={"policy": draft, **more}, who=as_)
        return answer
