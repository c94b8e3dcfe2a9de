"""How words of a Containerfile are split and expanded, and what .dockerignore matches."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubelite.node.build import ignore, modes, words
from kubelite.node.build.containerfile import parse
from kubelite.node.build.errors import BuildError

VARIABLES = {
    "STARS": "*[a]",
    "A": "1",
    "B": "two words",
    "EMPTY": "",
    "PATHS": "/usr/local/lib.so.1",
}


@pytest.mark.parametrize(
    "text",
    [
        "$A", "${A}x", "x$B", "'$A'", '"$A"', "\\$A", '"\\$A"', "a\\ b", "'a\\b'", '"a\\b"',
     '"a\\"b"',
        "${N}", "${N:-d}", "${EMPTY:-d}", "${EMPTY-d}", "${A:-d}", "${A:+s}", "${N:+s}",
     "${EMPTY+s}",
        "${N:-$A}", "${N:-${A}}", "${PATHS#*/}", "${PATHS##*/}", "${PATHS%.*}", "${PATHS%%.*}",
        "pre${A}post$A", "", "''", "${PATHS%%.?*}", "${PATHS#/*l}", "${PATHS##*\\*}",
     "${STARS#\\*}",
     "${STARS#?}",
    ],
)  # fmt: skip
def test_expansion_is_that_of_the_shell(text: str) -> None:
    said = subprocess.run(
        ["sh", "-c", f'x={text}; printf %s "$x"'], env=VARIABLES, capture_output=True, check=True
    )
    assert words.expand(text, VARIABLES) == said.stdout.decode()


@pytest.mark.parametrize(
    "text",
    ["${PATHS/l*c/-}", "${PATHS/l/L}", "${PATHS//l/L}", "${PATHS//\\//:}", "${PATHS/x}",
     "${PATHS//./\\$A}", "${PATHS/us?/$B}", "${PATHS//}"],
)  # fmt: skip
def test_replacement_is_that_of_bash(text: str) -> None:
    shown = subprocess.run(
        ["bash", "-c", f'x={text}; printf %s "$x"'], env=VARIABLES, capture_output=True, check=True
    )
    assert words.expand(text, VARIABLES) == shown.stdout.decode()


def test_brackets_in_a_pattern_are_no_class_of_characters() -> None:
    assert words.expand("${STARS%[a]}${STARS//[a-z]/-}", VARIABLES) == "**[a]"


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


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("*\n!sub\n", "sub sub/deep sub/deep/d sub/s.txt"),
        ("*\n!sub/deep\n", "sub/deep sub/deep/d"),
        ("sub\n!sub/deep/d\n", "a.txt sub/deep/d README.md"),
        ("*/deep\na.txt/\n", "sub sub/s.txt README.md"),
        ("./a.txt\nsub/../README.md\n", "sub sub/deep sub/deep/d sub/s.txt"),
        ("sub/**\n!sub/deep\n", "a.txt sub sub/deep sub/deep/d README.md"),
        ("*.md\n!README*.md\nREADME.md\n", "a.txt sub sub/deep sub/deep/d sub/s.txt"),
        ("**\n!**/*.txt\n", "a.txt sub/s.txt"),
        ("[^a].txt\n**/s.txt\n!sub\n", "a.txt sub sub/deep sub/deep/d sub/s.txt README.md"),
    ],
)
def test_exceptions_of_what_is_ignored(text: str, kept: str) -> None:
    """buildah copies the same files, but for exceptions with `**`, which it overlooks."""
    paths = ["a.txt", "sub", "sub/deep", "sub/deep/d", "sub/s.txt", "README.md"]
    patterns = ignore.parse(text)
    assert [path for path in paths if not ignore.is_ignored(path, patterns)] == kept.split()


CHANGES = (
    "0755", "4711", "u=rwX,go=rX", "a+x", "+x", "-w", "=", "o=u", "g=o,u-x", "ug+s", "u=s,+t",
    "a=rx,u+w", "go-rwx", "u+rw-x", "=rw", "o+t",
)  # fmt: skip


@pytest.mark.parametrize("text", CHANGES)
def test_modes_are_those_of_chmod(tmp_path: Path, text: str) -> None:
    for number, mode in enumerate((0o644, 0o755, 0o600, 0o711, 0o6750, 0o1777)):
        for is_directory in (False, True):
            path = tmp_path / f"{number}{is_directory}"
            path.mkdir() if is_directory else path.touch()
            path.chmod(mode)
            subprocess.run(["sh", "-c", f'umask 022; chmod -- {text} "$0"', path], check=False)
            expected = path.stat().st_mode & 0o7777
            if text.isdecimal():
                expected = int(text, 8)  # chmod keeps the set-id bits of directories
            modes.check(text)
            assert modes.changed(text, mode, is_directory=is_directory) == expected, oct(mode)


def test_what_is_no_mode() -> None:
    for text in ("8", "z+x", "u", "rwx", "0o755", "u+x,", "-1"):
        with pytest.raises(BuildError, match="is not a mode"):
            modes.check(text)


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
    trigger = parse("FROM a\nONBUILD RUN <<E\necho $A\nE\n").instructions[1]
    assert (trigger.text, trigger.heredocs[0].content) == ("RUN <<E", "echo $A\n")
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
