"""The protobuf field numbers of CSI 1.x and of plug-in registration. Pure.

Kept by hand: of the published ``csi.proto`` (container-storage-interface/spec) and ``api.proto``
(k8s.io/kubelet, pluginregistration/v1) what kubelite sends and reads, in the words of
:mod:`kubelite.objects.facts.schema`. Enumerations are numbers; messages without a line are empty.
"""

# ruff: noqa: E501

TABLE = """\
pluginregistration.PluginInfo type=1s name=2s endpoint=3s supported_versions=4[s
pluginregistration.RegistrationStatus plugin_registered=1b error=2s
csi.v1.GetPluginCapabilitiesResponse capabilities=1[csi.v1.PluginCapability
csi.v1.PluginCapability service=1csi.v1.Type
csi.v1.Type type=1i
csi.v1.Capability rpc=1csi.v1.Type
csi.v1.CapacityRange required_bytes=1l
csi.v1.Topology segments=1{s
csi.v1.TopologyRequirement requisite=1[csi.v1.Topology preferred=2[csi.v1.Topology
csi.v1.VolumeCapability block=1csi.v1.BlockVolume mount=2csi.v1.MountVolume access_mode=3csi.v1.AccessMode
csi.v1.MountVolume fs_type=1s mount_flags=2[s volume_mount_group=3s
csi.v1.AccessMode mode=1i
csi.v1.Volume capacity_bytes=1l volume_id=2s volume_context=3{s accessible_topology=5[csi.v1.Topology
csi.v1.CreateVolumeRequest name=1s capacity_range=2csi.v1.CapacityRange volume_capabilities=3[csi.v1.VolumeCapability parameters=4{s accessibility_requirements=7csi.v1.TopologyRequirement
csi.v1.CreateVolumeResponse volume=1csi.v1.Volume
csi.v1.DeleteVolumeRequest volume_id=1s
csi.v1.ControllerPublishVolumeRequest volume_id=1s node_id=2s volume_capability=3csi.v1.VolumeCapability readonly=4b volume_context=6{s
csi.v1.ControllerPublishVolumeResponse publish_context=1{s
csi.v1.ControllerUnpublishVolumeRequest volume_id=1s node_id=2s
csi.v1.ControllerGetCapabilitiesResponse capabilities=1[csi.v1.Capability
csi.v1.ControllerExpandVolumeRequest volume_id=1s capacity_range=2csi.v1.CapacityRange volume_capability=4csi.v1.VolumeCapability
csi.v1.ControllerExpandVolumeResponse capacity_bytes=1l node_expansion_required=2b
csi.v1.NodeGetInfoResponse node_id=1s max_volumes_per_node=2l accessible_topology=3csi.v1.Topology
csi.v1.NodeGetCapabilitiesResponse capabilities=1[csi.v1.Capability
csi.v1.NodeStageVolumeRequest volume_id=1s publish_context=2{s staging_target_path=3s volume_capability=4csi.v1.VolumeCapability secrets=5{s volume_context=6{s
csi.v1.NodeUnstageVolumeRequest volume_id=1s staging_target_path=2s
csi.v1.NodePublishVolumeRequest volume_id=1s publish_context=2{s staging_target_path=3s target_path=4s volume_capability=5csi.v1.VolumeCapability readonly=6b secrets=7{s volume_context=8{s
csi.v1.NodeUnpublishVolumeRequest volume_id=1s target_path=2s
csi.v1.NodeExpandVolumeRequest volume_id=1s volume_path=2s capacity_range=3csi.v1.CapacityRange staging_target_path=4s volume_capability=5csi.v1.VolumeCapability
csi.v1.NodeExpandVolumeResponse capacity_bytes=1l
"""
