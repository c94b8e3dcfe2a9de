"""What is in volumes made of API objects: ConfigMaps, Secrets, fields of the pod, tokens. Pure.

Rules and sentences are the kubelet's (``pkg/volume/{configmap,secret,downwardapi,projected}``): a
key that is asked for and not there keeps the pod from starting, unless its source is optional.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kubelite.node.volume.errors import SourceNotReady

if TYPE_CHECKING:
    from kubelite.objects.pod.volumes import (
        DownwardAPIVolumeFile,
        KeyToPath,
        ProjectedVolumeSource,
        Volume,
        VolumeProjection,
    )

DEFAULT_MODE = 0o644
DEFAULT_TOKEN_SECONDS = 3600


class File(NamedTuple):
    """A file of a volume: its content and permission bits; those of a token depend on whom the
    volume is for (``atomic.Owner``).
    """

    data: bytes
    mode: int
    is_token: bool = False


Payload = dict[str, File]
"""Files by path relative to the volume."""


class Objects(Protocol):
    """Where the objects of the pod's namespace are looked up.

    Each raises SourceNotReady while the object cannot be had for another reason than absence.
    """

    def config_map(self, name: str) -> Mapping[str, Any] | None:
        """The ConfigMap, or None."""

    def secret(self, name: str) -> Mapping[str, Any] | None:
        """The Secret, or None."""

    def token(self, audience: str, seconds: int) -> str:
        """A token of the pod's service account."""

    def trust_bundle(self, name: str, signer: str, selector: object | None) -> str | None:
        """The certificates of a ClusterTrustBundle, or of all that a signer and labels select."""


class Documents:
    """Objects that came with a pod's manifest, for pods without a cluster."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        self._by_kind: dict[tuple[str, str], Mapping[str, Any]] = {
            (document["kind"], document["metadata"]["name"]): document for document in documents
        }

    def config_map(self, name: str) -> Mapping[str, Any] | None:
        """See :class:`Objects`."""
        return self._by_kind.get(("ConfigMap", name))

    def secret(self, name: str) -> Mapping[str, Any] | None:
        """See :class:`Objects`."""
        return self._by_kind.get(("Secret", name))

    def token(self, audience: str, seconds: int) -> str:
        """See :class:`Objects`; without a cluster nobody issues tokens."""
        raise SourceNotReady("a service account token needs a cluster: kubelite up")

    def trust_bundle(self, name: str, signer: str, selector: object | None) -> str | None:
        """See :class:`Objects`."""
        return None


def is_made_of_objects(volume: Volume) -> bool:
    """Whether a volume's content is decided here."""
    return any((volume.config_map, volume.secret, volume.downward_api, volume.projected))


def is_secret(volume: Volume) -> bool:
    """Whether the content must never reach a disk."""
    if volume.projected is None:
        return volume.secret is not None
    return any(s.secret or s.service_account_token for s in volume.projected.sources)


def payload(
    volume: Volume, objects: Objects, field: Callable[[DownwardAPIVolumeFile], str]
) -> Payload:
    """The files of a volume. ``field`` gives the value of one downward API item.

    Raises SourceNotReady.
    """
    if volume.config_map is not None:
        source = volume.config_map
        mode = _mode(source.default_mode)
        return _config_map(source.name or "", source.items, bool(source.optional), mode, objects)
    if volume.secret is not None:
        secret = volume.secret
        mode = _mode(secret.default_mode)
        return _secret(secret.secret_name or "", secret.items, bool(secret.optional), mode, objects)
    if volume.downward_api is not None:
        mode = _mode(volume.downward_api.default_mode)
        return _downward(volume.downward_api.items, mode, field)
    assert volume.projected is not None, "asked only about volumes made of objects"
    return _projected(volume.projected, objects, field)


def _projected(
    source: ProjectedVolumeSource,
    objects: Objects,
    field: Callable[[DownwardAPIVolumeFile], str],
) -> Payload:
    """All sources in one directory; the later of two files of one path wins."""
    mode = _mode(source.default_mode)
    result: Payload = {}
    for projection in source.sources:
        result.update(_projection(projection, mode, objects, field))
    return result


def _projection(
    projection: VolumeProjection,
    mode: int,
    objects: Objects,
    field: Callable[[DownwardAPIVolumeFile], str],
) -> Payload:
    if (config_map := projection.config_map) is not None:
        optional = bool(config_map.optional)
        return _config_map(config_map.name or "", config_map.items, optional, mode, objects)
    if (secret := projection.secret) is not None:
        return _secret(secret.name or "", secret.items, bool(secret.optional), mode, objects)
    if projection.downward_api is not None:
        return _downward(projection.downward_api.items, mode, field)
    if (token := projection.service_account_token) is not None:
        seconds = token.expiration_seconds or DEFAULT_TOKEN_SECONDS
        issued = objects.token(token.audience or "", seconds)
        return {token.path: File(issued.encode(), mode, is_token=True)}
    if (bundle := projection.cluster_trust_bundle) is not None:
        text = objects.trust_bundle(
            bundle.name or "", bundle.signer_name or "", bundle.label_selector
        )
        if text is not None:
            return {bundle.path: File(text.encode(), mode)}
        if bundle.optional:
            return {}
        name = bundle.name or bundle.signer_name
        raise SourceNotReady(f'clustertrustbundle "{name}" not found')
    if projection.pod_certificate is not None:
        raise SourceNotReady("podCertificate volumes are not supported")
    return {}


def _config_map(
    name: str, items: Sequence[KeyToPath], optional: bool, mode: int, objects: Objects
) -> Payload:
    document = objects.config_map(name)
    if document is None:
        if optional:
            return {}
        raise SourceNotReady(f'configmap "{name}" not found')
    return _select(config_map_data(document), items, optional, mode, "config")


def _secret(
    name: str, items: Sequence[KeyToPath], optional: bool, mode: int, objects: Objects
) -> Payload:
    document = objects.secret(name)
    if document is None:
        if optional:
            return {}
        raise SourceNotReady(f'secret "{name}" not found')
    return _select(secret_data(document), items, optional, mode, "secret")


def config_map_data(config_map: Mapping[str, Any]) -> dict[str, bytes]:
    """The values of a ConfigMap, text and binary, by key."""
    texts = {key: value.encode() for key, value in (config_map.get("data") or {}).items()}
    return texts | _decoded(config_map.get("binaryData"))


def secret_data(secret: Mapping[str, Any]) -> dict[str, bytes]:
    """The values of a Secret by key; ``stringData``, as a manifest may have it, wins."""
    texts = {key: value.encode() for key, value in (secret.get("stringData") or {}).items()}
    return _decoded(secret.get("data")) | texts


def _decoded(values: Mapping[str, str] | None) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (values or {}).items()}


def _select(
    data: Mapping[str, bytes],
    items: Sequence[KeyToPath],
    optional: bool,
    mode: int,
    kind: str,
) -> Payload:
    """All keys as files of their names, or the items that are asked for under their paths."""
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    result: Payload = {}
    for item in items:
        if item.key in data:
            path_mode = mode if item.mode is None else item.mode
            result[item.path] = File(data[item.key], path_mode)
        elif not optional:
            raise SourceNotReady(f"references non-existent {kind} key: {item.key}")
    return result


def _downward(
    items: Sequence[DownwardAPIVolumeFile],
    mode: int,
    field: Callable[[DownwardAPIVolumeFile], str],
) -> Payload:
    return {
        item.path: File(field(item).encode(), mode if item.mode is None else item.mode)
        for item in items
    }


def _mode(default: int | None) -> int:
    return DEFAULT_MODE if default is None else default
