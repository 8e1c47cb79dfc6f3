CREATE TABLE `blocks` (
	`n` integer PRIMARY KEY NOT NULL,
	`first_row` integer NOT NULL,
	`last_row` integer NOT NULL,
	`min_at_ms` integer NOT NULL,
	`max_at_ms` integer NOT NULL,
	`previous` blob NOT NULL,
	`digest` blob NOT NULL
);
--> statement-breakpoint
CREATE TABLE `clients` (
	`id` integer PRIMARY KEY NOT NULL,
	`address` text,
	`salt` blob,
	`commitment` blob NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `clients_address_unique` ON `clients` (`address`);--> statement-breakpoint
CREATE TABLE `meta` (
	`key` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `names` (
	`id` integer PRIMARY KEY NOT NULL,
	`text` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `names_text_unique` ON `names` (`text`);--> statement-breakpoint
CREATE TABLE `rows` (
	`seq` integer PRIMARY KEY NOT NULL,
	`kind` integer NOT NULL,
	`at_ms` integer NOT NULL,
	`request_id` blob,
	`client` integer NOT NULL,
	`method` integer,
	`path` integer,
	`key` integer,
	`model` integer,
	`engine` integer,
	`outcome` integer NOT NULL,
	`status` integer NOT NULL,
	`error` integer,
	`attempts` integer NOT NULL,
	`is_stream` integer NOT NULL,
	`waited_ms` integer NOT NULL,
	`first_byte_ms` integer,
	`first_token_ms` integer,
	`duration_ms` integer NOT NULL,
	`prompt_tokens` integer,
	`completion_tokens` integer,
	`cached_tokens` integer,
	`reasoning_tokens` integer,
	`opened_seq` integer,
	`count` integer,
	`link` blob NOT NULL
);
--> statement-breakpoint
CREATE INDEX `rows_client` ON `rows` (`client`);--> statement-breakpoint
CREATE INDEX `rows_key` ON `rows` (`key`,`seq`,`model`,`engine`) WHERE key is not null;--> statement-breakpoint
CREATE INDEX `rows_model` ON `rows` (`model`,`seq`,`engine`) WHERE model is not null;--> statement-breakpoint
CREATE INDEX `rows_engine` ON `rows` (`engine`) WHERE engine is not null;--> statement-breakpoint
CREATE INDEX `rows_notable` ON `rows` (`status`,`outcome`,`key`,`model`,`engine`,`client`,`at_ms`,`kind`) WHERE kind = 0 and (outcome <> 0 or status >= 400);--> statement-breakpoint
CREATE INDEX `rows_counted` ON `rows` (`kind`) WHERE kind = 2;--> statement-breakpoint
CREATE INDEX `rows_opened` ON `rows` (`request_id`) WHERE kind = 1;--> statement-breakpoint
CREATE INDEX `rows_closing` ON `rows` (`opened_seq`) WHERE opened_seq is not null;