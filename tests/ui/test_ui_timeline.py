"""When a pod's start took which step."""

from __future__ import annotations

from kubelite.ui.timeline import Mark, document, from_objects

SECOND = 1_000_000
POD = {
    "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
    "status": {
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "True",
                "lastTransitionTime": "2026-01-01T00:00:01Z",
            },
            {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:09Z"},
            {"type": "Other", "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z"},
        ],
        "initContainerStatuses": [
            {"name": "i", "state": {"terminated": {"startedAt": "2026-01-01T00:00:02Z"}}}
        ],
        "containerStatuses": [
            {"name": "a", "state": {"running": {"startedAt": "2026-01-01T00:00:03Z"}}},
            {
                "name": "again",
                "restartCount": 2,
                "state": {"running": {"startedAt": "2026-01-01T00:01:00Z"}},
            },
            {"name": "late", "state": {"waiting": {}}},
        ],
    },
}


def test_the_api_tells_seconds() -> None:
    first = Mark("created", 1767225600 * SECOND, "", False)
    assert list(from_objects(POD)) == [
        first,
        Mark("scheduled", first.at + 1 * SECOND, "", False),
        Mark("started", first.at + 2 * SECOND, "i", False),
        Mark("started", first.at + 3 * SECOND, "a", False),
    ]


def test_a_recorded_time_takes_the_place_of_a_rounded_one() -> None:
    told = [Mark("created", 0, "", False), Mark("started", 2 * SECOND, "a", False)]
    shown = document(told, [Mark("started", 1_999_999, "a"), Mark("sandbox", 5)])
    assert shown["isExact"]
    assert [(step["step"], step["container"], step["isExact"]) for step in shown["steps"]] == [
        ("created", "", False),
        ("sandbox", "", True),
        ("started", "a", True),
    ]
    assert shown["steps"][2]["time"] == "1970-01-01T00:00:01.999999Z"
    assert not document(told, [])["isExact"]
