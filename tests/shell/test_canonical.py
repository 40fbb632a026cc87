"""Commands that say the same have one spelling."""

from __future__ import annotations

import pytest

from lathe.shell.canonical import canonical, programs


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ls -la 'a b'", 'ls --all  -l "a b"'),
        ("head -5 f", "head --lines=5 f"),
        ("tar xzf a.tgz", "tar -x -z -f a.tgz"),
        ("grep -rn 'x' . | sort -u", 'grep -n -r "x" .  |sort --unique'),
        ("egrep -i x f", "grep -Ei x f"),
        ("a; b", "a\nb"),
        ("find . -exec rm {} \\;", "find . -exec rm '{}' ';'"),
        ("ls \\{a,b\\}", "ls '{a,b}'"),
        ("sort -k 2 -t : f", "sort -t: -k2 f"),
        ("cat <<'E'\nx\nE", "cat <<'END'\nx\nEND"),
    ],
)
def test_spellings_of_one_command_are_one(one: str, other: str) -> None:
    assert canonical(one) == canonical(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("find . -name '*.c'", "find . -name *.c"),
        ("ls {a,b}", "ls '{a,b}'"),
        ("cp f{,.bak}", "cp 'f{,.bak}'"),
        ('echo "$x"', "echo '$x'"),
        ('echo "$x"', "echo $x"),
        ("grep 'a|b' f", "grep a b f"),
        ("cp a b", "cp b a"),
        ("a | b", "a; b"),
        ("a && b", "a || b"),
        ("ls > f", "ls >> f"),
        ("find . -type f -print -name x", "find . -type f -name x -print"),
    ],
)
def test_commands_that_differ_in_meaning_stay_apart(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_what_cannot_be_read_has_no_spelling() -> None:
    assert canonical("ls 'a") is None


def test_programs_are_named_in_their_order() -> None:
    assert programs("a | b; x=$(c 'd e')") == ["a", "b", "c"]
