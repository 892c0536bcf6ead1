"""The benchmarks: each prints what it measured next to a named reference from the same run, as a ratio."""
