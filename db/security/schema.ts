/** Tables of security.db (FLM-125), the encrypted one. Times are integer milliseconds UTC. */
import { blob, index, integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** One row, made with the file: secrets of this installation. */
export const installation = sqliteTable('installation', {
  id: text('id').primaryKey(),
  /** Key of the HMAC over API keys, so that a stolen table alone verifies nothing. */
  keyPepper: blob('key_pepper', { mode: 'buffer' }).notNull(),
  createdAtMs: integer('created_at_ms').notNull(),
});

export const apiKeys = sqliteTable(
  'api_keys',
  {
    /** The eight characters after `flm_`: public. */
    id: text('id').primaryKey(),
    label: text('label').notNull(),
    /** HMAC-SHA-256 of the whole key with the pepper; the key itself is nowhere. */
    hash: blob('hash', { mode: 'buffer' }).notNull().unique(),
    /** JSON array of scopes. */
    scopesJson: text('scopes_json').notNull(),
    /** JSON array of model patterns, or null for all. */
    modelsJson: text('models_json'),
    createdAtMs: integer('created_at_ms').notNull(),
    expiresAtMs: integer('expires_at_ms'),
    /** May lie ahead: a rotated key works until then. */
    revokedAtMs: integer('revoked_at_ms'),
    /** The key that this one replaced. */
    rotatedFrom: text('rotated_from'),
    /** JSON arrays: from which networks and which web origins it may be used; null = any. */
    cidrsJson: text('cidrs_json'),
    originsJson: text('origins_json'),
    /** JSON array of SHA-256: with which client certificates alone; null = with any, and without. */
    clientCertificatesJson: text('client_certificates_json'),
    /** Limits of its own; null: those of the policy. 0 = none at all. */
    requestsPerMinute: integer('requests_per_minute'),
    burst: integer('burst'),
    tokensPerMinute: integer('tokens_per_minute'),
    parallelRequests: integer('parallel_requests'),
    /** It is replaced by itself after this, and works on for the grace; null: never. */
    rotateEveryMs: integer('rotate_every_ms'),
    rotateGraceMs: integer('rotate_grace_ms'),
    /** The whole key, while its owner has not fetched what a scheduled rotation made. */
    uncollected: text('uncollected'),
  },
  (table) => [index('api_keys_created').on(table.createdAtMs), index('api_keys_label').on(table.label)],
);

/** What FLM shows to engines that want a key of their own. */
export const engineCredentials = sqliteTable('engine_credentials', {
  engineId: text('engine_id').primaryKey(),
  secret: text('secret').notNull(),
  updatedAtMs: integer('updated_at_ms').notNull(),
});

/** The audit chain: who changed what, each row bound to the one before it (FLM-119, FLM-120, HL-120). Append-only. */
export const auditLogs = sqliteTable(
  'audit_logs',
  {
    /** 1, 2, 3, … per writer, without a gap. */
    seq: integer('seq').notNull(),
    /** The installation that wrote the row: with several, each has a chain of its own. */
    writer: text('writer').notNull(),
    /** UUIDv7 of the event. */
    id: text('id').notNull().unique(),
    atMs: integer('at_ms').notNull(),
    type: text('type').notNull(),
    severity: text('severity').notNull(),
    actorKind: text('actor_kind').notNull(),
    actorId: text('actor_id').notNull(),
    via: text('via').notNull(),
    target: text('target'),
    requestId: text('request_id'),
    traceId: text('trace_id'),
    /** JSON object, or null. */
    detailsJson: text('details_json'),
    /** What names a person (the address), as JSON; null when there was none or it was erased. */
    personalJson: text('personal_json'),
    /** Salt of the commitment; erased with what it salts. */
    personalSalt: blob('personal_salt', { mode: 'buffer' }),
    /** What the chain holds in place of personal data: it stays when they are erased. */
    personalCommitment: blob('personal_commitment', { mode: 'buffer' }),
    previousHash: blob('previous_hash', { mode: 'buffer' }).notNull(),
    hash: blob('hash', { mode: 'buffer' }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.writer, table.seq] }),
    index('audit_logs_time').on(table.atMs),
    // In the order in which rows are shown, so that no list has to be sorted.
    index('audit_logs_type').on(table.type, table.writer, table.seq),
    index('audit_logs_severity').on(table.severity, table.writer, table.seq),
    index('audit_logs_target').on(table.target, table.writer, table.seq),
  ],
);

