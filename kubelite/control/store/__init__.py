"""Where objects live: keys, JSON bytes and revisions. Knows nothing of kinds or HTTP."""
