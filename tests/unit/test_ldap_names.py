"""Names of a directory: one spelling each, and filters in which nothing that somebody typed means anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import parse_filter

from sos.services.identity import ldap_names as names

VALUES = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)
TYPES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
PARTS = st.lists(st.tuples(TYPES.map(str.lower), VALUES), min_size=1, max_size=3).map(sorted).map(tuple)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map(tuple)


@given(NAMES)
def test_a_spelling_says_what_it_was_made_of(name: names.Name) -> None:
    assert names.parse(names.spell(name)) == name


@given(NAMES)
def test_a_spelling_can_be_part_of_the_name_of_a_row(name: names.Name) -> None:
    text = names.spell(name)
    assert text.isprintable()
    assert "\0" not in text
    assert text == text.strip() or text.endswith(("\\ ", "="))


@given(NAMES)
def test_every_way_of_escaping_is_the_same_name(name: names.Name) -> None:
    whole = ",".join(
        "+".join(f" {k.upper()} = " + "".join(f"\\{byte:02X}" for byte in v.encode()) for k, v in parts)
        for parts in name
    )
    if len(whole) <= names.DN_CHARS_MAX:
        assert names.canonical(whole) == names.spell(name)


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("UID=Jane,OU=People,DC=x", "uid=Jane,ou=People,dc=x"),  # the case of values is the directory's affair
        (r"uid=jane\, doe,dc=x", r"uid=jane\, doe,dc=x"),
        (r"uid=jane\2c doe,dc=x", r"uid=jane\, doe,dc=x"),
        ("uid = jane , dc = x", "uid=jane,dc=x"),
        (r"cn=\ lead\ ,dc=x", r"cn=\ lead\ ,dc=x"),
        (r"cn=x\\ ,dc=y", r"cn=x\\,dc=y"),
        (r"cn=x\\\ ,dc=y", r"cn=x\\\ ,dc=y"),
        ("uid=b+cn=a,dc=x", "cn=a+uid=b,dc=x"),
        (r"cn=pr\c3\bcfen,dc=x", "cn=prüfen,dc=x"),
        (r"cn=\23x,dc=x", r"cn=\#x,dc=x"),
        ("cn=a=b,dc=x", "cn=a=b,dc=x"),
        ("cn=,dc=x", "cn=,dc=x"),
        ("2.5.4.3=x,dc=y", "2.5.4.3=x,dc=y"),
        ("cn=a​b", r"cn=a\e2\80\8bb"),
    ],
)
def test_one_spelling(typed: str, spelled: str) -> None:
    assert names.canonical(typed) == spelled
    assert names.canonical(spelled) == spelled


@pytest.mark.parametrize(
    "text",
    ["", "jane", "a=b,", ",a=b", "a=b,,c=d", "a=b+", 'a="b"', r"a=b\g", "a=b;c=d", r"cn=\ff", "cn=#04024869", "a=b\0",
     "a b=c", "1a=b", "-a=b", "a=b,c", "a=<b>", "a=" + "b" * 1023],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    assert not names.is_name(text)


def test_under_is_by_whole_parts() -> None:
    """A17: no prefix of a text is an ancestor."""
    base = "ou=team,dc=x"
    assert names.under("uid=a,ou=team,dc=x", [base])
    assert names.under("uid=a,OU=Team,ou=TEAM,DC=X", [base])
    for other in ("ou=team,dc=x", "dc=x", "uid=a,ou=team1,dc=x", "uid=a,xou=team,dc=x", r"uid=a\,ou=team,dc=x"):
        assert not names.under(other, [base])
    assert names.under("uid=a,ou=guests,dc=x", [base, "ou=guests,dc=x"])
    assert not names.under("uid=a,dc=x", [])


def test_names_that_compare_as_the_same() -> None:
    assert names.same("UID=Jane  Doe,dc=X", "uid=jane doe,DC=x")
    assert not names.same("uid=jane,dc=x", "uid=jane,dc=xx")


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=60))
def test_nothing_in_a_value_means_anything_in_a_filter(value: str) -> None:
    filter_ = names.filled("(&(objectClass=person)(uid=%s))", value)
    tree = parse_filter(filter_, None, False, True, None, False)
    inner = tree.elements[0].elements
    assert len(inner) == 2
    assert inner[1].assertion["attr"] == "uid"
    assert set(filter_) <= set("(&objectClass=person)(uid=)\\0123456789abcdef") | set(value) - set("*()\\\0")


def test_placeholders_are_filled_once() -> None:
    assert names.filled("(|(uid=%s)(member=%d))", "%d", "cn=%s") == r"(|(uid=\25d)(member=cn\3d\25s))"


@pytest.mark.parametrize(
    ("pattern", "attributes"),
    [
        ("(uid=%s)", ("uid",)),
        ("(&(objectClass=user)(|(sAMAccountName=%s)(mail = %s))(!(locked=TRUE)))", ("sAMAccountName", "mail")),
        ("(cn=*%s*)", ()),
        ("(|(uid=%s)(uid=%s))", ("uid",)),
    ],
)
def test_what_names_are_compared_with(pattern: str, attributes: tuple[str, ...]) -> None:
    assert names.login_attributes(pattern) == attributes


@pytest.mark.parametrize(
    ("typed", "values", "spelled"),
    [
        ("jane", ["jane"], "jane"),
        ("JANE", ["jane"], "jane"),
        (" jane  doe ", ["jdoe", "Jane Doe"], "Jane Doe"),
        ("ja\u200bne\u00ad", ["jane"], "jane"),
        ("ｊａｎｅ", ["jane"], "jane"),
        ("STRASSE", ["straße"], "straße"),
        ("jane", [], "jane"),
        ("jane", ["joan"], None),
    ],
)
def test_a_user_has_one_name_however_it_is_typed(typed: str, values: list[str], spelled: str | None) -> None:
    assert names.login_name(typed, values) == spelled


def test_a_filter_for_anybody() -> None:
    assert names.anybody("(&(uid=%s)(!(locked=TRUE)))") == "(&(uid=*)(!(locked=TRUE)))"
