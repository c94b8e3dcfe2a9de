"""Controllers of what applications and administrators set as limits: disruption budgets."""
