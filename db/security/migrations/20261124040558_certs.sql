CREATE TABLE `certificate_authorities` (
	`id` text PRIMARY KEY NOT NULL,
	`mode` text NOT NULL,
	`certificate` blob NOT NULL,
	`private_key` blob,
	`permitted_json` text NOT NULL,
	`bridge` blob,
	`bridge_from` text,
	`bridge_ends_at_ms` integer,
	`created_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `certificates` (
	`id` text PRIMARY KEY NOT NULL,
	`mode` text NOT NULL,
	`chain_pem` text NOT NULL,
	`private_key` blob NOT NULL,
	`names_json` text NOT NULL,
	`authority_id` text,
	`not_before_ms` integer NOT NULL,
	`not_after_ms` integer NOT NULL,
	`created_at_ms` integer NOT NULL,
	`expiry_told_at_ms` integer
);
--> statement-breakpoint
CREATE INDEX `certificates_mode` ON `certificates` (`mode`);