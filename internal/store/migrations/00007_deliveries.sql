-- +goose Up
-- since is when the delivery was last asked for: when it was made, or replayed.
-- tries are the attempts after that; attempts are all.
ALTER TABLE deliveries ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
UPDATE deliveries SET since = created_at, tries = attempts;

-- One that waits for an older one of its call and address has no next_at, so that
-- a receiver that is down makes nobody look through all that waits for it.
DROP INDEX deliveries_due;
DROP INDEX deliveries_order;
CREATE INDEX deliveries_due ON deliveries (next_at, seq, url) WHERE status = 'pending' AND next_at > 0;
CREATE INDEX deliveries_order ON deliveries (url, call, seq) WHERE status = 'pending';
CREATE INDEX deliveries_since ON deliveries (since, seq) WHERE status = 'pending';
CREATE INDEX deliveries_pending ON deliveries (subscription) WHERE status = 'pending';
CREATE INDEX deliveries_over ON deliveries (updated_at) WHERE status <> 'pending';

-- The last event that was forgotten, by workspace: who asks for what came after
-- an earlier one has missed something.
CREATE TABLE event_floors (
  workspace TEXT   PRIMARY KEY,
  seq       BIGINT NOT NULL
);

-- +goose Down
DROP TABLE event_floors;
DROP INDEX deliveries_over;
DROP INDEX deliveries_pending;
DROP INDEX deliveries_since;
DROP INDEX deliveries_order;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (next_at, seq) WHERE status = 'pending';
CREATE INDEX deliveries_order ON deliveries (subscription, call, seq) WHERE status = 'pending';
ALTER TABLE deliveries DROP COLUMN tries;
ALTER TABLE deliveries DROP COLUMN since;
