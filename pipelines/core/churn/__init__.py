"""Churn risk and next purchase: learnt from purchase days, pure functions, no orchestration.

`score` is the entry point of the nightly run. Reading the feature log, promoting models in a
registry of Dagster's and tagging bands belong elsewhere.
"""
