"""Client: every verb of the Kubernetes API, over any transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from kubelite.client import resources
from kubelite.client.errors import ApiError, error_for, error_of_status
from kubelite.client.resources import GroupVersionResource
from kubelite.client.transport import Call, Pieces, Transport
from kubelite.lib.json import Object

PAGE_LIMIT = 500
MAX_RETRIES = 10  # of a request that the server asks to send again later
PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


class WatchEvent(msgspec.Struct):
    """One event of a watch: ``type`` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


LARGE_PIECE = 128 << 10
"""Bytes of a watch whose decoding takes some milliseconds."""
_event_decoder = msgspec.json.Decoder(WatchEvent)


class Page(NamedTuple):
    """A list, or a part of one: the objects, the revision it stands for, where it goes on."""

    items: list[Object]
    resource_version: str
    continue_token: str = ""


class Selection(NamedTuple):
    """Which objects a list or a watch is about; all fields empty select everything."""

    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""


EVERYTHING = Selection()
Batch = list[WatchEvent]


class Client:
    """Makes requests as one user.

    Every method raises the errors of :mod:`kubelite.client.errors`. A ``namespace`` of "" is for
    objects of the cluster, and in lists and watches for all namespaces. Objects are returned as
    fresh dicts, which belong to the caller.
    """

    def __init__(self, transport: Transport, *, user_agent: str = "kubelite") -> None:
        self._transport = transport
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}

    # Reading

    async def get(
        self, resource: GroupVersionResource, name: str, namespace: str = "", *, sub: str = ""
    ) -> Object:
        """The object, or one of its sub-resources. Raises NotFound."""
        return await self._json("GET", resource.path(namespace, name, sub))

    async def list(
        self,
        resource: GroupVersionResource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> Page:
        """All objects as of one revision, fetched in pages of 500."""
        selection = Selection(namespace, label_selector, field_selector)
        items: list[Object] = []
        revision = ""
        async for page in self.pages(resource, selection, metadata_only=metadata_only):
            items += page.items
            revision = page.resource_version
        return Page(items, revision)

    async def pages(
        self,
        resource: GroupVersionResource,
        selection: Selection = EVERYTHING,
        *,
        limit: int = PAGE_LIMIT,
        metadata_only: bool = False,
    ) -> AsyncGenerator[Page, None]:
        """A list page by page. Raises Gone when it takes so long that its revision is forgotten."""
        token = ""
        accept = METADATA_LIST_ONLY if metadata_only else ""
        while True:
            query = _query(_selectors(selection), {"limit": limit, "continue": token})
            path = resource.path(selection.namespace)
            listing = await self._json("GET", path, query, accept=accept)
            metadata = listing.get("metadata") or {}
            token = str(metadata.get("continue") or "")
            yield Page(_items(listing), str(metadata.get("resourceVersion") or ""), token)
            if not token:
                return

    @asynccontextmanager
    async def watch(
        self,
        resource: GroupVersionResource,
        selection: Selection = EVERYTHING,
        *,
        resource_version: str = "",
        initial_events: bool = False,
        bookmarks: bool = True,
        timeout_seconds: int = 0,
        metadata_only: bool = False,
        as_table: bool = False,
    ) -> AsyncIterator[AsyncGenerator[Batch, None]]:
        """What happens to objects after a revision, several events at a time::

            async with client.watch(PODS, resource_version="42") as batches:
                async for batch in batches:
                    for event in batch: ...

        ``initial_events`` is the streaming list: everything there is comes first as ADDED, closed
        by a BOOKMARK whose annotation ``k8s.io/initial-events-end`` is "true"; Invalid or
        BadRequest where the server cannot do that. ``as_table``: each event's object is a Table of
        one row. The stream ends when the server ends it, and raises Gone when the revision is no
        longer kept.
        """
        options = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true" if bookmarks or initial_events else "",
            "timeoutSeconds": timeout_seconds or "",
        }
        if initial_events:
            options |= {
                "sendInitialEvents": "true",
                "resourceVersionMatch": "NotOlderThan",
            }
        query = _query(_selectors(selection), options)
        accept = TABLE if as_table else METADATA_ONLY if metadata_only else ""
        headers = {**self._headers, "Accept": accept} if accept else self._headers
        call = Call("GET", resource.path(selection.namespace), query, headers)
        async with (
            self._transport.stream(call) as pieces,
            aclosing(_batches(pieces)) as batches,
        ):
            yield batches

    # Writing

    async def create(
        self,
        resource: GroupVersionResource,
        obj: Mapping[str, Any],
        namespace: str = "",
        *,
        name: str = "",
        sub: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        strict: bool = False,
    ) -> Object:
        """Creates an object, or posts to the sub-resource of the object ``name``.

        The namespace is the object's own where none is given. ``strict`` refuses unknown fields.
        Raises AlreadyExists, Invalid, BadRequest.
        """
        where = namespace or str((obj.get("metadata") or {}).get("namespace") or "")
        query = _write_options(dry_run, field_manager, strict=strict)
        return await self._json("POST", resource.path(where, name, sub), query, body=_encode(obj))

    async def update(
        self,
        resource: GroupVersionResource,
        obj: Mapping[str, Any],
        *,
        sub: str = "",
        dry_run: bool = False,
        field_manager: str = "",
    ) -> Object:
        """Replaces an object that is at the revision it carries. Raises Conflict, Invalid."""
        metadata = obj["metadata"]
        path = resource.path(str(metadata.get("namespace") or ""), str(metadata["name"]), sub)
        query = _write_options(dry_run, field_manager)
        return await self._json("PUT", path, query, body=_encode(obj))

    async def update_status(
        self, resource: GroupVersionResource, obj: Mapping[str, Any], **options: Any
    ) -> Object:
        """Replaces the status of an object; everything else in it is ignored."""
        return await self.update(resource, obj, sub="status", **options)

    async def patch(
        self,
        resource: GroupVersionResource,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        namespace: str = "",
        *,
        kind: str = "merge",
        sub: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        force: bool = False,
        strict: bool = False,
    ) -> Object:
        """Changes an object. ``kind`` is json, merge, strategic or apply (see :meth:`apply`).

        A ``metadata.resourceVersion`` or ``metadata.uid`` in the patch makes it conditional;
        ``strict`` refuses unknown fields. Raises NotFound, Conflict, Invalid, BadRequest.
        """
        path = resource.path(namespace, name, sub)
        query = _write_options(dry_run, field_manager, force, strict)
        return await self._json(
            "PATCH", path, query, body=_encode(patch), content_type=PATCH_TYPES[kind]
        )

    async def patch_status(
        self,
        resource: GroupVersionResource,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        namespace: str = "",
        **options: Any,
    ) -> Object:
        """Changes the status of an object."""
        return await self.patch(resource, name, patch, namespace, sub="status", **options)

    async def apply(
        self,
        resource: GroupVersionResource,
        obj: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = False,
        sub: str = "",
        dry_run: bool = False,
        strict: bool = False,
    ) -> Object:
        """Server-side apply: creates or changes an object to have these fields, owned by the
        manager. Raises Conflict where another manager owns one and ``force`` is not given;
        BadRequest for unknown fields where ``strict`` is.
        """
        metadata = obj["metadata"]
        return await self.patch(
            resource,
            str(metadata["name"]),
            obj,
            str(metadata.get("namespace") or ""),
            kind="apply",
            sub=sub,
            force=force,
            field_manager=field_manager,
            dry_run=dry_run,
            strict=strict,
        )

    async def delete(
        self,
        resource: GroupVersionResource,
        name: str,
        namespace: str = "",
        *,
        propagation: str = "",
        grace_seconds: int | None = None,
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Deletes an object: the object as it is now where it takes time, else a Status or the
        object as it last was.

        ``propagation`` is Background, Foreground or Orphan, "" the kind's default. ``uid`` and
        ``resource_version`` are preconditions. Raises NotFound, Conflict, and ValueError for no
        name, since that is the path of all objects.
        """
        if not name:
            raise ValueError(f"which of {resource} is to be deleted is not said")
        body = _delete_options(propagation, grace_seconds, uid, resource_version, dry_run)
        return await self._json("DELETE", resource.path(namespace, name), body=_encode(body))

    async def delete_collection(
        self,
        resource: GroupVersionResource,
        selection: Selection = EVERYTHING,
        *,
        propagation: str = "",
        grace_seconds: int | None = None,
    ) -> Object:
        """Deletes all objects that are selected."""
        body = _delete_options(propagation, grace_seconds, "", "", dry_run=False)
        path = resource.path(selection.namespace)
        return await self._json("DELETE", path, _query(_selectors(selection)), body=_encode(body))

    # Sub-resources

    async def get_scale(
        self, resource: GroupVersionResource, name: str, namespace: str = ""
    ) -> Object:
        """The Scale of an object."""
        return await self.get(resource, name, namespace, sub="scale")

    async def scale(
        self, resource: GroupVersionResource, name: str, replicas: int, namespace: str = ""
    ) -> Object:
        """Sets the wanted number of replicas. Returns the Scale."""
        patch = {"spec": {"replicas": replicas}}
        return await self.patch(resource, name, patch, namespace, sub="scale")

    async def bind(self, namespace: str, name: str, node: str, *, uid: str = "") -> None:
        """Assigns a pod to a node. Raises NotFound, Conflict when it has a node already."""
        metadata = {"name": name, "namespace": namespace} | ({"uid": uid} if uid else {})
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": metadata,
            "target": {"kind": "Node", "name": node},
        }
        path = resources.PODS.path(namespace, name, "binding")
        await self._bytes("POST", path, body=_encode(body))

    async def evict(
        self, namespace: str, name: str, *, grace_seconds: int | None = None, uid: str = ""
    ) -> Object:
        """Evicts a pod. Raises TooManyRequests where a disruption budget forbids it."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": _delete_options("", grace_seconds, uid, "", dry_run=False),
        }
        path = resources.PODS.path(namespace, name, "eviction")
        return await self._json("POST", path, body=_encode(body), retries=0)

    async def create_token(
        self,
        namespace: str,
        service_account: str,
        *,
        audiences: Sequence[str] = (),
        seconds: int | None = None,
    ) -> Object:
        """A TokenRequest for a service account; ``status.token`` is the token."""
        spec: Object = {"audiences": list(audiences)}
        if seconds is not None:
            spec["expirationSeconds"] = seconds
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return await self.create(
            resources.SERVICE_ACCOUNTS, body, namespace, name=service_account, sub="token"
        )

    async def served(self) -> set[GroupVersionResource]:
        """Every resource that the server has, sub-resources left out (discovery)."""
        versions = list((await self.get_path("/api")).get("versions") or ())
        paths = [(f"/api/{version}", "", str(version)) for version in versions]
        for group in (await self.get_path("/apis")).get("groups") or ():
            for version in group.get("versions") or ():
                path = f"/apis/{version['groupVersion']}"
                paths.append((path, str(group["name"]), str(version["version"])))
        names: set[GroupVersionResource] = set()
        lists = await asyncio.gather(*(self.get_path(path) for path, _, _ in paths))
        for (_, group_name, version_name), listing in zip(paths, lists, strict=True):
            names.update(
                GroupVersionResource(group_name, version_name, str(row["name"]))
                for row in listing.get("resources") or ()
                if "/" not in row["name"]
            )
        return names

    async def get_path(self, path: str, query: str = "", *, accept: str = "") -> Object:
        """The JSON at any path of the server, as ``/apis`` or ``/version``; ``accept`` is the media
        type of another form of it.
        """
        return await self._json("GET", path, query, accept=accept)

    async def get_bytes(self, path: str, query: str = "") -> bytes:
        """What stands at a path that is no JSON, as the log of a pod."""
        return await self._bytes("GET", path, query, accept="*/*")

    async def close(self) -> None:
        """Closes the transport."""
        await self._transport.close()

    # One call

    async def _json(self, method: str, path: str, query: str = "", **rest: Any) -> Object:
        body = await self._bytes(method, path, query, **rest)
        try:
            value = _decoder.decode(body) if body else {}
        except msgspec.DecodeError as error:
            raise ApiError(
                502, {"message": f"the answer to {path} is not JSON: {error}"}
            ) from error
        return value if isinstance(value, dict) else {}

    async def _bytes(
        self,
        method: str,
        path: str,
        query: str = "",
        *,
        body: bytes = b"",
        content_type: str = "application/json",
        accept: str = "",
        retries: int = MAX_RETRIES,
    ) -> bytes:
        """Makes a call; one that the server asks to send again later is sent again then."""
        headers = self._headers
        if body or accept:
            headers = {
                **headers,
                "Content-Type": content_type,
                "Accept": accept or "application/json",
            }
        call = Call(method, path, query, headers, body)
        while True:
            reply = await self._transport.call(call)
            if reply.code < 300:
                return reply.body
            error = error_for(reply.code, reply.body, reply.retry_after)
            if not (error.retry_after and retries > 0 and (error.code == 429 or error.code >= 500)):
                raise error
            retries -= 1
            await asyncio.sleep(error.retry_after)


