ALTER TABLE "single_sign_ons" ADD COLUMN "domains" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "single_sign_ons" ADD COLUMN "enforced" boolean DEFAULT false NOT NULL;--> statement-breakpoint
-- Whoever becomes an operator begins anew: no token of before has the new right.
GRANT DELETE ON "api_tokens" TO berth_auth;
