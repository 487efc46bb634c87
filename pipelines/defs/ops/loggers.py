"""Where a run's words go: Dagster's console, or whoever listens for progress in this process."""

from __future__ import annotations

import logging
import os

import dagster as dg

#: Handlers on this logger receive every Dagster event while `LISTENING` is set to "1".
PROGRESS_LOGGER = "huitou.progress"
LISTENING = "HUITOU_PROGRESS"


@dg.logger
def console(init: dg.InitLoggerContext) -> logging.Logger:
    """Dagster's own coloured console, unless a command shows progress instead."""
    if os.environ.get(LISTENING) == "1":
        return logging.getLogger(PROGRESS_LOGGER)
    return dg.colored_console_logger.logger_fn(init)


@dg.definitions
def loggers() -> dg.Definitions:
    """The default logger of every job."""
    return dg.Definitions(loggers={"console": console})
