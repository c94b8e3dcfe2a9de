"""Containers: what runs, with which environment, limits, probes and rights (core/v1). Pure."""

from msgspec import field

from kubelite.objects.pod.base import Int32, Int64, IntOrString, Object, QuantityText
from kubelite.objects.pod.meta import Quantities

__all__ = [
    "AppArmorProfile",
    "Capabilities",
    "ConfigMapEnvSource",
    "ConfigMapKeySelector",
    "Container",
    "ContainerPort",
    "ContainerResizePolicy",
    "ContainerRestartRule",
    "ContainerRestartRuleOnExitCodes",
    "EnvFromSource",
    "EnvVar",
    "EnvVarSource",
    "EphemeralContainer",
    "ExecAction",
    "FileKeySelector",
    "GRPCAction",
    "HTTPGetAction",
    "HTTPHeader",
    "Lifecycle",
    "LifecycleHandler",
    "ObjectFieldSelector",
    "Probe",
    "ResourceClaim",
    "ResourceFieldSelector",
    "ResourceRequirements",
    "SELinuxOptions",
    "SeccompProfile",
    "SecretEnvSource",
    "SecretKeySelector",
    "SecurityContext",
    "SleepAction",
    "TCPSocketAction",
    "VolumeDevice",
    "VolumeMount",
    "WindowsSecurityContextOptions",
]


class ConfigMapKeySelector(Object, kw_only=True, frozen=True):
    """One key of a ConfigMap."""

    key: str
    name: str | None = None
    optional: bool | None = None


class SecretKeySelector(Object, kw_only=True, frozen=True):
    """One key of a Secret."""

    key: str
    name: str | None = None
    optional: bool | None = None


class FileKeySelector(Object, kw_only=True, frozen=True):
    """One variable of a file in an emptyDir volume."""

    volume_name: str
    path: str
    key: str
    optional: bool | None = None


class ObjectFieldSelector(Object, kw_only=True, frozen=True):
    """A field of the pod itself."""

    field_path: str
    api_version: str | None = None


class ResourceFieldSelector(Object, kw_only=True, frozen=True):
    """A request or limit of a container of the pod."""

    resource: str
    container_name: str | None = None
    divisor: QuantityText | None = None


class EnvVarSource(Object, kw_only=True, frozen=True):
    """Where the value of an environment variable comes from; exactly one is set."""

    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: ConfigMapKeySelector | None = None
    secret_key_ref: SecretKeySelector | None = None
    file_key_ref: FileKeySelector | None = None


class EnvVar(Object, kw_only=True, frozen=True):
    """An environment variable."""

    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None


class ConfigMapEnvSource(Object, kw_only=True, frozen=True):
    """All keys of a ConfigMap."""

    name: str | None = None
    optional: bool | None = None


class SecretEnvSource(Object, kw_only=True, frozen=True):
    """All keys of a Secret."""

    name: str | None = None
    optional: bool | None = None


class EnvFromSource(Object, kw_only=True, frozen=True):
    """Many environment variables at once."""

    prefix: str | None = None
    config_map_ref: ConfigMapEnvSource | None = None
    secret_ref: SecretEnvSource | None = None


class ContainerPort(Object, kw_only=True, frozen=True):
    """A port the container listens on; ``host_port`` is open on the machine too."""

    container_port: Int32
    name: str | None = None
    host_port: Int32 | None = None
    host_ip: str | None = None
    protocol: str | None = None


class ResourceClaim(Object, kw_only=True, frozen=True):
    """A claim of the pod (``spec.resourceClaims``) that the container uses."""

    name: str
    request: str | None = None


class ResourceRequirements(Object, kw_only=True, frozen=True):
    """What the container is promised and what it must not exceed."""

    limits: Quantities = field(default_factory=dict)
    requests: Quantities = field(default_factory=dict)
    claims: tuple[ResourceClaim, ...] = ()


class ContainerResizePolicy(Object, kw_only=True, frozen=True):
    """Whether changing a resource restarts the container."""

    resource_name: str
    restart_policy: str


class ContainerRestartRuleOnExitCodes(Object, kw_only=True, frozen=True):
    """Exit codes that a restart rule is about."""

    operator: str
    values: tuple[Int32, ...] = ()


