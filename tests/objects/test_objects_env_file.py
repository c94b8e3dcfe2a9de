"""Files of environment variables."""

from __future__ import annotations

import pytest

from kubelite.objects.pod.env_file import EnvFileError, parse


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("\n  # only a comment\n\t\n", {}),
        ("A='b'", {"A": "b"}),
        ("A='b'\r\nC='d'\r\n", {"A": "b", "C": "d"}),
        ("  A = 'b c'  \n", {"A": "b c"}),
        ("A='# \"no\" $comment\\n'\n# A='x'\n", {"A": '# "no" $comment\\n'}),
        ("A='one\ntwo'\nB=''\n", {"A": "one\ntwo", "B": ""}),
        ("A='1'\nA='2'\n", {"A": "2"}),
        ("a.b-c/d='odd'\n", {"a.b-c/d": "odd"}),
    ],
)
def test_what_a_file_says(text: str, variables: dict[str, str]) -> None:
    assert parse(text) == variables


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=b", 1),
        ('\n\nA="b"\n', 3),
        ("A='b''c'\n", 1),
        ("A='b'$C\n", 1),
        ("A='b' # comment\n", 1),
        ("A='x\ny'\nB='open\n", 3),
        ("='b'\n", 1),
        ("export A='b'\n", 1),
        ("A\n='b'\n", 1),
    ],
)
def test_what_a_shell_would_read_otherwise_is_refused_at_its_line(text: str, line: int) -> None:
    with pytest.raises(EnvFileError, match=f"^line {line} "):
        parse(text)
