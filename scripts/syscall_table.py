"""Writes kubelite/node/runtime/seccomp/syscall_table.py from the kernel's headers: numbers of
system calls on three machines.

Needs gcc and aarch64-linux-gnu-gcc with their headers. Calls that are younger than the headers are
listed here; since Linux 5.1 a new call has the same number everywhere.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "kubelite/node/runtime/seccomp/syscall_table.py"
COMPILERS = (
    ("gcc", "asm/unistd_64.h"),
    ("gcc", "asm/unistd_32.h"),
    ("aarch64-linux-gnu-gcc", "asm/unistd.h"),
)
YOUNG = {
    451: "cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount "
    "listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat "
    "listxattrat removexattrat open_tree_attr file_getattr file_setattr"
}
X86_64_ONLY = {"uretprobe": 335}
HEAD = '''"""System call numbers: name, then x86_64, i386 and aarch64 ("-" if absent). Pure.

One number stands for all three.

Written by scripts/syscall_table.py from the kernel's headers.
"""

from __future__ import annotations

TABLE = """
'''


def numbers(compiler: str, header: str) -> dict[str, int]:
    """Every call that one compiler's header knows."""
    command = [compiler, "-dM", "-E", "-include", header, "-x", "c", "/dev/null"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    raw = dict(re.findall(r"^#define (__NR(?:3264)?_\w+) (\w+)$", text, re.M))
    found = {}
    for name, value in raw.items():
        while value in raw:
            value = raw[value]
        if name.startswith("__NR_") and value.isdigit() and name != "__NR_syscalls":
            found[name.removeprefix("__NR_")] = int(value)
    for start, names in YOUNG.items():
        found.update({name: start + i for i, name in enumerate(names.split())})
    return found


def main() -> int:
    """Writes the module."""
    machines = [numbers(*each) for each in COMPILERS]
    machines[0].update(X86_64_ONLY)
    words = []
    for name in sorted(set().union(*machines)):
        each = [str(machine.get(name, "-")) for machine in machines]
        words.append(f"{name}:{each[0] if len(set(each)) == 1 else ','.join(each)}")
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) + 1 > 118:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    TARGET.write_text(HEAD + "\n".join([*lines, line]) + '\n"""\n', encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
