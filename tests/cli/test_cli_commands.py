"""The command table: every command loads, has help that fits the terminal, and is parsed the same
with and without the parser library.
"""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from kubelite.cli.common import dispatch, fastpath, help_page
from kubelite.cli.common.command import (
    Argument,
    Option,
    Parameter,
    load,
    named,
    parameters,
)
from kubelite.cli.common.typer_app import build
from kubelite.cli.main import COMMANDS, GROUPS
from kubelite.node.dns.sockets import open_sockets
from kubelite.node.runtime.home import Home
from kubelite.up import kept_sockets
from kubelite.up.cluster import UpOptions, process_commands
from kubelite.up.supervisor import Directory
from tests.e2e.world import OF_THE_TESTS

NAMES = list(COMMANDS)
WIDTHS = (20, 40, 80, 200)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_summary_parameters_and_examples(name: str) -> None:
    command = COMMANDS[name]
    function = load(command)
    assert command.summary.endswith(".") and len(command.summary) <= 60
    assert function.usage.examples, "a help page has examples"
    for example in function.usage.examples:
        assert "kubelite" in example
    for parameter in parameters(function):
        assert parameter.declaration.help, f"{parameter.name} has no help"
        assert isinstance(parameter.declaration, (Option, Argument))


@pytest.mark.parametrize("name", NAMES)
def test_examples_name_commands_and_options_that_exist(name: str) -> None:
    for example in load(COMMANDS[name]).usage.examples:
        for line in re.findall(r"kubelite ([^|&>)\n]*)", example):
            words = line.split()
            _, rest = fastpath.hoist(words)
            found, command = named(COMMANDS, rest)
            assert found, example
            declared = parameters(load(command))
            options = {
                spelling
                for each in declared
                if isinstance(each.declaration, Option)
                for spelling in each.declaration.names.replace("/", " ").split()
            }
            before_dashes = rest[: rest.index("--")] if "--" in rest else rest
            for word in before_dashes:
                if word.startswith("--"):
                    assert word.partition("=")[0] in options, example


@pytest.mark.parametrize("width", WIDTHS)
def test_help_fits_the_width_of_the_terminal(width: int) -> None:
    pages = [help_page.of_program(GROUPS, COMMANDS, width)]
    pages += [help_page.of_group(group, GROUPS[group], COMMANDS, width) for group in GROUPS]
    pages += [
        help_page.of_command(name, COMMANDS[name], load(COMMANDS[name]), width) for name in NAMES
    ]
    for page in pages:
        assert page.startswith("Usage: kubelite") and page.endswith("\n")
        assert "env var" not in page and "…" not in page
        text, _, _examples = page.partition("Examples:")
        for line in text.splitlines():
            words = line.split()
            # A single word that is wider than the terminal cannot be broken.
            assert len(line) <= width or len(words) <= 2 or width == 20, line


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_every_option_and_example(name: str) -> None:
    function = load(COMMANDS[name])
    page = help_page.of_command(name, COMMANDS[name], function, 80)
    for parameter in parameters(function):
        if isinstance(parameter.declaration, Option):
            for spelling in parameter.declaration.names.split():
                assert spelling in page
    for example in function.usage.examples:
        assert example.splitlines()[0] in page


def declared(name: str) -> list[Parameter]:
    return parameters(load(COMMANDS[name]))


EVERY_OPTION = UpOptions("c", 1, 2, "n", "0.0.0.0", True, "192.0.2.0/28", (81, 444))
"""Of a cluster."""
STARTED = [
    words[words.index("--root") :]
    for options in (UpOptions(), EVERY_OPTION, UpOptions(ingress_ports=None))
    for words in process_commands(Home("/x"), Directory("/x/cluster/c"), options).values()
]
"""The command lines of a cluster's processes."""


@pytest.mark.parametrize(
    "words",
    [
        ["pod", "up", "web.yaml"],
        ["pod", "up", "-"],
        ["pod", "down", "web"],
        ["pod", "ls"],
        ["pod", "ps"],
        ["--root", "/x", "pod", "ls", "-n", "other"],
        ["pod", "up", "--namespace", "other", "a/b.yaml"],
        *STARTED,
    ],
    ids=" ".join,
)
def test_plain_command_lines_mean_the_same_with_and_without_the_parser(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("KUBELITE_ROOT", "KUBELITE_NAMESPACE"):
        monkeypatch.delenv(variable, raising=False)
    global_args, rest = fastpath.hoist(words)
    call = fastpath.match(global_args, rest) or fastpath.match_started(global_args, rest, declared)
    assert call is not None
    received = {}

    def record(settings, **arguments):  # type: ignore[no-untyped-def]
        received.update(arguments, settings=settings)
        return 0

    real = load(COMMANDS[call.command])
    monkeypatch.setattr("kubelite.cli.common.typer_app.load", lambda _: _like(real, record))
    parser = build(GROUPS, COMMANDS, rest)
    assert parser(args=[*global_args, *rest], prog_name="kubelite", standalone_mode=False) == 0
    assert received.pop("settings") == call.settings
    given = {name: value for name, value in received.items() if value not in (None, False)}
    defaults = {each.name: each.default for each in parameters(real)}
    assert {name: received[name] for name in call.arguments} == call.arguments
    assert {n: v for n, v in given.items() if v != defaults[n]}.keys() <= call.arguments.keys()


def test_what_a_node_is_handed_costs_it_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OF_THE_TESTS:
        monkeypatch.delenv(name, raising=False)
    with closing(open_sockets("127.0.0.1", 0)) as sockets:
        for name, value in kept_sockets.environment(sockets).items():
            monkeypatch.setenv(name, value)
    assert dispatch._is_plain_environment()


def _like(real, record):  # type: ignore[no-untyped-def]
    """A function with the parameters of ``real`` that calls ``record``."""

    class Like:
        __code__ = real.__code__
        __defaults__ = real.__defaults__
        __kwdefaults__ = real.__kwdefaults__
        __annotations__ = real.__annotations__
        __globals__ = real.__globals__
        __module__ = real.__module__

        def __call__(self, settings, **arguments):  # type: ignore[no-untyped-def]
            return record(settings, **arguments)

    return Like()


WRONG = [
    ["server", "--port", "65536"],
    ["server", "--port"],
    ["server", "--port", "1", "--port", "2"],
    ["server", "--port=1"],
    ["server", "--name", "n"],
    ["server", "--data-dir", "--metrics"],
    ["server", "extra"],
    ["node", "run", "--label", "a=b"],
    ["node", "join"],
]


@pytest.mark.parametrize(
    "words",
    [["pod", "up", "--lenient", "x"], ["pod", "ls", "web"], ["pod", "up"], ["version"], [], *WRONG],
    ids=" ".join,
)
def test_everything_else_goes_to_the_parser(words: list[str]) -> None:
    assert fastpath.match(*fastpath.hoist(words)) is None
    assert fastpath.match_started(*fastpath.hoist(words), declared) is None


def test_global_options_may_stand_anywhere_before_two_dashes() -> None:
    words = ["pod", "-n", "x", "exec", "--root=/r", "web", "-v", "--", "ls", "-n", "--debug"]
    assert fastpath.hoist(words) == (
        ["-n", "x", "--root=/r", "-v"],
        ["pod", "exec", "web", "--", "ls", "-n", "--debug"],
    )
