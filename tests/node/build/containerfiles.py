"""Containerfiles that build without a network, each with the context of `make_context`.

TABLE goes by instruction; POPULAR has the shapes of popular images' files: a server, a database,
an exporter, a builder with a small image behind it. `base` is an image with a few programs and two
users; there are ONBUILD triggers in `trigger`.
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

POPULAR = {
    "a program from scratch": (
        '# syntax=docker/dockerfile:1\nFROM scratch\nCOPY run.sh /hello\nCMD ["/hello"]\n'
    ),
    "a root file system": 'FROM scratch\nADD files.tar.gz /\nADD files.tar.xz /xz/\nCMD ["sh"]\n',
    "a server in the old form": (
        'FROM base\nLABEL maintainer="A B <a@b.example>"\nENV APP_VERSION 1.24.0\n'
        "ENV PKG_RELEASE   1\nENV WORDS two  words\n"
        "RUN set -x \\\n# the group comes first\n    && mkdir -p /var/log/app /var/cache/app \\\n"
        "    \\\n# logs go to the collector\n"
        "    && ln -sf /dev/stdout /var/log/app/access.log \\\n    && mkdir /entry.d\n"
        'COPY run.sh /\nCOPY a.txt b.txt /entry.d\nENTRYPOINT ["/run.sh"]\nEXPOSE 80\n'
        'STOPSIGNAL SIGQUIT\nCMD ["app", "-g", "daemon off;"]\n'
    ),
    "a database": (
        "FROM base\nENV LANG en_US.utf8\nENV PATH $PATH:/usr/lib/db/16/bin\nENV DATA /var/lib/db\n"
        'RUN set -eux; \\\n\tmkdir -p "$DATA"; \\\n\tchmod 1777 "$DATA"; \\\n'
        '\tfor d in one two; do mkdir -p "/var/lib/d/$d"; done\nVOLUME /var/lib/db\n'
        "RUN mkdir -p /run/db && chmod 3777 /run/db\nCOPY --chmod=755 run.sh /usr/local/bin/\n"
        'RUN ln -s /usr/local/bin/run.sh /entry.sh\nENTRYPOINT ["run.sh"]\nSTOPSIGNAL SIGINT\n'
        'EXPOSE 5432\nCMD ["db"]\n'
    ),
    "an exporter": (
        'ARG ARCH="amd64"\nARG OS="linux"\nARG NAME=base\nFROM ${NAME}\n'
        'LABEL maintainer="people"\nLABEL org.opencontainers.image.title=app \\\n'
        '      org.opencontainers.image.source="https://a.example/x?y=z"\n'
        'ARG ARCH="arm"\nARG OS="linux"\nCOPY a.txt /bin/${OS}-${ARCH}/app\nWORKDIR /data\n'
        "RUN mkdir -p /etc/app && ln -s ../b /etc/app/link && chmod -R go-w /etc/app /data\n"
        'USER app\nEXPOSE 9090\nVOLUME [ "/data" ]\nENTRYPOINT [ "/bin/app" ]\n'
        'CMD [ "--config=/etc/app/app.yml", \\\n      "--path=/data" ]\n'
    ),
    "a builder and a small image": (
        "FROM base AS build\nARG TARGETOS\nARG TARGETARCH\nWORKDIR /src\nCOPY a.txt b.txt ./\n"
        "RUN --mount=type=cache,target=/root/.cache --mount=type=bind,source=sub,target=/in \\\n"
        '    cat a.txt /in/s.txt > /out && echo "$TARGETOS/$TARGETARCH" >> /out\n'
        "FROM scratch\nCOPY --from=build --chmod=0555 /out /app\n"
        'COPY --from=build /etc/passwd /etc/\nUSER 65532:65532\nENTRYPOINT ["/app"]\n'
    ),
    "one of several targets": (
        "FROM base AS base-of-all\nRUN mkdir /common\nFROM base-of-all AS debug\nRUN false\n"
        "FROM base-of-all AS dev\nCOPY a.txt /common/\nFROM dev AS final\n"
        "COPY --from=base /etc/group /common/\n"
    ),
    "a runtime with triggers": (
        'FROM trigger\nWORKDIR /usr/src/app\nADD . .\nADD sub /added/\nCMD ["app"]\n'
    ),
    "escape and exec form": (
        "# escape=`\nFROM base\nRUN echo one `\n && echo two > C:\\x\nHEALTHCHECK CMD true\n"
        'HEALTHCHECK --interval=5s --timeout=3s --start-period=1m CMD ["sh", "-c", "exit 0"]\n'
    ),
    "what a volume had is kept": (
        "FROM base\nRUN mkdir /v && echo 1 > /v/a\nVOLUME /v\nCOPY a.txt /v/copied\n"
        "WORKDIR /v\nRUN echo x > /elsewhere\nHEALTHCHECK CMD true\nHEALTHCHECK NONE\n"
    ),
    "modes, moves and links": (
        "FROM base\nRUN mkdir -p /a/b/c && chmod 700 /a && chmod 2755 /a/b && chmod u+s /bin/cat\n"
        "RUN touch /a/b/c/f && chmod 000 /a/b/c/f && chmod 755 /etc\n"
        "COPY sub/deep/d.txt /a/b/new/\nRUN rm /lnk && mkdir /lnk && echo x > /lnk/x\n"
        "RUN mv /opt/app /opt/moved && mv /opt/moved/old /opt/moved/new\n"
        "RUN rm -r /lnk && ln -s etc /lnk && ln -s /nowhere /dangling && ln -s dangling /twice\n"
        "RUN ln /opt/moved/new /etc/b && rm /opt/moved/new\n"
    ),
    "metadata on metadata": (
        "FROM base\nARG A=1\nARG B=${A}2 C\nENV E=${A:-x}${C:-y}${D:+z}\nARG A=3\n"
        'RUN echo "$A $B $E" > /args\nLABEL v="$B" w=\'$B\'\nEXPOSE 80 80/udp\nEXPOSE 8000-8002\n'
        'ENV X=1\nENV X= Y="" Z=\'a b\'\nLABEL multi="line one \\\nline two"\n'
        'CMD ["a"]\nENTRYPOINT ["b"]\nSTOPSIGNAL 9\nWORKDIR relative\nUSER app\n'
        "COPY ./sub/./deep/.. dots/\nCOPY [abc].txt sub/*.txt /globs/\n"
    ),
}
