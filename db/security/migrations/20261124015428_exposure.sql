CREATE TABLE `alert_deliveries` (
	`id` text PRIMARY KEY NOT NULL,
	`target_id` text NOT NULL,
	`event_json` text NOT NULL,
	`state` text NOT NULL,
	`attempts` integer NOT NULL,
	`last_error` text,
	`created_at_ms` integer NOT NULL,
	`next_at_ms` integer
);
--> statement-breakpoint
CREATE INDEX `alert_deliveries_next` ON `alert_deliveries` (`state`,`next_at_ms`);--> statement-breakpoint
CREATE TABLE `alert_rules` (
	`id` text PRIMARY KEY NOT NULL,
	`rule_json` text NOT NULL,
	`updated_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `alert_targets` (
	`id` text PRIMARY KEY NOT NULL,
	`target_json` text NOT NULL,
	`private_key` blob,
	`updated_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `ip_bans` (
	`network` text PRIMARY KEY NOT NULL,
	`is_automatic` integer NOT NULL,
	`reason` text NOT NULL,
	`banned_at_ms` integer NOT NULL,
	`until_ms` integer,
	`banned_by` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `ip_bans_until` ON `ip_bans` (`until_ms`);--> statement-breakpoint
CREATE TABLE `ip_standings` (
	`bucket` text PRIMARY KEY NOT NULL,
	`failures` integer NOT NULL,
	`first_failure_at_ms` integer,
	`intrusion_score` real NOT NULL,
	`anomaly_score` real NOT NULL,
	`bans` integer NOT NULL,
	`last_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `ip_standings_last` ON `ip_standings` (`last_at_ms`);--> statement-breakpoint
CREATE TABLE `policy_versions` (
	`version` integer PRIMARY KEY NOT NULL,
	`document_json` text NOT NULL,
	`seal` blob NOT NULL,
	`created_at_ms` integer NOT NULL,
	`actor` text NOT NULL,
	`note` text
);
--> statement-breakpoint
CREATE TABLE `rate_limit_states` (
	`subject` text PRIMARY KEY NOT NULL,
	`state_json` text NOT NULL,
	`updated_at_ms` integer NOT NULL,
	`expires_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `rate_limit_states_expiry` ON `rate_limit_states` (`expires_at_ms`);--> statement-breakpoint
CREATE TABLE `security_signals` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`at_ms` integer NOT NULL,
	`kind` text NOT NULL,
	`ip` text NOT NULL,
	`pattern` text NOT NULL,
	`score` real NOT NULL,
	`total` real NOT NULL,
	`request_id` text,
	`method` text,
	`path` text,
	`user_agent` text,
	`details_json` text
);
--> statement-breakpoint
CREATE INDEX `security_signals_kind` ON `security_signals` (`kind`,`id`);--> statement-breakpoint
CREATE INDEX `security_signals_ip` ON `security_signals` (`ip`,`id`);--> statement-breakpoint
ALTER TABLE `api_keys` ADD `cidrs_json` text;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `origins_json` text;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `requests_per_minute` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `burst` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `tokens_per_minute` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `parallel_requests` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `rotate_every_ms` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `rotate_grace_ms` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `uncollected` text;