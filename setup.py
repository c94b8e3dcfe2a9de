"""Builds what is written in C: the cffi module ``kubelite.core._native`` and the programs in
``kubelite/bin``.

The declarations of the module are lifted from the marked part of ``csrc/kubelite.h``. The programs
are ``kubelite-shim``, static, ``kubelite-pause``, which is also embedded in the shim, and the
launcher, which is installed as the command ``kubelite``. A C compiler, the C library's headers and
Python's are all that is needed. From the environment: ``CC``,
``OBJCOPY``, ``CFLAGS``, ``KUBELITE_WERROR=1`` makes warnings errors.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from distutils.command.build_scripts import build_scripts
from glob import glob
from typing import ClassVar

from cffi import FFI
from setuptools import Command, Extension, setup
from setuptools.command.build_ext import build_ext

HERE = os.path.dirname(os.path.abspath(__file__))
CSRC = "csrc"
MODULE = "kubelite.core._native"
MODULE_SOURCES = ("plan.c", "error.c", "module/*.c", "sched/*.c")
SHIM_SOURCES = (
    *("plan.c", "error.c", "fdpass.c", "procfs.c", "switches.c"),
    *("container/*.c", "shim/*.c", "shim/*/*.c", "shim/*/*.S"),
)
RELEASE = "KUBELITE_PLATFORM" in os.environ
WARNINGS = ["-Wall", "-Wextra", "-Wshadow"]
FLAGS = [
    "-std=gnu11",
    "-D_GNU_SOURCE",
    "-O2",
    "-ffp-contract=off",
    *WARNINGS,
    "-Wmissing-prototypes",
]
# The shim brings the little of a C library that it uses (csrc/base): nothing may be compiled to
# calls that are not in it, nor what is in it to calls of itself.
STATIC = (
    [
        "-ffunction-sections",
        "-fdata-sections",
        "-fno-pie",
        "-fno-stack-protector",
        "-U_FORTIFY_SOURCE",
    ],
    ["-nostdlib", "-static", "-no-pie", "-Wl,--gc-sections", "-Wl,--build-id=none", "-s", "-lgcc"],
)
BASE = ["-fno-builtin", "-fno-tree-loop-distribute-patterns"]
CHECKED = (
    ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    ["-fsanitize=address,undefined"],
)


def compiler() -> list[str]:
    """The C compiler's command line."""
    return shlex.split(os.environ.get("CC") or "gcc")


def flags() -> list[str]:
    """What every C file is compiled with."""
    strict = ["-Werror"] if os.environ.get("KUBELITE_WERROR") == "1" else []
    return [*FLAGS, *strict, "-I", CSRC, *shlex.split(os.environ.get("CFLAGS", ""))]


def reports() -> str:
    """Where a shim built with sanitizers writes what they find."""
    return os.path.join(HERE, "build", "reports", "shim")


def check_tools() -> None:
    """Leaves with one sentence when something that a build needs is missing."""
    command = compiler()
    if shutil.which(command[0]) is None:
        raise SystemExit(
            f"error: kubelite needs a C compiler, but {command[0]} is not installed: "
            "apt install gcc libc6-dev"
        )
    probe = [*command, "-static", "-x", "c", "-", "-o", os.devnull]
    source = (
        '#include <stdio.h>\n#include <linux/mount.h>\nint main(void) { return puts("") < 0; }\n'
    )
    if subprocess.run(probe, input=source.encode(), capture_output=True, check=False).returncode:
        raise SystemExit(
            "error: kubelite needs the headers and the static form of the C library: "
            "apt install libc6-dev"
        )


def check_python() -> None:
    """Leaves with one sentence when Python's own headers are missing."""
    if not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
        raise SystemExit(
            "error: kubelite needs Python.h, which is not installed: apt install python3-dev"
        )


def declarations() -> str:
    """The part of kubelite.h that cffi reads."""
    with open(os.path.join(HERE, CSRC, "kubelite.h"), encoding="utf-8") as file:
        return file.read().split("/* cffi: begin */")[1].split("/* cffi: end */")[0]


def sources(patterns: tuple[str, ...]) -> list[str]:
    """The files that match, below the source tree's root."""
    return sorted(path for pattern in patterns for path in glob(f"{CSRC}/{pattern}", root_dir=HERE))


def run(command: list[str]) -> None:
    """Runs a tool in the source tree; its own messages say what is wrong."""
    if subprocess.run(command, cwd=HERE, check=False).returncode:
        raise SystemExit(f"error: a build step failed: {shlex.join(command)}")


def machine() -> str:
    """What the compiler compiles for: x86_64 or aarch64."""
    answer = subprocess.run(
        [*compiler(), "-dumpmachine"], capture_output=True, text=True, check=True
    ).stdout
    return answer.partition("-")[0]


def objcopy() -> str:
    """The objcopy that belongs to the compiler."""
    prefix = re.match(r"(.*-)?gcc", os.path.basename(compiler()[0]))
    return os.environ.get("OBJCOPY") or ((prefix and prefix[1]) or "") + "objcopy"


def build_pause(work: str, target: str) -> None:
    """Assembles pause; the text section, taken as it is, is the program."""
    made = os.path.join(work, "pause.o")
    run([*compiler(), "-c", f"{CSRC}/pause/pause_{machine()}.S", "-o", made])
    run([objcopy(), "-O", "binary", "-j", ".text", made, f"{target}.new"])
    install(target)


