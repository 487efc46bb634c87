"""Where the features' history stands: the feature log of the brand that `HUITOU_ROOT` names."""

import os
from datetime import timedelta

from feast import FileSource
from feast.data_format import ParquetFormat

#: The log holds changes: a row holds until the next one of its key, however old it is. Whether a
#: view is fresh is decided by its watermark, which Feast does not know.
HOLDS_UNTIL_THE_NEXT = timedelta(0)


def log_of(view: str) -> FileSource:
    """The log of one view: a glob, because Feast's DuckDB store cannot read a folder."""
    return FileSource(
        name=f"{view}_log",
        description=f"Changes and tombstones of {view}, at two clocks.",
        path=f"{os.environ['HUITOU_ROOT']}/log/{view}/*.parquet",
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
