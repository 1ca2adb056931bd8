"""``sos explain``: why a request was denied, and what would allow it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .flags import Parser
from .remote import add_server, ask, shown


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Exit code 1 also where no such denial is remembered."""
    parser = Parser(
        prog="sos explain",
        description="Tell why a request was denied: which statement, or the absence of which, decided, and the smallest "
        "grant that would allow it. The server remembers the denials of about an hour.",
        allow_abbrev=False,
    )
    parser.add_argument("request_id", metavar="REQUEST-ID", help="x-amz-request-id, or RequestId in the error")
    add_server(parser)
    found = parser.parse_args(list(argv))
    answer = shown(found, lambda: ask(found, environ, "GET sos/explain", {"requestId": found.request_id}), text)
    return 0 if answer and answer["denials"] else 1


def text(answer: dict[str, Any]) -> str:
    """For people."""
    denials = answer["denials"]
    if not denials:
        return "\n".join(
            [f"No denial of request {answer['requestId']} is remembered that you may see.", *since(answer)]
        )
    blocks = [_denial(answer["requestId"], denial) for denial in denials]
    return "\n\n".join(["\n".join(block) for block in blocks])


def since(answer: dict[str, Any]) -> list[str]:
    """What the workers remember."""
    lines = [
        f"Worker {one['worker']} remembers since {one['since']}"
        + (f", denials since {one['denialsSince']}" if one["denialsSince"] != one["since"] else "")
        + (f"; {one['droppedDenials']} denials were dropped" if one["droppedDenials"] else "")
        + (f"; {one['droppedRequests']} requests are in no count" if one["droppedRequests"] else "")
        + "."
        for one in answer["recording"]
    ]
    return lines + [f"Worker {slot} did not answer." for slot in answer["silentWorkers"]]


def _denial(request_id: str, denial: dict[str, Any]) -> list[str]:
    lines = [f"Request {request_id}, {denial['time']}: {denial['call'] or 'a request'} was denied."]
    lines += [f"  who       {who(denial.get('identity') or denial.get('claims') or {})}"]
    if "action" in denial:
        lines += [f"  action    {denial['action']}"]
    if denial["resource"]:
        lines += [f"  resource  {denial['resource']}"]
    lines += ["", denial["summary"]]
    if "code" in denial:
        return lines
    lines += reasons(denial)
    now = denial["now"]
    if now is None and denial["policiesChanged"] is None:
        return [*lines, "", "It had no key yet, so what the policies in force say of it cannot be told."]
    if now is None:
        return [*lines, "", "The identity is gone since."]
    if not denial["policiesChanged"]:
        told = [] if "missed" in denial else reasons(now)
        return [*lines, *told, "", "The policies it depended on have not changed since."]
    changed = "Accounts or policies" if "account-disabled" in (denial["reason"], now["reason"]) else "Policies"
    lines += [
        "",
        f"{changed} changed since. By those in force it is {'allowed' if now['allowed'] else 'denied'}: {now['summary']}",
    ]
    return lines + ([] if now["allowed"] else reasons(now))


def who(identity: Mapping[str, Any]) -> str:
    """An identity in a few words."""
    if not identity.get("user"):
        return "anonymous"
    name = "root" if identity["type"] == "Account" else f"user {identity['user']}"
    key = f", access key {identity['accessKey']}" if identity.get("accessKey") not in (None, identity["user"]) else ""
    return f"{name} of account {identity['account']}{key}"


def reasons(decision: Mapping[str, Any]) -> list[str]:
    """The conditions that counted, the statements that came near, and the grants."""
    lines: list[str] = []
    if decision.get("conditions"):
        lines += ["", "Its conditions:", *[f"  {condition(one)}" for one in decision["conditions"]]]
    if decision.get("missed"):
        lines += ["", "Came near:"]
        for missed in decision["missed"]:
            lines += [f"  {_missed(missed)}", *[f"    {condition(one)}" for one in missed["tests"]]]
    for grant in decision.get("grants", ()):
        policy = json.dumps(grant["policy"], indent=2).replace("\n", "\n  ")
        lines += ["", f"The smallest grant that allows it, {grant['where']}:", f"  {policy}"]
    if len(decision.get("grants", ())) > 1:
        lines += ["", "All of these are needed together."]
    return lines


_WHY = {
    "condition": "names the action and the resource, but a condition fails:",
    "resource": "names the action, but not the resource.",
    "principal": "names the action and the resource, but not the caller.",
}
_SIDES = {"identity": "policy {}", "bucket": "the policy of bucket {}", "session": "the session policy"}


def _missed(missed: Mapping[str, Any]) -> str:
    statement = missed["statement"]
    sid = f" ({statement['sid']})" if statement["sid"] else ""
    where = _SIDES[statement["side"]].format(statement["policy"])
    return f"statement {statement['index'] + 1}{sid} of {where} {_WHY[missed['why']]}"


def condition(test: Mapping[str, Any]) -> str:
    """One condition as it was found."""
    wanted = " or ".join(test["expected"])
    actual = (
        "the request has none"
        if test["actual"] is None
        else f"the request has {', '.join(test['actual']) or 'an empty one'}"
    )
    return f"{'holds' if test['held'] else 'fails'}: {test['key']} {test['operator']} {wanted}; {actual}"
