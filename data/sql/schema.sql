-- Tables of the warehouse; published Parquet has the same columns in the same order.
-- No keys are declared: DuckDB checks them eagerly, so replacing a version inside one transaction (delete, then insert
-- the same keys) would fail. data/rows.py checks identifiers before it writes.

CREATE TABLE IF NOT EXISTS dataset_versions (
    version VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    conversations BIGINT NOT NULL,
    decision_points BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    fingerprint VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    settings JSON NOT NULL,
    counts JSON NOT NULL
);

CREATE TABLE IF NOT EXISTS conversations (
    dataset_version VARCHAR NOT NULL,
    conversation_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    domains VARCHAR[] NOT NULL,
    num_messages INTEGER NOT NULL,
    num_tools INTEGER NOT NULL,
    num_calls INTEGER NOT NULL,
    record VARCHAR NOT NULL, -- the whole conversation as JSON: what data/snapshot rebuilds objects from
    metadata JSON, -- what the source says about the whole; null in versions stored by layout 1
    content_hash VARCHAR -- of what user and assistant say (data/content.py); null in versions before layout 3
);

CREATE TABLE IF NOT EXISTS messages (
    dataset_version VARCHAR NOT NULL,
    conversation_id VARCHAR NOT NULL,
    message_index INTEGER NOT NULL,
    role VARCHAR NOT NULL,
    content VARCHAR,
    tool_call_id VARCHAR,
    num_calls INTEGER NOT NULL,
    acts VARCHAR[] NOT NULL,
    requested VARCHAR[] NOT NULL,
    facts JSON NOT NULL,
    rationale VARCHAR
);

CREATE TABLE IF NOT EXISTS tools (
    dataset_version VARCHAR NOT NULL,
    conversation_id VARCHAR NOT NULL,
    tool_index INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    description VARCHAR NOT NULL,
    parameters JSON NOT NULL,
    is_write BOOLEAN NOT NULL
);

CREATE TABLE IF NOT EXISTS calls (
    dataset_version VARCHAR NOT NULL,
    conversation_id VARCHAR NOT NULL,
    message_index INTEGER NOT NULL,
    call_index INTEGER NOT NULL,
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    arguments JSON NOT NULL,
    arguments_raw VARCHAR NOT NULL,
    is_write BOOLEAN, -- null where the conversation offers no tool of that name
    accepted JSON -- argument name to all right values, where a source knows several; null in versions of layout 1
);

CREATE TABLE IF NOT EXISTS decision_points (
    dataset_version VARCHAR NOT NULL,
    decision_point_id VARCHAR NOT NULL,
    conversation_id VARCHAR NOT NULL,
    message_index INTEGER NOT NULL,
    source VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    domain VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    tool VARCHAR,
    num_calls INTEGER NOT NULL,
    num_facts INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS quarantine (
    dataset_version VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL
);

CREATE TABLE IF NOT EXISTS flags ( -- doubts about messages that are kept (data/flags.py)
    dataset_version VARCHAR NOT NULL,
    conversation_id VARCHAR NOT NULL,
    message_index INTEGER NOT NULL,
    split VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL
);
