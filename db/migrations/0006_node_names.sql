ALTER TABLE "nodes" ADD COLUMN "dns_name" text;--> statement-breakpoint
GRANT UPDATE (dns_name) ON nodes TO berth_app;
