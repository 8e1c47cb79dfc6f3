CREATE TABLE `api_keys` (
	`id` text PRIMARY KEY NOT NULL,
	`label` text NOT NULL,
	`hash` blob NOT NULL,
	`scopes_json` text NOT NULL,
	`models_json` text,
	`created_at_ms` integer NOT NULL,
	`expires_at_ms` integer,
	`revoked_at_ms` integer,
	`rotated_from` text
);
--> statement-breakpoint
CREATE UNIQUE INDEX `api_keys_hash_unique` ON `api_keys` (`hash`);--> statement-breakpoint
CREATE INDEX `api_keys_created` ON `api_keys` (`created_at_ms`);--> statement-breakpoint
CREATE INDEX `api_keys_label` ON `api_keys` (`label`);--> statement-breakpoint
CREATE TABLE `engine_credentials` (
	`engine_id` text PRIMARY KEY NOT NULL,
	`secret` text NOT NULL,
	`updated_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `installation` (
	`id` text PRIMARY KEY NOT NULL,
	`key_pepper` blob NOT NULL,
	`created_at_ms` integer NOT NULL
);
