DROP INDEX jobs_by_lane;
