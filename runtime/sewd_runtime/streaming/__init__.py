"""Speech while it is spoken."""
