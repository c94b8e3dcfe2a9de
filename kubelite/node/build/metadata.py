"""What instructions without files change: the configuration of the image and what steps see.  Pure.

`config` is the part of the OCI configuration about running a container, as JSON has it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from kubelite.node.build import words
from kubelite.node.build.containerfile import Instruction
from kubelite.node.build.errors import at
from kubelite.node.build.stages import arguments_of
from kubelite.node.image.model import DEFAULT_PATH

DEFAULT_SHELL = ("/bin/sh", "-c")
_DURATIONS = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod",
              "start-interval": "StartInterval"}  # fmt: skip
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000,
          "m": 60_000_000_000, "h": 3_600_000_000_000}  # fmt: skip
_PORT = re.compile(r"(?:\d{1,5})(?:-\d{1,5})?(?:/(?:tcp|udp|sctp))?", re.IGNORECASE)
# Which proxy to use says nothing of the image: docker passes these without an ARG.
PROXIES = tuple(
    name
    for lower in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for name in (lower, lower.upper())
)


class StageState:
    """The state of a stage between two instructions."""

    def __init__(
        self,
        config: Mapping[str, Any],
        outer: Mapping[str, str],
        given: Mapping[str, str],
        escape: str,
    ) -> None:
        self.config: dict[str, Any] = {k: v for k, v in config.items() if v not in (None, "")}
        self.config.setdefault("Env", [DEFAULT_PATH])
        self.author = ""
        self.arguments = {name: given[name] for name in PROXIES if name in given}
        self._outer, self._given, self._escape = outer, given, escape
        self._has_own_command = False

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the image."""
        return dict(entry.partition("=")[::2] for entry in self.config["Env"])

    @property
    def variables(self) -> dict[str, str]:
        """What `$NAME` stands for, and what a RUN sees: a variable of the image hides an ARG."""
        return self.arguments | self.environment

    @property
    def step_variables(self) -> dict[str, str]:
        """The arguments that a RUN sees beside the variables of the image."""
        return {n: v for n, v in self.arguments.items() if n not in self.environment}

    @property
    def shell(self) -> tuple[str, ...]:
        """What runs a command that is a text."""
        return tuple(self.config.get("Shell") or DEFAULT_SHELL)

    @property
    def directory(self) -> str:
        """The working directory, absolute."""
        return self.config.get("WorkingDir") or "/"

    def expand(self, text: str) -> str:
        """A word with its variables replaced. Raises BuildError."""
        return words.expand(text, self.variables, self._escape)

    def expanded_words(self, text: str) -> list[str]:
        """The words of a text, each expanded."""
        return [self.expand(word) for word in words.split(text, self._escape)]

    def command(self, instruction: Instruction) -> list[str]:
        """The arguments that a RUN, CMD or ENTRYPOINT stands for."""
        if instruction.items is not None:
            return list(instruction.items)
        return [*self.shell, instruction.text]

    def apply(self, instruction: Instruction) -> None:
        """Apply an instruction that adds no files. Raises BuildError."""
        getattr(self, f"_{instruction.name.lower()}")(instruction)

    def _env(self, instruction: Instruction) -> None:
        environment = self.environment
        environment |= words.pairs(instruction.text, self.variables, self._escape)
        self.config["Env"] = [f"{name}={value}" for name, value in environment.items()]

    def _arg(self, instruction: Instruction) -> None:
        for name, default in arguments_of(instruction, self.variables, self._escape):
            value = self._given.get(name, self._outer.get(name) if default is None else default)
            if value is not None:
                self.arguments[name] = value

    def _label(self, instruction: Instruction) -> None:
        labels = dict(self.config.get("Labels") or {})
        labels |= words.pairs(instruction.text, self.variables, self._escape)
        self.config["Labels"] = labels

    def _workdir(self, instruction: Instruction) -> None:
        path = posixpath.join(self.directory, self.expand(instruction.text))
        self.config["WorkingDir"] = "/" + posixpath.normpath(path).lstrip("/")

    def _user(self, instruction: Instruction) -> None:
        self.config["User"] = self.expand(instruction.text)

    def _stopsignal(self, instruction: Instruction) -> None:
        self.config["StopSignal"] = self.expand(instruction.text)

    def _maintainer(self, instruction: Instruction) -> None:
        self.author = self.expand(instruction.text)

    def _expose(self, instruction: Instruction) -> None:
        ports = dict(self.config.get("ExposedPorts") or {})
        for port in " ".join(self.expanded_words(instruction.text)).split():
            if not _PORT.fullmatch(port):
                raise at(instruction.line, f"{port} is not a port")
            ports[port.lower() if "/" in port else f"{port}/tcp"] = {}
        self.config["ExposedPorts"] = ports

    def _volume(self, instruction: Instruction) -> None:
        if instruction.items is not None:
            paths = [self.expand(item) for item in instruction.items]
        else:
            paths = self.expanded_words(instruction.text)
        volumes: dict[str, Any] = {path: {} for path in paths if path}
        self.config["Volumes"] = (self.config.get("Volumes") or {}) | volumes

    def _shell(self, instruction: Instruction) -> None:
        if not instruction.items:
            raise at(instruction.line, 'SHELL has the form ["program", "argument"]')
        self.config["Shell"] = list(instruction.items)

    def _cmd(self, instruction: Instruction) -> None:
        self._has_own_command = True
        self._set("Cmd", self.command(instruction) if instruction.text else [])

    def _entrypoint(self, instruction: Instruction) -> None:
        self._set("Entrypoint", self.command(instruction) if instruction.text else [])
        # The arguments of the base image's program are not those of another.
        if not self._has_own_command:
            self.config.pop("Cmd", None)

    def _set(self, key: str, value: list[str]) -> None:
        self.config[key] = value
        if not value:
            del self.config[key]

    def _onbuild(self, instruction: Instruction) -> None:
        documents = "".join(f"\n{h.content}{h.name}" for h in instruction.heredocs)
        triggers = self.config.get("OnBuild") or ()
        self.config["OnBuild"] = [*triggers, instruction.text + documents]

    def _healthcheck(self, instruction: Instruction) -> None:
        word, _, rest = instruction.text.partition(" ")
        if word.upper() == "NONE":
            self.config["Healthcheck"] = {"Test": ["NONE"]}
            return
        if word.upper() != "CMD" or not rest.strip():
            raise at(instruction.line, "expected HEALTHCHECK [OPTIONS] CMD command, or NONE")
        command = instruction._replace(text=rest.strip(), items=None)
        check: dict[str, Any] = {"Test": _test(command)}
        for key, value in instruction.flags:
            if key == "retries":
                check["Retries"] = int(value)
            elif key in _DURATIONS:
                check[_DURATIONS[key]] = _nanoseconds(value, instruction.line)
            else:
                raise at(instruction.line, f"HEALTHCHECK has no option --{key}")
        self.config["Healthcheck"] = check


def _test(command: Instruction) -> list[str]:
    from kubelite.node.build.containerfile import instruction_of

    items = instruction_of(command.line, f"CMD {command.text}").items
    return ["CMD", *items] if items is not None else ["CMD-SHELL", command.text]


def _nanoseconds(text: str, line: int) -> int:
    """A duration as Go writes it: 1m30s."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise at(line, f"{text} is not a duration such as 30s")
    return sum(int(float(number) * _UNITS[unit]) for number, unit in parts)
