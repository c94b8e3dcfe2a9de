"""What a container that runs on the machine's own files must not see, and where files lie.  Pure.

The reserved image `host` shows the root file system of the machine.  This module decides which of
its directories and files are covered: those that hold secrets of the machine, of its users, of
other container engines, and the state of kubelite.  It is a list of known places, not a proof
that no secret lies elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

MACHINE = """
/etc/NetworkManager/system-connections /etc/amazon/ssm /etc/ansible /etc/apt/auth.conf
/etc/apt/auth.conf.d /etc/bind/rndc.key /etc/calico /etc/ceph /etc/cni /etc/consul.d
/etc/credstore /etc/credstore.encrypted /etc/crio /etc/cryptsetup-keys.d /etc/crypttab /etc/docker
/etc/dovecot/private /etc/exim4/passwd.client /etc/gitlab /etc/gitlab-runner /etc/gshadow
/etc/gshadow- /etc/ipsec.d/private /etc/ipsec.secrets /etc/iscsi /etc/k0s /etc/krb5.keytab
/etc/kubernetes /etc/letsencrypt /etc/msmtprc /etc/mysql/debian.cnf /etc/netplan /etc/nomad.d
/etc/opendkim /etc/openvpn /etc/pki/tls/private /etc/postfix/sasl_passwd /etc/ppp/chap-secrets
/etc/ppp/pap-secrets /etc/puppetlabs /etc/pve /etc/rancher /etc/rclone.conf /etc/salt
/etc/security/opasswd /etc/shadow /etc/shadow- /etc/smbcredentials /etc/ssl/private
/etc/strongswan /etc/sudoers /etc/sudoers.d /etc/swanctl /etc/vault.d /etc/wireguard
/etc/wpa_supplicant /run/kubelite /run/kubelite-warm /run/secrets
/var/backups /var/lib/acme /var/lib/amazon
/var/lib/buildkit /var/lib/calico /var/lib/cloud /var/lib/containerd /var/lib/containers
/var/lib/docker /var/lib/etcd /var/lib/incus /var/lib/jenkins /var/lib/k0s /var/lib/kubelet
/var/lib/kubelite /var/lib/kubelite-roots /var/lib/libvirt /var/lib/lxc /var/lib/lxd
/var/lib/machines /var/lib/minikube /var/lib/pgsql/.pgpass /var/lib/rancher /var/lib/samba/private
/var/lib/sss /var/lib/systemd/credential.secret /var/lib/tor /var/lib/vault /var/snap/microk8s
/var/spool/cron
""".split()
"""Absolute paths: secrets of the machine, and the state of container engines and of kubelite."""
HOME = """
.Xauthority .age .aliyun .ansible .argocd .ash_history .authinfo .authinfo.gpg .aws .azure
.bash_history .bluemix .boto .bundle/config .cache/huggingface/token .cargo/credentials
.cargo/credentials.toml .cf .cloudflared .composer/auth.json .condarc .config/age .config/argocd
.config/chromium .config/composer/auth.json .config/configstore .config/containers .config/doctl
.config/flyctl .config/gcloud .config/gh .config/git/credentials .config/glab-cli
.config/google-chrome .config/hcloud .config/helm .config/heroku .config/hub .config/huggingface
.config/linode-cli .config/msmtp .config/netlify .config/ngrok .config/op .config/openstack
.config/pip/pip.conf .config/pypoetry/auth.toml .config/rclone .config/scw .config/snowflake
.config/sops .config/stripe .databrickscfg .digitalocean .docker .fetchmailrc .fly
.gem/credentials .git-credentials .gnupg .gradle/gradle.properties .helm .huggingface .ibmcloud
.ivy2/.credentials .jupyter .kaggle .kube .lesshst .linode-cli .local/share/containers
.local/share/fish .local/share/keyrings .local/share/kubelite .local/share/kwalletd
.m2/settings-security.xml .m2/settings.xml .mc .minikube .mozilla .msmtprc .my.cnf .mylogin.cnf
.mysql_history .netrc .ngrok2 .node_repl_history .npmrc .nuget .oci .passwd-s3fs .password-store
.pgpass .pip/pip.conf .pki .psql_history .pypirc .python_history .rclone.conf .rediscli_history
.rhosts .s3cfg .sbt .sh_history .shosts .smbcredentials .snowsql .sqlite_history .ssh
.subversion/auth .supabase .talos .terraform.d .terraformrc .thunderbird .vault-token .vault_pass
.viminfo .vnc .yarnrc .yarnrc.yml .zsh_history
""".split()
"""Paths in home directories: credentials, keys, histories of commands."""
_HOME_ENTRIES = [(path, path.partition("/")[0]) for path in HOME]
_NO_HOME = frozenset("/bin /sbin /usr/bin /usr/sbin /usr/games /dev /proc /nonexistent".split())
"""Homes of system accounts that hold nothing of a user, but many files."""
SSH_HOST_KEY = r"ssh_host_.*_key"


class Mount(NamedTuple):
    """One line of /proc/self/mountinfo: where, and which kind of file system."""

    point: str
    kind: str


def candidates(
    roots: list[str], homes: Mapping[str, Collection[str]], etc_ssh: list[str]
) -> list[str]:
    """Every path to cover, whether it exists or not.

    `roots` are kubelite's own directories, `homes` the names in each home directory, `etc_ssh` the
    names in /etc/ssh.
    """
    keys = [f"/etc/ssh/{name}" for name in etc_ssh if re.fullmatch(SSH_HOST_KEY, name)]
    private = [
        f"{home}/{path}"
        for home, entries in sorted(homes.items())
        for path, first in _HOME_ENTRIES
        if first in entries
    ]
    return [*roots, *MACHINE, *keys, *private]


def homes_in(passwd: str) -> set[str]:
    """Home directories in the text of /etc/passwd; `/`, relative ones and those of programs are
    no home.
    """
    rows = [line.split(":") for line in passwd.splitlines()]
    homes = {row[5].rstrip("/") for row in rows if len(row) > 5}
    return {home for home in homes if home.startswith("/") and home not in _NO_HOME}


def outermost(paths: list[str]) -> list[str]:
    """The paths sorted, without those that lie below another one."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda p: p.split("/")):
        if not kept or not is_below(path, kept[-1]):
            kept.append(path)
    return kept


