"""What is wrong with a pod's volumes. Documents in, causes out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.wire import causes
from kubelite.objects.facts import names, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]


def check(volumes: Iterable[Object], path: str) -> Iterator[Cause]:
    """Everything that is wrong with a list of volumes."""
    seen: set[str] = set()
    for index, each in enumerate(volumes):
        here, name = f"{path}[{index}]", each.get("name", "")
        for why in names.label(name) if name else ():
            yield causes.invalid(f"{here}.name", name, why)
        if name and name in seen:
            yield causes.duplicate(f"{here}.name", name)
        seen.add(name)
        yield from _sources(each, here)


def _sources(volume: Object, path: str) -> Iterator[Cause]:
    sources = [key for key in volume if key != "name"]
    if not sources:
        yield causes.required(path, "must specify a volume type")
    for extra in sources[1:]:
        yield causes.forbidden(f"{path}.{extra}", "may not specify more than 1 volume type")
    for kind in sources[:1]:
        if rule := _KINDS.get(kind):
            yield from rule(volume[kind] or {}, f"{path}.{kind}")


def _empty_dir(source: Object, path: str) -> Iterator[Cause]:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.parse(str(limit)).nano < 0:
        yield causes.forbidden(
            f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"
        )


def _host_path(source: Object, path: str) -> Iterator[Cause]:
    if ".." in source.get("path", "").split("/"):
        yield causes.invalid(f"{path}.path", source["path"], "must not contain '..'")


def _keyed(name_field: str) -> Any:
    def rule(source: Object, path: str) -> Iterator[Cause]:
        if not source.get(name_field):
            yield causes.required(f"{path}.{name_field}")
        yield from _files(source, path)

    return rule


def _files(source: Object, path: str) -> Iterator[Cause]:
    mode = source.get("defaultMode")
    if mode is not None and not 0 <= mode <= 0o777:
        yield causes.invalid(
            f"{path}.defaultMode",
            mode,
            "must be a number between 0 and 0777 (octal), both inclusive",
        )
    for index, item in enumerate(source.get("items") or ()):
        yield from local_path(item.get("path", ""), f"{path}.items[{index}].path")
        mode = item.get("mode")
        if mode is not None and not 0 <= mode <= 0o777:
            why = "must be a number between 0 and 0777 (octal), both inclusive"
            yield causes.invalid(f"{path}.items[{index}].mode", mode, why)


def _projected(source: Object, path: str) -> Iterator[Cause]:
    for index, each in enumerate(source.get("sources") or ()):
        here = f"{path}.sources[{index}]"
        for extra in list(each)[1:]:
            yield causes.forbidden(
                f"{here}.{extra}", "may not specify more than 1 volume type per source"
            )
        for kind in ("secret", "configMap"):
            if kind in each and not (each[kind] or {}).get("name"):
                yield causes.required(f"{here}.{kind}.name")
        for kind in ("secret", "configMap", "downwardAPI"):
            if files := each.get(kind):
                yield from _files(files, f"{here}.{kind}")


def local_path(text: str, path: str) -> Iterator[Cause]:
    """What is wrong with a path that must stay below the one it is put on."""
    if text.startswith("/"):
        yield causes.invalid(path, text, "must be a relative path")
    if ".." in text.split("/"):
        yield causes.invalid(path, text, "must not contain '..'")


_KINDS: dict[str, Any] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "configMap": _keyed("name"),
    "secret": _keyed("secretName"),
    "downwardAPI": _files,
    "projected": _projected,
}
