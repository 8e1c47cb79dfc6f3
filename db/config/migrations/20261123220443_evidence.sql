CREATE TABLE `audit_outbox` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`event_json` text NOT NULL
);
--> statement-breakpoint
ALTER TABLE `proxy_profiles` ADD `is_wanted` integer DEFAULT false NOT NULL;