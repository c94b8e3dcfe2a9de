"""How words of a Containerfile are split and expanded, and what .dockerignore matches."""

from __future__ import annotations

import subprocess

import pytest

from kubelite.node.build import ignore, words
from kubelite.node.build.containerfile import parse
from kubelite.node.build.errors import BuildError

VARIABLES = {"A": "1", "B": "two words", "EMPTY": "", "PATHS": "/usr/local/lib.so.1"}


@pytest.mark.parametrize(
    "text",
    [
        "$A", "${A}x", "x$B", "'$A'", '"$A"', "\\$A", '"\\$A"', "a\\ b", "'a\\b'", '"a\\b"',
     '"a\\"b"',
        "${N}", "${N:-d}", "${EMPTY:-d}", "${EMPTY-d}", "${A:-d}", "${A:+s}", "${N:+s}",
     "${EMPTY+s}",
        "${N:-$A}", "${N:-${A}}", "${PATHS#*/}", "${PATHS##*/}", "${PATHS%.*}", "${PATHS%%.*}",
        "pre${A}post$A", "", "''",
    ],
)  # fmt: skip
def test_expansion_is_that_of_the_shell(text: str) -> None:
    said = subprocess.run(
        ["sh", "-c", f'x={text}; printf %s "$x"'], env=VARIABLES, capture_output=True, check=True
    )
    assert words.expand(text, VARIABLES) == said.stdout.decode()


def test_what_must_be_set() -> None:
    with pytest.raises(BuildError, match="N: is needed"):
        words.expand("${N:?is needed}", VARIABLES)
    with pytest.raises(BuildError, match="without a name or an end"):
        words.expand("${A", VARIABLES)


def test_words_and_pairs() -> None:
    assert words.split("a 'b c' d\\ e  \"f g\"h") == ["a", "'b c'", "d\\ e", '"f g"h']
    assert words.pairs("A=1 B='x y' C=$A", {"A": "0"}) == [("A", "1"), ("B", "x y"), ("C", "0")]
    assert words.pairs("A some words", {}) == [("A", "some words")]
    with pytest.raises(BuildError, match="NAME=value"):
        words.pairs("A=1 B", {})


def test_ignored_paths() -> None:
    patterns = ignore.parse("# no\n*.log\n**/*.tmp\n/node_modules/\ndocs/**/*.md\n!docs/keep.md\n")
    kept = ["a.txt", "sub/x.log", "docs/keep.md", "docs", "my/node_modules/x"]
    gone = ["x.log", "a.tmp", "a/b/c.tmp", "node_modules", "node_modules/a/b", "docs/a/b.md"]
    assert [path for path in kept if ignore.is_ignored(path, patterns)] == []
    assert [path for path in gone if not ignore.is_ignored(path, patterns)] == []


def test_instructions() -> None:
    file = parse(
        "# escape=`\nFROM base AS b\n# comment\nrun --mount=type=cache,target=/c --network=host `\n"
        '  # inside\n  a `\n\n  b\nCMD ["x", "y"]\nCMD [x, y]\n'
    )
    first, run, cmd, text = file.instructions
    assert (first.name, first.text, first.line) == ("FROM", "base AS b", 2)
    assert run.flags == (("mount", "type=cache,target=/c"), ("network", "host"))
    assert run.text.split() == ["a", "b"] and run.line == 4
    assert (cmd.items, text.items, text.text) == (("x", "y"), None, "[x, y]")


def test_here_documents() -> None:
    file = parse(
        "FROM a\nCOPY <<one <<-'two' /x/\n1\none\n\t2\n\ttwo\nRUN cat <<E | sh\necho $A\nE\n"
    )
    copy, run = file.instructions[1:]
    assert [(h.name, h.content, h.expands) for h in copy.heredocs] == [
        ("one", "1\n", True),
        ("two", "2\n", False),
    ]
    assert run.heredocs[0].content == "echo $A\n"
    with pytest.raises(BuildError, match="line 2: the here-document E has no end"):
        parse("FROM a\nRUN <<E\nx\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no instruction"),
        ("FORM x", "line 1: there is no instruction FORM"),
        ("FROM x\n\nCOPY\n", "line 3: COPY needs an argument"),
        ("# escape=x\nFROM x", "escape character"),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        parse(text)
