-- Workers find the oldest job of each lane without reading the lane before it, however much waits in that.
CREATE INDEX jobs_by_lane ON jobs (kind, COALESCE(lane, ''), due_at) WHERE status = 'queued';
