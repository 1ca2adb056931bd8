"""Wildcards and variables of policies, and the truth table of conditions."""

from __future__ import annotations

import time

import pytest

from sos.domain.policy.conditions import OPERATORS, compile_condition, keys_of
from sos.domain.policy.document import Condition
from sos.domain.policy.keys import canonical
from sos.domain.policy.match import compile_pattern, escape

VALUES: dict[str, tuple[str, ...]] = {
    "aws:username": ("alice",),
    "aws:userid": ("a*",),
    "aws:Referer": ("",),
    "jwt:groups": ("a", "b"),
    "jwt:sub": ("al?ce",),
    "s3:ExistingObjectTag/Team": ("blue",),
}


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("*", "a/b/c", True),
        ("?", "", False),
        ("?", "/", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "axxbyyc", True),
        ("a*b*c", "axxcyyb", False),
        ("a*bc*c", "abc", False),
        ("a?c*e?", "abcdef", True),
        ("a?c*e?", "abcde", False),
        ("*?*", "x", True),
        ("**", "x", True),
        ("tenant1/*", "tenant1234/x", False),
        ("tenant1", "tenant1234", False),
        ("a.c", "abc", False),
        ("[a]*", "[a]x", True),
        ("new\n*", "new\nline", True),
        ("home/${aws:username}/*", "home/alice/x", True),
        ("home/${aws:username}/*", "home/alicex/x", False),
        ("home/${AWS:UserName}/*", "home/alice/x", True),
        ("${aws:userid}", "a*", True),
        ("${aws:userid}", "abc", False),
        ("${jwt:sub}", "alice", False),
        ("${jwt:sub}", "al?ce", True),
        ("${jwt:groups}", "a", False),
        ("${aws:Referer}", "", False),
        ("${ldap:user}*", "anything", False),
        ("${ldap:user, 'none'}*", "none-of", True),
        ("${ldap:user,'it''s}'}", "it's}", True),
        ("${aws:username, 'none'}", "alice", True),
        ("${no:such}", "${no:such}", False),
        ("${s3:ExistingObjectTag/Team}/*", "blue/x", True),
        ("a${*}b", "a*b", True),
        ("a${*}b", "axb", False),
        ("${?}${$}", "?$", True),
        ("${$}{aws:username}", "${aws:username}", True),
        ("$x{}", "$x{}", True),
        ("${aws:username", "${aws:username", True),
        ("${}", "", False),
    ],
)
def test_a_pattern_matches_by_the_documented_rules(pattern: str, text: str, expected: bool) -> None:
    """IAM user guide, "Policy variables"; A17."""
    assert compile_pattern(pattern).match(text, VALUES.get) is expected


def test_without_variables_a_dollar_is_text() -> None:
    assert compile_pattern("${aws:username}", variables=False).match("${aws:username}", VALUES.get)


@pytest.mark.parametrize("pattern", ["*a" * 40 + "b", "a*" * 200 + "b", "?*" * 200 + "b", "*a?a*b?b" * 20])
def test_matching_takes_linear_time(pattern: str) -> None:
    """A pattern that makes a backtracking matcher exponential is decided at once."""
    compiled = compile_pattern(pattern)
    started = time.process_time()
    assert not compiled.match("a" * 20_000, VALUES.get)
    assert time.process_time() - started < 0.5


def test_parsing_takes_linear_time() -> None:
    started = time.process_time()
    for text in ("${" * 10_000, "${a,'" * 4_000, "${a, '''''' " * 1_600, "'" * 20_000, "${}" * 6_000):
        compile_pattern(text)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("text", ["a*b?c$d", "${aws:username}", "plain", "$", "${*}"])
def test_an_escaped_text_matches_itself_and_nothing_else(text: str) -> None:
    pattern = compile_pattern(escape(text))
    assert pattern.match(text, VALUES.get)
    assert not pattern.match(text + "x", VALUES.get)


def test_keys_are_found_without_regard_to_case() -> None:
    assert canonical("AWS:sourceip") == "aws:SourceIp"
    assert canonical("s3:existingobjecttag/Key") == "s3:ExistingObjectTag/Key"
    assert canonical("s3:ExistingObjectTag/") is None
    assert canonical("aws:SourceIp/x") is None


# -- conditions -------------------------------------------------------------------------------------------

KEY = "jwt:groups"


