CREATE TABLE `audit_outbox` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`event_json` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `audit_witnesses` (
	`writer` text PRIMARY KEY NOT NULL,
	`seq` integer NOT NULL,
	`hash` blob NOT NULL
);
--> statement-breakpoint
ALTER TABLE `proxy_profiles` ADD `is_wanted` integer DEFAULT false NOT NULL;