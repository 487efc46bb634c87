"""What Dagster loads: a folder a domain, a file a kind of definition; `core` does the work."""
