"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}

Rules (the whole text: docs/database.md, "Changing the schema")
- Expand, backfill, contract: old and new code run side by side. Add in one release, remove in a later one.
- A new column is nullable or has a constant default; a constraint comes NOT VALID and is validated afterwards.
- An index on a table with rows is made CONCURRENTLY (autocommit_block), per partition, in a migration of its own that
  can be done again from any step: 0003 is the pattern.
- No UPDATE of a whole table here: backfill in batches by primary key, from a command that can be stopped.
- lock_timeout and statement_timeout are set by annotator.store.schema, which tries again: never raise them for a lock.
- Both databases, up and down: SQLite changes tables in batch mode (op.batch_alter_table).
- Only what takes something away raises store_settings.min_program_revision: old programs may start again until then.
- A view is dropped and made anew, with its text written out here (not imported): a migration never changes.
- Set annotator.store.schema.HEAD to this revision; tests/migration proves models == migrations and up-down-up.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Take back."""
    ${downgrades if downgrades else "pass"}
