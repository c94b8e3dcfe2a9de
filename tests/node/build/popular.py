"""Containerfiles with the shapes of popular images' files: which instructions they have, and how
they are written; the commands are those that `base` has.
"""

from __future__ import annotations

POPULAR = {
    "a program from scratch": r"""# syntax=docker/dockerfile:1
FROM scratch
COPY run.sh /hello
CMD ["/hello"]
""",
    "a root file system": r"""FROM scratch
ADD files.tar.gz /
ADD files.tar.xz /xz/
CMD ["sh"]
""",
    "a server in the old form": r"""FROM base
LABEL maintainer="A B <a@b.example>"
ENV APP_VERSION 1.24.0
ENV PKG_RELEASE   1
ENV WORDS two  words
RUN set -x \
# the group comes first
    && mkdir -p /var/log/app /var/cache/app \
    \
# logs go to the collector
    && ln -sf /dev/stdout /var/log/app/access.log \
    && mkdir /entry.d
COPY run.sh /
COPY a.txt b.txt /entry.d
ENTRYPOINT ["/run.sh"]
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["app", "-g", "daemon off;"]
""",
    "a database": r"""FROM base
ENV LANG en_US.utf8
ENV PATH $PATH:/usr/lib/db/16/bin
ENV DATA /var/lib/db
RUN set -eux; \
	mkdir -p "$DATA"; \
	chmod 1777 "$DATA"; \
	for d in one two; do mkdir -p "/var/lib/d/$d"; done
VOLUME /var/lib/db
RUN mkdir -p /run/db && chmod 3777 /run/db
COPY --chmod=755 run.sh /usr/local/bin/
RUN ln -s /usr/local/bin/run.sh /entry.sh
ENTRYPOINT ["run.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["db"]
""",
    "an exporter": r"""ARG ARCH="amd64"
ARG OS="linux"
ARG NAME=base
FROM ${NAME}
LABEL maintainer="people"
LABEL org.opencontainers.image.title=app \
      org.opencontainers.image.source="https://a.example/x?y=z"
ARG ARCH="arm"
ARG OS="linux"
COPY a.txt /bin/${OS}-${ARCH}/app
WORKDIR /data
RUN mkdir -p /etc/app && ln -s ../b /etc/app/link && chmod -R go-w /etc/app /data
USER app
EXPOSE 9090
VOLUME [ "/data" ]
ENTRYPOINT [ "/bin/app" ]
CMD [ "--config=/etc/app/app.yml", \
      "--path=/data" ]
""",
    "a builder and a small image": r"""FROM base AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY a.txt b.txt ./
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,source=sub,target=/in \
    cat a.txt /in/s.txt > /out && echo "$TARGETOS/$TARGETARCH" >> /out
FROM scratch
COPY --from=build --chmod=0555 /out /app
COPY --from=build /etc/passwd /etc/
USER 65532:65532
ENTRYPOINT ["/app"]
""",
    "one of several targets": r"""FROM base AS base-of-all
RUN mkdir /common
FROM base-of-all AS debug
RUN false
FROM base-of-all AS dev
COPY a.txt /common/
FROM dev AS final
COPY --from=base /etc/group /common/
""",
    "a runtime with triggers": r"""FROM trigger
WORKDIR /usr/src/app
ADD . .
ADD sub /added/
CMD ["app"]
""",
    "escape and exec form": r"""# escape=`
FROM base
RUN echo one `
 && echo two > C:\x
HEALTHCHECK CMD true
HEALTHCHECK --interval=5s --timeout=3s --start-period=1m CMD ["sh", "-c", "exit 0"]
""",
    "what a volume had is kept": r"""FROM base
RUN mkdir /v && echo 1 > /v/a
VOLUME /v
COPY a.txt /v/copied
WORKDIR /v
RUN echo x > /elsewhere
HEALTHCHECK CMD true
HEALTHCHECK NONE
""",
    "modes, moves and links": r"""FROM base
RUN mkdir -p /a/b/c && chmod 700 /a && chmod 2755 /a/b && chmod u+s /bin/cat
RUN touch /a/b/c/f && chmod 000 /a/b/c/f && chmod 755 /etc
COPY sub/deep/d.txt /a/b/new/
RUN rm /lnk && mkdir /lnk && echo x > /lnk/x
RUN mv /opt/app /opt/moved && mv /opt/moved/old /opt/moved/new
RUN rm -r /lnk && ln -s etc /lnk && ln -s /nowhere /dangling && ln -s dangling /twice
RUN ln /opt/moved/new /etc/b && rm /opt/moved/new
""",
    "metadata on metadata": r"""FROM base
ARG A=1
ARG B=${A}2 C
ENV E=${A:-x}${C:-y}${D:+z}
ARG A=3
RUN echo "$A $B $E" > /args
LABEL v="$B" w='$B'
EXPOSE 80 80/udp
EXPOSE 8000-8002
ENV X=1
ENV X= Y="" Z='a b'
LABEL multi="line one \
line two"
CMD ["a"]
ENTRYPOINT ["b"]
STOPSIGNAL 9
WORKDIR relative
USER app
COPY ./sub/./deep/.. dots/
COPY [abc].txt sub/*.txt /globs/
""",
    "a cache": r"""FROM base

# the same ids everywhere
RUN set -eux; \
# as in the other variants
	echo 'cache:x:999:' >> /etc/group; \
	echo 'cache:x:999:999::/data:/bin/sh' >> /etc/passwd

# https://a.example/releases
ENV STEP_VERSION 1.17
ENV URL http://a.example/cache-7.2.tar.gz
ENV SHA a#b

RUN set -eux; \
	\
	saved="$(echo a b)"; \
	for one in $saved; do \
		mkdir -p "/usr/src/$one"; \
	done; \
	\
# disable the protected mode: it makes no sense here
	[ -d /usr/src/a ]; \
	rm -r /usr/src/a

RUN mkdir /data && chown cache:cache /data
VOLUME /data
WORKDIR /data

COPY run.sh /usr/local/bin/
ENTRYPOINT ["run.sh"]

EXPOSE 6379
CMD ["server"]
""",
    "an interpreter": r"""FROM base

# before others of that name
ENV PATH /usr/local/bin:$PATH

# in 3.13 it is the default
#ENV LANG C.UTF-8
ENV GPG_KEY 7169605F62C751356D054A26A821E680E5FA6305
RUN set -eux; \
	mkdir -p /usr/local/bin; \
	for src in idle3 pip3 pydoc3; do \
		dst="${src%3}"; \
		echo '#!/bin/sh' > "/usr/local/bin/$src"; \
		chmod +x "/usr/local/bin/$src"; \
		ln -svT "$src" "/usr/local/bin/$dst"; \
	done

CMD ["python3"]
""",
    "a server of scripts": r"""FROM base
ENV DEPS \
		autoconf \
		g++ \
		re2c
ENV INI_DIR /usr/local/etc/php
RUN mkdir -p "$INI_DIR/conf.d"; \
# any user may run it
	[ ! -d /var/www/html ]; \
	mkdir -p /var/www/html; \
	chown 33:33 /var/www/html; \
	chmod 1777 /var/www/html
RUN { \
		echo '<Files \.php$>'; \
		echo; \
		echo '</Files>'; \
	} | cat > "$INI_DIR/x.conf" \
	&& cat "$INI_DIR/x.conf"
ENV CFLAGS="-O2 -D_FILE_OFFSET_BITS=64"
ENV CPPFLAGS="$CFLAGS"
ENV URL="https://a.example/x.tar.xz" ASC="https://a.example/x.tar.xz.asc"
RUN echo "$DEPS|${INI_DIR%/php}|$CPPFLAGS" > /env
COPY ru*.sh ?.txt /usr/local/bin/
ENTRYPOINT ["run.sh"]
# graceful
STOPSIGNAL SIGWINCH
COPY a.txt /usr/local/bin/foreground
WORKDIR /var/www/html
EXPOSE 80
CMD ["foreground"]
""",
    "an automation server": r"""ARG TAG=latest
ARG NAME=base

FROM "${NAME}":"${TAG}" AS jre
SHELL ["/bin/sh", "-e", "-c"]
ARG VERSION=17.0.13_11
ENV PATH="/opt/jdk-${VERSION}/bin:${PATH}"
RUN case "$VERSION" in \
      "17."*) set -- "--compress=2" ;; \
      # since 21
      *) exit 1 ;; \
    esac; \
    mkdir /jre && echo "$1" > /jre/release

FROM ${NAME}:${TAG} AS controller
ARG user=app
ARG uid=1000
ARG gid=1001
ARG http_port=8080
ARG HOME_DIR=/var/home
ARG REF=/usr/share/ref
ARG COMMIT
ENV HOME_DIR=$HOME_DIR
ENV PORT=${http_port}
ENV REF=$REF
RUN mkdir -p $HOME_DIR \
  && chown ${uid}:${gid} $HOME_DIR
VOLUME $HOME_DIR
RUN mkdir -p ${REF}/init.d
ARG WAR
ENV WAR=${WAR:-2.479}
ARG URL=https://a.example/${WAR}/app-${WAR}.war
RUN echo ${URL} > ${REF}/url
RUN chown -R ${user} "$HOME_DIR" "$REF"
EXPOSE ${http_port}
ENV JAVA_HOME=/opt/java
ENV PATH="${JAVA_HOME}/bin:${PATH}"
COPY --from=jre /jre $JAVA_HOME
USER ${user}
COPY run.sh /usr/local/bin/app.sh
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/app.sh"]
LABEL \
    a.vendor="A project" \
    a.version="${WAR}" \
    a.revision="${COMMIT}"
""",
    "a site of a framework": r"""FROM base AS site

# only when needed
FROM site AS deps
WORKDIR /app
COPY a.txt b.txt* yarn.lock* ./
RUN \
  if [ -f b.txt ]; then mkdir node_modules; \
  elif [ -f yarn.lock ]; then exit 2; \
  else echo none && exit 1; \
  fi

FROM site AS builder
WORKDIR /app
COPY --from=deps /app/node_modules ./node_modules
COPY . .
RUN mkdir -p .next/standalone public && echo x > .next/standalone/server.js

FROM site AS runner
WORKDIR /app
ENV NODE_ENV production
RUN echo 'nodejs:x:1005:' >> /etc/group \
 && echo 'nextjs:x:1005:1005::/:/bin/sh' >> /etc/passwd
COPY --from=builder /app/public ./public
RUN mkdir .next
RUN chown nextjs:nodejs .next
COPY --from=builder --chown=nextjs:nodejs /app/.next/standalone ./
USER nextjs
EXPOSE 3000
ENV PORT 3000
CMD HOSTNAME="0.0.0.0" node server.js
""",
    "a program of modules": r"""FROM --platform=$BUILDPLATFORM base AS build
WORKDIR /src
RUN --mount=type=cache,target=/go/pkg/mod/ \
    --mount=type=bind,source=a.txt,target=/src/go.sum \
    --mount=type=bind,source=b.txt,target=/src/go.mod \
    cat go.sum go.mod > /deps
ARG TARGETARCH
RUN echo GOARCH=$TARGETARCH > /bin/server && chmod 711 /bin/server

FROM base AS final
ARG UID=10001
RUN echo "appuser:x:${UID}:${UID}::/nonexistent:/sbin/nologin" >> /etc/passwd
USER appuser
COPY --from=build /bin/server /deps /bin/
EXPOSE 8080
ENTRYPOINT [ "/bin/server" ]
""",
    "layers of an archive": r"""FROM base as builder
WORKDIR application
ARG FILE=ru*.sh
COPY ${FILE} application.jar
RUN mkdir -p dependencies/lib snapshot-dependencies application/cls && echo 1 > dependencies/lib/a \
    && echo 2 > application/cls/b

FROM base
WORKDIR application
COPY --from=builder application/dependencies/ ./
COPY --from=builder application/snapshot-dependencies/ ./
COPY --from=builder application/application/ ./
ENTRYPOINT ["java", "org.example.JarLauncher"]
""",
    "a search engine": r"""FROM base AS builder
RUN mkdir -p /usr/share/search/bin
WORKDIR /usr/share/search
RUN set -eux ; \
    for path in data logs config config/scripts; do \
      mkdir -p "${path}"; \
      chown 1000:1000 "${path}"; \
      chmod 0775 "${path}"; \
    done
COPY sub/s.txt config/
COPY a.txt b.txt config/scripts
RUN chmod -R a+rX,g+w config && chmod 0664 config/*.txt

FROM base
RUN echo 'search:x:1000:0::/usr/share/search:/bin/sh' >> /etc/passwd && \
    mkdir -p /usr/share/search && chown 1000:0 /usr/share/search
ENV CONTAINER true
WORKDIR /usr/share/search
COPY --from=builder --chown=0:0 /usr/share/search /usr/share/search
ENV PATH /usr/share/search/bin:$PATH
COPY --chmod=0555 run.sh /usr/local/bin/entrypoint.sh
EXPOSE 9200 9300
LABEL org.label-schema.build-date="2024-01-01T00:00:00Z" \
  org.label-schema.license="L-2" \
  org.label-schema.name="Search"
USER 1000:0
ENTRYPOINT ["/bin/tini", "--", "/usr/local/bin/entrypoint.sh"]
CMD ["wrapper"]
""",
    "a dashboard": r"""# syntax=docker/dockerfile:1

ARG BASE=base
ARG SRC=base

FROM ${BASE} AS builder
COPY run.sh /tmp/app/bin/

FROM builder AS src

FROM ${SRC}
LABEL maintainer="Labs <hello@a.example>"
LABEL org.opencontainers.image.source="https://a.example"
ARG GF_UID="472"
ARG GF_GID="0"
ENV PATH="/usr/share/app/bin:$PATH" \
  GF_DATA="/var/lib/app" \
  GF_HOME="/usr/share/app"

WORKDIR $GF_HOME

RUN if [ ! -e /etc/none ]; then \
      echo "g:x:$GF_UID:" >> /etc/group; fi && \
    mkdir -p "$GF_DATA" && chown -R "$GF_UID:$GF_GID" "$GF_DATA" && chmod -R 777 "$GF_DATA"

COPY --from=src /tmp/app/bin ./bin
EXPOSE 3000

ARG RUN_SH=./run.sh
COPY ${RUN_SH} /run.sh

USER "$GF_UID"
ENTRYPOINT [ "/run.sh" ]
""",
    "a store of secrets": r"""FROM base AS default
ARG BIN_NAME
# the revision of the build
ARG PRODUCT_VERSION=1.2
ARG PRODUCT_NAME=$BIN_NAME
# the platform sets them
ARG TARGETOS TARGETARCH
LABEL name="Store" \
      version=${PRODUCT_VERSION} \
      summary="A tool for secrets." \
      description="A tool for secrets, keys, \
 certificates."
ENV NAME=$PRODUCT_NAME
ENV VERSION=$VERSION
COPY a.txt dist/$TARGETOS/$TARGETARCH/
RUN mkdir -p /vault/logs && \
    mkdir -p /vault/file && \
    chown -R 1000:1001 /vault
VOLUME /vault/logs
VOLUME /vault/file
EXPOSE 8200
COPY run.sh /usr/local/bin/docker-entrypoint.sh
ENTRYPOINT ["docker-entrypoint.sh"]

# in development
CMD ["server", "-dev"]

FROM default AS fips
LABEL name="Store of the office"
USER app
""",
    "a broker": r"""FROM base
ARG DATA_DIR=/var/lib/mq
ENV DATA_DIR=$DATA_DIR MQ_HOME=/opt/mq \
    MQ_LOGS=-
ENV PATH=$MQ_HOME/sbin:$PATH HOME=$DATA_DIR
RUN set -eux; \
	echo 'mq:x:998:' >> /etc/group; \
	mkdir -p "$DATA_DIR" /etc/mq/conf.d /tmp/mq-ssl; \
	chown -fR app:998 "$DATA_DIR" /etc/mq; \
	chmod 777 "$DATA_DIR" /etc/mq /etc/mq/conf.d; \
	ln -sf "$DATA_DIR/.cookie" /root/ || ln -s "$DATA_DIR/.cookie" /cookie
ENV LANG=C.UTF-8 LANGUAGE=C.UTF-8 LC_ALL=C.UTF-8
VOLUME $DATA_DIR
COPY --chown=app:mq a.txt b.txt /etc/mq/conf.d/
EXPOSE 4369 5671 5672 15691
CMD ["mq-server"]
""",
    "a framework's application": r"""# syntax = docker/dockerfile:1

# make sure that it matches
ARG VERSION=latest
FROM base:$VERSION as web

WORKDIR /rails
ENV RAILS_ENV="production" \
    BUNDLE_PATH="/usr/local/bundle" \
    BUNDLE_WITHOUT="development"


# thrown away
FROM web as build
COPY a.txt b.txt ./
RUN mkdir -p "${BUNDLE_PATH}"/cache && echo g > "${BUNDLE_PATH}"/gem && \
    rm -rf ~/.bundle/ "${BUNDLE_PATH}"/ruby/*/cache
COPY . .
RUN mkdir -p tmp log && echo s > log/l


# final
FROM web
COPY --from=build "${BUNDLE_PATH}" "${BUNDLE_PATH}"
COPY --from=build /rails /rails
RUN chown -R app:app log tmp
USER app:app
ENTRYPOINT ["/rails/run.sh"]
EXPOSE 3000
CMD ["./bin/rails", "server"]
""",
    "an application of a language": r"""FROM base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    # off
    PIP_NO_CACHE_DIR=off

WORKDIR /code
COPY ./a.txt /code/requirements.txt
RUN cat /code/requirements.txt
ADD . /code/
COPY ./sub /code/app
RUN chmod +x /code/run.sh
USER app
HEALTHCHECK --interval=30s --timeout=30s --start-period=5s --retries=3 \
    CMD curl -f http://localhost:8000/health || exit 1
ENTRYPOINT exec gunicorn --bind :$PORT --workers 1 "main:app"
""",
    "a project of solutions": r"""FROM base AS aspnet
USER app
WORKDIR /app
EXPOSE 8080
EXPOSE 8081

FROM base AS build
ARG BUILD_CONFIGURATION=Release
WORKDIR /src
COPY ["a.txt", "App/"]
COPY ["sub/s.txt", "b.txt", "Lib/"]
RUN cat "./App/a.txt"
COPY . .
WORKDIR "/src/App"
RUN mkdir /app && echo $BUILD_CONFIGURATION > /app/App.dll

FROM build AS publish
ARG BUILD_CONFIGURATION=Release
RUN mkdir /app/publish && cp /app/App.dll /app/publish/

FROM aspnet AS final
WORKDIR /app
COPY --from=publish /app/publish .
ENTRYPOINT ["dotnet", "App.dll"]
""",
    "a proxy": r"""FROM base

# "scripts" for one user
RUN set -eux; \
	echo 'px:x:99:' >> /etc/group; \
	echo 'px:x:99:99::/var/lib/px:/bin/sh' >> /etc/passwd; \
	mkdir -p /var/lib/px; \
	chown 99:99 /var/lib/px

ENV PX_VERSION 2.9.6
COPY sub /usr/local/etc/px
ADD files.tar.gz /usr/local/src/
STOPSIGNAL SIGUSR1
COPY run.sh /usr/local/bin/
ENTRYPOINT ["run.sh"]

USER px
WORKDIR /var/lib/px
EXPOSE 80/tcp 443/udp
CMD ["px", "-f", "/usr/local/etc/px/px.cfg"]
""",
    "an operator": r"""# Build the manager
FROM base AS builder
ARG TARGETOS
ARG TARGETARCH

WORKDIR /workspace
# the modules
COPY a.txt go.mod
COPY b.txt go.sum
# what changes
COPY sub/ internal/
RUN GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH} env > /dev/null && \
    echo m > manager && chmod 755 manager

# distroless would do
FROM scratch
WORKDIR /
COPY --from=builder /workspace/manager .
USER 65532:65532

ENTRYPOINT ["/manager"]
""",
    "what stages inherit": r"""FROM base AS one
ENTRYPOINT ["a"]
CMD ["b"]
LABEL x=1 y=2
VOLUME /one
EXPOSE 1
ENV A=1 B=2
WORKDIR /w
USER app
STOPSIGNAL SIGHUP
HEALTHCHECK --retries=7 CMD one

FROM one AS two
CMD ["c"]
LABEL y=3 z=
VOLUME /two
EXPOSE 2/udp
ENV B=3 C=$B
WORKDIR two
USER 0

FROM two
ENTRYPOINT []
ENTRYPOINT ["d"]
""",
    "a coordinator": r"""FROM base

ENV ZOO_CONF_DIR=/conf \
    ZOO_DATA_DIR=/data \
    ZOO_TICK=2000 \
    ZOO_4LW="srvr, mntr" \
    EMPTY=

# a user of its own
RUN set -eux; \
    mkdir -p "$ZOO_DATA_DIR" "$ZOO_CONF_DIR"; \
    chown app:app "$ZOO_DATA_DIR"

ARG GPG_KEY=A B=2
ARG SHORT=zoo-3.9
ARG DISTRO=apache-${SHORT}-bin

RUN mkdir "/$DISTRO" && echo "$B" > "/$DISTRO/x"

WORKDIR $DISTRO
VOLUME ["$ZOO_DATA_DIR", "/datalog"]

EXPOSE 2181 2888 3888 8080

ENV PATH=$PATH:/$DISTRO/bin \
    CFG=$ZOO_CONF_DIR

COPY run.sh /
ENTRYPOINT ["/run.sh"]
CMD ["start", "foreground"]
""",
    "an old image": r"""FROM base
MAINTAINER A B "<a@b.example>"

ENV NAME world
ADD run.sh b.txt /opt/
RUN ["chmod", "+x", "/opt/b.txt"]
RUN [ "/bin/sh" , "-c" , "echo \"$NAME\" > /hello" ]
VOLUME [ "/a", "/b" ]
VOLUME /c /d
CMD ["/opt/run.sh", '-x']
ONBUILD ADD . /app
ONBUILD RUN echo $NAME
""",
    "a pause": r"""ARG BASE=scratch
FROM ${BASE}
ARG ARCH=b
ADD ${ARCH}.txt /pause
USER 65535:65535
ENTRYPOINT [ "/pause" ]
""",
    "lower case, tabs and carriage returns": (
        "from base as one\r\n"
        "env\tA=1\tB=2\r\n"
        "env\tC  three\tparts\r\n"
        'run\techo\t"$C"\t> /tabs\r\n'
        "copy\ta.txt\tb.txt\t/w/\r\n"
        "run echo a \\\r\n"
        "  b > /ab\r\n"
        "label\tl=1\r\n"
        "workdir\t/w\r\n"
        'cmd\t["x"]\r\n'
    ),
    "ends without an end": (
        "FROM base\nRUN echo 1 > /one \\\n\n  # a comment\n  && echo 2 > /two \\"
    ),
    "quotes and signs": r"""FROM base
ENV A=a\ b B="c \"d\" 'e'" C='f "g" $A' D=h"i"'j' E=\$A F="\$A" G=${A}x$B
ENV H "quoted  words" and 'more' \$A $A
ENV I=a#b J="#" K==x L=a=b=c
LABEL "a key"="a value" b='$A' c="$A" "d.e"=f\ g
LABEL old style value
RUN echo "$A|$B|$C|$D|$E|$F|$G|$H|$I|$J|$K|$L" > /env
WORKDIR "/with blank"
RUN echo x > y
USER "app"
EXPOSE "80" '81/tcp'
STOPSIGNAL "SIGINT"
VOLUME "/opt" '/tmp'
""",
    "links and wildcards in the context": r"""FROM base
COPY sub/link /one
COPY sub/link b.txt /two/
COPY su* /three/
COPY su*/dee* /four
COPY sub/deep sub/s.txt /five/
COPY sub /six
COPY sub/ /opt/app
COPY .hid* .h[a-z]dden /seven/
COPY [^a-z]* /eight/
COPY --from=base /lnk /nine
COPY --from=base /opt/a* /ten/
COPY --from=base /etc/passwd /etc/group eleven/
""",
    "over links of the image": r"""FROM base
RUN mkdir -p /t/dir /t/other && echo old > /t/other/f && ln -s other /t/link \
 && ln -s other/f /t/file \
 && ln -s /t/other /t/absolute && ln -s nowhere /t/dangling
COPY a.txt /t/link/
COPY sub /t/absolute/sub
COPY sub/s.txt /t/link/new
WORKDIR /t/link/w
COPY a.txt .
COPY sub /t/dir
ADD files.tar.gz /t/absolute
""",
}
