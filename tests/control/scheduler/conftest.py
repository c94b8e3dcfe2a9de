"""How many examples the properties try: KUBELITE_EXAMPLES, or few enough for every day."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "scheduler",
    max_examples=int(os.environ.get("KUBELITE_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
settings.load_profile("scheduler")