def is_below(path: str, above: str) -> bool:
    """Whether an absolute path is another one or lies below it."""
    return path == above or path.startswith(above.rstrip("/") + "/")


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts in the text of a mountinfo file (proc(5)), in its order."""
    mounts = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) > 6 and "-" in fields[6:]:
            kind = fields[fields.index("-", 6) + 1]
            mounts.append(Mount(unescaped(fields[4]), kind))
    return mounts


def by_point(mounts: list[Mount]) -> dict[str, Mount]:
    """The mounts by where they are; of several at one place the last made, which hides the
    others.
    """
    return {mount.point: mount for mount in mounts}


def mount_of(path: str, mounts: dict[str, Mount]) -> Mount | None:
    """The mount that an absolute path lies on: that of its nearest directory which is a mount
    point.
    """
    while path not in mounts:
        if path in ("/", ""):
            return mounts.get("/")
        path = path.rpartition("/")[0] or "/"
    return mounts[path]


def overlay_problem(path: str, mounts: dict[str, Mount]) -> str | None:
    """Why a writable layer cannot lie at a path; None if it can."""
    mount = mount_of(path, mounts)
    if mount is None or mount.kind != "overlay":
        return None
    return (
        f"{path} lies on an overlay file system ({mount.point}), which cannot hold the writable "
        "layer of another: make kubelite's root a volume, or choose another with --root"
    )


def unescaped(field: str) -> str:
    """Blanks and backslashes are octal in mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
