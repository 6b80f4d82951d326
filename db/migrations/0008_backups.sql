CREATE TABLE "backups" (
	"id" text PRIMARY KEY NOT NULL,
	"to" text NOT NULL,
	"bytes" bigint NOT NULL,
	"objects" bigint NOT NULL,
	"rows" bigint NOT NULL,
	"started_at" timestamp (3) with time zone NOT NULL,
	"ended_at" timestamp (3) with time zone NOT NULL,
	"alarm_after_ms" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "backups" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "restores" (
	"backup" text PRIMARY KEY NOT NULL,
	"started_at" timestamp (3) with time zone NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "restores" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE INDEX "backups_ended" ON "backups" USING btree ("ended_at");--> statement-breakpoint
CREATE POLICY "backups_select_operator" ON "backups" AS PERMISSIVE FOR SELECT TO "berth_app" USING (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
CREATE POLICY "backups_insert_operator" ON "backups" AS PERMISSIVE FOR INSERT TO "berth_app" WITH CHECK (current_setting('berth.scope', true) in ('operator'));--> statement-breakpoint
ALTER TABLE "backups" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "restores" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT ON "backups" TO berth_app;
