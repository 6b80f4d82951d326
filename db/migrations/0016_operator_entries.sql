CREATE TABLE "operator_entries" (
	"id" uuid PRIMARY KEY NOT NULL,
	"team_id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"email" text NOT NULL,
	"role" text NOT NULL,
	"reason" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ends_at" timestamp (3) with time zone NOT NULL,
	"ended_at" timestamp (3) with time zone,
	"ended_by" text
);
--> statement-breakpoint
ALTER TABLE "operator_entries" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "operator_entries" ADD CONSTRAINT "operator_entries_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "operator_entries_team" ON "operator_entries" USING btree ("team_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "operator_entries_open" ON "operator_entries" USING btree ("team_id","user_id") WHERE "operator_entries"."ended_at" is null;--> statement-breakpoint
CREATE POLICY "operator_entries_auth" ON "operator_entries" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "operator_entries_team_read" ON "operator_entries" AS PERMISSIVE FOR SELECT TO "berth_app" USING ("operator_entries"."team_id" = nullif(current_setting('berth.team', true), '')::uuid);--> statement-breakpoint
ALTER TABLE "operator_entries" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (ended_at, ended_by) ON "operator_entries" TO berth_auth;--> statement-breakpoint
GRANT SELECT ON "operator_entries" TO berth_app;
