"""``sewd corpus``: the recordings of a manifest in shards, each transcribed exactly once.

The name of a shard's file is a hash of bundle, options and recordings, and the file appears whole or not at
all. So any run sees what is left, and an interrupted one leaves nothing to repair.
"""
