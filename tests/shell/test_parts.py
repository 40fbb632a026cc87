"""What the judgement stands on: words, options and places."""

from __future__ import annotations

import pytest

from lathe.shell import grammar, options
from lathe.shell.calls import judge as judge_call
from lathe.shell.interpret import Script
from lathe.shell.marks import HOLE, fields
from lathe.shell.places import Place, place
from lathe.shell.statements import begin


def words(command: str) -> list[str]:
    """The words of the last simple command of a script."""
    seen: list[list[str]] = []

    def note(shell: Script, argv: list[str], stdin: str) -> str:
        if argv[0] != "echo":
            seen.append(argv)
            return judge_call(shell, argv, stdin) if argv[0] in ("read", "printf") else ""
        return judge_call(shell, argv, stdin)

    begin(note).script(command)
    return seen[-1]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("r\\m \"a b\" c'd'e", ["rm", "a b", "cde"]),
        ("$'\\x72m' $'a\\tb'", ["rm", "a\tb"]),
        ("x='a b'; rm $x \"$x\"", ["rm", "a", "b", "a b"]),
        ("rm {a,b}{1,2}", ["rm", "a1", "a2", "b1", "b2"]),
        ("rm '{a,b}' \\{a,b\\}", ["rm", "{a,b}", "{a,b}"]),
        ("rm ${x:-y} ${HOME}/z", ["rm", "y", "~/z"]),
        ("x=abcdef; rm ${x:1:2} ${x#ab} ${x%ef} ${x/c/-} ${x^^}", ["rm", "bc", "cdef", "abcd", "ab-def", "ABCDEF"]),
        ("a=(x 'y z'); rm \"${a[@]}\"", ["rm", "x", "y z"]),
        ("IFS=,; x=a,b; rm $x", ["rm", "a", "b"]),
        ("rm $(echo a b) `echo c`", ["rm", "a", "b", "c"]),
        ("rm $unset \"\" ''", ["rm", HOLE, "", ""]),
        ("set -- a b; rm \"$2\"", ["rm", HOLE]),
        ("rm >/dev/null a 2>&1 b", ["rm", "a", "b"]),
    ],
)  # fmt: skip
def test_words_become_what_the_program_gets(written: str, meant: list[str]) -> None:
    got = words(written)
    assert [word for word in got if got[0] != ">"] == (meant if got[0] != ">" else [])


def test_here_documents_are_lifted_out_and_read_back() -> None:
    text, documents = grammar.lift("cat <<'A' <<-B | sh\nx\nA\n\ty $z\n\tB\nls", 0)
    assert text == "cat </dev/heredoc/0  </dev/heredoc/1  | sh\nls"
    assert [(document.text, document.quoted) for document in documents] == [("x\n", True), ("y $z\n", False)]


@pytest.mark.parametrize("text", ["echo '<<A'", 'echo "<<A"', "echo $((1<<2))", "# <<A", "cat <<< x", "((a <<= 1))"])
def test_what_only_looks_like_a_here_document_stays(text: str) -> None:
    assert grammar.lift(text, 0) == (text, [])


@pytest.mark.parametrize("words", [["-rf", "x"], ["-r", "-f", "x"], ["x", "-fr"], ["--recursive", "--force", "x"], ["--rec", "-f", "--", "x"], ["-R", "-f", "x"]])  # fmt: skip
def test_options_have_one_name_however_they_are_written(words: list[str]) -> None:
    read = options.read("rm", words)
    assert set(read.options) == {"recursive", "force"}
    assert read.operands == ["x"]


def test_options_with_values_take_them_in_every_form() -> None:
    for words in (["-n", "5", "f"], ["-n5", "f"], ["--lines=5", "f"], ["--lines", "5", "f"]):
        assert options.read("head", words).value("lines") == "5"


@pytest.mark.parametrize(
    ("path", "cwd", "where"),
    [
        ("/", "", Place.ROOT), ("//", "", Place.ROOT), ("/.", "", Place.ROOT), ("/tmp/../", "", Place.ROOT), ("/*", "", Place.ROOT), ("/???", "", Place.ROOT),
        ("*", "/", Place.ROOT), ("~", "", Place.HOME), ("/home/ann", "", Place.HOME), ("~/x/..", "", Place.HOME), ("/etc/x", "", Place.SYSTEM),
        ("/usr", "", Place.SYSTEM), ("/usr/local/share/x", "", Place.ELSEWHERE), ("/var/www/x", "", Place.ELSEWHERE), ("/data", "", Place.TOP),
        ("/dev/sda1", "", Place.DEVICE), ("/dev/null", "", Place.SINK), ("/tmp/x", "", Place.TEMPORARY), ("build", "", Place.HERE), (".", "", Place.WHOLE),
        ("../..", "", Place.WHOLE), (".git", "", Place.REPOSITORY), (HOLE, "", Place.UNKNOWN), (HOLE + "/", "", Place.ROOT), (HOLE + "/x/y", "", Place.ELSEWHERE),
        ("x", "/etc", Place.SYSTEM), ("..", "/tmp", Place.ROOT),
    ],
)  # fmt: skip
def test_places(path: str, cwd: str, where: Place) -> None:
    assert place(path, cwd) == where


def test_too_many_words_of_braces_are_one_unknown() -> None:
    assert words("rm " + "{a,b}" * 12) == ["rm", HOLE]
    assert fields("plain") == ["plain"]
