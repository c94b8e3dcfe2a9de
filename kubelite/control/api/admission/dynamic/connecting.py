"""Admission of what connects to something: exec, attach, port-forward and proxy are the operation
CONNECT, whose object are the options of the request (apiserver, ``handlers/rest.go``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.admission.chain import Attempt

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.request import Request
    from kubelite.lib.json import Object

_WORDS = {"exec": "Exec", "attach": "Attach", "portforward": "PortForward", "proxy": "Proxy"}


async def admit(context: Context, request: Request) -> None:
    """Policies and webhooks for CONNECT. Raises StatusError."""
    attempt = Attempt(context, request, "CONNECT", options_of(request), None, False, [])
    await context.admission.connect(attempt)


def options_of(request: Request) -> Object:
    """The options as an object: ``PodExecOptions`` and its like."""
    query = request.query
    options: Object = {
        "kind": f"{request.resource.kind}{_WORDS[request.sub]}Options",
        "apiVersion": "v1",
    }
    if request.sub == "proxy":
        options["path"] = request.rest
    elif request.sub == "portforward":
        options["ports"] = [int(port) for port in query.all("ports") if port.isdecimal()]
    else:
        for name in ("stdin", "stdout", "stderr", "tty"):
            options[name] = query.flag(name)
        options |= {"container": query.text("container"), "command": query.all("command")}
    return {key: value for key, value in options.items() if value not in ("", False, [])}
