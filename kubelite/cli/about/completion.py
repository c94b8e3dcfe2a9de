"""``completion``: the script that teaches a shell to complete kubelite's words."""

from __future__ import annotations

import enum
from typing import Annotated

from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.screen import Screen


class Shell(enum.StrEnum):
    """The shells there is a script for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


_SCRIPTS = {
    Shell.bash: """\
_kubelite() {
    local IFS=$'\\n'
    COMPREPLY=($(kubelite __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _kubelite kubelite
""",
    Shell.zsh: """\
#compdef kubelite
_kubelite() {
    local -a found
    found=("${(@f)$(kubelite __complete "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi
}
compdef _kubelite kubelite
""",
    Shell.fish: """\
complete -c kubelite -a '(kubelite __complete (commandline -opc)[2..-1] (commandline -ct))'
""",
}


@usage(
    "source <(kubelite completion bash)",
    "kubelite completion zsh > ~/.zfunc/_kubelite",
    "kubelite completion fish > ~/.config/fish/completions/kubelite.fish",
)
def completion(
    settings: Settings, shell: Annotated[Shell, Argument("SHELL", "bash, zsh or fish.")]
) -> int:
    """Prints the script."""
    Screen(settings).data(_SCRIPTS[shell])
    return 0
