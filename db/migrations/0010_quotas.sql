CREATE TABLE "app_holdings" (
	"team_id" uuid NOT NULL,
	"app_id" uuid NOT NULL,
	"instances" bigint DEFAULT 0 NOT NULL,
	"cpu_milli" bigint DEFAULT 0 NOT NULL,
	"memory_bytes" bigint DEFAULT 0 NOT NULL,
	"disk_bytes" bigint DEFAULT 0 NOT NULL,
	"version" bigint DEFAULT 0 NOT NULL,
	"unsettled_since" timestamp (3) with time zone,
	CONSTRAINT "app_holdings_team_id_app_id_pk" PRIMARY KEY("team_id","app_id")
);
--> statement-breakpoint
ALTER TABLE "app_holdings" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "team_plans" (
	"team_id" uuid PRIMARY KEY NOT NULL,
	"plan" text,
	"overrides" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"set_by" text NOT NULL,
	"set_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "team_plans" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "team_releases" (
	"team_id" uuid PRIMARY KEY NOT NULL,
	"day" date NOT NULL,
	"releases" integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE "team_releases" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "app_holdings" ADD CONSTRAINT "app_holdings_team_id_app_id_apps_team_id_id_fk" FOREIGN KEY ("team_id","app_id") REFERENCES "public"."apps"("team_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "team_plans" ADD CONSTRAINT "team_plans_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "team_releases" ADD CONSTRAINT "team_releases_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "app_holdings_unsettled" ON "app_holdings" USING btree ("unsettled_since") WHERE "app_holdings"."unsettled_since" is not null;--> statement-breakpoint
CREATE POLICY "app_holdings_team" ON "app_holdings" AS PERMISSIVE FOR ALL TO "berth_app" USING ("app_holdings"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("app_holdings"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "app_holdings_select_sweep" ON "app_holdings" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
CREATE POLICY "team_plans_auth" ON "team_plans" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "team_plans_team_read" ON "team_plans" AS PERMISSIVE FOR SELECT TO "berth_app" USING ("team_plans"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "team_plans_select_operator" ON "team_plans" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "team_plans_insert_operator" ON "team_plans" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "team_plans_update_operator" ON "team_plans" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('operator')) WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "team_releases_team" ON "team_releases" AS PERMISSIVE FOR ALL TO "berth_app" USING ("team_releases"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("team_releases"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);
--> statement-breakpoint
-- Whoever was there before goes on as before: operators' teams without limits, and apps with what they hold, which the sweep asks them.
ALTER TABLE "users" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "memberships" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "apps" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
INSERT INTO "team_plans" ("team_id", "plan", "set_by") SELECT DISTINCT m.team_id, 'unlimited', 'system' FROM "memberships" m JOIN "users" u ON u.id = m.user_id WHERE u.operator;--> statement-breakpoint
INSERT INTO "app_holdings" ("team_id", "app_id", "unsettled_since") SELECT team_id, id, now() FROM "apps" WHERE destroyed_at IS NULL;--> statement-breakpoint
ALTER TABLE "users" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "memberships" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "apps" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "team_plans" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "team_releases" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "app_holdings" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON "team_plans" TO berth_app, berth_auth;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON "team_releases" TO berth_app;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "app_holdings" TO berth_app;
--> statement-breakpoint
-- Undoes a transaction whose statements were all sent at once, and says why: what has to be read and judged between them is judged here.
CREATE FUNCTION berth_refuse(reason text, facts jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'BR001', MESSAGE = reason, DETAIL = coalesce(facts, '{}')::text;
END $$;
