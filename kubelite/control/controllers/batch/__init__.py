"""Controllers of pods that are to end: Job, CronJob, removal of finished Jobs."""
