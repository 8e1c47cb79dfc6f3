CREATE TABLE `engine_health_logs` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`engine_id` text NOT NULL,
	`model_id` text,
	`status` text NOT NULL,
	`latency_ms` integer,
	`error_rate` real NOT NULL,
	`requests` integer NOT NULL,
	`created_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `engine_health_logs_engine` ON `engine_health_logs` (`engine_id`,`created_at_ms`);--> statement-breakpoint
CREATE INDEX `engine_health_logs_time` ON `engine_health_logs` (`created_at_ms`);--> statement-breakpoint
CREATE TABLE `model_routes` (
	`name` text PRIMARY KEY NOT NULL,
	`targets_json` text,
	`strategy` text,
	`updated_at_ms` integer NOT NULL
);
