"""What the page's own endpoints ask of the API, as the user may see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kubelite.client.client import Client
from kubelite.client.errors import ApiError, ClientError
from kubelite.client.resources import PODS
from kubelite.control.api.wire.status import StatusError, bad_request, unavailable
from kubelite.lib.json import Object
from kubelite.objects.facts import names


@contextmanager
def passing_refusals_on() -> Iterator[None]:
    """What the API refuses, the page is refused. Raises StatusError."""
    try:
        yield
    except ApiError as error:
        raise StatusError(error.code, error.reason, error.message) from error
    except ClientError as error:
        raise unavailable(str(error)) from error


async def find_pod(client: Client, namespace: str, name: str) -> Object:
    """The pod that a query names. Raises StatusError."""
    if names.label(namespace) or names.subdomain(name):
        raise bad_request("namespace and pod of the query must be names")
    with passing_refusals_on():
        return await client.get(PODS, name, namespace)
