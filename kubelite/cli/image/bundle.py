"""``image bundle``: the images that manifests need, in one archive: for machines off the net."""

from __future__ import annotations

import os
from typing import Annotated

from kubelite.cli.common import manifest
from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import FILES, manifest_files
from kubelite.cli.image.save import TARGET, write_archive
from kubelite.cli.image.store import open_store, transfer_progress
from kubelite.objects.facts.image_names import image_names


@usage(
    "kubelite image bundle -f app/ -o app.tar",
    "kubelite image bundle -f app.yaml | ssh host kubelite image load -",
    notes="Manifests may hold objects of any kind. Images that are not in the store are pulled.",
)
def bundle(
    settings: Settings,
    *,
    files: Annotated[list[str] | None, FILES] = None,
    target: Annotated[str, TARGET] = "-",
) -> int:
    """Writes an archive of all images that manifests name. Raises PullError, CliError."""
    from kubelite.node.image.errors import ImageNotFound
    from kubelite.node.image.reference import is_host, parse
    from kubelite.node.image.registry.pull import pull
    from kubelite.node.image.registry.settings import read_settings

    screen, store = Screen(settings), open_store(settings)
    named = manifest_files(files or [], example="kubelite image bundle -f web.yaml")
    documents = [d.value for file in named for d in manifest.read(file)]
    names = [name for name in dict.fromkeys(image_names(documents)) if not is_host(name)]
    if not names:
        hint = "give manifests with pods: -f FILE"
        raise CliError(Diagnostic("the manifests name no image", hint=hint, exit_code=2))
    for name in names:
        try:
            store.get(name)
        except ImageNotFound:
            with screen.waiting(f"pulling {name}"):
                progress = transfer_progress(screen, f"pulling {name}")
                pull(store, parse(name), read_settings(os.environ), progress=progress)
    images = {image.id: image for image in map(store.get, names)}
    write_archive(screen, store, images.values(), target)
    return 0
