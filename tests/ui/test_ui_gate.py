"""Which requests the page's server lets in."""

from __future__ import annotations

import pytest

from kubelite.ui.gate import RequestFacts, refusal

HOST = "127.0.0.1:7000"
OWN = f"http://{HOST}"
GOOD = RequestFacts("GET", "/api", HOST, "", "", False, True)


def code(request: RequestFacts) -> int:
    refused = refusal(request, (HOST, "localhost:7000"), ("/ui/", "/ui/app.js"))
    return refused.code if refused else 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"origin": OWN, "site": "same-origin"},
        {"method": "POST", "origin": OWN},
        {"is_upgrade": True, "origin": OWN},
        {"host": "localhost:7000", "origin": "http://localhost:7000"},
        {"path": "/ui/", "has_session": False},
        {"path": "/ui/app.js", "has_session": False, "site": "same-origin"},
        {"path": "/ui/", "has_session": False, "site": "cross-site"},
        {"path": "/ui/session", "method": "POST", "origin": OWN, "has_session": False},
    ],
)
def test_what_the_page_does_is_let_in(changes: dict[str, object]) -> None:
    assert code(GOOD._replace(**changes)) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "evil.example:7000"},
        {"host": "127.0.0.1:7001"},
        {"host": "127.0.0.1"},
        {"host": ""},
        {"host": "evil.example", "path": "/ui/", "has_session": False},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:7001"},
        {"origin": "https://127.0.0.1:7000"},
        {"origin": "http://localhost:7000"},
        {"origin": "null"},
        {"method": "POST"},
        {"method": "DELETE"},
        {"method": "OPTIONS"},
        {"is_upgrade": True},
        {"is_upgrade": True, "origin": "http://evil.example"},
        {"site": "cross-site"},
        {"site": "same-site"},
        {"path": "/ui/app.js", "site": "cross-site"},
        {"path": "/ui/", "site": "cross-site", "method": "POST", "origin": OWN},
        {"path": "/ui/session", "method": "POST", "has_session": False},
    ],
)
def test_what_another_site_could_do_is_not(changes: dict[str, object]) -> None:
    assert code(GOOD._replace(**changes)) == 403


@pytest.mark.parametrize("path", ["/api", "/ui/info", "/version", "/ui/nothing.js"])
def test_without_a_session_there_is_nothing_but_the_page(path: str) -> None:
    assert code(GOOD._replace(path=path, has_session=False)) == 401
