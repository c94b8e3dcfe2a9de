"""What every typed object here is made of: frozen structs whose JSON names are Kubernetes'. Pure.

An optional field that is not set is None, an empty tuple or an empty dict, and left out of the
JSON; a field that Kubernetes requires has no default and is always written. Annotations are real
objects, not texts (no ``annotations`` future in the modules of types): the codec reads them, and
evaluating some six hundred texts would be most of a command's start.
"""

from typing import Annotated

from msgspec import Meta, Struct

# Words that Kubernetes writes in capitals where they do not stand first.
_CAPITALS = {"id": "ID", "ip": "IP", "ips": "IPs", "ipc": "IPC", "pid": "PID", "fqdn": "FQDN"}


def json_name(attribute: str) -> str:
    """The JSON name of an attribute: ``pod_ips`` is ``podIPs``, ``run_as_user`` is
    ``runAsUser``.
    """
    head, *rest = attribute.split("_")
    return head + "".join(_CAPITALS.get(word) or word.capitalize() for word in rest)


class Object(Struct, frozen=True, omit_defaults=True, rename=json_name):
    """The base of all types. A subclass says ``kw_only=True``, which is not inherited, and
    ``frozen=True`` for mypy.
    """


Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
QuantityText = Annotated[str, Meta(description="quantity")]
Time = Annotated[str, Meta(description="time")]
IntOrString = int | str
