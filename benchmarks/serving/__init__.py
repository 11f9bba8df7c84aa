"""`sewd serve` under load, beside the raw library and what a user would run in its place."""
