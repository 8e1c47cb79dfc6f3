CREATE TABLE `egress_secrets` (
	`name` text PRIMARY KEY NOT NULL,
	`secret_json` text NOT NULL,
	`updated_at_ms` integer NOT NULL
);
