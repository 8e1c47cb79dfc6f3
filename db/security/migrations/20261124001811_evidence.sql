CREATE TABLE `admin_sessions` (
	`token_hash` blob PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`ip` text,
	`user_agent` text,
	`created_at_ms` integer NOT NULL,
	`last_used_at_ms` integer NOT NULL,
	`expires_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `admin_sessions_id_unique` ON `admin_sessions` (`id`);--> statement-breakpoint
CREATE TABLE `audit_heads` (
	`writer` text PRIMARY KEY NOT NULL,
	`seq` integer NOT NULL,
	`hash` blob NOT NULL
);
--> statement-breakpoint
CREATE TABLE `audit_logs` (
	`seq` integer NOT NULL,
	`writer` text NOT NULL,
	`id` text NOT NULL,
	`at_ms` integer NOT NULL,
	`type` text NOT NULL,
	`severity` text NOT NULL,
	`actor_kind` text NOT NULL,
	`actor_id` text NOT NULL,
	`via` text NOT NULL,
	`target` text,
	`request_id` text,
	`trace_id` text,
	`details_json` text,
	`personal_json` text,
	`personal_salt` blob,
	`personal_commitment` blob,
	`previous_hash` blob NOT NULL,
	`hash` blob NOT NULL,
	PRIMARY KEY(`writer`, `seq`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `audit_logs_id_unique` ON `audit_logs` (`id`);--> statement-breakpoint
CREATE INDEX `audit_logs_time` ON `audit_logs` (`at_ms`);--> statement-breakpoint
CREATE INDEX `audit_logs_type` ON `audit_logs` (`type`,`writer`,`seq`);--> statement-breakpoint
CREATE INDEX `audit_logs_severity` ON `audit_logs` (`severity`,`writer`,`seq`);--> statement-breakpoint
CREATE INDEX `audit_logs_target` ON `audit_logs` (`target`,`writer`,`seq`);--> statement-breakpoint
CREATE TABLE `idempotency_keys` (
	`key_hash` blob PRIMARY KEY NOT NULL,
	`request_hash` blob NOT NULL,
	`status` integer,
	`answer` blob,
	`created_at_ms` integer NOT NULL,
	`expires_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `idempotency_keys_expiry` ON `idempotency_keys` (`expires_at_ms`);