"""The DuckDB warehouse: the durable store of every dataset version, written by one process at a time.

While a process holds the file nobody else can open it, not even to read, so it is opened briefly: one transaction per
version, then closed. Training and queries never come here; they read the Parquet that data/snapshot publishes.
"""

from data.warehouse.comparing import Changes, changes
from data.warehouse.exporting import export
from data.warehouse.layout import COUNTS, SCHEMA_SQL, TABLES, arrow_schemas
from data.warehouse.opening import WarehouseBusy, WarehouseError, connect, interruptible, quote
from data.warehouse.removing import drop_versions, forget
from data.warehouse.storing import store, store_chunks, stored_versions

__all__ = [
    "COUNTS",
    "SCHEMA_SQL",
    "TABLES",
    "Changes",
    "WarehouseBusy",
    "WarehouseError",
    "arrow_schemas",
    "changes",
    "connect",
    "drop_versions",
    "export",
    "forget",
    "interruptible",
    "quote",
    "store",
    "store_chunks",
    "stored_versions",
]