def holds(operator: str, expected: str | tuple[str, ...], values: tuple[str, ...] | None, key: str = KEY) -> bool:
    wanted = (expected,) if isinstance(expected, str) else expected
    context = VALUES | ({key: values} if values is not None else {})
    if values is None:
        context = {name: value for name, value in context.items() if name != key}
    return compile_condition(Condition(operator, key, wanted)).holds(context.get)


T, F = True, False
TABLE = [
    # operator, missing, empty list, (""), (a), (x), (a, b), (a, x), (x, y); the policy lists a and b
    ("StringEquals", F, F, F, T, F, T, T, F),
    ("StringNotEquals", T, T, T, F, T, F, F, T),
    ("StringEqualsIfExists", T, T, F, T, F, T, T, F),
    ("StringNotEqualsIfExists", T, T, T, F, T, F, F, T),
    ("ForAllValues:StringEquals", T, T, T, T, F, T, F, F),
    ("ForAllValues:StringNotEquals", T, T, T, F, T, F, F, T),
    ("ForAllValues:StringEqualsIfExists", T, T, T, T, F, T, F, F),
    ("ForAllValues:StringNotEqualsIfExists", T, T, T, F, T, F, F, T),
    ("ForAnyValue:StringEquals", F, F, F, T, F, T, T, F),
    ("ForAnyValue:StringNotEquals", F, F, F, F, T, F, T, T),
    ("ForAnyValue:StringEqualsIfExists", F, F, F, T, F, T, T, F),
    ("ForAnyValue:StringNotEqualsIfExists", F, F, F, F, T, F, T, T),
]
COLUMNS: list[tuple[str, ...] | None] = [None, (), ("",), ("a",), ("x",), ("a", "b"), ("a", "x"), ("x", "y")]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
@pytest.mark.parametrize("family", ["Equals", "Like", "EqualsIgnoreCase"])
def test_set_operators_and_missing_keys_follow_the_truth_table(row: tuple[str | bool, ...], family: str) -> None:
    """A12. IAM user guide: "Condition operators", "Set operators for multi-valued context keys"."""
    operator = str(row[0]).replace("Equals", family, 1)
    found = [holds(operator, ("a", "b"), values) for values in COLUMNS]
    assert found == list(row[1:])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("key1:legal",), False),
        (("key1:hr", "key1:personnel"), False),
        (("key2:audit",), True),
        (("key1:hr", "key2:audit"), False),
        (None, True),
    ],
)
def test_the_documented_deny_of_tag_keys(values: tuple[str, ...] | None, expected: bool) -> None:
    """The table of the IAM user guide, "Multivalued context key examples": ForAllValues:StringNotLike key1*."""
    assert holds("ForAllValues:StringNotLike", "key1*", values) is expected


@pytest.mark.parametrize(
    ("operator", "expected", "value", "result"),
    [
        ("StringEquals", "Alice", "alice", F),
        ("StringEqualsIgnoreCase", "Alice", "aLICE", T),
        ("StringNotEqualsIgnoreCase", "Alice", "aLICE", F),
        ("StringEquals", "a*", "abc", F),
        ("StringLike", "a*", "abc", T),
        ("StringLike", "a${*}", "abc", F),
        ("StringLike", "A*", "abc", F),
        ("StringEquals", "${aws:username}", "alice", T),
        ("StringEqualsIgnoreCase", "${aws:username}", "ALICE", T),
        ("StringNotEquals", "${ldap:user}", "alice", T),
        ("StringEquals", "${ldap:user}", "alice", F),
        ("StringLike", "${aws:userid}", "abc", F),
        ("NumericEquals", "10", "10.0", T),
        ("NumericEquals", "10", "ten", F),
        ("NumericNotEquals", "10", "10", F),
        ("NumericNotEquals", "10", "11", T),
        ("NumericLessThan", "10", "9", T),
        ("NumericLessThan", "10", "10", F),
        ("NumericLessThanEquals", "10", "10", T),
        ("NumericGreaterThan", "10", "100", T),
        ("NumericGreaterThanEquals", "-1", "-2", F),
        ("NumericEquals", "1", "NaN", F),
        ("NumericGreaterThan", "1", "Infinity", F),
        ("DateLessThan", "2024-01-02T00:00:00Z", "2024-01-01T23:59:59Z", T),
        ("DateLessThan", "2024-01-02T00:00:00Z", "2024-01-02T01:00:00+02:00", T),
        ("DateGreaterThan", "2024-01-02", "2024-01-02T00:00:01Z", T),
        ("DateEquals", "2024-01-02T00:00:00Z", "1704153600", T),
        ("DateNotEquals", "2024-01-02T00:00:00Z", "1704153600", F),
        ("DateGreaterThanEquals", "1704153600", "2024-01-02T00:00:00.5Z", T),
        ("DateLessThanEquals", "2024-01-02T00:00:00Z", "never", F),
        ("Bool", "true", "TRUE", T),
        ("Bool", "false", "true", F),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", T),
        ("BinaryEquals", "QmluYXJ5", "Binary", T),
        ("BinaryEquals", "QmluYXJ5", "binary", F),
        ("ArnEquals", "arn:aws:iam::1:user/*", "arn:aws:iam::1:user/x", T),
        ("ArnLike", "arn:aws:iam::*:user/*", "arn:aws:iam::77:user/x:y", T),
        ("ArnNotLike", "arn:aws:iam::1:user/*", "arn:aws:iam::2:user/x", T),
        ("ArnNotEquals", "arn:aws:iam::1:user/*", "arn:aws:iam::1:user/x", F),
        ("ArnLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/alice", T),
        ("ArnLike", "*", "anything", T),
        ("ArnLike", "arn:aws:iam::1:user/*", "no arn", F),
    ],
)
def test_an_operator_compares_as_its_type(operator: str, expected: str, value: str, result: bool) -> None:
    assert holds(operator, expected, (value,)) is result


