DROP INDEX "events_subject";--> statement-breakpoint
CREATE INDEX "events_subject" ON "events" USING btree ("subject","seq") WHERE "events"."type" <> 'node.metered';