"""``system reset``: removes everything that kubelite keeps on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.diagnostic import cell
from kubelite.cli.common.engine import open_home, open_pods, suggest_command
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.prune import YES

if TYPE_CHECKING:
    from kubelite.node.kubelet.act.executor import Step


@usage("kubelite system reset", "kubelite --root /tmp/try system reset --yes")
def reset(settings: Settings, *, yes: Annotated[bool, YES] = False) -> int:
    """Removes all pods, images, logs and kernel objects of the state root, after asking."""
    screen = Screen(settings)
    home = open_home(settings)
    pods = open_pods(settings, screen)
    before = _pod_count(settings, screen)
    screen.note(f"This removes everything of kubelite under {home.root} and {home.run}:")
    screen.note(
        f"  {before}; images, volumes and logs; the bridge, firewall table and cgroups of this root"
    )
    if not yes:
        from kubelite.cli.common.confirm import confirm

        confirm("removing everything", suggest_command(settings, "system reset --yes"))

    def report(step: Step) -> None:
        screen.detail(f"{step.name} {step.detail}")

    removed = pods.reset(report)
    for name in removed:
        screen.data(f"removed {cell(name)}\n")
    left = [path for path in (home.root, home.run) if os.path.lexists(path) and os.listdir(path)]
    after = "nothing left" if not left else "left: " + ", ".join(left)
    screen.data(f"before: {before}; now: {after}\n")
    return 0


def _pod_count(settings: Settings, screen: Screen) -> str:
    count = len(open_pods(settings, screen).queries.list(None))
    return f"{count} pod" + ("" if count == 1 else "s")
