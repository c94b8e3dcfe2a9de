"""Controllers of pods that are to run on: ReplicaSet, Deployment, StatefulSet, DaemonSet."""
