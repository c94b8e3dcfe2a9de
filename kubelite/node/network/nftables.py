"""The way to nftables: one call into libnftables, which is loaded when the first pod needs it.

No ``nft`` process is started. Each transaction has a context of its own, because a context belongs
to the network namespace that it was made in.
"""

from __future__ import annotations

import functools
from typing import Any

from kubelite.node.network.errors import FirewallRefused, NetworkError, NoFirewall

_LIBRARY = "libnftables.so.1"
_JSON, _NUMERIC = 1 << 4, 1 << 8
_HINT = "pods without hostPort run all the same"


def run(commands: str) -> str:
    """Carries out ``commands``, nft's own language, as one transaction; returns the JSON of what
    they list.

    Raises NoFirewall where the library or the kernel cannot, FirewallRefused where the kernel
    refuses a change.
    """
    library = _library()
    context = library.nft_ctx_new(0)
    if not context:
        raise NoFirewall("libnftables gives no context: out of memory", hint=_HINT)
    try:
        library.nft_ctx_output_set_flags(context, _JSON | _NUMERIC)
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, commands.encode()) != 0:
            raise _refused(
                (library.nft_ctx_get_error_buffer(context) or b"").decode("utf-8", "replace")
            )
        return (library.nft_ctx_get_output_buffer(context) or b"").decode()
    finally:
        library.nft_ctx_free(context)


@functools.cache
def _library() -> Any:
    import ctypes

    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise NoFirewall(
            f"{_LIBRARY} is not installed, and only it can translate addresses",
            hint="install it: apt-get install libnftables1",
        ) from None
    pointer = ctypes.c_void_p
    library.nft_ctx_new.restype = pointer
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_output_set_flags.argtypes = [pointer, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [pointer, ctypes.c_char_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
        getattr(library, name).argtypes = [pointer]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [pointer]
        getattr(library, name).restype = ctypes.c_char_p
    return library


_ABSENT = ("not supported", "Protocol not", "netlink socket")


def _refused(said: str) -> NetworkError:
    """The first line of libnftables' complaint, which names the command and the errno's text."""
    line = next((line.strip() for line in said.splitlines() if line.strip()), "no reason given")
    reason = line.partition("Error: ")[2] or line
    if any(word in said for word in _ABSENT):
        return NoFirewall(f"this kernel has no nf_tables: {reason}", hint=_HINT)
    return FirewallRefused(f"nftables refuses a change: {reason}")
