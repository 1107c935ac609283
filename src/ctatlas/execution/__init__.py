"""Run a step over many cases: here, or in local processes."""
