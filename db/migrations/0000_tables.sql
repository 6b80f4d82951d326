CREATE TABLE "apps" (
	"id" uuid PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"project_id" uuid NOT NULL,
	"name" text NOT NULL,
	"regions" text[] NOT NULL,
	"initial_replicas" integer NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"destroyed_at" timestamp (3) with time zone,
	CONSTRAINT "apps_within_team" UNIQUE("team_id","id")
);
--> statement-breakpoint
ALTER TABLE "apps" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "hostnames" (
	"hostname" text PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"app_id" uuid NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "hostnames" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "projects" (
	"id" uuid PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"name" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "projects_name" UNIQUE("team_id","name"),
	CONSTRAINT "projects_within_team" UNIQUE("team_id","id")
);
--> statement-breakpoint
ALTER TABLE "projects" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "accounts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"user_id" uuid NOT NULL,
	"provider_id" text NOT NULL,
	"account_id" text NOT NULL,
	"password" text,
	"access_token" text,
	"refresh_token" text,
	"id_token" text,
	"access_token_expires_at" timestamp (3) with time zone,
	"refresh_token_expires_at" timestamp (3) with time zone,
	"scope" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "accounts" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"user_id" uuid NOT NULL,
	"token" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"ip_address" text,
	"user_agent" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "sessions_token_unique" UNIQUE("token")
);
--> statement-breakpoint
ALTER TABLE "sessions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "users" (
	"id" uuid PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"email_verified" boolean DEFAULT false NOT NULL,
	"name" text NOT NULL,
	"image" text,
	"operator" boolean DEFAULT false NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "users_email_unique" UNIQUE("email")
);
--> statement-breakpoint
ALTER TABLE "users" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "verifications" (
	"id" uuid PRIMARY KEY NOT NULL,
	"identifier" text NOT NULL,
	"value" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "verifications" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "events" (
	"source" text NOT NULL,
	"seq" bigint NOT NULL,
	"team_id" uuid,
	"type" text NOT NULL,
	"version" integer NOT NULL,
	"subject" text NOT NULL,
	"actor" text NOT NULL,
	"cause_id" text,
	"at" timestamp (3) with time zone NOT NULL,
	"data" jsonb NOT NULL,
	"received_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "events_source_seq_pk" PRIMARY KEY("source","seq")
);
--> statement-breakpoint
ALTER TABLE "events" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "outbox_sources" (
	"source" text PRIMARY KEY NOT NULL,
	"last_seq" bigint NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "outbox_sources" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "release_history" (
	"id" uuid PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"app_id" uuid NOT NULL,
	"version" integer NOT NULL,
	"release" jsonb NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"seq" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "release_history" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "rollout_history" (
	"id" uuid PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"app_id" uuid NOT NULL,
	"phase" text NOT NULL,
	"rollout" jsonb NOT NULL,
	"started_by" text NOT NULL,
	"started_at" timestamp (3) with time zone NOT NULL,
	"ended_at" timestamp (3) with time zone,
	"seq" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "rollout_history" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "metering_counters" (
	"node_id" uuid NOT NULL,
	"seq" bigint NOT NULL,
	"instance_id" uuid NOT NULL,
	"generation" integer NOT NULL,
	"team_id" uuid NOT NULL,
	"app_id" uuid NOT NULL,
	"release_id" uuid NOT NULL,
	"to_at" timestamp (3) with time zone NOT NULL,
	"running_ms" double precision NOT NULL,
	"cpu_ms" double precision NOT NULL,
	"memory_byte_ms" double precision NOT NULL,
	"requests" bigint NOT NULL,
	"requests_1xx" bigint NOT NULL,
	"requests_2xx" bigint NOT NULL,
	"requests_3xx" bigint NOT NULL,
	"requests_4xx" bigint NOT NULL,
	"requests_5xx" bigint NOT NULL,
	"bytes_in" bigint NOT NULL,
	"bytes_out" bigint NOT NULL,
	CONSTRAINT "metering_counters_node_id_seq_instance_id_generation_pk" PRIMARY KEY("node_id","seq","instance_id","generation")
);
--> statement-breakpoint
ALTER TABLE "metering_counters" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "metering_rows" (
	"node_id" uuid NOT NULL,
	"seq" bigint NOT NULL,
	"from_at" timestamp (3) with time zone NOT NULL,
	"to_at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "metering_rows_node_id_seq_pk" PRIMARY KEY("node_id","seq")
);
--> statement-breakpoint
ALTER TABLE "metering_rows" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "join_tokens" (
	"id" uuid PRIMARY KEY NOT NULL,
	"hash" "bytea" NOT NULL,
	"region" text,
	"created_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"used_at" timestamp (3) with time zone,
	"used_by" uuid,
	"used_by_jkt" text,
	CONSTRAINT "join_tokens_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
ALTER TABLE "join_tokens" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "nodes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"cell" text NOT NULL,
	"region" text NOT NULL,
	"failure_domain" text NOT NULL,
	"jkt" text NOT NULL,
	"enrolled_by" text NOT NULL,
	"enrolled_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"revoked_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "nodes" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "audit" (
	"id" uuid PRIMARY KEY DEFAULT uuidv7() NOT NULL,
	"team_id" uuid,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"outcome" text NOT NULL,
	"request_id" text,
	"data" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "audit" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"team_id" uuid NOT NULL,
	"actor" text NOT NULL,
	"key" text NOT NULL,
	"operation" text NOT NULL,
	"request_hash" text NOT NULL,
	"resource" text NOT NULL,
	"status" integer,
	"body" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_team_id_actor_key_pk" PRIMARY KEY("team_id","actor","key")
);
--> statement-breakpoint
ALTER TABLE "idempotency_keys" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "environment_versions" (
	"id" uuid PRIMARY KEY DEFAULT uuidv7() NOT NULL,
	"team_id" uuid NOT NULL,
	"app_id" uuid NOT NULL,
	"name" text NOT NULL,
	"sealed" text,
	"actor" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "environment_versions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "registries" (
	"team_id" uuid NOT NULL,
	"host" text NOT NULL,
	"username" text NOT NULL,
	"sealed_password" text NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "registries_team_id_host_pk" PRIMARY KEY("team_id","host")
);
--> statement-breakpoint
ALTER TABLE "registries" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "api_tokens" (
	"id" uuid PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"name" text NOT NULL,
	"prefix" text NOT NULL,
	"hash" "bytea" NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"last_used_at" timestamp (3) with time zone,
	CONSTRAINT "api_tokens_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
ALTER TABLE "api_tokens" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "memberships" (
	"team_id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"role" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "memberships_team_id_user_id_pk" PRIMARY KEY("team_id","user_id")
);
--> statement-breakpoint
ALTER TABLE "memberships" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "teams" (
	"id" uuid PRIMARY KEY NOT NULL,
	"slug" text NOT NULL,
	"name" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "teams_slug_unique" UNIQUE("slug")
);
--> statement-breakpoint
ALTER TABLE "teams" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "apps" ADD CONSTRAINT "apps_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "apps" ADD CONSTRAINT "apps_team_id_project_id_projects_team_id_id_fk" FOREIGN KEY ("team_id","project_id") REFERENCES "public"."projects"("team_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "hostnames" ADD CONSTRAINT "hostnames_team_id_app_id_apps_team_id_id_fk" FOREIGN KEY ("team_id","app_id") REFERENCES "public"."apps"("team_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "projects" ADD CONSTRAINT "projects_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "environment_versions" ADD CONSTRAINT "environment_versions_team_id_app_id_apps_team_id_id_fk" FOREIGN KEY ("team_id","app_id") REFERENCES "public"."apps"("team_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "registries" ADD CONSTRAINT "registries_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "memberships" ADD CONSTRAINT "memberships_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "memberships" ADD CONSTRAINT "memberships_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "apps_name" ON "apps" USING btree ("team_id","name") WHERE "apps"."destroyed_at" is null;--> statement-breakpoint
CREATE INDEX "apps_project" ON "apps" USING btree ("team_id","project_id");--> statement-breakpoint
CREATE INDEX "hostnames_app" ON "hostnames" USING btree ("team_id","app_id");--> statement-breakpoint
CREATE INDEX "accounts_user" ON "accounts" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "sessions_user" ON "sessions" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "sessions_expiry" ON "sessions" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "verifications_identifier" ON "verifications" USING btree ("identifier");--> statement-breakpoint
CREATE INDEX "events_team" ON "events" USING btree ("team_id","source","seq");--> statement-breakpoint
CREATE INDEX "events_subject" ON "events" USING btree ("subject","at");--> statement-breakpoint
CREATE INDEX "release_history_app" ON "release_history" USING btree ("team_id","app_id","id");--> statement-breakpoint
CREATE INDEX "rollout_history_app" ON "rollout_history" USING btree ("team_id","app_id","id");--> statement-breakpoint
CREATE INDEX "metering_counters_team" ON "metering_counters" USING btree ("team_id","app_id","to_at");--> statement-breakpoint
CREATE INDEX "metering_counters_instance" ON "metering_counters" USING btree ("instance_id","generation","to_at");--> statement-breakpoint
CREATE INDEX "metering_rows_time" ON "metering_rows" USING btree ("to_at");--> statement-breakpoint
CREATE INDEX "nodes_name" ON "nodes" USING btree ("name");--> statement-breakpoint
CREATE INDEX "nodes_cell" ON "nodes" USING btree ("cell","id");--> statement-breakpoint
CREATE INDEX "audit_team" ON "audit" USING btree ("team_id","id");--> statement-breakpoint
CREATE INDEX "audit_subject" ON "audit" USING btree ("subject","id");--> statement-breakpoint
CREATE INDEX "idempotency_keys_age" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "environment_versions_app" ON "environment_versions" USING btree ("team_id","app_id","id");--> statement-breakpoint
CREATE INDEX "api_tokens_team" ON "api_tokens" USING btree ("team_id","id");--> statement-breakpoint
CREATE INDEX "memberships_user" ON "memberships" USING btree ("user_id","team_id");--> statement-breakpoint
CREATE POLICY "apps_team" ON "apps" AS PERMISSIVE FOR ALL TO "berth_app" USING ("apps"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("apps"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "hostnames_team" ON "hostnames" AS PERMISSIVE FOR ALL TO "berth_app" USING ("hostnames"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("hostnames"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "projects_team" ON "projects" AS PERMISSIVE FOR ALL TO "berth_app" USING ("projects"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("projects"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "accounts_auth" ON "accounts" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "sessions_auth" ON "sessions" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "users_auth" ON "users" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "verifications_auth" ON "verifications" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "events_team_read" ON "events" AS PERMISSIVE FOR SELECT TO "berth_app" USING ("events"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "events_select_operator_sink" ON "events" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator', 'sink'));--> statement-breakpoint
CREATE POLICY "events_insert_sink" ON "events" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "outbox_sources_select_sink" ON "outbox_sources" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "outbox_sources_insert_sink" ON "outbox_sources" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "outbox_sources_update_sink" ON "outbox_sources" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('sink')) WITH CHECK (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "release_history_team_read" ON "release_history" AS PERMISSIVE FOR SELECT TO "berth_app" USING ("release_history"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "release_history_select_sink" ON "release_history" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "release_history_insert_sink" ON "release_history" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "release_history_update_sink" ON "release_history" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('sink')) WITH CHECK (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "rollout_history_team_read" ON "rollout_history" AS PERMISSIVE FOR SELECT TO "berth_app" USING ("rollout_history"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "rollout_history_select_sink" ON "rollout_history" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "rollout_history_insert_sink" ON "rollout_history" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "rollout_history_update_sink" ON "rollout_history" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('sink')) WITH CHECK (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "metering_counters_team_read" ON "metering_counters" AS PERMISSIVE FOR SELECT TO "berth_app" USING ("metering_counters"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "metering_counters_select_operator_sink" ON "metering_counters" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator', 'sink'));--> statement-breakpoint
CREATE POLICY "metering_counters_insert_sink" ON "metering_counters" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "metering_rows_select_operator_sink" ON "metering_rows" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator', 'sink'));--> statement-breakpoint
CREATE POLICY "metering_rows_insert_sink" ON "metering_rows" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('sink'));--> statement-breakpoint
CREATE POLICY "join_tokens_select_operator_enrol" ON "join_tokens" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator', 'enrol'));--> statement-breakpoint
CREATE POLICY "join_tokens_insert_operator" ON "join_tokens" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "join_tokens_update_operator_enrol" ON "join_tokens" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('operator', 'enrol')) WITH CHECK (current_setting('berth.scope', true) in ('operator', 'enrol'));--> statement-breakpoint
CREATE POLICY "nodes_select_operator_enrol" ON "nodes" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator', 'enrol'));--> statement-breakpoint
CREATE POLICY "nodes_insert_enrol" ON "nodes" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('enrol'));--> statement-breakpoint
CREATE POLICY "nodes_update_operator_enrol" ON "nodes" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('operator', 'enrol')) WITH CHECK (current_setting('berth.scope', true) in ('operator', 'enrol'));--> statement-breakpoint
CREATE POLICY "audit_auth" ON "audit" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "audit_team" ON "audit" AS PERMISSIVE FOR ALL TO "berth_app" USING ("audit"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("audit"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "audit_select_operator" ON "audit" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "audit_insert_operator_enrol" ON "audit" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('operator', 'enrol'));--> statement-breakpoint
CREATE POLICY "idempotency_keys_team" ON "idempotency_keys" AS PERMISSIVE FOR ALL TO "berth_app" USING ("idempotency_keys"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("idempotency_keys"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "idempotency_keys_select_sweep" ON "idempotency_keys" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
CREATE POLICY "idempotency_keys_delete_sweep" ON "idempotency_keys" AS PERMISSIVE FOR DELETE TO "berth_app" USING (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
CREATE POLICY "environment_versions_team" ON "environment_versions" AS PERMISSIVE FOR ALL TO "berth_app" USING ("environment_versions"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("environment_versions"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "registries_team" ON "registries" AS PERMISSIVE FOR ALL TO "berth_app" USING ("registries"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("registries"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "api_tokens_auth" ON "api_tokens" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "api_tokens_team" ON "api_tokens" AS PERMISSIVE FOR ALL TO "berth_app" USING ("api_tokens"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("api_tokens"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "memberships_auth" ON "memberships" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "memberships_team_read" ON "memberships" AS PERMISSIVE FOR SELECT TO "berth_app" USING ("memberships"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "teams_auth" ON "teams" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "teams_team_read" ON "teams" AS PERMISSIVE FOR SELECT TO "berth_app" USING ("teams"."id" = nullif(current_setting('berth.team', true), '')::uuid);