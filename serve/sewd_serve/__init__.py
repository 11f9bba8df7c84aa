"""``sewd serve``: bundles behind OpenAI's HTTP and realtime interfaces. Needs the extra ``sewd[server]``."""
