"""``status``: what runs of a cluster, and what is wrong."""

from __future__ import annotations

from kubelite.cli.cluster.options import ClusterName
from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.engine import open_home
from kubelite.cli.common.screen import Screen


@usage("kubelite status", notes="The exit code is 0 when everything runs, 1 otherwise.")
def status(settings: Settings, *, name: ClusterName = "default") -> int:
    """Prints the processes, nodes and pods of a cluster."""
    screen, home = Screen(settings), open_home(settings)
    from kubelite.up.cluster import directory_of
    from kubelite.up.cluster import status as look

    state = look(home, name)
    if state.record is None:
        screen.note(f'cluster "{name}" is not running; `kubelite up` starts it')
        return 1
    rows = [("API server", "ready" if state.is_ready else "no answer")]
    for child in state.record.children:
        restarts = f", restarted {child.restarts} times" if child.restarts else ""
        rows.append((child.name, f"pid {child.pid}{restarts}" if child.pid else "not running"))
    rows.append(("nodes", f"{state.ready_nodes} of {state.nodes} ready"))
    if state.ways:
        ways = ", ".join(f"{count} {way}" for way, count in sorted(state.ways.items()))
        rows.append(("ways", f"to the pods of other nodes: {ways}"))
    pods = ", ".join(f"{count} {phase}" for phase, count in sorted(state.pods.items()))
    rows.append(("pods", pods or "none"))
    rows.append(("kubeconfig", directory_of(home, name).kubeconfig))
    screen.data("".join(f"{label:<12} {value}\n" for label, value in rows))
    for problem in state.problems:
        screen.note(f"problem: {problem}")
    is_well = state.is_ready and not state.problems and state.ready_nodes == state.nodes > 0
    return 0 if is_well else 1
