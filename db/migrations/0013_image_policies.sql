CREATE TABLE "installation_image_policy" (
	"only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"policy" jsonb NOT NULL,
	"set_by" text NOT NULL,
	"set_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "installation_image_policy_only" CHECK ("installation_image_policy"."only")
);
--> statement-breakpoint
ALTER TABLE "installation_image_policy" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "team_image_policies" (
	"team_id" uuid PRIMARY KEY NOT NULL,
	"policy" jsonb NOT NULL,
	"set_by" text NOT NULL,
	"set_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "team_image_policies" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "team_image_policies" ADD CONSTRAINT "team_image_policies_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE POLICY "installation_image_policy_every_team" ON "installation_image_policy" AS PERMISSIVE FOR SELECT TO "berth_app" USING (nullif(current_setting('berth.team', true), '')::uuid is not null or current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "installation_image_policy_insert_operator" ON "installation_image_policy" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "installation_image_policy_update_operator" ON "installation_image_policy" AS PERMISSIVE FOR UPDATE TO "berth_app" USING (current_setting('berth.scope', true) in ('operator')) WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "team_image_policies_team" ON "team_image_policies" AS PERMISSIVE FOR ALL TO "berth_app" USING ("team_image_policies"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("team_image_policies"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);
--> statement-breakpoint
ALTER TABLE "team_image_policies" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "installation_image_policy" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON "team_image_policies" TO berth_app;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON "installation_image_policy" TO berth_app;