@pytest.mark.parametrize(
    ("networks", "address", "inside"),
    [
        ("203.0.113.0/24", "203.0.113.7", T),
        ("203.0.113.0/24", "203.0.114.7", F),
        ("203.0.113.7", "203.0.113.7", T),
        ("203.0.113.9/24", "203.0.113.7", T),
        ("203.0.113.0/24", "::ffff:203.0.113.7", T),
        ("2001:db8::/32", "2001:DB8:0::1", T),
        ("2001:db8::/32", "2001:db9::1", F),
        ("2001:db8::1", "2001:db8::1", T),
        ("0.0.0.0/0", "2001:db8::1", F),
        (("10.0.0.0/8", "2001:db8::/32"), "10.1.2.3", T),
        ("10.0.0.0/8", "not an address", F),
    ],
)
def test_addresses_of_both_versions_are_matched_by_network(
    networks: str | tuple[str, ...], address: str, inside: bool
) -> None:
    assert holds("IpAddress", networks, (address,), "aws:SourceIp") is inside
    assert holds("NotIpAddress", networks, (address,), "aws:SourceIp") is not inside


@pytest.mark.parametrize(
    ("wanted", "values", "expected"),
    [
        ("true", None, T),
        ("true", (), T),
        ("true", ("",), T),
        ("true", ("a",), F),
        ("false", None, F),
        ("false", ("a",), T),
    ],
)
def test_null_asks_whether_a_key_has_a_value(wanted: str, values: tuple[str, ...] | None, expected: bool) -> None:
    assert holds("Null", wanted, values) is expected


def test_the_empty_string_counts_where_the_policy_lists_it() -> None:
    """The console's policies list ``""`` among the prefixes that may be listed."""
    assert holds("StringEquals", ("", "home/"), ("",))
    assert holds("ForAnyValue:StringEquals", ("", "home/"), ("",))
    assert not holds("ForAllValues:StringNotEquals", ("", "home/"), ("",))


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name != "Null"])
def test_missing_keys_are_told_by_negation_alone(operator: str) -> None:
    """A12: for every operator."""
    key = "aws:SourceIp" if "Ip" in operator else KEY
    value = {"Numeri": "1", "Date": "2024-01-01", "Bool": "true", "Binary": "QQ==", "Arn": "arn:a:b:c:d:e"}
    wanted = next((text for start, text in value.items() if operator.startswith(start)), "10.0.0.1")
    negated = "Not" in operator
    assert holds(operator, wanted, None, key) is negated
    assert holds(operator + "IfExists", wanted, None, key) is True
    assert holds("ForAllValues:" + operator, wanted, None, key) is True
    assert holds("ForAnyValue:" + operator, wanted, None, key) is False
    assert holds(operator, wanted, ("no such value",), key) is negated


def test_a_condition_tells_which_keys_it_asks_for() -> None:
    check = compile_condition(Condition("StringLike", "s3:Prefix", ("${aws:username}/${jwt:sub, 'x'}*",)))
    assert keys_of(check) == {"s3:prefix", "aws:username", "jwt:sub"}
