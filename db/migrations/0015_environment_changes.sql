ALTER TABLE "environment_versions" ADD COLUMN "change" text;--> statement-breakpoint
CREATE UNIQUE INDEX "environment_versions_change" ON "environment_versions" USING btree ("team_id","app_id","actor","change","name");--> statement-breakpoint
CREATE INDEX "environment_versions_name" ON "environment_versions" USING btree ("team_id","app_id","name","id");