"""What must be fast, measured: ratios taken in one run, never timed tests."""
