"""The configuration that changes while a server runs: its text form, its layers, its changes all or none, its rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sos.config.load import variables
from sos.config.settings import BY_NAME, Settings
from sos.config.subsystems import SUBSYSTEMS, places_of
from sos.domain.errors import BadRow, InvalidSetting, NoSuchSetting, SettingNotFound, SettingRefused, StoreError
from sos.meta import configuration as rows
from sos.meta.iam import decode, encode
from sos.meta.rows import seal
from sos.services.configuration import Configuration
from sos.services.configuration.configuration import HISTORY_MAX, TARGETS_MAX
from sos.services.configuration.lines import VALUE_BYTES_MAX, read_assignments, read_pairs, read_removals, show_line
from tests.kit.identities import World, run

GOLDEN = Path(__file__).parent / "golden" / "v1"
OPENID = "config_url=http://idp.example/.well-known client_id=me client_secret=so-secret-a-thing"


class Workers:
    """Two workers of one deployment."""

    def __init__(self) -> None:
        self.world = World()
        self.one = self.worker({})
        self.other = self.worker({})

    def worker(self, environment: Mapping[str, str], settings: Settings | None = None) -> Configuration:
        return Configuration(self.world.worker().realm, self.world.pages, settings or Settings(), environment)


@pytest.fixture
def workers() -> Iterator[Workers]:
    yield Workers()


def refused(workers: Workers, error: type[StoreError], work: Any) -> str:
    """The change raises and leaves every row as it was; the text."""
    before = dict(workers.world.system.view.tables["sys"])
    with pytest.raises(error) as caught:
        run(work)
    assert workers.world.system.view.tables["sys"] == before
    return caught.value.message


# -- text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subsystem", "text", "values"),
    [
        ("api", "requests_max=5", {"requests_max": "5"}),
        ("api", 'requests_max="5" root_access=off', {"requests_max": "5", "root_access": "off"}),
        ("api", "cors_allow_origin=a, b requests_max=1", {"cors_allow_origin": "a, b", "requests_max": "1"}),
        ("site", "name='x y' comment=two words", {"name": "x y", "comment": "two words"}),
        ("site", 'comment="region=none of it" region=eu', {"comment": "region=none of it", "region": "eu"}),
        ("identity_ldap", "user_dn_search_filter=(&(uid=%s) (a=b))", {"user_dn_search_filter": "(&(uid=%s) (a=b))"}),
        ("identity_ldap", "lookup_bind_dn=cn=a,dc=b", {"lookup_bind_dn": "cn=a,dc=b"}),
        ("identity_tls", "skip_verify=on", {"skip_verify": "on"}),
        ("identity_openid", "redirect_uri_dynamic=on redirect_uri=x", {"redirect_uri_dynamic": "on", "redirect_uri": "x"}),
        ("identity_openid", "config_url=", {"config_url": ""}),
        ("identity_openid", "config_url=http://x/?a=b&scopes=c", {"config_url": "http://x/?a=b&scopes=c"}),
    ],
)  # fmt: skip
def test_pairs_are_read_as_clients_write_them(subsystem: str, text: str, values: dict[str, str]) -> None:
    assert read_pairs(SUBSYSTEMS[subsystem], text) == values


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("nonsense a=b", NoSuchSetting, "unknown sub-system nonsense"),
        ("api", InvalidSetting, "sub-system 'api' must have key"),
        ("api ", InvalidSetting, "sub-system 'api' must have key"),
        ("api nonsense=5", InvalidSetting, "sub-system 'api' has no such key: nonsense"),
        ("api =", InvalidSetting, "sub-system 'api' has no such key"),
        ("site:x region=eu", InvalidSetting, "sub-system 'site' only supports single target"),
        ("identity_openid: client_id=a", InvalidSetting, "the name of a target"),
        ("identity_openid:a/b client_id=a", InvalidSetting, "the name of a target"),
        (f"site comment={'x' * (VALUE_BYTES_MAX + 1)}", InvalidSetting, "more than"),
        ("site comment=a\0b", InvalidSetting, "NUL"),
    ],
)
def test_lines_that_are_not_understood(text: str, error: type[StoreError], message: str) -> None:
    with pytest.raises(error) as caught:
        read_assignments(text)
    assert message in caught.value.message


def test_a_refusal_never_repeats_a_secret(workers: Workers) -> None:
    """A26: one may have been put where a key belongs."""
    for text in (
        "nonsense a=so-secret",
        "identity_openid so-secret",
        "identity_openid x=so-secret",
        "site:x a=so-secret",
    ):
        with pytest.raises(StoreError) as caught:
            read_assignments(text)
        assert "so-secret" not in caught.value.message
    message = refused(workers, SettingRefused, workers.one.set("identity_openid enable=off client_secrets=so-secret"))
    assert "so-secret" not in message


def test_comments_and_empty_lines_are_passed_over() -> None:
    assert [line.place for line in read_assignments("\n# api a=b\n  \nsite name=x\n")] == [("site", "_")]
    assert [(line.place, line.keys) for line in read_removals("api requests_max root_access\n")] == [
        (("api", "_"), ("requests_max", "root_access"))
    ]


def test_what_is_shown_can_be_read_again() -> None:
    """And hides secrets unless it is asked for them; an empty one is shown."""
    known = SUBSYSTEMS["identity_openid"]
    values = {"client_id": "a b", "client_secret": "s", "config_url": "", "comment": "in a word"}
    shown = show_line(known, "kc", values, {}, secrets=True, off=False)
    assert shown.startswith("identity_openid:kc ")
    (line,) = read_assignments(shown)
    assert {name: value for name, value in line.values.items() if value} == {k: v for k, v in values.items() if v}
    assert "client_secret" not in show_line(known, "kc", values, {}, secrets=False, off=False)
    assert "client_secret= " in show_line(known, "kc", {}, {}, secrets=False, off=False)
    pins = {"client_secret": "s", "client_id": "p"}
    hidden = show_line(known, "kc", values, pins, secrets=False, off=True)
    assert hidden.startswith("# MINIO_IDENTITY_OPENID_CLIENT_ID_kc=p\n# identity_openid:kc enable= display_name= ")


# -- the table ---------------------------------------------------------------------------------------------


def test_the_table_is_whole() -> None:
    for name, subsystem in SUBSYSTEMS.items():
        assert subsystem.name == name
        assert all(key.setting in ("", *BY_NAME) for key in subsystem.keys)
        assert not subsystem.essential or subsystem.key(subsystem.essential) is not None
        assert [key.name for key in subsystem.keys if key.secret] == [
            key.name for key in subsystem.keys if any(word in key.name for word in ("secret", "password", "token"))
        ]


def test_variables_name_places() -> None:
    for name, subsystem in SUBSYSTEMS.items():
        for key in subsystem.keys:
            assert places_of(subsystem.variable(key.name).removeprefix("MINIO_")) == (name, key.name, "_")
            if subsystem.many:
                assert places_of(subsystem.variable(key.name, "One").removeprefix("MINIO_")) == (name, key.name, "One")
    for other in ("ROOT_USER", "IDENTITY_OPENID", "IDENTITY_OPENID_", "IDENTITY_LDAP_ENABLE_X", "API_NONSENSE", "SITE"):
        assert places_of(other) is None


def test_the_environment_is_read_with_its_file(tmp_path: Path) -> None:
    """``SOS_`` beats ``MINIO_``, the file beats the process."""
    path = tmp_path / "env"
    path.write_text("MINIO_SITE_NAME=of-the-file\n")
    environ = {
        "MINIO_CONFIG_ENV_FILE": str(path), "MINIO_SITE_NAME": "of-the-process", "MINIO_API_ROOT_ACCESS": "on",
        "SOS_API_ROOT_ACCESS": "off", "MINIO_SITE_REGION": "", "HOME": "/",
    }  # fmt: skip
    found = variables(environ)
    assert found == {"CONFIG_ENV_FILE": str(path), "SITE_NAME": "of-the-file", "API_ROOT_ACCESS": "off"}


# -- layers ------------------------------------------------------------------------------------------------


def test_the_environment_beats_what_is_stored_and_that_beats_the_settings(workers: Workers) -> None:
    run(workers.one.set("site region=eu-stored name=stored"))
    pinned = workers.worker({"REGION": "eu-env"}, Settings(region="eu-env", requests_max=9))
    assert workers.other.targets("site")["_"]["region"] == "eu-stored"
    assert workers.other.settings().region == "eu-stored"
    assert pinned.targets("site")["_"] == {"name": "stored", "region": "eu-env", "comment": ""}
    assert pinned.pins("site", "_") == {"region": "eu-env"}
    assert (pinned.settings().region, pinned.settings().requests_max) == ("eu-env", 9)
    assert pinned.targets("api")["_"]["requests_max"] == "9"
    run(workers.one.set("api requests_max=7 cors_allow_origin=http://a,http://b root_access=off"))
    settings = pinned.settings()
    assert (settings.requests_max, settings.cors_allow_origin, settings.root_access) == (
        7,
        ("http://a", "http://b"),
        False,
    )


def test_targets_are_those_that_something_is_said_of(workers: Workers) -> None:
    pinned = workers.worker({"IDENTITY_OPENID_CLIENT_ID_ENV": "x", "IDENTITY_LDAP_SERVER_ADDR": "h:1"})
    run(workers.one.set(f"identity_openid:kc {OPENID}"))
    assert list(workers.other.targets("identity_openid")) == ["_", "kc"]
    assert list(pinned.targets("identity_openid")) == ["_", "ENV", "kc"]
    assert pinned.targets("identity_openid")["_"]["claim_name"] == "policy"
    assert list(pinned.enabled("identity_openid")) == ["kc"]
    assert list(pinned.enabled("identity_ldap")) == ["_"]
    with pytest.raises(NoSuchSetting):
        pinned.targets("nonsense")


def test_a_set_switches_on_what_can_be_switched(workers: Workers) -> None:
    run(workers.one.set(f"identity_openid:kc {OPENID}"))
    assert workers.one.targets("identity_openid")["kc"]["enable"] == "on"
    run(workers.one.set("identity_openid:kc enable=off"))
    assert workers.other.enabled("identity_openid") == {}
    assert workers.other.targets("identity_openid")["kc"]["client_secret"] == "so-secret-a-thing"
    run(workers.one.set("identity_tls skip_verify=on"))
    assert workers.one.enabled("identity_tls") == {}
    run(workers.one.set("identity_tls enable=on"))
    assert workers.one.enabled("identity_tls")["_"]["skip_verify"] == "on"


# -- changes -----------------------------------------------------------------------------------------------


def test_a_change_is_in_force_in_every_worker_at_once(workers: Workers) -> None:
    assert workers.other.targets("site")["_"]["region"] == ""
    for region in ("eu-1", "eu-2", "eu-3"):
        run(workers.one.set(f"site region={region}"))
        assert workers.other.targets("site")["_"]["region"] == region
        assert workers.one.targets("site")["_"]["region"] == region


def test_watchers_hear_of_changes_of_their_subsystem_alone(workers: Workers) -> None:
    heard: list[str] = []
    for name in SUBSYSTEMS:
        workers.other.watch(name, lambda name=name: heard.append(name))
    workers.other.follow()
    run(workers.one.set("site region=eu-1"))
    run(workers.world.identity.users.put("000000000000", "alice", "a-secret-of-hers"))
    assert heard == []
    workers.other.follow()
    assert heard == ["site"]
    workers.other.follow()
    run(workers.one.set("site region=eu-1"))
    workers.other.follow()
    assert heard == ["site"]
    run(workers.one.delete("site"))
    workers.other.look()
    assert heard == ["site", "site"]
    workers.other.reload(Settings(), {"API_ROOT_ACCESS": "off"})
    assert heard == ["site", "site", "api"]


def test_without_a_snapshot_what_was_in_force_stays(workers: Workers) -> None:
    workers.other.follow()
    run(workers.one.set("site region=eu-1"))
    workers.world.system.away = True
    with pytest.raises(StoreError):
        workers.other.follow()
    assert workers.other.targets("site")["_"]["region"] == ""
    workers.world.system.away = False
    assert workers.other.targets("site")["_"]["region"] == "eu-1"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", InvalidSetting),
        ("# nothing", InvalidSetting),
        ("nonsense a=b", NoSuchSetting),
        ("api requests_max=many", SettingRefused),
        ("api root_access=perhaps", SettingRefused),
        ('api cors_allow_origin=a"b', SettingRefused),
        ("drive max_timeout=soon", SettingRefused),
        ("site region=no/region", SettingRefused),
        ("site name=Upper", SettingRefused),
        ("identity_tls skip_verify=perhaps", SettingRefused),
        ("identity_openid client_id=me", InvalidSetting),
        ("identity_openid:kc enable=on client_id=me", InvalidSetting),
        ("identity_plugin url=http://x", InvalidSetting),
        ("site region=eu-1\nsite name=Upper", SettingRefused),
    ],
)
def test_a_refused_change_changes_nothing(workers: Workers, text: str, error: type[StoreError]) -> None:
    refused(workers, error, workers.one.set(text))
    assert run(workers.one.history()) == []


def test_checks_see_what_would_be_in_force(workers: Workers) -> None:
    """Of targets in use only; the values of the environment included."""
    pinned = workers.worker({"IDENTITY_OPENID_CLIENT_ID_kc": "of-the-environment"})
    seen: list[Mapping[str, str]] = []

    async def check(values: Mapping[str, str]) -> None:
        seen.append(values)
        if values["config_url"] == "http://refused":
            raise SettingRefused("it cannot be reached")

    pinned.register_check("identity_openid", check)
    run(pinned.set(f"identity_openid:kc {OPENID}"))
    assert (seen[0]["client_id"], seen[0]["client_secret"]) == ("of-the-environment", "so-secret-a-thing")
    run(pinned.set("identity_openid:kc enable=off config_url=http://refused"))
    run(pinned.set("site region=eu-1"))
    assert len(seen) == 1
    text = refused(workers, SettingRefused, pinned.set("identity_openid:kc config_url=http://refused"))
    assert text == "it cannot be reached"
    run(pinned.delete("identity_openid:kc"))
    assert len(seen) == 2


def test_who_is_overtaken_looks_again(workers: Workers) -> None:
    """Two changes of one target at a moment are both there, and each was checked together with the other."""
    seen: list[tuple[str, str]] = []

    async def check(values: Mapping[str, str]) -> None:
        seen.append((values["name"], values["region"]))

    workers.one.register_check("site", check)

    async def overtake() -> None:
        await workers.other.set("site region=eu-1")

    workers.world.system.before = overtake
    run(workers.one.set("site name=here"))
    assert seen == [("here", ""), ("here", "eu-1")]
    assert workers.other.targets("site")["_"] == {"name": "here", "region": "eu-1", "comment": ""}
    assert len(run(workers.one.history())) == 2


def test_many_changes_at_once_lose_none(workers: Workers) -> None:
    async def all_of_them() -> None:
        changes = [workers.one.set(f"identity_openid:t{number} {OPENID}") for number in range(10)]
        changes += [workers.other.set(f"identity_openid:u{number} {OPENID}") for number in range(10)]
        await asyncio.gather(*changes)

    run(all_of_them())
    assert len(workers.one.targets("identity_openid")) == 21


def test_resets(workers: Workers) -> None:
    run(workers.one.set("site region=eu-1 name=here comment=why"))
    run(workers.one.delete("site region comment"))
    assert workers.other.targets("site")["_"] == {"name": "here", "region": "", "comment": ""}
    run(workers.one.delete("site"))
    assert not workers.other.is_stored("site", "_")
    run(workers.one.delete("site"))  # as in MinIO the default target is always there
    refused(workers, SettingNotFound, workers.one.delete("site nonsense"))
    refused(workers, SettingNotFound, workers.one.delete("identity_openid:kc"))
    refused(workers, NoSuchSetting, workers.one.delete("nonsense"))
    refused(workers, InvalidSetting, workers.one.delete(""))


def test_an_import_replaces_everything(workers: Workers) -> None:
    run(workers.one.set("site region=eu-1"))
    run(workers.one.set(f"identity_openid:kc {OPENID}"))
    run(workers.one.set("api requests_max=5\n# site region=eu-9\n", whole=True))
    assert workers.other.targets("site")["_"]["region"] == ""
    assert list(workers.other.targets("identity_openid")) == ["_"]
    assert workers.other.targets("api")["_"]["requests_max"] == "5"
    refused(workers, InvalidSetting, workers.one.set("site region=eu-1\nnonsense a=b", whole=True))


def test_there_are_not_too_many_targets(workers: Workers) -> None:
    text = "\n".join(f"identity_openid:t{number} enable=off" for number in range(TARGETS_MAX + 1))
    assert "at most" in refused(workers, InvalidSetting, workers.one.set(text))


# -- history -----------------------------------------------------------------------------------------------


def test_each_set_is_remembered_and_can_be_made_again(workers: Workers) -> None:
    for region in ("eu-1", "eu-2"):
        workers.world.now_ns += 1
        run(workers.one.set(f"site region={region}"))
    entries = run(workers.other.history())
    assert [entry.text for entry in entries] == ["site region=eu-1", "site region=eu-2"]
    assert [entry.text for entry in run(workers.other.history(1))] == ["site region=eu-2"]
    run(workers.other.restore(entries[0].restore_id))
    assert workers.one.targets("site")["_"]["region"] == "eu-1"
    assert [entry.text for entry in run(workers.one.history())] == ["site region=eu-2"]
    refused(workers, SettingNotFound, workers.other.restore(entries[0].restore_id))
    run(workers.one.forget(entries[0].restore_id))
    run(workers.one.forget("all"))
    assert run(workers.other.history()) == []
    assert workers.one.targets("site")["_"]["region"] == "eu-1"


def test_the_history_is_bounded(workers: Workers) -> None:
    for number in range(HISTORY_MAX + 3):
        workers.world.now_ns += 1
        run(workers.one.set(f"site comment={number}"))
    texts = [entry.text for entry in run(workers.one.history(-1))]
    assert texts == [f"site comment={number}" for number in range(3, HISTORY_MAX + 3)]


def test_a_damaged_entry_of_the_history_is_left_out(workers: Workers) -> None:
    run(workers.one.set("site region=eu-1"))
    row, view = rows.history_row("damaged"), workers.world.system.view

    async def put() -> None:
        await workers.world.identity.realm.store.change(lambda change: change.put(row, rows.HistoryRecord(b"x", 1)))

    run(put())
    assert row in view.tables["sys"]
    assert [entry.text for entry in run(workers.one.history())] == ["site region=eu-1"]
    run(workers.one.set("site region=eu-2"))
    run(workers.one.forget("damaged"))
    assert row not in view.tables["sys"]


def test_a_restore_is_checked_like_a_set(workers: Workers) -> None:
    run(workers.one.set("site region=eu-1"))

    async def check(values: Mapping[str, str]) -> None:
        raise SettingRefused("not any more")

    run(workers.one.delete("site"))
    workers.one.register_check("site", check)
    (entry,) = run(workers.one.history())
    refused(workers, SettingRefused, workers.one.restore(entry.restore_id))


# -- rows --------------------------------------------------------------------------------------------------

SAMPLES: dict[str, msgspec.Struct] = {
    "config-values": rows.ValuesRecord({"client_id": "me", "comment": "ü"}, {"client_secret": b"sealed"}, 99),
    "config-history": rows.HistoryRecord(b"sealed", 99),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_golden_documents(name: str) -> None:
    golden = bytes.fromhex((GOLDEN / f"{name}.hex").read_text())
    assert decode(golden, type(SAMPLES[name])) == SAMPLES[name]
    assert encode(SAMPLES[name]) == golden


def test_names_of_rows() -> None:
    assert rows.values_row("identity_openid", "kc") == b"config/values/identity_openid\0kc"
    assert rows.place_of(rows.values_row("site", "_")) == ("site", "_")
    assert rows.history_row("id") == b"config/history/id"
    longest = max(SUBSYSTEMS, key=len)
    assert len(rows.values_row(longest, "n" * 64)) <= 511


def test_no_secret_is_stored_or_shown_in_clear(workers: Workers) -> None:
    """A26"""
    run(workers.one.set(f"identity_openid:kc {OPENID}"))
    run(workers.one.set("identity_plugin url=http://x role_policy=readonly auth_token=so-secret-a-thing"))
    run(workers.one.set("identity_ldap server_addr=h:1 lookup_bind_password=so-secret-a-thing"))
    assert "so-secret" not in repr(workers.world.system.view.tables["sys"])
    assert "so-secret" not in repr(run(workers.one.history()))
    assert "so-secret" not in repr(workers.one._stored)
    assert workers.other.targets("identity_ldap")["_"]["lookup_bind_password"] == "so-secret-a-thing"


def damage(workers: Workers, subsystem: str, change: Callable[[rows.ValuesRecord], rows.ValuesRecord]) -> None:
    """Rewrite a row behind everybody's back."""
    view, row = workers.world.system.view, rows.values_row(subsystem, "_")
    record = decode(msgspec.msgpack.decode(view.tables["sys"][row][1:-8]), rows.ValuesRecord)
    view.tables["sys"][row] = seal(row, encode(change(record)))
    workers.world.pages.bump(2)


def test_a_damaged_row_harms_its_subsystem_alone(workers: Workers) -> None:
    """A secret that was moved from another place does not open there."""
    run(workers.one.set("site region=eu-1"))
    run(workers.one.set("identity_ldap server_addr=h:1 lookup_bind_password=so-secret-a-thing"))
    damage(workers, "identity_ldap", lambda was: rows.ValuesRecord(was.values, {"lookup_bind_password": bytes(40)}))
    with pytest.raises(BadRow):
        workers.other.targets("identity_ldap")
    assert workers.other.targets("site")["_"]["region"] == "eu-1"
    run(workers.one.delete("identity_ldap"))
    assert workers.other.enabled("identity_ldap") == {}
