CREATE TABLE "invitations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"email" text NOT NULL,
	"role" text NOT NULL,
	"project_ids" uuid[],
	"hash" "bytea" NOT NULL,
	"invited_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"accepted_at" timestamp (3) with time zone,
	"accepted_by" uuid,
	"revoked_at" timestamp (3) with time zone,
	CONSTRAINT "invitations_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
ALTER TABLE "invitations" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "roles" (
	"team_id" uuid NOT NULL,
	"name" text NOT NULL,
	"policies" jsonb NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "roles_team_id_name_pk" PRIMARY KEY("team_id","name")
);
--> statement-breakpoint
ALTER TABLE "roles" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "address" text;--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "user_agent" text;--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "before" jsonb;--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "after" jsonb;--> statement-breakpoint
ALTER TABLE "api_tokens" ADD COLUMN "scopes" text[];--> statement-breakpoint
ALTER TABLE "api_tokens" ADD COLUMN "project_ids" uuid[];--> statement-breakpoint
ALTER TABLE "memberships" ADD COLUMN "project_ids" uuid[];--> statement-breakpoint
ALTER TABLE "invitations" ADD CONSTRAINT "invitations_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "roles" ADD CONSTRAINT "roles_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "invitations_team" ON "invitations" USING btree ("team_id","id");--> statement-breakpoint
CREATE INDEX "audit_team_actor" ON "audit" USING btree ("team_id","actor","id");--> statement-breakpoint
CREATE INDEX "audit_team_action" ON "audit" USING btree ("team_id","action","id");--> statement-breakpoint
CREATE INDEX "audit_team_subject" ON "audit" USING btree ("team_id","subject","id");--> statement-breakpoint
CREATE POLICY "memberships_team_update" ON "memberships" AS PERMISSIVE FOR UPDATE TO "berth_app" USING ("memberships"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("memberships"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "memberships_team_delete" ON "memberships" AS PERMISSIVE FOR DELETE TO "berth_app" USING ("memberships"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "teams_team_update" ON "teams" AS PERMISSIVE FOR UPDATE TO "berth_app" USING ("teams"."id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("teams"."id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "invitations_auth" ON "invitations" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "invitations_team" ON "invitations" AS PERMISSIVE FOR ALL TO "berth_app" USING ("invitations"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("invitations"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
CREATE POLICY "roles_auth" ON "roles" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "roles_team" ON "roles" AS PERMISSIVE FOR ALL TO "berth_app" USING ("roles"."team_id" = nullif(current_setting('berth.team', true), '')::uuid) WITH CHECK ("roles"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
ALTER POLICY "audit_select_operator" ON "audit" TO berth_app USING (current_setting('berth.scope', true) in ('operator') and "audit"."team_id" is null);--> statement-breakpoint
ALTER POLICY "audit_insert_operator_enrol" ON "audit" TO berth_app WITH CHECK (current_setting('berth.scope', true) in ('operator', 'enrol') and "audit"."team_id" is null);--> statement-breakpoint
ALTER TABLE "invitations" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "roles" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
-- What `member` could do is what a developer may; the owner of the table sees its rows only while it is not forced.
ALTER TABLE "memberships" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
UPDATE "memberships" SET "role" = 'developer' WHERE "role" = 'member';--> statement-breakpoint
ALTER TABLE "memberships" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT ON "roles" TO berth_auth;--> statement-breakpoint
GRANT SELECT, UPDATE (accepted_at, accepted_by) ON "invitations" TO berth_auth;--> statement-breakpoint
GRANT UPDATE (slug, name) ON "teams" TO berth_app;--> statement-breakpoint
GRANT UPDATE (role, project_ids), DELETE ON "memberships" TO berth_app;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "roles" TO berth_app;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (hash, revoked_at) ON "invitations" TO berth_app;
