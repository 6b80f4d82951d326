ALTER TABLE "memberships" ADD COLUMN "by_sign_on" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "memberships" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "teams" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "accounts" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "invitations" NO FORCE ROW LEVEL SECURITY;--> statement-breakpoint
-- Whoever made the team did so in the same transaction.
UPDATE "memberships" m SET "by_sign_on" = true FROM "teams" t WHERE t.id = m.team_id AND m.created_at <> t.created_at
	AND EXISTS (SELECT FROM "accounts" a WHERE a.user_id = m.user_id AND a.provider_id = 'sso-' || m.team_id)
	AND NOT EXISTS (SELECT FROM "invitations" i WHERE i.team_id = m.team_id AND i.accepted_by = m.user_id);--> statement-breakpoint
ALTER TABLE "memberships" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "teams" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "accounts" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "invitations" FORCE ROW LEVEL SECURITY;--> statement-breakpoint
GRANT UPDATE (by_sign_on, created_at) ON "memberships" TO berth_auth;
