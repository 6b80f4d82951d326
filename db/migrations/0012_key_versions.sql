CREATE TABLE "key_sweeps" (
	"version" text PRIMARY KEY NOT NULL,
	"stage" text NOT NULL,
	"cursor" text DEFAULT '' NOT NULL,
	"seen" bigint DEFAULT 0 NOT NULL,
	"rewrapped" bigint DEFAULT 0 NOT NULL,
	"failed" bigint DEFAULT 0 NOT NULL,
	"first_failure" text,
	"started_at" timestamp (3) with time zone NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "key_sweeps" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "node_keys" (
	"node_id" uuid PRIMARY KEY NOT NULL,
	"ticket" jsonb NOT NULL,
	"credential" text NOT NULL,
	"told_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "node_keys" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "platform_keys" (
	"kind" text NOT NULL,
	"version" text NOT NULL,
	"state" text NOT NULL,
	"sealed" text,
	"public" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"activated_at" timestamp (3) with time zone,
	"replaced_at" timestamp (3) with time zone,
	"retired_at" timestamp (3) with time zone,
	"alarmed_at" timestamp (3) with time zone,
	CONSTRAINT "platform_keys_kind_version_pk" PRIMARY KEY("kind","version")
);
--> statement-breakpoint
ALTER TABLE "platform_keys" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE POLICY "apps_select_sweep" ON "apps" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
CREATE POLICY "idempotency_keys_update_sweep" ON "idempotency_keys" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('sweep')) WITH CHECK (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
CREATE POLICY "environment_versions_select_sweep" ON "environment_versions" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
CREATE POLICY "registries_select_sweep" ON "registries" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
CREATE POLICY "registries_update_sweep" ON "registries" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('sweep')) WITH CHECK (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
CREATE POLICY "key_sweeps_select_operator" ON "key_sweeps" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "key_sweeps_insert_operator" ON "key_sweeps" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "key_sweeps_update_operator" ON "key_sweeps" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('operator')) WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "node_keys_select_operator" ON "node_keys" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "node_keys_insert_operator" ON "node_keys" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "node_keys_update_operator" ON "node_keys" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('operator')) WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "platform_keys_select_operator" ON "platform_keys" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "platform_keys_insert_operator" ON "platform_keys" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "platform_keys_update_operator" ON "platform_keys" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('operator')) WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
ALTER TABLE "key_sweeps" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "node_keys" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "platform_keys" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON "key_sweeps", "node_keys", "platform_keys" TO berth_app;--> statement-breakpoint
CREATE POLICY "environment_versions_owner_select" ON "environment_versions" AS PERMISSIVE FOR SELECT TO "berth_owner" USING (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
CREATE POLICY "environment_versions_owner_update" ON "environment_versions" AS PERMISSIVE FOR UPDATE TO "berth_owner" USING (current_setting('berth.scope', true) in ('sweep')) WITH CHECK (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
-- A row keeps its value: only the key around it may become another one. Rows from before data keys (with "ciphertext") get one.
CREATE FUNCTION rewrap_environment_version(row_id uuid, before text, fresh text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
	UPDATE environment_versions SET sealed = fresh
	WHERE id = row_id AND sealed = before
		AND (before LIKE '%"ciphertext"%' OR before::jsonb ->> 'value' = fresh::jsonb ->> 'value')
$$;--> statement-breakpoint
REVOKE ALL ON FUNCTION rewrap_environment_version(uuid, text, text) FROM PUBLIC;--> statement-breakpoint
GRANT EXECUTE ON FUNCTION rewrap_environment_version(uuid, text, text) TO berth_app;
