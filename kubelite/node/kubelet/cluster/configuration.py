"""This node's settings as a KubeletConfiguration (kubelet.config.k8s.io/v1beta1)."""

from __future__ import annotations

from typing import NamedTuple

from kubelite.lib.json import Object
from kubelite.node.kubelet.cluster.node_object import MAX_PODS
from kubelite.node.kubelet.cluster.registration import LEASE_SECONDS, STATUS_SECONDS
from kubelite.node.kubelet.decide.container_status import duration
from kubelite.node.kubelet.decide.node_config import NodeConfig, seconds
from kubelite.node.kubelet.server.auth import ALLOWED_SECONDS, DENIED_SECONDS, TOKEN_SECONDS
from kubelite.node.runtime.clock import SECOND


class Serving(NamedTuple):
    """How a node serves: ``authority`` is the file of its clients' certificate authority."""

    port: int
    authority: str
    certificate: str
    key: str
    dns: str
    domain: str


def configuration(serving: Serving, config: NodeConfig) -> Object:
    """What ``/configz`` tells: fields that have an effect here, with the values they have."""
    period = config.crash_loop_back_off.max_container_restart_period
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": "0.0.0.0",
        "port": serving.port,
        "tlsCertFile": serving.certificate,
        "tlsPrivateKeyFile": serving.key,
        "authentication": {
            "x509": {"clientCAFile": serving.authority},
            "webhook": {"enabled": True, "cacheTTL": _seconds(TOKEN_SECONDS)},
            "anonymous": {"enabled": True},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {
                "cacheAuthorizedTTL": _seconds(ALLOWED_SECONDS),
                "cacheUnauthorizedTTL": _seconds(DENIED_SECONDS),
            },
        },
        "clusterDomain": serving.domain,
        "clusterDNS": [serving.dns],
        "nodeStatusReportFrequency": _seconds(STATUS_SECONDS),
        "nodeLeaseDurationSeconds": LEASE_SECONDS,
        "maxPods": MAX_PODS,
        "containerLogMaxSize": config.container_log_max_size,
        "containerLogMaxFiles": config.container_log_max_files,
        "podPidsLimit": config.pod_pids_limit,
        "crashLoopBackOff": {"maxContainerRestartPeriod": period},
        "allowedUnsafeSysctls": list(config.allowed_unsafe_sysctls),
        "evictionHard": config.eviction_hard,
        "evictionSoft": config.eviction_soft,
        "evictionSoftGracePeriod": config.eviction_soft_grace_period,
        "evictionMaxPodGracePeriod": config.eviction_max_pod_grace_period,
        "evictionMinimumReclaim": config.eviction_minimum_reclaim,
        "evictionPressureTransitionPeriod": _seconds(
            seconds(config.eviction_pressure_transition_period)
        ),
        "imagePullCredentialsVerificationPolicy": config.image_pull_credentials_verification_policy,
        "preloadedImagesVerificationAllowlist": list(
            config.preloaded_images_verification_allowlist
        ),
        "serializeImagePulls": config.serialize_image_pulls,
        "imageGCHighThresholdPercent": config.image_gc_high_threshold_percent,
        "imageGCLowThresholdPercent": config.image_gc_low_threshold_percent,
        "enableServer": True,
        "registerNode": True,
        **_given("maxParallelImagePulls", config.max_parallel_image_pulls),
    }


def _given(name: str, setting: int | None) -> Object:
    return {} if setting is None else {name: setting}


def _seconds(period: float) -> str:
    return duration(int(period * SECOND))
