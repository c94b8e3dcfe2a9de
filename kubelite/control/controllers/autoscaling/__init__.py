"""The HorizontalPodAutoscaler: how many replicas metrics ask for, and how fast that may change."""
