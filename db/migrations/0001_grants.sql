-- What drizzle cannot say: row-level security also for the owner, and who may do what. berth_owner, berth_auth and berth_app
-- exist before (db/migrate.ts). A table without a line here can be used by nobody but its owner, who sees no row of it.
DO $$
DECLARE one regclass;
BEGIN
  FOR one IN SELECT c.oid::regclass FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace LOOP
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', one);
  END LOOP;
END $$;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO berth_auth, berth_app;
--> statement-breakpoint
-- berth_auth: who is asking.
GRANT SELECT, INSERT, UPDATE, DELETE ON users, sessions, accounts, verifications TO berth_auth;
--> statement-breakpoint
GRANT SELECT, INSERT ON teams, memberships TO berth_auth;
--> statement-breakpoint
GRANT SELECT, UPDATE (last_used_at) ON api_tokens TO berth_auth;
--> statement-breakpoint
GRANT INSERT ON audit TO berth_auth;
--> statement-breakpoint
-- berth_app: everything else, within a team or a narrow scope.
GRANT SELECT ON teams, memberships TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON api_tokens TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT ON projects TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (destroyed_at) ON apps TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON hostnames TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON registries TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (hash, expires_at, used_at, used_by, used_by_jkt) ON join_tokens TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (name, cell, region, failure_domain, revoked_at) ON nodes TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (status, body), DELETE ON idempotency_keys TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (last_seq, updated_at) ON outbox_sources TO berth_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON release_history, rollout_history TO berth_app;
--> statement-breakpoint
-- Append-only: no UPDATE, DELETE or TRUNCATE for anybody.
GRANT SELECT, INSERT ON events, environment_versions, metering_rows, metering_counters, audit TO berth_app;
