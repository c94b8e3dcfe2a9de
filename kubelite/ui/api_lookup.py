"""What the page's own endpoints look up in the API, with the rights of the user."""

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
def api_refusals() -> Iterator[None]:
    """Passes refusals of the API on to the page. Raises StatusError."""
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
    with api_refusals():
        return await client.get(PODS, name, namespace)
