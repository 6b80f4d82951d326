CREATE TABLE "device_codes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"device_code" text NOT NULL,
	"user_code" text NOT NULL,
	"user_id" uuid,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"status" text NOT NULL,
	"last_polled_at" timestamp (3) with time zone,
	"polling_interval" integer,
	"client_id" text,
	"scope" text,
	"ip_address" text,
	"user_agent" text,
	"second_factor" boolean DEFAULT false NOT NULL,
	"sign_on_team" uuid,
	CONSTRAINT "device_codes_device_code_unique" UNIQUE("device_code"),
	CONSTRAINT "device_codes_user_code_unique" UNIQUE("user_code")
);
--> statement-breakpoint
ALTER TABLE "device_codes" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "sign_up_invitations" (
	"email" text PRIMARY KEY NOT NULL,
	"invited_by" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "sign_up_invitations" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "two_factors" (
	"id" uuid PRIMARY KEY NOT NULL,
	"user_id" uuid NOT NULL,
	"secret" text NOT NULL,
	"backup_codes" text NOT NULL,
	"verified" boolean DEFAULT false NOT NULL,
	"failed_verification_count" integer DEFAULT 0 NOT NULL,
	"locked_until" timestamp (3) with time zone,
	CONSTRAINT "two_factors_user_id_unique" UNIQUE("user_id")
);
--> statement-breakpoint
ALTER TABLE "two_factors" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "single_sign_ons" (
	"team_id" uuid PRIMARY KEY NOT NULL,
	"issuer" text NOT NULL,
	"client_id" text NOT NULL,
	"client_secret" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "single_sign_ons" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "second_factor" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "sign_on_team" uuid;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "two_factor_enabled" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "teams" ADD COLUMN "second_factor_required" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "device_codes" ADD CONSTRAINT "device_codes_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "two_factors" ADD CONSTRAINT "two_factors_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "single_sign_ons" ADD CONSTRAINT "single_sign_ons_team_id_teams_id_fk" FOREIGN KEY ("team_id") REFERENCES "public"."teams"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "device_codes_expiry" ON "device_codes" USING btree ("expires_at");--> statement-breakpoint
CREATE POLICY "device_codes_auth" ON "device_codes" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "sign_up_invitations_auth" ON "sign_up_invitations" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "two_factors_auth" ON "two_factors" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "single_sign_ons_auth" ON "single_sign_ons" AS PERMISSIVE FOR ALL TO "berth_auth" USING (true) WITH CHECK (true);--> statement-breakpoint
ALTER TABLE "device_codes" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "sign_up_invitations" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "two_factors" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "single_sign_ons" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "device_codes", "sign_up_invitations", "two_factors", "single_sign_ons" TO berth_auth;--> statement-breakpoint
GRANT UPDATE ("second_factor_required") ON "teams" TO berth_auth;--> statement-breakpoint
-- From now on only verified addresses sign in. The operator made the installation, perhaps one that sends no mail: not locked out of it.
ALTER TABLE "users" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
UPDATE "users" SET "email_verified" = true WHERE "operator";--> statement-breakpoint
ALTER TABLE "users" FORCE ROW LEVEL SECURITY;
