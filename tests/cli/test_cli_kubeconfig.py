"""Adding a cluster to a user's kubeconfig."""

from __future__ import annotations

from kubelite.cli.cluster.merge import merge_configs

ADDED = {
    "clusters": [{"name": "kubelite", "cluster": {"server": "new"}}],
    "users": [{"name": "kubelite-admin", "user": {}}],
    "contexts": [{"name": "kubelite", "context": {}}],
    "current-context": "kubelite",
}


def test_everything_else_stays():
    existing = {
        "preferences": {"colors": True},
        "clusters": [{"name": "work"}, {"name": "kubelite", "cluster": {"server": "old"}}],
        "contexts": [{"name": "work"}],
        "current-context": "work",
    }
    merged = merge_configs(existing, ADDED)
    assert merged["preferences"] == {"colors": True}
    assert [c["name"] for c in merged["clusters"]] == ["work", "kubelite"]
    assert merged["clusters"][1]["cluster"] == {"server": "new"}
    assert merged["current-context"] == "kubelite"
    assert merge_configs(merged, ADDED) == merged


def test_an_empty_file_becomes_a_kubeconfig():
    assert merge_configs({}, ADDED) == {"apiVersion": "v1", "kind": "Config", **ADDED}