class ContainerRestartRule(Object, kw_only=True, frozen=True):
    """What happens after certain exits."""

    action: str
    exit_codes: ContainerRestartRuleOnExitCodes | None = None


class VolumeMount(Object, kw_only=True, frozen=True):
    """A volume of the pod, shown at a path of the container."""

    name: str
    mount_path: str
    read_only: bool | None = None
    recursive_read_only: str | None = None
    sub_path: str | None = None
    sub_path_expr: str | None = None
    mount_propagation: str | None = None


class VolumeDevice(Object, kw_only=True, frozen=True):
    """A block volume of the pod, as a device of the container."""

    name: str
    device_path: str


class ExecAction(Object, kw_only=True, frozen=True):
    """A command run in the container."""

    command: tuple[str, ...] = ()


class HTTPHeader(Object, kw_only=True, frozen=True):
    """A header of a probe's request."""

    name: str
    value: str


class HTTPGetAction(Object, kw_only=True, frozen=True):
    """A GET request to the container."""

    port: IntOrString
    path: str | None = None
    host: str | None = None
    scheme: str | None = None
    http_headers: tuple[HTTPHeader, ...] = ()


class TCPSocketAction(Object, kw_only=True, frozen=True):
    """A connection opened to the container."""

    port: IntOrString
    host: str | None = None


class GRPCAction(Object, kw_only=True, frozen=True):
    """A call of the gRPC health service."""

    port: Int32
    service: str | None = None


class SleepAction(Object, kw_only=True, frozen=True):
    """A pause."""

    seconds: Int64


class Probe(Object, kw_only=True, frozen=True):
    """How the kubelet asks a container how it is; exactly one of the four handlers is set."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: Int32 | None = None
    timeout_seconds: Int32 | None = None
    period_seconds: Int32 | None = None
    success_threshold: Int32 | None = None
    failure_threshold: Int32 | None = None
    termination_grace_period_seconds: Int64 | None = None


class LifecycleHandler(Object, kw_only=True, frozen=True):
    """What a hook does; exactly one is set."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Object, kw_only=True, frozen=True):
    """What happens after a container's start and before its end."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str | None = None


class Capabilities(Object, kw_only=True, frozen=True):
    """Capabilities on top of, and taken from, what the runtime gives."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class SELinuxOptions(Object, kw_only=True, frozen=True):
    """The SELinux label."""

    user: str | None = None
    role: str | None = None
    type: str | None = None
    level: str | None = None


class SeccompProfile(Object, kw_only=True, frozen=True):
    """Which system calls are allowed."""

    type: str
    localhost_profile: str | None = None


class AppArmorProfile(Object, kw_only=True, frozen=True):
    """Which AppArmor profile applies."""

    type: str
    localhost_profile: str | None = None


class WindowsSecurityContextOptions(Object, kw_only=True, frozen=True):
    """Settings of Windows nodes."""

    gmsa_credential_spec_name: str | None = None
    gmsa_credential_spec: str | None = None
    run_as_user_name: str | None = None
    host_process: bool | None = None


class SecurityContext(Object, kw_only=True, frozen=True):
    """Rights of a container; they go before those of the pod."""

    capabilities: Capabilities | None = None
    privileged: bool | None = None
    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsSecurityContextOptions | None = None
    run_as_user: Int64 | None = None
    run_as_group: Int64 | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = None
    allow_privilege_escalation: bool | None = None
    proc_mount: str | None = None
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None


class Container(Object, kw_only=True, frozen=True):
    """One container of a pod."""

    name: str
    image: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str | None = None
    ports: tuple[ContainerPort, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    env: tuple[EnvVar, ...] = ()
    resources: ResourceRequirements = field(default_factory=ResourceRequirements)
    resize_policy: tuple[ContainerResizePolicy, ...] = ()
    restart_policy: str | None = None
    restart_policy_rules: tuple[ContainerRestartRule, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    volume_devices: tuple[VolumeDevice, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str | None = None
    termination_message_policy: str | None = None
    image_pull_policy: str | None = None
    security_context: SecurityContext | None = None
    stdin: bool | None = None
    stdin_once: bool | None = None
    tty: bool | None = None


class EphemeralContainer(Container, kw_only=True, frozen=True):
    """A container put into a running pod, for a look inside."""

    target_container_name: str | None = None
