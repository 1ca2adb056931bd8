"""``sos policy``: what policies would decide, in force or in draft."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..config.values import ConfigError
from .explain import reasons, since, who
from .flags import Parser
from .remote import add_server, ask, shown

USAGE = """\
sos policy: what policies would decide, with nothing done

  sos policy simulate --user U|--access-key K|--anonymous --action A [--resource ARN]   one question
  sos policy replay --policy FILE …    what a draft would have changed of the last hour's requests

`sos policy simulate --help` and `sos policy replay --help` tell more.
"""
FILE_BYTES_MAX = 1 << 20


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Exit codes: 0 answered, whatever was decided; 1 not."""
    words = list(argv)
    verbs = {"simulate": simulate, "replay": replay}
    if words and words[0] in verbs:
        return verbs[words[0]](words[1:], environ)
    asked = words[:1] in (["--help"], ["-h"])
    print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 1


def _draft_flags(parser: argparse.ArgumentParser, required: bool) -> None:
    group = parser.add_argument_group("draft")
    group.add_argument(
        "--policy", default="", required=required, metavar="FILE", help="a policy that is not in force; - reads stdin"
    )
    group.add_argument("--instead-of", default="", metavar="NAME", help="the policy whose place it takes")
    group.add_argument("--bucket", default="", metavar="BUCKET", help="it is the policy of this bucket")


def _draft(found: argparse.Namespace) -> dict[str, Any]:
    """:raises ConfigError: no JSON in the file"""
    members = {"insteadOf": found.instead_of, "bucket": found.bucket}
    draft: dict[str, Any] = {name: text for name, text in members.items() if text}
    if found.policy:
        draft["policy"] = _read(found.policy)
    return draft


def _read(path: str) -> Any:
    try:
        if path == "-":
            return json.loads(sys.stdin.read(FILE_BYTES_MAX))
        with open(path, encoding="utf-8") as file:
            return json.loads(file.read(FILE_BYTES_MAX))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON document: {error}") from None


def simulate(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """One question."""
    parser = Parser(
        prog="sos policy simulate",
        description="Tell whether an identity may do an action on a resource, and why, by the policies in force or with a draft.",
        allow_abbrev=False,
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--user", default="", metavar="NAME")
    asked.add_argument("--access-key", default="", metavar="KEY", help="of a service account or temporary credentials")
    asked.add_argument("--anonymous", action="store_true")
    parser.add_argument("--action", required=True, metavar="ACTION", help="for example s3:GetObject")
    parser.add_argument("--resource", default="", metavar="ARN", help="arn:aws:s3:::bucket/key, or bucket/key")
    parser.add_argument(
        "--context",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="for example aws:SourceIp=10.0.0.1; again for several values",
    )
    parser.add_argument("--own", action="store_true", help="it is about the identity's own keys")
    _draft_flags(parser, required=False)
    add_server(parser, keys=False)
    found = parser.parse_args(list(argv))
    question: dict[str, Any] = {
        "action": found.action,
        "resource": found.resource,
        "context": _context(parser, found.context),
    }
    question |= {"user": found.user, "accessKey": found.access_key, "anonymous": found.anonymous, "own": found.own}
    question |= _draft(found)
    answer = shown(found, lambda: ask(found, environ, "POST sos/policy/simulate", document=question), _simulated)
    return 0 if answer is not None else 1


def _context(parser: Parser, given: Sequence[str]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            parser.error(f"--context {text}: write KEY=VALUE")
        values.setdefault(key, []).append(value)
    return values


def _simulated(answer: dict[str, Any]) -> str:
    verdict = "allowed" if answer["allowed"] else "denied"
    draft = " with the draft" if answer["draft"] else ""
    about = f"{answer['action']} {answer['resource']}".strip()
    lines = [f"{verdict}{draft}: {about} to {who(answer['identity'])}", answer["summary"]]
    if not answer["allowed"]:
        lines += reasons(answer)
    if answer["notGiven"]:
        lines += ["", f"Asked for by policies and not given with --context: {', '.join(answer['notGiven'])}"]
    return "\n".join(lines)


def replay(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """The last hour's requests, decided again."""
    parser = Parser(
        prog="sos policy replay",
        description="Decide the requests of the last hour again, by the policies in force and with a draft, and tell those that "
        "are decided otherwise. The draft takes a policy's place, or is a bucket's policy, or is attached to somebody.",
        allow_abbrev=False,
    )
    _draft_flags(parser, required=True)
    parser.add_argument("--attach", default="", metavar="USER", help="the draft is attached to this user")
    parser.add_argument("--attach-group", default="", metavar="GROUP", help="the draft is attached to this group")
    add_server(parser)
    found = parser.parse_args(list(argv))
    document = {**_draft(found), "user": found.attach, "group": found.attach_group}
    answer = shown(found, lambda: ask(found, environ, "POST sos/policy/replay", document=document), _replayed)
    return 0 if answer is not None else 1


_COUNTS = {
    "changed": "are decided otherwise with the draft",
    "unsure": "may be: the draft asks for what was not recorded",
    "gone": "are of identities that are gone",
    "drifted": "are decided otherwise by the policies in force, too, than they were",
}


def _replayed(answer: dict[str, Any]) -> str:
    lines = [f"{answer['requests']} requests of the last hour, {answer['unchanged']} unchanged."]
    lines += [f"{answer[kind]} {told}." for kind, told in _COUNTS.items() if answer[kind]]
    for title, name in (("Changed:", "changes"), ("Unsure:", "unsureChanges")):
        if answer[name]:
            lines += ["", title, *[line for one in answer[name] for line in _change(one)]]
    if answer["notListed"]:
        lines += ["", f"{answer['notListed']} more requests are not listed."]
    return "\n".join([*lines, "", *since(answer)])


def _change(change: Mapping[str, Any]) -> list[str]:
    where = f"{change['below']}… (judged by {change['resource']})" if "below" in change else change["resource"]
    about = f"{change['action']} {where}".strip()
    lines = [
        f"  {change['now']} → {change['draft']}: {change['requests']} × {about} by {who(change['identity'])}, last {change['last']}"
    ]
    lines += [f"    {change['why']}"]
    if "requestIds" in change:
        lines += [f"    requests {', '.join(change['requestIds'])}"]
    if "notRecorded" in change:
        lines += [f"    not recorded: {', '.join(change['notRecorded'])}"]
    return lines
