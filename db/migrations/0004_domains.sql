CREATE TABLE "domain_holds" (
	"hostname" text PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"app_id" uuid NOT NULL,
	"state" text NOT NULL,
	"rests_until" timestamp (3) with time zone,
	"revision" bigint NOT NULL,
	"settled" bigint DEFAULT 0 NOT NULL,
	"custom_hostname_id" text
);
--> statement-breakpoint
ALTER TABLE "domain_holds" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "domains" (
	"id" uuid PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"app_id" uuid NOT NULL,
	"hostname" text NOT NULL,
	"token" text NOT NULL,
	"state" text NOT NULL,
	"since" timestamp (3) with time zone NOT NULL,
	"proven_at" timestamp (3) with time zone,
	"seen_at" timestamp (3) with time zone,
	"missing_since" timestamp (3) with time zone,
	"findings" jsonb,
	"certificate" jsonb,
	"checked_at" timestamp (3) with time zone,
	"checks" bigint DEFAULT 0 NOT NULL,
	"next_check_at" timestamp (3) with time zone,
	"created_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "domains_hostname" UNIQUE("team_id","hostname")
);
--> statement-breakpoint
ALTER TABLE "domains" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "domain_holds" ADD CONSTRAINT "domain_holds_team_id_app_id_apps_team_id_id_fk" FOREIGN KEY ("team_id","app_id") REFERENCES "public"."apps"("team_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "domains" ADD CONSTRAINT "domains_team_id_app_id_apps_team_id_id_fk" FOREIGN KEY ("team_id","app_id") REFERENCES "public"."apps"("team_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "domain_holds_app" ON "domain_holds" USING btree ("team_id","app_id");--> statement-breakpoint
CREATE INDEX "domain_holds_unsettled" ON "domain_holds" USING btree ("hostname") WHERE "domain_holds"."settled" < "domain_holds"."revision";--> statement-breakpoint
CREATE INDEX "domains_app" ON "domains" USING btree ("team_id","app_id","hostname");--> statement-breakpoint
CREATE INDEX "domains_due" ON "domains" USING btree ("next_check_at");--> statement-breakpoint
CREATE POLICY "domain_holds_team" ON "domain_holds" AS PERMISSIVE FOR ALL TO "berth_app" USING ("domain_holds"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("domain_holds"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "domain_holds_select_domain_sweep" ON "domain_holds" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('domain', 'sweep'));--> statement-breakpoint
CREATE POLICY "domain_holds_insert_domain" ON "domain_holds" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('domain'));--> statement-breakpoint
CREATE POLICY "domain_holds_update_domain_sweep" ON "domain_holds" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('domain', 'sweep')) WITH CHECK (current_setting('berth.scope', true) in ('domain', 'sweep'));--> statement-breakpoint
CREATE POLICY "domains_team" ON "domains" AS PERMISSIVE FOR ALL TO "berth_app" USING ("domains"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("domains"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "domains_select_sweep" ON "domains" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('sweep'));--> statement-breakpoint
ALTER TABLE "domains" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "domain_holds" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "domains" TO berth_app;--> statement-breakpoint
-- Never deleted: a revision must not begin anew.
GRANT SELECT, INSERT, UPDATE ON "domain_holds" TO berth_app;