/** The end of each chain, so that rows missing at its end are noticed. */
export const auditHeads = sqliteTable('audit_heads', {
  writer: text('writer').primaryKey(),
  seq: integer('seq').notNull(),
  hash: blob('hash', { mode: 'buffer' }).notNull(),
});

/** Answers that are given again when a client repeats a change it does not know the end of (HL-004). */
export const idempotencyKeys = sqliteTable(
  'idempotency_keys',
  {
    /** SHA-256 of principal and key. */
    keyHash: blob('key_hash', { mode: 'buffer' }).primaryKey(),
    /** SHA-256 of method, path, principal and body. */
    requestHash: blob('request_hash', { mode: 'buffer' }).notNull(),
    /** Null while the first request is under way. */
    status: integer('status'),
    /** The answer, sealed with a key derived from the client's: it may hold a new API key. */
    answer: blob('answer', { mode: 'buffer' }),
    createdAtMs: integer('created_at_ms').notNull(),
    expiresAtMs: integer('expires_at_ms').notNull(),
  },
  (table) => [index('idempotency_keys_expiry').on(table.expiresAtMs)],
);

/** Browsers that have shown a one-time token. */
export const adminSessions = sqliteTable('admin_sessions', {
  /** SHA-256 of the cookie. */
  tokenHash: blob('token_hash', { mode: 'buffer' }).primaryKey(),
  id: text('id').notNull().unique(),
  ip: text('ip'),
  userAgent: text('user_agent'),
  createdAtMs: integer('created_at_ms').notNull(),
  lastUsedAtMs: integer('last_used_at_ms').notNull(),
  expiresAtMs: integer('expires_at_ms').notNull(),
});

/** Every version of the security policy; the one with the highest number is in force (FLM-109). Append-only. */
export const policyVersions = sqliteTable('policy_versions', {
  version: integer('version').primaryKey(),
  documentJson: text('document_json').notNull(),
  /** HMAC-SHA-256 over version and document with a key derived from the pepper: a row that somebody altered is not in force. */
  seal: blob('seal', { mode: 'buffer' }).notNull(),
  createdAtMs: integer('created_at_ms').notNull(),
  actor: text('actor').notNull(),
  note: text('note'),
});

/** Who is banned: a network, by the owner or by itself (FLM-112). */
export const ipBans = sqliteTable(
  'ip_bans',
  {
    /** Canonical: one IPv4 address, one IPv6 /64, or a network. */
    network: text('network').primaryKey(),
    isAutomatic: integer('is_automatic', { mode: 'boolean' }).notNull(),
    reason: text('reason').notNull(),
    bannedAtMs: integer('banned_at_ms').notNull(),
    /** Null: until the owner lifts it. */
    untilMs: integer('until_ms'),
    bannedBy: text('banned_by').notNull(),
  },
  (table) => [index('ip_bans_until').on(table.untilMs)],
);

/** What addresses have done so far, so that a restart does not forget it. Bounded. */
export const ipStandings = sqliteTable(
  'ip_standings',
  {
    /** As ipBucket has it. */
    bucket: text('bucket').primaryKey(),
    failures: integer('failures').notNull(),
    firstFailureAtMs: integer('first_failure_at_ms'),
    /** At `lastAtMs`; it decays from then on. */
    intrusionScore: real('intrusion_score').notNull(),
    anomalyScore: real('anomaly_score').notNull(),
    /** Bans so far: each lasts longer. */
    bans: integer('bans').notNull(),
    lastAtMs: integer('last_at_ms').notNull(),
  },
  (table) => [index('ip_standings_last').on(table.lastAtMs)],
);

/** What the detectors saw (FLM-029). Bounded: the oldest go first. */
export const securitySignals = sqliteTable(
  'security_signals',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    atMs: integer('at_ms').notNull(),
    kind: text('kind').notNull(),
    ip: text('ip').notNull(),
    pattern: text('pattern').notNull(),
    score: real('score').notNull(),
    total: real('total').notNull(),
    requestId: text('request_id'),
    method: text('method'),
    path: text('path'),
    userAgent: text('user_agent'),
    detailsJson: text('details_json'),
  },
  (table) => [
    index('security_signals_kind').on(table.kind, table.id),
    index('security_signals_ip').on(table.ip, table.id),
  ],
);

