-- What a source says about a conversation as a whole, and all right values of a call's arguments where there are several.
-- New columns come last, where schema.sql has them, and are null in versions stored before.
ALTER TABLE conversations ADD COLUMN metadata JSON;
ALTER TABLE calls ADD COLUMN accepted JSON;
