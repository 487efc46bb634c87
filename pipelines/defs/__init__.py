"""What Dagster loads: a folder a domain, a file a kind of definition; the work is done in `core`."""