/** Limits as they stood, so that a restart grants nothing twice (FLM-110). */
export const rateLimitStates = sqliteTable(
  'rate_limit_states',
  {
    /** `key:<id>`, `ip:<bucket>` or `global`, and what is counted. */
    subject: text('subject').primaryKey(),
    stateJson: text('state_json').notNull(),
    updatedAtMs: integer('updated_at_ms').notNull(),
    expiresAtMs: integer('expires_at_ms').notNull(),
  },
  (table) => [index('rate_limit_states_expiry').on(table.expiresAtMs)],
);

/** Which events somebody is told of (FLM-117). */
export const alertRules = sqliteTable('alert_rules', {
  id: text('id').primaryKey(),
  ruleJson: text('rule_json').notNull(),
  updatedAtMs: integer('updated_at_ms').notNull(),
});

/** Where alerts go. A webhook's private key signs what is sent (Standard Webhooks, Ed25519). */
export const alertTargets = sqliteTable('alert_targets', {
  id: text('id').primaryKey(),
  targetJson: text('target_json').notNull(),
  privateKey: blob('private_key', { mode: 'buffer' }),
  updatedAtMs: integer('updated_at_ms').notNull(),
});

/** Alerts on their way, until they have arrived or were given up. Bounded. */
export const alertDeliveries = sqliteTable(
  'alert_deliveries',
  {
    id: text('id').primaryKey(),
    targetId: text('target_id').notNull(),
    eventJson: text('event_json').notNull(),
    state: text('state').notNull(),
    attempts: integer('attempts').notNull(),
    lastError: text('last_error'),
    createdAtMs: integer('created_at_ms').notNull(),
    nextAtMs: integer('next_at_ms'),
  },
  (table) => [index('alert_deliveries_next').on(table.state, table.nextAtMs)],
);

/** The private authorities of this installation: for each mode the one that signs, and those that came before it. */
export const certificateAuthorities = sqliteTable('certificate_authorities', {
  /** SHA-256 of the certificate, 64 hexadecimal digits. */
  id: text('id').primaryKey(),
  mode: text('mode').notNull(),
  certificate: blob('certificate', { mode: 'buffer' }).notNull(),
  /** PKCS#8. Null once another root has taken over: nobody can sign with it any more. */
  privateKey: blob('private_key', { mode: 'buffer' }),
  permittedJson: text('permitted_json').notNull(),
  /** This root's key, vouched for by the root before it, and that root's id. */
  bridge: blob('bridge', { mode: 'buffer' }),
  bridgeFrom: text('bridge_from'),
  /** Until then clients that trust only the root before it are served. */
  bridgeEndsAtMs: integer('bridge_ends_at_ms'),
  createdAtMs: integer('created_at_ms').notNull(),
});

/** Certificates that servers show: those of the private authorities, and those the owner brought. */
export const certificates = sqliteTable(
  'certificates',
  {
    /** SHA-256 of the certificate, 64 hexadecimal digits. */
    id: text('id').primaryKey(),
    mode: text('mode').notNull(),
    /** The server's certificate first. */
    chainPem: text('chain_pem').notNull(),
    /** PKCS#8. */
    privateKey: blob('private_key', { mode: 'buffer' }).notNull(),
    /** JSON array of DNS names and addresses. */
    namesJson: text('names_json').notNull(),
    /** The private authority that made it; null for those the owner brought. */
    authorityId: text('authority_id'),
    notBeforeMs: integer('not_before_ms').notNull(),
    notAfterMs: integer('not_after_ms').notNull(),
    createdAtMs: integer('created_at_ms').notNull(),
    /** When it was put on record that it ends soon. */
    expiryToldAtMs: integer('expiry_told_at_ms'),
  },
  (table) => [index('certificates_mode').on(table.mode)],
);

/** Secrets of the way out and of the way in through Tor: the SOCKS server's login, the keys of onion services. */
export const egressSecrets = sqliteTable('egress_secrets', {
  /** `socks5`, or `onion:` and the port of a proxy. */
  name: text('name').primaryKey(),
  secretJson: text('secret_json').notNull(),
  updatedAtMs: integer('updated_at_ms').notNull(),
});
