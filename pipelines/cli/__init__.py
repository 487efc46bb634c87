"""The `huitou` command: thin over Dagster, dbt and Feast; the only place that prints."""
