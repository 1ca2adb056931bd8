"""Every command of ``mc`` with a wrong secret, and as a user without any right: refused, told why, and without effect."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.mc_json import SECRET, Mc, Said
from tests.kit.server import USER, Server
from tests.kit.wire import exchange

BUCKET = "refusals"
TEXT = b"kept"
WRONG, NO_RIGHT = "SignatureDoesNotMatch", "AccessDenied"
#: What mc says itself of a 403 that has no document, or whose document it does not read.
SILENT = "403 Forbidden"
#: What mc makes of the refusal of a HEAD.
NO_PATH = "Insufficient permissions to access this path"
UNKNOWN_SOURCE = "Unable to guess the type of copy operation."
TEXTS = {
    WRONG: (WRONG, "The request signature we calculated does not match the signature you provided.", SILENT),
    NO_RIGHT: (NO_RIGHT, "Access Denied.", NO_PATH, SILENT),
}

DATA = """
mb @/another
rb @/refusals
rb --force @/refusals
ls @
ls @/refusals
ls --recursive @/refusals
ls --versions @/refusals
cp FILE @/refusals/new
cp --recursive TREE/ @/refusals/new/
mv COPY @/refusals/new
cat @/refusals/kept
head @/refusals/kept
pipe @/refusals/new
stat @/refusals
stat @/refusals/kept
find @/refusals
diff TREE @/refusals
du @/refusals
tree @/refusals
rm @/refusals/kept
rm --recursive --force @/refusals
mirror TREE @/refusals/new
mirror @/refusals OUT
share download @/refusals/kept
anonymous set public @/refusals
anonymous set none @/refusals
anonymous get @/refusals
anonymous list @/refusals
anonymous set-json POLICY @/refusals
od if=FILE of=@/refusals/new
od if=@/refusals/kept of=OUT
version info @/refusals
quota set @/refusals --size 1MiB
quota info @/refusals
quota clear @/refusals
replicate status @/refusals
replicate backlog @/refusals
"""
ADMIN = """
admin info @
admin user add @ eve a-secret-of-eves
admin user ls @
admin user info @ operator
admin user disable @ other
admin user enable @ other
admin user rm @ other
admin group add @ their-group other
admin group ls @
admin group info @ group-of-others
admin group disable @ group-of-others
admin group enable @ group-of-others
admin group rm @ group-of-others other
admin policy create @ theirs POLICY
admin policy ls @
admin policy info @ readonly
admin policy attach @ consoleAdmin --user hers
admin policy detach @ readonly --user other
admin policy entities @
admin policy rm @ policy-of-others
admin accesskey create @ operator
admin accesskey ls @ --all
admin accesskey ls @ operator
admin accesskey info @ KEYOFOTHERS
admin accesskey edit @ KEYOFOTHERS --secret-key a-secret-of-hers
admin accesskey disable @ KEYOFOTHERS
admin accesskey enable @ KEYOFOTHERS
admin accesskey rm @ KEYOFOTHERS
admin accesskey info @ absent
admin user svcacct add @ operator
admin user svcacct ls @ operator
admin user svcacct info @ KEYOFOTHERS
admin user svcacct edit @ KEYOFOTHERS --name theirs
admin user svcacct disable @ KEYOFOTHERS
admin user svcacct enable @ KEYOFOTHERS
admin user svcacct rm @ KEYOFOTHERS
admin user sts info @ KEYOFOTHERS
"""
SERVER = """
admin config get @ api
admin config set @ api requests_max=7
admin config reset @ api
admin config history @
admin config restore @ absent
admin config export @
admin trace @
admin logs @
support top api @
support top locks @
support perf object @
support perf drive @
support perf net @
admin prometheus metrics @
admin cluster bucket export @
admin cluster bucket import @ ARCHIVE
admin cluster iam export @
admin cluster iam import @ ARCHIVE
idp openid ls @
idp openid info @
idp openid add @ theirs client_id=a
idp openid rm @ theirs
idp ldap ls @
idp ldap info @
idp ldap add @ server_addr=localhost
idp ldap policy attach @ readonly --user x
idp ldap policy entities @
admin service restart @
admin service stop @
admin service freeze @
admin service unfreeze @
admin heal @/refusals
admin scanner status @
admin decommission status @
admin rebalance status @
ilm tier ls @
batch list @
admin replicate info @
admin kms key list @
admin kms key create @ theirs
"""
COMMANDS = [line for family in (DATA, ADMIN, SERVER) for line in family.strip().splitlines()]
#: mc ends with 0 all the same, as it does with a MinIO server.
ENDS_WELL = {"admin info @", "admin accesskey info @ KEYOFOTHERS", "admin accesskey info @ absent"}
#: Of a user without any right, who is told of it in a document.
GOES_ON = {"mirror TREE @/refusals/new"}


@pytest.fixture(scope="module")
def mc(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mc]:
    """At the end nothing is other than before."""
    mc = Mc(server, tmp_path_factory.mktemp("mc"))
    mc.rows("mb", f"sos/{BUCKET}")
    mc.rows("pipe", f"sos/{BUCKET}/kept", stdin=TEXT)
    for user in ("hers", "other"):
        mc.rows("admin", "user", "add", "sos", user, SECRET)
    mc.rows("admin", "group", "add", "sos", "group-of-others", "other")
    mc.rows("admin", "policy", "attach", "sos", "readonly", "--user", "other")
    mc.rows("admin", "policy", "create", "sos", "policy-of-others", _policy(tmp_path_factory.mktemp("policy")))
    mc.rows("admin", "accesskey", "create", "sos", "other", "--access-key", "KEYOFOTHERS", "--secret-key", SECRET)
    before = _state(mc)
    yield mc
    assert _state(mc) == before


def _state(mc: Mc) -> dict[str, object]:
    """All that the commands could have changed."""
    asked = [
        "ls sos",
        f"ls --recursive sos/{BUCKET}",
        f"anonymous get sos/{BUCKET}",
        f"quota info sos/{BUCKET}",
        "admin user ls sos",
        "admin user info sos hers",
        "admin user info sos other",
        "admin group ls sos",
        "admin group info sos group-of-others",
        "admin policy ls sos",
        "admin accesskey ls sos --all",
        "admin accesskey info sos KEYOFOTHERS",
        "admin config get sos api",
        "idp openid ls sos",
    ]
    shown = {line: mc.run(*line.split()).rows for line in asked}
    order = {line: sorted(rows, key=str) for line, rows in shown.items()}
    return {**order, "data": mc.tool("cat", f"sos/{BUCKET}/kept").out}


def _policy(root: Path) -> Path:
    statement = '{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}'
    path = root / "policy.json"
    path.write_text('{"Version": "2012-10-17", "Statement": [' + statement + "]}")
    return path


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """What the words in capitals of a command stand for."""
    (tmp_path / "tree" / "dir").mkdir(parents=True)
    for path in ("file", "copy", "tree/a", "tree/dir/b"):
        (tmp_path / path).write_bytes(b"new")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("iam-assets/users.json", "{}")
    names = {"FILE": "file", "COPY": "copy", "TREE": "tree", "OUT": "out", "ARCHIVE": "archive.zip"}
    return {word: str(tmp_path / name) for word, name in names.items()} | {"POLICY": str(_policy(tmp_path))}


def ask(mc: Mc, line: str, who: str, places: dict[str, str]) -> Said:
    for word, place in places.items():
        line = line.replace(word, place)
    return mc.run(*line.replace("@", who).split(), stdin=b"new" if line.startswith("pipe") else b"")


@pytest.mark.parametrize("line", COMMANDS)
def test_who_may_not_is_told_so(mc: Mc, line: str, places: dict[str, str]) -> None:
    for who, why in (("wrong", WRONG), ("hers", NO_RIGHT)):
        said = ask(mc, line, who, places)
        assert any(text in told for told in said.told for text in TEXTS[why]), (who, said)
        ends_well = line in ENDS_WELL or (who == "hers" and line in GOES_ON)
        assert (said.code == 0) is ends_well, (who, said)


@pytest.mark.parametrize(
    "line", ["cp @/refusals/kept OUT", "cp @/refusals/kept @/refusals/new", "mv @/refusals/kept OUT"]
)
def test_a_source_that_may_not_be_looked_at_is_no_source(mc: Mc, line: str, places: dict[str, str]) -> None:
    for who in ("wrong", "hers"):
        said = ask(mc, line, who, places)
        assert (said.code, said.told) == (1, [UNKNOWN_SOURCE])
    assert not Path(places["OUT"]).exists()


def test_a_copy_that_was_refused_keeps_its_source(mc: Mc, places: dict[str, str]) -> None:
    for who in ("wrong", "hers"):
        ask(mc, "mv COPY @/refusals/new", who, places)
        assert Path(places["COPY"]).read_bytes() == b"new"


def test_a_link_is_no_right(mc: Mc, server: Server, places: dict[str, str]) -> None:
    """A share is signed by whoever has a secret; what it opens is decided when it is used."""
    share = mc.row("share", "upload", f"hers/{BUCKET}/new")["share"]
    fields = dict(word.split("=", 1) for word in share.split(" -F ")[1:] if not word.startswith("file="))
    parts = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    form = "".join([*parts, '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nnew\r\n--b--\r\n']).encode()
    head = (
        f"POST /{BUCKET}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {len(form)}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    reply = exchange(server.port, head.encode() + form)
    assert reply.status == 403 and b"AccessDenied" in reply.body


def test_a_refusal_tells_nothing_of_what_there_is(mc: Mc) -> None:
    """A user, a group, a policy and a key that do and that do not exist."""
    for what in (
        ("user", "info", "hers", USER), ("user", "info", "hers", "no-such-user"),
        ("group", "info", "hers", "group-of-others"), ("group", "info", "hers", "no-such-group"),
        ("policy", "info", "hers", "policy-of-others"), ("policy", "info", "hers", "no-such-policy"),
        ("user", "svcacct", "info", "hers", "KEYOFOTHERS"), ("user", "svcacct", "info", "hers", "NOSUCHKEY"),
    ):  # fmt: skip
        said = mc.fails("admin", *what)
        assert (said.told, said.message) == ([NO_RIGHT], "Access Denied."), what
