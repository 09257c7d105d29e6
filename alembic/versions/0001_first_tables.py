"""First tables"""

import sqlalchemy as sa
import sqlmodel

from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0001'
down_revision = None


def upgrade() -> None:
    
    op.create_table('accounts',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('email', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('theme', sa.Text(), nullable=False),
    sa.Column('auth_provider', sa.Text(), nullable=False),
    sa.Column('auth_subject', sa.Text(), nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=True),
    sa.Column('token_version', sa.Integer(), nullable=False),
    sa.Column('billing_key_version', sa.Integer(), nullable=False),
    sa.Column('billing_key_encrypted', sa.Text(), nullable=True),
    sa.Column('disabled_at_ms', sa.BigInteger(), nullable=True),
    sa.Column('deleting_at_ms', sa.BigInteger(), nullable=True),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('last_active_at_ms', sa.BigInteger(), nullable=True),
    sa.CheckConstraint("role in ('person', 'admin')", name='ck_accounts_role'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('email')
    )
    with op.batch_alter_table('accounts', schema=None) as batch_op:
        batch_op.create_index('uq_accounts_identity', ['auth_provider', 'auth_subject'], unique=True)

    op.create_table('audit_entries',
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.Column('actor_id', sa.Text(), nullable=True),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('subject_id', sa.Text(), nullable=True),
    sa.Column('detail', sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.PrimaryKeyConstraint('position')
    )
    op.create_table('model_calls',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('agent_id', sa.Text(), nullable=False),
    sa.Column('turn_id', sa.Text(), nullable=True),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('prompt_tokens', sa.Integer(), nullable=False),
    sa.Column('completion_tokens', sa.Integer(), nullable=False),
    sa.Column('cached_tokens', sa.Integer(), nullable=False),
    sa.Column('reasoning_tokens', sa.Integer(), nullable=False),
    sa.Column('cost_nano_usd', sa.BigInteger(), nullable=False),
    sa.Column('cost_source', sa.Text(), nullable=False),
    sa.Column('reserved_nano_usd', sa.BigInteger(), nullable=False),
    sa.Column('period_start_ms', sa.BigInteger(), nullable=False),
    sa.Column('upstream_status', sa.Integer(), nullable=True),
    sa.Column('error_code', sa.Text(), nullable=True),
    sa.Column('gateway_call_id', sa.Text(), nullable=True),
    sa.Column('response_id', sa.Text(), nullable=True),
    sa.Column('owner', sa.Text(), nullable=False),
    sa.Column('lease_until_ms', sa.BigInteger(), nullable=False),
    sa.Column('started_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('first_byte_ms', sa.Integer(), nullable=True),
    sa.Column('total_ms', sa.Integer(), nullable=True),
    sa.CheckConstraint("state in ('dispatched', 'settled', 'failed', 'cancelled', 'unknown')", name='ck_model_calls_state'),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('model_calls', schema=None) as batch_op:
        batch_op.create_index('ix_model_calls_account', ['account_id', 'started_at_ms'], unique=False)
        batch_op.create_index('ix_model_calls_open', ['lease_until_ms'], unique=False, sqlite_where=sa.text("state = 'dispatched'"), postgresql_where=sa.text("state = 'dispatched'"))
        batch_op.create_index('ix_model_calls_turn', ['turn_id'], unique=False)
        batch_op.create_index('ix_model_calls_unsettled_cost', ['started_at_ms'], unique=False, sqlite_where=sa.text("cost_source in ('pending', 'estimated')"), postgresql_where=sa.text("cost_source in ('pending', 'estimated')"))

    op.create_table('agents',
    sa.Column('account_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('agent_id', sa.Text(), nullable=False),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('account_id'),
    sa.UniqueConstraint('agent_id')
    )
    op.create_table('api_tokens',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('token_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('prefix', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('scopes', sa.Text(), nullable=False),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('expires_at_ms', sa.BigInteger(), nullable=True),
    sa.Column('last_used_at_ms', sa.BigInteger(), nullable=True),
    sa.Column('revoked_at_ms', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('token_hash')
    )
    with op.batch_alter_table('api_tokens', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_api_tokens_account_id'), ['account_id'], unique=False)

    op.create_table('block_revisions',
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('account_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('revision', sa.Text(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('turn_id', sa.Text(), nullable=True),
    sa.Column('message_id', sa.Text(), nullable=True),
    sa.Column('step', sa.Integer(), nullable=True),
    sa.Column('changed_at_ms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('position')
    )
    with op.batch_alter_table('block_revisions', schema=None) as batch_op:
        batch_op.create_index('ix_block_revisions', ['account_id', 'label', 'position'], unique=False)

    op.create_table('budgets',
    sa.Column('account_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('limit_nano_usd', sa.BigInteger(), nullable=False),
    sa.Column('period', sa.Text(), nullable=False),
    sa.Column('period_start_ms', sa.BigInteger(), nullable=False),
    sa.Column('period_end_ms', sa.BigInteger(), nullable=False),
    sa.Column('spent_nano_usd', sa.BigInteger(), nullable=False),
    sa.Column('reserved_nano_usd', sa.BigInteger(), nullable=False),
    sa.Column('open_calls', sa.Integer(), nullable=False),
    sa.Column('background_spent_nano_usd', sa.BigInteger(), nullable=False),
    sa.Column('background_reserved_nano_usd', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('account_id')
    )
    op.create_table('conversations',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('is_default', sa.Boolean(), nullable=False),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('conversations', schema=None) as batch_op:
        batch_op.create_index('uq_conversations_default', ['account_id'], unique=True, sqlite_where=sa.text('is_default'), postgresql_where=sa.text('is_default'))

    op.create_table('one_time_codes',
    sa.Column('code_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('purpose', sa.Text(), nullable=False),
    sa.Column('expires_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('used_at_ms', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('code_hash')
    )
    with op.batch_alter_table('one_time_codes', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_one_time_codes_account_id'), ['account_id'], unique=False)

    op.create_table('sign_ins',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('device', sa.Text(), nullable=False),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('last_seen_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('expires_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('revoked_at_ms', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('sign_ins', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sign_ins_account_id'), ['account_id'], unique=False)

    op.create_table('sign_in_secrets',
    sa.Column('secret_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sign_in_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('used_at_ms', sa.BigInteger(), nullable=True),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['sign_in_id'], ['sign_ins.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('secret_hash')
    )
    with op.batch_alter_table('sign_in_secrets', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sign_in_secrets_sign_in_id'), ['sign_in_id'], unique=False)

    op.create_table('turns',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('conversation_id', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('idempotency_key', sa.Text(), nullable=True),
    sa.Column('request_hash', sa.Text(), nullable=True),
    sa.Column('owner', sa.Text(), nullable=False),
    sa.Column('lease_until_ms', sa.BigInteger(), nullable=False),
    sa.Column('runtime_run_id', sa.Text(), nullable=True),
    sa.Column('cancel_requested_at_ms', sa.BigInteger(), nullable=True),
    sa.Column('error_code', sa.Text(), nullable=True),
    sa.Column('error_detail', sa.Text(), nullable=True),
    sa.Column('is_known_to_agent', sa.Boolean(), nullable=False),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('ended_at_ms', sa.BigInteger(), nullable=True),
    sa.CheckConstraint("status in ('running', 'finished', 'failed', 'cancelled')", name='ck_turns_status'),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('turns', schema=None) as batch_op:
        batch_op.create_index('ix_turns_account', ['account_id', 'created_at_ms'], unique=False)
        batch_op.create_index('ix_turns_untold', ['account_id', 'created_at_ms'], unique=False, sqlite_where=sa.text('not is_known_to_agent'), postgresql_where=sa.text('not is_known_to_agent'))
        batch_op.create_index('uq_turns_idempotency', ['account_id', 'idempotency_key'], unique=True)
        batch_op.create_index('uq_turns_running', ['account_id'], unique=True, sqlite_where=sa.text("status = 'running'"), postgresql_where=sa.text("status = 'running'"))

    op.create_table('messages',
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('conversation_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('turn_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('content', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.CheckConstraint("role in ('user', 'assistant')", name='ck_messages_role'),
    sa.CheckConstraint("status in ('complete', 'partial', 'failed')", name='ck_messages_status'),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['turn_id'], ['turns.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('position'),
    sa.UniqueConstraint('id')
    )
    with op.batch_alter_table('messages', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_messages_account_id'), ['account_id'], unique=False)
        batch_op.create_index('ix_messages_conversation', ['conversation_id', 'position'], unique=False)
        batch_op.create_index(batch_op.f('ix_messages_turn_id'), ['turn_id'], unique=False)

    op.create_table('turn_events',
    sa.Column('turn_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('data', sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['turn_id'], ['turns.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('turn_id', 'number')
    )
    _create_message_search()


def _create_message_search() -> None:
    """What models.py cannot say: full-text search over the messages, by dialect."""
    if op.get_bind().dialect.name == "postgresql":
        # The russian configuration stems Russian words as Russian and ASCII words as English.
        # translate(): a database with the C locale does not lower Cyrillic capitals by itself.
        op.execute(
            "CREATE INDEX message_search ON messages USING gin (to_tsvector('russian',"
            " translate(content, 'АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ', 'абвгдеёжзийклмнопрстуфхцчшщъыьэюя')))"
        )
        return
    op.execute(
        "CREATE VIRTUAL TABLE message_search USING fts5(account_id, content,"
        " content='messages', content_rowid='position', tokenize='unicode61 remove_diacritics 2')"
    )
    add = "INSERT INTO message_search(rowid, account_id, content)"
    remove = "INSERT INTO message_search(message_search, rowid, account_id, content)"
    op.execute(
        "CREATE TRIGGER message_search_added AFTER INSERT ON messages BEGIN "
        f"{add} VALUES (new.position, new.account_id, new.content); END"
    )
    op.execute(
        "CREATE TRIGGER message_search_removed AFTER DELETE ON messages BEGIN "
        f"{remove} VALUES ('delete', old.position, old.account_id, old.content); END"
    )
    op.execute(
        "CREATE TRIGGER message_search_changed AFTER UPDATE OF content ON messages BEGIN "
        f"{remove} VALUES ('delete', old.position, old.account_id, old.content); "
        f"{add} VALUES (new.position, new.account_id, new.content); END"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE message_search")
    op.drop_table('turn_events')
    with op.batch_alter_table('messages', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_messages_turn_id'))
        batch_op.drop_index('ix_messages_conversation')
        batch_op.drop_index(batch_op.f('ix_messages_account_id'))

    op.drop_table('messages')
    with op.batch_alter_table('turns', schema=None) as batch_op:
        batch_op.drop_index('uq_turns_running', sqlite_where=sa.text("status = 'running'"), postgresql_where=sa.text("status = 'running'"))
        batch_op.drop_index('uq_turns_idempotency')
        batch_op.drop_index('ix_turns_untold', sqlite_where=sa.text('not is_known_to_agent'), postgresql_where=sa.text('not is_known_to_agent'))
        batch_op.drop_index('ix_turns_account')

    op.drop_table('turns')
    with op.batch_alter_table('sign_in_secrets', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_sign_in_secrets_sign_in_id'))

    op.drop_table('sign_in_secrets')
    with op.batch_alter_table('sign_ins', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_sign_ins_account_id'))

    op.drop_table('sign_ins')
    with op.batch_alter_table('one_time_codes', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_one_time_codes_account_id'))

    op.drop_table('one_time_codes')
    with op.batch_alter_table('conversations', schema=None) as batch_op:
        batch_op.drop_index('uq_conversations_default', sqlite_where=sa.text('is_default'), postgresql_where=sa.text('is_default'))

    op.drop_table('conversations')
    op.drop_table('budgets')
    with op.batch_alter_table('block_revisions', schema=None) as batch_op:
        batch_op.drop_index('ix_block_revisions')

    op.drop_table('block_revisions')
    with op.batch_alter_table('api_tokens', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_api_tokens_account_id'))

    op.drop_table('api_tokens')
    op.drop_table('agents')
    with op.batch_alter_table('model_calls', schema=None) as batch_op:
        batch_op.drop_index('ix_model_calls_unsettled_cost', sqlite_where=sa.text("cost_source in ('pending', 'estimated')"), postgresql_where=sa.text("cost_source in ('pending', 'estimated')"))
        batch_op.drop_index('ix_model_calls_turn')
        batch_op.drop_index('ix_model_calls_open', sqlite_where=sa.text("state = 'dispatched'"), postgresql_where=sa.text("state = 'dispatched'"))
        batch_op.drop_index('ix_model_calls_account')

    op.drop_table('model_calls')
    op.drop_table('audit_entries')
    with op.batch_alter_table('accounts', schema=None) as batch_op:
        batch_op.drop_index('uq_accounts_identity')

    op.drop_table('accounts')
    
