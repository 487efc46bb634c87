"""Pure Python of the pipeline; imports no Dagster, dbt or Feast."""
