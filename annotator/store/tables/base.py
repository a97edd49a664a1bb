"""What all tables share: their names for constraints, how the big ones are cut up, and settings of a database."""

from typing import Any, Final

from sqlalchemy import Column, MetaData, Table, Text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

BY_NETWORK: Final[dict[str, Any]] = {"postgresql_partition_by": "LIST (network_id)"}

BY_LABELLING: Final[dict[str, Any]] = {"postgresql_partition_by": "LIST (labelling_id)", "sqlite_with_rowid": False}

store_settings = Table(
    "store_settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
