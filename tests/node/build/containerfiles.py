"""Containerfiles that build without a network, each with the context of `make_context`.

TABLE goes by instruction; `popular` has the shapes of popular images' files. `base` is an image
with a few programs and two users; there are ONBUILD triggers in `trigger`.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

SECOND = 1_500_000_000


def make_context(path: Path) -> Path:
    """Files, directories, links and an archive, all of one time."""
    for name in ("a.txt", "b.txt", "sub/s.txt", "sub/deep/d.txt", "skip/x.txt", "skip/keep.txt"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(f"{name}\n")
    (path / "with space.txt").write_text("blank\n")
    (path / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (path / "run.sh").chmod(0o755)
    (path / "sub/deep").chmod(0o700)
    (path / "sub/link").symlink_to("deep/d.txt")
    (path / ".hidden").write_text("hidden\n")
    (path / ".dockerignore").write_text("# not these\nskip\n!skip/keep.txt\n*.log\n**/*.tmp\n")
    (path / "x.log").write_text("log\n")
    (path / "sub/deep/y.tmp").write_text("tmp\n")
    with tarfile.open(path / "files.tar.gz", "w:gz") as archive:
        for name in ("in/one", "in/two"):
            entry = tarfile.TarInfo(name)
            entry.size, entry.uid, entry.mode, entry.mtime = 3, 7, 0o640, SECOND
            archive.addfile(entry, io.BytesIO(b"tar"))
    (path / "files.tar.xz").write_bytes(
        lzma.compress(gzip.decompress((path / "files.tar.gz").read_bytes()))
    )
    for directory, names, files in os.walk(path, topdown=False):
        for name in (*names, *files):
            os.utime(os.path.join(directory, name), (SECOND, SECOND), follow_symlinks=False)
    return path


TABLE = {
    "run": "FROM base\nRUN echo hi > /hi && mkdir -m 700 /made && ln -s hi /link && rm /etc/old\n",
    "run in json": 'FROM base\nRUN ["/bin/sh", "-c", "echo $0 > /said", "word"]\n',
    "directory replaced by a file": "FROM base\nRUN rm -r /opt/app && echo x > /opt/app\n",
    "directory made anew": (
        "FROM base\nRUN rm -r /opt/app && mkdir /opt/app && echo n > /opt/app/n\n"
    ),
    "environment": 'FROM base\nENV A=1 B="two words" C=x\\ y\nENV D $A-${B}-${N:-none}${A:+set}\n'
    'RUN echo "$D" > /d\n',
    "environment of one step": "FROM base\nENV A=1\nENV A=2 B=$A\nRUN echo $A$B > /ab\n",
    "arguments": (
        "ARG V=3\nFROM base\nARG V\nARG W=w$V\nARG U\nENV W=env\nRUN echo $V$W$U > /args\n"
    ),
    "argument before FROM": "ARG NAME=base\nFROM ${NAME}\nRUN echo $NAME > /name\n",
    "working directory": (
        "FROM base\nWORKDIR /a/b\nWORKDIR c\nENV X=d\nWORKDIR $X/../e\nRUN echo x > f\n"
    ),
    "user": "FROM base\nRUN mkdir -m 777 /w\nUSER app\nRUN id -u > /w/id && id -g >> /w/id\n"
    "USER 5:6\nRUN id -u > /w/five\n",
    "copy a file": "FROM base\nCOPY a.txt /etc/\nCOPY b.txt /new/dir/c.txt\nCOPY run.sh /\n",
    "copy a directory": "FROM base\nCOPY sub /opt/app/\nCOPY sub/deep /copied\n",
    "copy several": "FROM base\nWORKDIR /w\nCOPY a.txt b.txt sub ./\n",
    "copy with wildcards": "FROM base\nCOPY *.txt s?b/s* /w/\n",
    "copy in json": 'FROM base\nCOPY ["with space.txt", "/w/"]\n',
    "copy with owner and mode": "FROM base\nCOPY --chown=app:staff --chmod=640 a.txt /w/a\n"
    "COPY --chown=9:8 sub /w/sub\n",
    "copy through a link": "FROM base\nCOPY a.txt /lnk/a\n",
    "copy everything": "FROM base\nCOPY . /all\n",
    "from scratch": 'FROM scratch\nCOPY a.txt /\nCMD ["/a.txt"]\n',
    "two stages": "FROM base AS one\nRUN mkdir /o && echo 1 > /o/f && ln -s f /o/l\n"
    "FROM base\nCOPY --from=one /o /p\nCOPY --from=0 /o/f /q\n",
    "a stage on a stage": (
        "FROM base AS one\nENV A=1\nRUN echo 1 > /one\nFROM one\nRUN echo $A > /two\n"
    ),
    "from another image": "FROM scratch\nCOPY --from=base /etc/passwd /etc/\n",
    "add": "FROM base\nADD a.txt /w/\nADD files.tar.gz /unpacked/\n",
    "commands": 'FROM base\nENTRYPOINT ["/bin/sh"]\nCMD ["-c", "true"]\n',
    "command as text": "FROM base\nCMD echo $HOME\nENTRYPOINT echo x\nCMD y\n",
    "the rest": 'FROM base\nLABEL a=1 b.c="x y"\nLABEL a=2\nEXPOSE 80 443/tcp 53/udp\n'
    'VOLUME /data ["x"]\nVOLUME ["/v1", "/v 2"]\nSTOPSIGNAL SIGINT\n'
    "HEALTHCHECK --interval=1m --retries=2 CMD true\n",
    "continued lines": "FROM base\nRUN echo one \\\n # a comment\n && echo two \\\n\n > /lines\n",
    "triggers": "FROM trigger\nRUN cat /triggered > /seen\n",
    "hard links": "FROM base\nRUN echo x > /a && ln /a /b\n",
}
