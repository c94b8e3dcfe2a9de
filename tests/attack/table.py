"""Every lesson of the field that applies, the tests that really try the attack, and what lets it
succeed where the defence is off.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """``tests`` are FILE::TEST below tests/, FILE without its ending. ``off`` says how the attack
    is seen to succeed: the ``switches`` of csrc/switches.h, or in words what a test patches or
    compares with, or why there is nothing to switch off."""

    tests: tuple[str, ...]
    switches: tuple[str, ...] = ()
    off: str = ""


PROCESS, MOUNTS, KERNEL = (
    "attack/test_attack_process",
    "attack/test_attack_mounts",
    "attack/test_attack_kernel",
)
LINKS, LIFE, INSIDE = (
    "attack/test_attack_links",
    "attack/test_attack_life",
    "attack/test_attack_inside",
)
IMAGES, KNOBS = "attack/test_attack_images", "attack/test_attack_knobs"
MEMORY = "attack/test_attack_memory"
AGENT, REBOOT = "attack/test_attack_agent", "crash/test_crash_reboot"
CLOCK = "node/kubelet/test_kubelet_clock"
STATE, PARALLEL = "attack/test_attack_state", "crash/test_crash_parallel"
FAULTS, STEPS = "e2e/test_pod_life_faults", "crash/test_crash_steps"
REGISTRY = "node/image/test_image_registry_hostile"
UNPACK, ARCHIVE, STORE = (
    "node/image/test_image_unpack",
    "node/image/test_image_archive",
    "node/image/test_image_store",
)
COMMAND = "control/api/server/test_server_command"
HOSTILE, SHIM, NETWORK, COPY = (
    "core/test_core_hostile",
    "core/test_core_shim",
    "kernel/test_network",
    "e2e/test_pod_copy",
)

PROGRAM = {
    "CVE-2019-5736: the runtime's program overwritten": Row(
        (f"{PROCESS}::test_the_runtimes_program_cannot_be_written_to",),
        off="a program executed from its own file beside it",
    ),
    "CVE-2016-9962: descriptors of the host inherited, by run and exec": Row(
        (
            f"{PROCESS}::test_no_descriptor_of_the_host_is_inherited",
            f"{PROCESS}::test_a_descriptor_left_open_by_mistake_is_closed",
            f"{PROCESS}::test_the_joining_process_is_closed_to_the_container",
            f"{INSIDE}::test_nothing_of_the_host_is_found",
            f"{INSIDE}::test_what_is_left_open_or_kept_would_be_found",
        ),
        ("descriptors", "dumpable"),
    ),
    "CVE-2024-21626: working directory on the host, by run and exec": Row(
        (
            f"{PROCESS}::test_a_working_directory_on_the_host_is_refused",
            f"{PROCESS}::test_a_working_directory_on_the_host_would_be_one",
            f"{PROCESS}::test_a_working_directory_swapped_for_one_on_the_host_is_refused_by_an_exec",
        ),
        ("directory",),
    ),
    "CVE-2022-0847: pages of a shared program overwritten": Row(
        (
            f"{PROCESS}::test_the_container_runs_from_its_own_file",
            f"{PROCESS}::test_pauses_program_is_a_sealed_copy",
        ),
        ("seals",),
    ),
    "CVE-2019-14271, CVE-2024-9676: users read from a pipe, a sparse file, a link": Row(
        (
            f"{PROCESS}::test_an_images_passwd_that_is_no_file_is_not_read",
            f"{PROCESS}::test_an_images_passwd_that_is_a_link_out_is_the_images",
            f"{IMAGES}::test_an_images_passwd_that_is_a_link_names_nobody",
        ),
        off="the file opened with links followed",
    ),
    "CVE-2021-43784: counts that need more than sixteen bits": Row(
        (
            f"{HOSTILE}::test_seventy_thousand_mounts_are_read_one_by_one",
            f"{HOSTILE}::test_a_megabyte_of_environment_arrives",
            f"{HOSTILE}::test_more_maps_than_the_kernel_takes_are_refused",
        ),
        off="no length in a plan is narrower than 32 bits; "
        "the decoder is fuzzed and runs under sanitizers",
    ),
}
LINKED = {
    "CVE-2021-30465, CVE-2024-45310: mount point that is a link, or above the root": Row(
        (
            f"{MOUNTS}::test_a_mount_point_that_is_a_link_stays_inside",
            f"{LINKS}::test_no_directory_is_made_through_a_link",
        ),
        ("inside",),
    ),
    "CVE-2017-1002101, CVE-2021-25741: subPath swapped for a link": Row(
        (
            f"{MOUNTS}::test_a_link_to_a_directory_of_the_host_gives_nothing_away",
            f"{MOUNTS}::test_a_sub_path_swapped_while_pods_start_never_leads_out",
            f"{LINKS}::test_a_sub_path_that_became_a_link_is_refused_where_it_is_mounted",
        ),
        ("subpath",),
    ),
    (
        "CVE-2019-19921, CVE-2019-16884, CVE-2019-18837, CVE-2023-27561, "
        "CVE-2023-28642: /proc or /sys that is none"
    ): Row((f"{MOUNTS}::test_a_kernel_directory_that_is_a_link_is_refused",), ("strict",)),
    "CVE-2026-41579, CVE-2026-47766: /dev of the image is a link": Row(
        (f"{MOUNTS}::test_a_kernel_directory_that_is_a_link_is_refused",), ("strict",)
    ),
    "CVE-2025-31133: what masks is taken from the image": Row(
        (
            f"{MOUNTS}::test_a_null_device_that_is_a_link_masks_nothing_else",
            f"{LINKS}::test_a_null_device_that_is_a_link_covers_nothing",
        ),
        ("null",),
    ),
    "CVE-2025-52565: console that is a link": Row(
        (f"{LINKS}::test_a_console_that_is_a_link_is_no_mount_point",), ("console",)
    ),
    "CVE-2025-52881: writes to /proc redirected": Row(
        (
            f"{MOUNTS}::test_a_volume_over_a_kernel_directory_redirects_no_write",
            f"{LINKS}::test_a_sysctl_is_written_below_proc_sys_only",
        ),
        ("sysctls",),
    ),
    "a NUL in a subPath": Row(
        ("node/volume/test_volume_sources::test_a_nul_in_a_subpath_is_refused",),
        off="no system call takes such a path: an error that nobody expects ends the start",
    ),
    (
        "CVE-2018-15664, CVE-2019-10152, CVE-2023-0778: copying "
        "follows links that a container swaps"
    ): Row(
        (
            f"{LINKS}::test_a_link_swapped_while_files_are_copied_never_leads_out",
            f"{COPY}::test_no_link_of_a_container_leads_out_of_it",
        ),
        off="paths resolved without RESOLVE_IN_ROOT",
    ),
    (
        "CVE-2022-23648, CVE-2025-9566, CVE-2026-53489: paths of the host made of an image's words"
    ): Row(
        (
            f"{IMAGES}::test_what_an_image_says_of_itself_is_data",
            f"{LINKS}::test_a_log_is_written_to_no_file_of_another_name",
        ),
        ("logs",),
    ),
}
IDENTITY = {
    "covers and stdio that are inodes of the host, changed from inside": Row(
        (
            "attack/test_attack_inodes::test_no_inode_of_the_host_is_reachable",
            "attack/test_attack_inodes::test_an_inode_of_the_host_would_be_noticed",
            "attack/test_attack_inodes::test_a_cover_cannot_be_changed_and_is_not_the_hosts",
        ),
        ("nodes", "pause_stdio"),
    ),
    "CVE-2024-40635, CVE-2026-30892: a user that overflows to root": Row(
        (
            f"{PROCESS}::test_a_user_that_would_overflow_to_root_is_refused",
            f"{IMAGES}::test_an_image_whose_user_would_overflow_to_root_does_not_start",
            f"{IMAGES}::test_a_number_that_means_leave_it_is_no_user",
            f"{PROCESS}::test_run_as_non_root_looks_at_the_number",
        ),
        ("ids",),
    ),
    "CVE-2019-11245: another user at the second start": Row(
        (f"{IMAGES}::test_a_container_that_is_started_again_is_the_same_user",),
        off="the user is worked out at each start; there is nothing to leave out",
    ),
    (
        "CVE-2022-24769, CVE-2022-27649, CVE-2022-27650, CVE-2022-27651, "
        "CVE-2022-29162: inheritable capabilities"
    ): Row(
        (
            f"{PROCESS}::test_no_capability_is_inheritable_or_ambient",
            f"{IMAGES}::test_inheritable_capabilities_of_a_file_give_nothing",
        ),
        ("inheritable", "capabilities"),
    ),
    (
        "CVE-2022-36109, CVE-2022-2989, CVE-2022-2990, CVE-2022-2995: permissions denied to a group"
    ): Row((f"{PROCESS}::test_the_primary_group_counts_among_the_others",), ("groups",)),
    "set-uid programs": Row(
        (f"{PROCESS}::test_a_set_uid_program_raises_no_rights",), ("privileges",)
    ),
    "keyring of the caller, by run and exec": Row(
        (
            f"{PROCESS}::test_the_callers_keys_are_out_of_reach",
            f"{INSIDE}::test_what_is_left_open_or_kept_would_be_found",
        ),
        ("keyring",),
    ),
    "TIOCSTI, TIOCLINUX: typing into the caller's terminal": Row(
        (
            f"{LIFE}::test_nothing_is_typed_into_the_terminal_of_whoever_calls",
            f"{LIFE}::test_a_shim_has_no_terminal_to_give_away",
            f"{PROCESS}::test_nothing_can_be_typed_into_the_callers_terminal",
        ),
        off="a program beside the caller types into its terminal",
    ),
    "CVE-2020-15257: control sockets that a hostNetwork pod reaches": Row(
        (
            f"{PROCESS}::test_no_abstract_socket_of_ours_is_seen_on_the_hosts_network",
            f"{SHIM}::test_other_users_are_not_served",
        ),
        off="an abstract socket of the test's own is seen",
    ),
    "CVE-2024-25621: state that everybody can walk": Row(
        (f"{PROCESS}::test_nobody_else_can_enter_the_state",),
        off="the top directory opened to everybody",
    ),
    "ids and names that lead elsewhere": Row(
        (
            f"{PROCESS}::test_a_name_that_would_lead_elsewhere_is_no_cgroup",
            f"{PROCESS}::test_a_name_that_is_not_looked_at_leads_out_of_the_group",
        ),
        off="a name of a cgroup that nobody has checked",
    ),
    "pids that come round again": Row(
        (f"{LIFE}::test_a_stranger_with_the_pid_of_the_dead_is_left_alone",),
        off="whoever has the pid taken for the shim",
    ),
}
KNOBS_OF_THE_HOST = {
    "CVE-2022-0492: release_agent": Row(
        (
            f"{KERNEL}::test_no_release_agent_can_be_set",
            f"{KNOBS}::test_no_cgroups_are_mounted_from_a_user_namespace",
        ),
        ("filter",),
    ),
    "CVE-2023-25809: cgroups that can be written": Row(
        (
            f"{KERNEL}::test_cgroups_cannot_be_written",
            f"{KNOBS}::test_only_a_privileged_container_writes_to_its_cgroups",
        ),
        off="a privileged container, where there is a tree to be seen (v2)",
    ),
    "names of groups below others": Row(
        (
            f"{PROCESS}::test_a_name_that_would_lead_elsewhere_is_no_cgroup",
            f"{PROCESS}::test_a_name_that_is_not_looked_at_leads_out_of_the_group",
        ),
        off="a name of a cgroup that nobody has checked",
    ),
    "CVE-2022-0811: a sysctl that smuggles another": Row(
        (
            f"{KERNEL}::test_a_sysctl_cannot_smuggle_another",
            f"{LINKS}::test_a_sysctl_is_written_below_proc_sys_only",
        ),
        ("sysctls",),
    ),
    "core_pattern, sysrq, modprobe and other knobs": Row(
        (
            f"{MOUNTS}::test_knobs_of_the_host_cannot_be_opened_for_writing",
            f"{MOUNTS}::test_masked_paths_are_empty_and_stay_so",
        ),
        ("readonly", "masks"),
    ),
    "devices of the host": Row(
        (
            f"{KERNEL}::test_devices_of_the_host_cannot_be_opened",
            f"{IMAGES}::test_a_device_node_in_a_layer_cannot_be_opened",
        ),
        off="the list of devices allows all",
    ),
    "CVE-2024-3154: annotations of other runtimes": Row(
        (
            f"{KERNEL}::test_annotations_of_other_runtimes_change_nothing",
            f"{KNOBS}::test_annotations_of_all_known_runtimes_change_nothing",
        ),
        off="the one annotation that has an effect is noticed",
    ),
    "CVE-2026-53488: labels of an image": Row(
        (f"{IMAGES}::test_what_an_image_says_of_itself_is_data",),
        off="the same words as an annotation of the manifest have an effect",
    ),
    "CVE-2022-4318: line breaks in HOME": Row(
        (
            f"{KERNEL}::test_control_characters_of_the_environment_reach_no_file",
            f"{IMAGES}::test_what_an_image_says_of_itself_is_data",
        ),
        off="no file of an image is ever written; there is nothing to leave out",
    ),
    "CVE-2020-8557: the disk filled through /etc/hosts": Row(
        (f"{KERNEL}::test_what_is_used_is_counted_disk_and_managed_files_included",),
        off="each part is counted by itself as well",
    ),
    "CVE-2020-8558: loopback of the host": Row(
        (f"{NETWORK}::test_a_pod_cannot_use_the_way_to_the_hosts_loopback",),
        off="the same table without its two rules",
    ),
    "ARP replies, link-layer and source addresses of another pod": Row(
        (
            f"{NETWORK}::test_no_pod_takes_over_the_address_of_another",
            f"{NETWORK}::test_no_pod_sends_from_the_address_of_another",
        ),
        off="ports, neighbours and table as they are by default",
    ),
    "neighbours that route through a machine which forwards for its pods": Row(
        (f"{NETWORK}::test_neighbours_do_not_route_through_this_machine",),
        off="a machine that was a router before",
    ),
    "CVE-2020-13401: router advertisements": Row(
        (
            f"{KNOBS}::test_a_pods_link_takes_no_advertised_routers",
            f"{NETWORK}::test_no_pod_becomes_the_router_of_others",
        ),
        off="the same advertisement where it is taken",
    ),
    "CVE-2020-14386: packet sockets": Row(
        (f"{KNOBS}::test_packet_sockets_see_the_pods_own_links_only",),
        off="with NET_RAW, a default capability, there is one",
    ),
    "memory that runs out: under a shim, beside it, in one container of several": Row(
        (
            f"{MEMORY}::test_a_shim_that_finds_no_memory",
            f"{MEMORY}::test_a_pod_whose_shim_found_no_memory_comes_back",
            f"{MEMORY}::test_whoever_takes_the_memory_beside_a_shim_is_killed",
            f"{MEMORY}::test_one_container_takes_the_memory_of_the_pod",
            f"{MEMORY}::test_what_pods_depend_on_has_the_score_of_a_sandbox",
        ),
        off="a shim with the caller's own score is killed first",
    ),
    "oom_score_adj": Row(
        (f"{KERNEL}::test_scores_and_limits_of_processes",),
        off="compared with the score of the test itself",
    ),
}
STATE_OF_THE_ROOT = {
    "a record that is a directory, a link, a pipe, endless or torn": Row(
        (
            f"{STATE}::test_a_record_that_cannot_be_read_costs_its_pod_at_most",
            f"{STATE}::test_a_record_behind_a_link_is_not_read",
            f"{STATE}::test_reset_needs_to_read_nothing",
        ),
        off="opened with links followed and blocking, such a record stops every command",
    ),
    "a state root that somebody else can change": Row(
        (
            f"{STATE}::test_a_state_root_that_others_can_change_is_refused",
            f"{STATE}::test_a_root_below_a_sticky_directory_is_taken",
        ),
        off="the same directory, owned by root and closed to others, is taken",
    ),
    "a root deleted by hand": Row(
        (
            f"{STATE}::test_reset_of_a_root_that_was_deleted_by_hand",
            f"{AGENT}::test_an_agent_whose_root_is_deleted_ends",
            f"{AGENT}::test_a_second_agent_may_begin_where_the_lock_was_deleted",
        ),
        off="the shim, cgroups and links are there until then",
    ),
    "a reset that leaves a server's keys": Row(
        (f"{STATE}::test_reset_needs_to_read_nothing",),
        off="a key in the server's directory, which nothing but its name in the list removes",
    ),
    "directories nested deeper than a stack": Row(
        (
            f"{STATE}::test_deep_directories_are_measured",
            f"{STATE}::test_what_cannot_be_measured_counts_as_over_the_limit",
            f"{STATE}::test_a_pod_that_hides_its_files_in_depth_is_evicted_and_compared",
        ),
        off="a walk that recurses ends with RecursionError at a thousand",
    ),
    "no space and no descriptors left": Row(
        (
            f"{STATE}::test_a_pod_on_a_full_disk_can_be_removed",
            f"{STATE}::test_a_record_is_overwritten_in_its_blocks",
            f"{STATE}::test_pods_are_removed_with_few_descriptors_and_none_is_leaked",
        ),
        off="a record replaced by a new file needs a block that is not there",
    ),
    "the host's files through /proc/PID/root of tools beside a container": Row(
        (
            f"{STATE}::test_tools_of_the_host_are_refused_beside_a_container_that_could_open_its_files",
            f"{STATE}::test_whoever_may_trace_may_open_the_files",
        ),
        off="tools of an image are let in beside the same container",
    ),
    "two commands on one pod at the same time": Row(
        (
            f"{PARALLEL}::test_a_parallel_up_waits_and_starts_nothing_twice",
            f"{PARALLEL}::test_any_two_commands_in_any_order",
        ),
        off="a record judged before its lock is held: the second up destroys the pod of the first, "
        "and a down overwrites what another command has recorded",
    ),
    "a shim that is stopped or stuck": Row(
        (f"{PARALLEL}::test_a_shim_that_does_not_answer_is_not_waited_for",),
        off="a look that waits for its answer never ends",
    ),
    "the clock is set, forwards or back, during back-off, deadlines and initial delays": Row(
        (
            f"{CLOCK}::test_a_back_off_is_never_longer_than_the_longest",
            f"{CLOCK}::test_a_deadline_goes_by_the_time_since_the_start",
            f"{CLOCK}::test_probes_begin_by_the_age_of_the_process",
        ),
        off="the wall time of the same record, moved by a year",
    ),
    "the machine goes down at any moment": Row(
        (
            f"{REBOOT}::test_a_reboot_at_each_act_of_an_up",
            f"{REBOOT}::test_a_reboot_at_each_act_of_another_verb",
            f"{REBOOT}::test_a_reboot_while_something_is_executed",
        ),
        off="without the agent of the next boot no container is started again",
    ),
    "pods that come and go without end": Row(
        ("crash/test_crash_churn::test_pods_come_and_go",),
        off="memory and descriptors are compared after the first twenty",
    ),
    "starts of containers that kills leave unannounced, or announced twice": Row(
        (
            f"{PARALLEL}::test_a_killed_up_is_continued_by_the_next",
            f"{PARALLEL}::test_a_start_that_was_announced_and_not_recorded_is_announced_once",
            f"{STEPS}::test_the_agent_is_killed_at_each_of_its_acts",
        ),
        off="a start that is on record before its events: they are lost with the process",
    ),
    "commands and agents that are killed and not followed by another": Row(
        (
            f"{PARALLEL}::test_a_killed_up_is_continued_by_the_next",
            f"{PARALLEL}::test_a_killed_up_is_continued_though_nobody_looks",
            f"{FAULTS}::test_a_killed_agent_is_started_again_by_whoever_looks",
            f"{AGENT}::test_a_killed_agent_is_followed_by_another",
            f"{AGENT}::test_agents_that_are_killed_again_and_again",
            f"{AGENT}::test_an_agent_that_finds_no_memory",
            f"{AGENT}::test_many_pods_get_one_agent",
            f"{AGENT}::test_an_agent_that_begins_while_another_is_stopped_stays_known",
            f"{AGENT}::test_a_reset_is_not_disturbed_by_those_who_call_for_an_agent",
        ),
        ("care",),
    ),
}
IMAGE = {
    "secrets of another state root or of a server, on the machine's own files": Row(
        (
            f"{IMAGES}::test_other_roots_and_data_directories_are_covered",
            f"{COMMAND}::test_pods_that_see_the_hosts_files_do_not_see_its_data",
            "node/image/test_image_host::test_candidates_know_homes_and_host_keys",
        ),
        off="the registry of roots left out",
    ),
    "CVE-2025-47290, CVE-2021-32760: links, hard links, .. and absolute names in layers": Row(
        (
            f"{UNPACK}::test_hostile_archive_is_refused",
            f"{UNPACK}::test_hostile_archive_stays_inside",
            f"{UNPACK}::test_mutations_never_escape_or_crash",
            f"{UNPACK}::test_the_corpus_would_be_noticed",
            f"{IMAGES}::test_an_archive_is_unpacked_below_its_directory",
        ),
        off="the same archives unpacked by the standard library",
    ),
    "whiteouts": Row(
        (
            f"{UNPACK}::test_whiteouts_become_those_of_overlayfs",
            f"{UNPACK}::test_hostile_archive_is_refused",
        ),
        off="honest ones hide what they should",
    ),
    "device nodes and attributes in layers": Row(
        (
            f"{UNPACK}::test_attributes_that_steer_overlayfs_are_dropped",
            f"{IMAGES}::test_a_device_node_in_a_layer_cannot_be_opened",
        ),
        off="the list of devices allows all",
    ),
    "CVE-2023-25153: bombs": Row(
        (
            f"{UNPACK}::test_a_bomb_stops_at_its_ratio",
            f"{UNPACK}::test_entries_are_counted",
            f"{UNPACK}::test_bytes_are_counted",
            f"{UNPACK}::test_a_sparse_file_counts_with_its_holes",
            f"{STORE}::test_holes_of_a_directory_are_not_read",
            f"{UNPACK}::test_a_header_without_bound_is_refused",
            f"{ARCHIVE}::test_documents_are_bounded",
        ),
        off="what stays below a limit arrives",
    ),
    "a registry that leads to this machine, never ends or nests": Row(
        (
            f"{REGISTRY}::test_a_redirect_to_this_machine_is_not_followed",
            f"{REGISTRY}::test_a_token_service_on_this_machine_is_not_asked",
            f"{REGISTRY}::test_redirects_without_end",
            f"{REGISTRY}::test_an_answer_without_end",
            f"{REGISTRY}::test_an_error_nested_without_end",
        ),
        off="a registry of this machine may lead anywhere on it",
    ),
    "CVE-2021-41190, CVE-2024-3727: one document taken for another, digests as paths": Row(
        (
            f"{ARCHIVE}::test_a_document_that_is_two_things_is_refused",
            f"{ARCHIVE}::test_any_changed_byte_of_a_blob_is_noticed",
            f"{ARCHIVE}::test_a_layer_with_another_diff_id",
            f"{ARCHIVE}::test_digests_are_strict",
        ),
        off="the unchanged archive is loaded",
    ),
    "CVE-2026-50195: an archive that moves a name": Row(
        (
            f"{IMAGES}::test_an_image_is_not_retagged_by_what_an_archive_says",
            f"{ARCHIVE}::test_an_archive_does_not_move_a_name_by_itself",
            f"{ARCHIVE}::test_tag_injection",
        ),
        off="the caller moves it",
    ),
    "CVE-2024-10220, CVE-2025-1767: gitRepo": Row(
        (f"{IMAGES}::test_a_repository_is_never_cloned",), off="there is no such volume"
    ),
    "CVE-2025-0426: checkpoints fill the disk": Row(
        (), off="there is no such call, and no port of the node without a login"
    ),
}
SURFACE = {
    "CVE-2025-0750, CVE-2024-5154: a log that is a link": Row(
        (
            f"{LINKS}::test_a_log_is_written_to_no_file_of_another_name",
            f"{LINKS}::test_a_log_is_read_from_no_file_of_another_name",
            f"{MOUNTS}::test_log_and_message_paths_are_ours",
        ),
        ("logs",),
    ),
    "CVE-2022-31030, CVE-2022-1708, CVE-2022-23471, CVE-2025-64329: streams without end": Row(
        (
            f"{LIFE}::test_what_an_exec_says_without_end_stays_nowhere",
            f"{LIFE}::test_what_a_probe_says_without_end_is_cut",
            f"{LIFE}::test_ten_thousand_sizes_of_a_terminal_leave_nothing",
            f"{LIFE}::test_a_thousand_attached_readers_leave_nothing",
            f"{LIFE}::test_a_caller_that_asks_without_reading_is_not_waited_for",
        ),
        off="what is measured is the growth of the shim; there is nothing to leave out",
    ),
    "terminal escapes: control codes, C1, bidirectional and zero-width characters": Row(
        (
            f"{LIFE}::test_control_codes_reach_the_screen_only_through_logs",
            "cli/test_cli_output::test_what_controls_a_terminal_is_escaped",
        ),
        off="in a log the same bytes arrive",
    ),
    "CVE-2023-2431: an empty profile that is none": Row(
        (f"{KERNEL}::test_a_missing_profile_is_an_error_and_not_no_profile",),
        off="a profile that is there is applied",
    ),
    (
        "CVE-2018-1002100, CVE-2019-1002101, CVE-2019-11246, "
        "CVE-2019-11249, CVE-2019-11251: cp writes elsewhere"
    ): Row(
        (
            f"{LINKS}::test_a_link_swapped_while_files_are_copied_never_leads_out",
            f"{LINKS}::test_what_is_copied_out_makes_nobody_root",
            f"{COPY}::test_tar_streams",
        ),
        off="paths resolved without RESOLVE_IN_ROOT",
    ),
    "values of the environment in logs": Row(
        (f"{LIFE}::test_values_of_the_environment_are_written_nowhere_but_in_the_record",),
        off="the record, closed to others, has them",
    ),
    "CVE-2022-0185 and its kin: system calls that reach into the kernel": Row(
        (
            f"{KERNEL}::test_calls_that_reach_the_host_are_refused",
            f"{KERNEL}::test_no_user_namespace_and_no_way_around",
            f"{PROCESS}::test_socketcall_opens_no_family_that_socket_refuses",
        ),
        ("filter",),
    ),
}
STREAMS, FORMS = "control/api/verbs/test_api_streams", "control/api/wire/test_api_wire_forms"
WATCHDOG = "control/api/server/test_api_watchdog"
NODE_VOLUMES = "control/api/auth/test_api_node_volumes"
PATTERNS = "control/api/schema/test_api_pure_patterns"
ETCD, LISTS = "control/api/server/test_api_etcd_faults", "control/api/verbs/test_api_lists"
SERVER = {
    "one object, patch, selector, pattern or rule that holds the server": Row(
        (
            f"{WATCHDOG}::test_no_body_holds_the_loop",
            f"{WATCHDOG}::test_no_list_holds_the_loop",
            f"{WATCHDOG}::test_no_event_holds_the_loop",
            f"{WATCHDOG}::test_what_is_not_done_aside_is_noticed",
            f"{PATTERNS}::test_no_pattern_takes_longer_than_the_text_is_long",
        ),
        off="a server that does nothing aside is held by the first large object",
    ),
    "long names, groups, selectors, label values, URLs, headers and expressions in caches": Row(
        (
            "control/api/wire/test_api_bombs::test_long_questions_are_not_remembered",
            "architecture/test_architecture_caches::test_no_cache_keeps_texts_of_any_length",
        ),
        off="every text remembered, whatever its length: the server grows by 5 MB a round",
    ),
    "a watcher that does not read": Row(
        (
            f"{LISTS}::test_a_watcher_that_does_not_read_costs_a_portion_of_what_there_is",
            f"{LISTS}::test_a_watcher_that_does_not_read_is_not_waited_for",
        ),
        off="all that there is as one portion, made before the first is read",
    ),
    "etcd that is stopped, cut off, slow or full": Row(
        (
            f"{ETCD}::test_etcd_is_away_for_a_while",
            f"{ETCD}::test_etcd_is_slow",
            f"{ETCD}::test_a_server_ends_though_etcd_does_not_answer",
            f"{ETCD}::test_etcd_is_full",
        ),
        off="what the divided network had under way is refused, and is seen to be",
    ),
    "SSRF through /proxy: mapped, compatible, 6to4 and NAT64 addresses of this machine": Row(
        (
            f"{STREAMS}::test_addresses_that_mean_this_machine_are_refused",
            f"{STREAMS}::test_a_proxy_leads_to_nobody_on_this_machine",
        ),
        off="the same proxy reaches an address that is allowed",
    ),
    "a node writes a PersistentVolume that opens a Secret, a path or another volume to it": Row(
        (
            f"{NODE_VOLUMES}::test_a_volume_that_a_node_makes_opens_nothing_else_to_it",
            f"{NODE_VOLUMES}::test_a_node_changes_how_large_a_volume_is_and_removes_it_when_it_is_free",
            f"{NODE_VOLUMES}::test_a_node_removes_no_directory_of_another",
        ),
        off="the volume that its driver has made is taken",
    ),
    "a claim that names another's volume opens it and its Secrets to a node": Row(
        (f"{NODE_VOLUMES}::test_a_claim_opens_no_volume_that_is_not_for_it",),
        off="the volume names the claim",
    ),
    "a node takes the packets to addresses that are not its pods'": Row(
        (
            "control/api/auth/test_api_attacks"
            "::test_a_node_does_not_choose_where_packets_to_pods_go",
        ),
        off="the controller's range is taken",
    ),
    "an annotation has a driver make or remove what is another's": Row(
        (
            "node/volume/test_volume_csi::test_a_driver_makes_volumes_of_its_own_classes_only",
            "node/volume/test_volume_csi::test_a_driver_removes_volumes_of_its_own_only",
        ),
        off="the same annotation on what is the driver's own is followed",
    ),
    "a claim that names another's volume has it attached": Row(
        (
            "control/controllers/test_controllers_attach_detach"
            "::test_a_volume_is_attached_for_the_claim_that_it_names_only",
        ),
        off="the claim that the volume names has it attached",
    ),
    "a node detaches another's volume, or binds or moves a claim": Row(
        (
            f"{NODE_VOLUMES}::test_a_node_speaks_of_its_own_attachments_only",
            f"{NODE_VOLUMES}::test_a_node_says_how_large_a_claim_is_and_no_more",
        ),
        off="its own attachment and a claim's size are taken",
    ),
    "nodes/proxy: whoever may read executes in any container by a WebSocket": Row(
        (
            "control/api/auth/test_api_attacks"
            "::test_reading_through_a_nodes_proxy_executes_nothing",
            "node/kubelet/test_kubelet_server_auth::test_what_leads_into_containers_is_no_reading",
        ),
        off="whoever may create does",
    ),
    "a Node that claims the pods of another, or says what no other node can use": Row(
        (
            "up/test_up_node_routes::"
            "test_a_node_that_cannot_be_used_is_named_and_the_others_are_peers",
            "up/test_up_node_routes::test_an_address_that_is_not_of_a_link_is_left_out",
            "up/test_up_node_routes::test_any_text_makes_a_peer_or_a_sentence",
        ),
        off="a range, an address and a link-local address that are used beside them",
    ),
    "X-Remote and Impersonate headers that a backend would believe": Row(
        (f"{STREAMS}::test_a_proxy_passes_on_what_it_is_given",),
        off="other headers of the same request go on",
    ),
    "a token among WebSocket protocols that a backend could use": Row(
        (f"{STREAMS}::test_a_token_among_websocket_protocols_goes_no_further",),
        off="the other protocols of the same header go on",
    ),
    "an extension server whose answer ends the tries of all, or breaks everybody's discovery": Row(
        (
            "control/api/aggregation/test_api_hostile_extension"
            "::test_no_answer_of_a_server_keeps_others_from_being_tried",
        ),
        off="the good row of the same list is served",
    ),
    "a name whose letters are another user's bytes, to an extension server": Row(
        (
            "control/api/aggregation/test_api_aggregation"
            "::test_watches_and_other_protocols_go_through",
        ),
        off="both names come as they are",
    ),
    "names of service accounts with too few or too many parts give groups": Row(
        (f"{FORMS}::test_only_whole_names_of_service_accounts_give_groups",),
        off="a whole name gives them",
    ),
    "a data directory, keys or an audit log of somebody else, or open to others": Row(
        (
            f"{COMMAND}::test_it_refuses_what_others_could_change_or_read",
            f"{COMMAND}::test_it_refuses_an_audit_log_that_is_open_to_others",
        ),
        off="the same directory is taken with its usual modes",
    ),
}
ROWS = {
    **SERVER,
    **PROGRAM,
    **LINKED,
    **IDENTITY,
    **KNOBS_OF_THE_HOST,
    **STATE_OF_THE_ROOT,
    **IMAGE,
    **SURFACE,
}
