"""The same work done by sewd and by what else runs SEW-D: a table of variants, a process each, one run."""
