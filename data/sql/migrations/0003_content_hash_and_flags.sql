-- What a conversation says (data/content.py), null in versions stored before, and doubts about messages that are kept.
ALTER TABLE conversations ADD COLUMN content_hash VARCHAR;
CREATE TABLE flags (
    dataset_version VARCHAR NOT NULL,
    conversation_id VARCHAR NOT NULL,
    message_index INTEGER NOT NULL,
    split VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL
);