async def _decoded(piece: bytes) -> Batch:
    """The events of a piece. Much is decoded in a thread: the loop may be an API server's too."""
    if len(piece) < LARGE_PIECE:
        return _event_decoder.decode_lines(piece)
    return await asyncio.to_thread(_event_decoder.decode_lines, piece)


async def _batches(pieces: Pieces) -> AsyncGenerator[Batch, None]:
    async for piece in pieces:
        events = await _decoded(piece)
        for position, event in enumerate(events):
            if event.type == "ERROR":
                if position:
                    yield events[:position]
                raise error_of_status(event.object)
        yield events


def _items(listing: Object) -> list[Object]:
    """The objects of a list; built-in kinds do not repeat kind and apiVersion in each."""
    items: list[Object] = listing.get("items") or []
    kind = str(listing.get("kind") or "").removesuffix("List")
    head = {"kind": kind, "apiVersion": listing.get("apiVersion")}
    return [item if "kind" in item else {**head, **item} for item in items]


def _selectors(selection: Selection) -> dict[str, str]:
    return {
        "labelSelector": selection.label_selector,
        "fieldSelector": selection.field_selector,
    }


def _query(*options: Mapping[str, Any]) -> str:
    given = {key: value for option in options for key, value in option.items() if value != ""}
    return urlencode(given) if given else ""


def _write_options(
    dry_run: bool, field_manager: str, force: bool = False, strict: bool = False
) -> str:
    if not (dry_run or field_manager or force or strict):
        return ""
    return _query(
        {
            "dryRun": "All" if dry_run else "",
            "fieldManager": field_manager,
            "force": "true" if force else "",
            "fieldValidation": "Strict" if strict else "",
        }
    )


def _delete_options(
    propagation: str, grace_seconds: int | None, uid: str, resource_version: str, dry_run: bool
) -> Object:
    options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if propagation:
        options["propagationPolicy"] = propagation
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    conditions = {"uid": uid, "resourceVersion": resource_version}
    preconditions = {key: value for key, value in conditions.items() if value}
    if preconditions:
        options["preconditions"] = preconditions
    if dry_run:
        options["dryRun"] = ["All"]
    return options