def build_shim(work: str, target: str, pause: str, *, sanitize: bool) -> None:
    """Compiles the shim's files and links them."""
    ours = ("fuzz/reports.c",) if sanitize else base_sources()
    places = [f'-DPAUSE_FILE="{pause}"', f'-DREPORTS="{reports()}"']
    how = CHECKED if sanitize else STATIC
    build_program(work, target, sources((*SHIM_SOURCES, *ours)), how, places)


def launcher() -> str:
    """Where the launcher is built; pip installs it from there."""
    return os.path.join("build", "launcher", machine(), "kubelite")


def build_launcher(work: str, target: str) -> None:
    """Compiles the installed command ``kubelite`` and links it."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    build_program(work, target, sources(("launcher/*.c", *base_sources())), STATIC, [])


def base_sources() -> tuple[str, ...]:
    """The little of a C library that static programs bring."""
    return ("base/*.c", f"base/start_{machine()}.S")


def build_program(
    work: str,
    target: str,
    names: list[str],
    how: tuple[list[str], list[str]],
    places: list[str],
) -> None:
    """Compiles files side by side and links them."""
    objects = [os.path.join(work, name.replace("/", "-")[:-2] + ".o") for name in names]

    def compile_one(name: str, made: str) -> None:
        own = BASE if name.startswith(f"{CSRC}/base/") else []
        run([*compiler(), *flags(), *how[0], *own, *places, "-c", name, "-o", made])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, names, objects))
    run([*compiler(), *objects, *how[1], "-o", f"{target}.new"])
    install(target)


def install(target: str) -> None:
    """Puts a program in its place in one step: the old one may be running."""
    os.chmod(f"{target}.new", 0o755)
    os.replace(f"{target}.new", target)


class BuildPrograms(Command):
    """``setup.py build_programs``: the shim and pause alone, for a sanitizer run or another
    machine.
    """

    description = "build the programs alone"
    user_options: ClassVar = [
        ("output=", None, "where to"),
        ("sanitize", None, "dynamic, with sanitizers"),
    ]
    boolean_options: ClassVar = ["sanitize"]

    def initialize_options(self) -> None:
        """Into the source tree, the ordinary build."""
        self.output = os.path.join("kubelite", "bin")
        self.sanitize = False

    def finalize_options(self) -> None:
        """The compiler runs in the source tree."""
        self.output = os.path.abspath(self.output)

    def run(self) -> None:
        """Pause first: the shim holds a copy."""
        work = os.path.join(
            HERE, "build", "programs", machine() + ("-sanitize" if self.sanitize else "")
        )
        os.makedirs(work, exist_ok=True)
        os.makedirs(self.output, exist_ok=True)
        pause = os.path.join(self.output, "kubelite-pause")
        build_pause(work, pause)
        build_shim(work, os.path.join(self.output, "kubelite-shim"), pause, sanitize=self.sanitize)
        if not self.sanitize:
            build_launcher(work, launcher())


class BuildExt(build_ext):
    """The module, and the programs beside it."""

    def finalize_options(self) -> None:
        """Builds anew each time."""
        super().finalize_options()
        self.force = True  # a header may have changed, which nobody here would notice

    def run(self) -> None:
        """Generates the module's C, compiles it, and builds the programs."""
        ffi = FFI()
        ffi.cdef(declarations())
        ffi.set_source(MODULE, '#include "kubelite.h"')
        os.makedirs(self.build_temp, exist_ok=True)
        generated = os.path.join(self.build_temp, "_native.c")
        ffi.emit_c_code(generated)
        self.extensions[0].sources.insert(0, generated)
        super().run()
        programs = self.distribution.get_command_obj("build_programs", create=True)
        programs.output = os.path.join("" if self.inplace else self.build_lib, "kubelite", "bin")
        self.run_command("build_programs")


# Before anything is printed: what is missing should be the one thing that the reader sees.
if not {"egg_info", "dist_info", "sdist"} & set(sys.argv):
    check_tools()
    if "build_programs" not in sys.argv:
        check_python()


class BuildScripts(build_scripts):
    """The launcher as the one script: a program, in which no first line is adjusted."""

    def get_source_files(self) -> list[str]:
        """Nothing that a source archive has to hold."""
        return []

    def copy_scripts(self) -> tuple[list[str], list[str]]:
        """Copies it to where pip's commands look."""
        os.makedirs(self.build_dir, exist_ok=True)
        made = os.path.join(self.build_dir, "kubelite")
        shutil.copy2(launcher(), made)
        return [made], [made]


setup(
    scripts=["kubelite"],
    ext_modules=[
        Extension(
            MODULE,
            sources=sources(MODULE_SOURCES),
            include_dirs=[CSRC],
            define_macros=[("_GNU_SOURCE", None), ("Py_LIMITED_API", "0x030b0000")],
            extra_compile_args=["-std=gnu11", "-ffp-contract=off", *WARNINGS],
            py_limited_api=True,
        )
    ],
    cmdclass={
        "build_ext": BuildExt,
        "build_programs": BuildPrograms,
        "build_scripts": BuildScripts,
    },
    options={
        "bdist_wheel": {
            "py_limited_api": "cp311",
            # For a release, scripts/make_dist.py; else the platform of this machine.
            **({"plat_name": os.environ["KUBELITE_PLATFORM"]} if RELEASE else {}),
        }
    },
)
