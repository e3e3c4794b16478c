-- Every filter of a list reads an index in the order of the list. Those for one
-- value of a column have the columns of the other filters behind the order, so
-- that rows which another filter leaves out are not read.

-- +goose Up
-- quality is JSON, empty = not known. seconds is how long a call was answered, in
-- whole seconds; -1 = it goes on.
ALTER TABLE calls ADD COLUMN quality TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN seconds BIGINT NOT NULL DEFAULT 0;
UPDATE calls SET seconds = CASE WHEN answered_at = 0 THEN 0 WHEN ended_at = 0 THEN -1 ELSE (ended_at - answered_at) / 1000000 END;

DROP INDEX calls_workspace;
DROP INDEX calls_channel;
DROP INDEX calls_from;
DROP INDEX calls_to;
CREATE INDEX calls_from ON calls (workspace, from_key, created_at, id, channel, direction, type, status);
CREATE INDEX calls_to ON calls (workspace, to_key, created_at, id, channel, direction, type, status);
CREATE INDEX calls_workspace ON calls (workspace, created_at, id, channel, direction, type, status, seconds, from_key, to_key);
CREATE INDEX calls_channel ON calls (workspace, channel, created_at, id, direction, type, status, seconds, from_key, to_key);
CREATE INDEX calls_kind ON calls (workspace, direction, type, created_at, id);
CREATE INDEX calls_parties ON calls (workspace, from_key, to_key, created_at, id);
CREATE INDEX calls_seconds ON calls (workspace, seconds, created_at, id);

-- The tags know the place of their call in the list.
ALTER TABLE call_tags ADD COLUMN workspace TEXT NOT NULL DEFAULT '';
ALTER TABLE call_tags ADD COLUMN at BIGINT NOT NULL DEFAULT 0;
UPDATE call_tags SET
  workspace = (SELECT workspace FROM calls WHERE calls.id = call_tags.call),
  at = (SELECT created_at FROM calls WHERE calls.id = call_tags.call);
CREATE INDEX call_tags_list ON call_tags (workspace, tag, at, call);

DROP INDEX recordings_workspace;
DROP INDEX recordings_channel;
DROP INDEX recordings_from;
DROP INDEX recordings_to;
CREATE INDEX recordings_from ON recordings (workspace, from_key, created_at, id, channel, direction, status);
CREATE INDEX recordings_to ON recordings (workspace, to_key, created_at, id, channel, direction, status);
CREATE INDEX recordings_workspace ON recordings (workspace, created_at, id, channel, direction, status, from_key, to_key);
CREATE INDEX recordings_channel ON recordings (workspace, channel, created_at, id, direction, status, from_key, to_key);
CREATE INDEX recordings_direction ON recordings (workspace, direction, created_at, id);
CREATE INDEX recordings_channel_status ON recordings (workspace, channel, status, created_at, id);
CREATE INDEX recordings_status_direction ON recordings (workspace, status, direction, created_at, id);
CREATE INDEX recordings_parties ON recordings (workspace, from_key, to_key, created_at, id);

-- +goose Down
DROP INDEX recordings_parties;
DROP INDEX recordings_status_direction;
DROP INDEX recordings_channel_status;
DROP INDEX recordings_direction;
DROP INDEX recordings_channel;
DROP INDEX recordings_workspace;
DROP INDEX recordings_to;
DROP INDEX recordings_from;
CREATE INDEX recordings_to ON recordings (workspace, to_key, created_at, id);
CREATE INDEX recordings_from ON recordings (workspace, from_key, created_at, id);
CREATE INDEX recordings_channel ON recordings (workspace, channel, created_at, id);
CREATE INDEX recordings_workspace ON recordings (workspace, created_at, id);
DROP INDEX call_tags_list;
ALTER TABLE call_tags DROP COLUMN at;
ALTER TABLE call_tags DROP COLUMN workspace;
DROP INDEX calls_seconds;
DROP INDEX calls_parties;
DROP INDEX calls_kind;
DROP INDEX calls_channel;
DROP INDEX calls_workspace;
DROP INDEX calls_to;
DROP INDEX calls_from;
CREATE INDEX calls_to ON calls (workspace, to_key, created_at, id);
CREATE INDEX calls_from ON calls (workspace, from_key, created_at, id);
CREATE INDEX calls_channel ON calls (workspace, channel, created_at, id);
CREATE INDEX calls_workspace ON calls (workspace, created_at, id);
ALTER TABLE calls DROP COLUMN seconds;
ALTER TABLE calls DROP COLUMN quality;
