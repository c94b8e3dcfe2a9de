"""The start-up benchmark: what a container and a pod cost, beside the floor and the peers.

    measure    subjects, rounds and medians        report     table and JSON (pure) isolation
    namespaces the run works in         site       directories, programs, clean-up floor      the C
    program as a subject          oci        crun and runc podman     `podman kube play`
    ours       kubelite's engine and its command

Errors: every failure that ends the run is a `BenchError`; a subject that cannot run on this machine
raises `Unavailable` from its `prepare` and is listed as skipped.
"""
