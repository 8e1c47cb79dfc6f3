/* Made by "bun run docs" from the OpenAPI document (docs/openapi.json). Do not edit. */

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** What an operation is called with: values for the path, the query, and the body. */
export interface Input {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** Carries an operation over, and resolves with the JSON of the answer. */
export type Send = <Result>(method: Method, path: string, input: Input) => Promise<Result>;

interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

export type GetStatusResult = { running: boolean; id: string | null; pid: number | null; version: string; data_dir: string; mode: "local-http" | "packaged-ca" | "dev-selfsigned" | null; listen_addr: string | null; endpoints: { localhost: string | null; local_network: string | null; local_networks: (string)[]; public: (string)[] }; admin: { url: string | null; reason: string | null }; run_by: "supervisor" | "service" | "foreground" | null; egress: { mode: "direct" | "tor" | "socks5"; endpoint: string | null; state: "direct" | "starting" | "up" | "down" | "bypassed"; reason: string | null; since: string | null; fail_open: boolean; private_addresses: "tunnel" | "direct"; has_login: boolean }; proxies: ({ id: string; pid: number | null; port: number; https_port: number | null; mode: "local-http" | "packaged-ca" | "dev-selfsigned"; listen_addr: string; status: "running" | "stopping" | "failed" | "stopped"; running: boolean; last_error: string | null; endpoints: { localhost: string | null; local_network: string | null; local_networks: (string)[]; public: (string)[] }; uncertified: (string)[]; acme_domain: null; egress: { mode: "direct" | "tor" | "socks5"; fail_open: boolean; socks5_endpoint: string | null }; onion: { address: string | null; published: boolean; reason: string | null; clients: number } | null; trusted_proxies: (string)[]; proxy_protocol: boolean; client_certificates: "off" | "optional" | "required"; client_ca_file: string | null; client_crl_file: string | null; allow_plaintext: boolean; saved: boolean; started_at: string | null; requests: number })[]; started_at: string | null; requests: number; engines: { running: number; known: number }; models: number; security_db_key: "keychain" | "file" | "passphrase" | null };

export type RunChecksResult = { status: "ok" | "warning" | "error"; checks: ({ name: string; status: "ok" | "warning" | "error"; message: string })[] };

export type CollectSupportResult = { files: ({ name: string; text: string })[] };

export type OpenSessionBody = { token: string; as?: "cookie" | "bearer" };

export type OpenSessionResult = { id: string; ip: string | null; user_agent: string | null; created_at: string; last_used_at: string; expires_at: string; bearer: string | null };

export type CloseSessionResult = { id: string; closed: true };

export type IssueTokenResult = { token: string; expires_at: string; url: string };

export type ListSessionsResult = { items: ({ id: string; ip: string | null; user_agent: string | null; created_at: string; last_used_at: string; expires_at: string })[]; next: null };

export type RevokeSessionResult = { id: string; closed: true };

export type ListKeysResult = { items: ({ id: string; label: string; status: "active" | "expired" | "revoked"; scopes: ("inference" | "metrics" | "engine-admin")[]; models: (string)[] | null; created_at: string; expires_at: string | null; revoked_at: string | null; rotated_from: string | null; cidrs: (string)[] | null; origins: (string)[] | null; client_certificates: (string)[] | null; requests_per_minute: number | null; burst: number | null; tokens_per_minute: number | null; parallel_requests: number | null; rotate_every_s: number | null; rotate_grace_s: number | null; is_uncollected: boolean })[]; next: null };

export type CreateKeyBody = { label: string; scopes?: ("inference" | "metrics" | "engine-admin")[]; models?: (string)[]; expires_in_s?: number; cidrs?: (string)[]; origins?: (string)[]; client_certificates?: (string)[]; requests_per_minute?: number; burst?: number; tokens_per_minute?: number; parallel_requests?: number; rotate_every_s?: number; rotate_grace_s?: number };

export type CreateKeyResult = { id: string; label: string; plain_key: string; scopes: ("inference" | "metrics" | "engine-admin")[]; models: (string)[] | null; created_at: string; expires_at: string | null; cidrs: (string)[] | null; origins: (string)[] | null; client_certificates: (string)[] | null; requests_per_minute: number | null; burst: number | null; tokens_per_minute: number | null; parallel_requests: number | null; rotate_every_s: number | null; rotate_grace_s: number | null };

export type IssueEphemeralKeyResult = { plain_key: string };

export type UpdateKeyBody = { label?: string; models?: (string)[] | null; cidrs?: (string)[] | null; origins?: (string)[] | null; client_certificates?: (string)[] | null; requests_per_minute?: number | null; burst?: number | null; tokens_per_minute?: number | null; parallel_requests?: number | null; rotate_every_s?: number | null; rotate_grace_s?: number | null };

export type UpdateKeyResult = { id: string; label: string; status: "active" | "expired" | "revoked"; scopes: ("inference" | "metrics" | "engine-admin")[]; models: (string)[] | null; created_at: string; expires_at: string | null; revoked_at: string | null; rotated_from: string | null; cidrs: (string)[] | null; origins: (string)[] | null; client_certificates: (string)[] | null; requests_per_minute: number | null; burst: number | null; tokens_per_minute: number | null; parallel_requests: number | null; rotate_every_s: number | null; rotate_grace_s: number | null; is_uncollected: boolean };

export type CollectKeyResult = { id: string; label: string; plain_key: string; scopes: ("inference" | "metrics" | "engine-admin")[]; models: (string)[] | null; created_at: string; expires_at: string | null; cidrs: (string)[] | null; origins: (string)[] | null; client_certificates: (string)[] | null; requests_per_minute: number | null; burst: number | null; tokens_per_minute: number | null; parallel_requests: number | null; rotate_every_s: number | null; rotate_grace_s: number | null };

export type RotateKeyBody = { label?: string; grace_s?: number };

export type RotateKeyResult = { id: string; label: string; plain_key: string; scopes: ("inference" | "metrics" | "engine-admin")[]; models: (string)[] | null; created_at: string; expires_at: string | null; cidrs: (string)[] | null; origins: (string)[] | null; client_certificates: (string)[] | null; requests_per_minute: number | null; burst: number | null; tokens_per_minute: number | null; parallel_requests: number | null; rotate_every_s: number | null; rotate_grace_s: number | null; old_key_id: string; old_key_valid_until: string };

export type RevokeKeyResult = { id: string; revoked: true };

export type ListEnginesResult = { items: ({ id: string; kind: "ollama" | "vllm" | "lmstudio" | "llamacpp" | "openai"; name: string; url: string; origin: "manual" | "detected" | "trial"; version: string | null; status: { status: "running-healthy" | "running-degraded" | "needs-key" | "error-network" | "error-api" | "installed-only"; latency_ms: number | null; reason: string | null; consecutive_failures: number }; breaker: "closed" | "open" | "half-open"; capabilities: { chat: boolean; chat_stream: boolean; embeddings: boolean; rerank: boolean; tools: boolean; reasoning: boolean; vision_inputs: boolean; audio_inputs: boolean; routes: (string)[] }; slots: number | null; models: (string)[] })[]; next: null };

export type AddEngineBody = { url: string; kind?: string; id?: string; key?: string; slots?: number };

export type AddEngineResult = { id: string; kind: "ollama" | "vllm" | "lmstudio" | "llamacpp" | "openai"; name: string; url: string; origin: "manual" | "detected" | "trial"; version: string | null; status: { status: "running-healthy" | "running-degraded" | "needs-key" | "error-network" | "error-api" | "installed-only"; latency_ms: number | null; reason: string | null; consecutive_failures: number }; breaker: "closed" | "open" | "half-open"; capabilities: { chat: boolean; chat_stream: boolean; embeddings: boolean; rerank: boolean; tools: boolean; reasoning: boolean; vision_inputs: boolean; audio_inputs: boolean; routes: (string)[] }; slots: number | null; models: (string)[] };

export type ReadHealthHistoryQuery = { engine?: string | undefined; model?: string | undefined; hours?: number | undefined; limit?: number | undefined };

export type ReadHealthHistoryResult = { items: ({ id: number; engine_id: string; model_id: string | null; status: "healthy" | "degraded" | "unreachable"; latency_ms: number | null; error_rate: number; requests: number; created_at: string })[]; summary: { total: number; healthy: number; degraded: number; unreachable: number; avg_latency_ms: number | null; avg_error_rate: number | null; success_rate: number | null }; next: null };

export type DetectEnginesResult = { items: ({ id: string; kind: "ollama" | "vllm" | "lmstudio" | "llamacpp" | "openai"; name: string; url: string; origin: "manual" | "detected" | "trial"; version: string | null; status: { status: "running-healthy" | "running-degraded" | "needs-key" | "error-network" | "error-api" | "installed-only"; latency_ms: number | null; reason: string | null; consecutive_failures: number }; breaker: "closed" | "open" | "half-open"; capabilities: { chat: boolean; chat_stream: boolean; embeddings: boolean; rerank: boolean; tools: boolean; reasoning: boolean; vision_inputs: boolean; audio_inputs: boolean; routes: (string)[] }; slots: number | null; models: (string)[] })[]; next: null };

export type StartTrialEngineResult = { installed: boolean; running: boolean; url: string | null; pid: number | null; model: string; error: string | null };

export type StopTrialEngineResult = { installed: boolean; running: boolean; url: string | null; pid: number | null; model: string; error: string | null };

export type RemoveEngineResult = { id: string; removed: true };

export type ListModelsQuery = { engine?: string | undefined };

export type ListModelsResult = { items: ({ id: string; other_names: (string)[]; uri: string; engine: string; kind: string; loaded: boolean | null; context_length: number | null; capabilities: (string)[]; family: string | null; parameters: string | null; quantization: string | null; size_bytes: number | null })[]; next: null };

export type ShowModelQuery = { name: string };

export type ShowModelResult = { name: string; alias: { name: string; places: (({ model: string; weight: number; copies: number })[])[]; strategy: "least-busy" | "highest-score" | "lowest-error-rate" | "highest-throughput" | "manual"; shadows: boolean; updated_at: string } | null; strategy: "least-busy" | "highest-score" | "lowest-error-rate" | "highest-throughput" | "manual"; copies: ({ id: string; other_names: (string)[]; uri: string; engine: string; kind: string; loaded: boolean | null; context_length: number | null; capabilities: (string)[]; family: string | null; parameters: string | null; quantization: string | null; size_bytes: number | null; routes: (string)[]; standing: { available: boolean; degraded: boolean; reason: string | null; slots: number | null; free_slots: number | null; latency_ms: number; error_rate: number; tokens_per_second: number | null } })[] };

export type ListAliasesResult = { items: ({ name: string; places: (({ model: string; weight: number; copies: number })[])[]; strategy: "least-busy" | "highest-score" | "lowest-error-rate" | "highest-throughput" | "manual"; shadows: boolean; updated_at: string })[]; next: null };

export type SetAliasBody = { name: string; places: (({ model: string; weight?: number })[])[] };

export type SetAliasResult = { name: string; places: (({ model: string; weight: number; copies: number })[])[]; strategy: "least-busy" | "highest-score" | "lowest-error-rate" | "highest-throughput" | "manual"; shadows: boolean; updated_at: string };

export type RemoveAliasQuery = { name: string };

export type RemoveAliasResult = { name: string; removed: true };

export type ListStrategiesResult = { items: ({ name: string; strategy: "least-busy" | "highest-score" | "lowest-error-rate" | "highest-throughput" | "manual"; set: boolean; copies: number })[]; next: null };

export type SetStrategyBody = { name: string; strategy: "least-busy" | "highest-score" | "lowest-error-rate" | "highest-throughput" | "manual" };

export type SetStrategyResult = { name: string; strategy: "least-busy" | "highest-score" | "lowest-error-rate" | "highest-throughput" | "manual"; set: boolean; copies: number };

export type UnsetStrategyQuery = { name: string };

export type UnsetStrategyResult = { name: string; strategy: "least-busy" | "highest-score" | "lowest-error-rate" | "highest-throughput" | "manual"; set: boolean; copies: number };

export type ListSettingsResult = { items: ({ key: string; value: string; source: "flag" | "env" | "database" | "file" | "default"; default: string; apply: "live" | "restart"; waits: boolean })[]; next: null };

export type GetSettingResult = { key: string; value: string; source: "flag" | "env" | "database" | "file" | "default"; default: string; apply: "live" | "restart"; waits: boolean };

export type SetSettingBody = { value: string };

export type SetSettingResult = { key: string; value: string; effect: "applied" | "restart-required" | "shadowed-by-env" | "shadowed-by-flag" };

export type UnsetSettingResult = { key: string; value: string; effect: "applied" | "restart-required" | "shadowed-by-env" | "shadowed-by-flag" };

export type ExplainSettingResult = { key: string; about: string; takes: string; apply: "live" | "restart"; value: string; source: "flag" | "env" | "database" | "file" | "default"; sources: ({ source: "flag" | "env" | "database" | "file" | "default"; where: string; value: string | null; wins: boolean })[] };

export type ListProxiesResult = { items: ({ id: string; pid: number | null; port: number; https_port: number | null; mode: "local-http" | "packaged-ca" | "dev-selfsigned"; listen_addr: string; status: "running" | "stopping" | "failed" | "stopped"; running: boolean; last_error: string | null; endpoints: { localhost: string | null; local_network: string | null; local_networks: (string)[]; public: (string)[] }; uncertified: (string)[]; acme_domain: null; egress: { mode: "direct" | "tor" | "socks5"; fail_open: boolean; socks5_endpoint: string | null }; onion: { address: string | null; published: boolean; reason: string | null; clients: number } | null; trusted_proxies: (string)[]; proxy_protocol: boolean; client_certificates: "off" | "optional" | "required"; client_ca_file: string | null; client_crl_file: string | null; allow_plaintext: boolean; saved: boolean; started_at: string | null; requests: number })[]; next: string | null };

export type StartProxyBody = { port?: number; bind?: string; mode?: string; https_port?: number; trusted_proxies?: (string)[]; proxy_protocol?: boolean; client_certificates?: "off" | "optional" | "required"; client_ca_file?: string; client_crl_file?: string; allow_plaintext?: boolean; allow_no_key?: boolean; onion?: boolean; onion_clients?: (string)[]; egress_mode?: "direct" | "tor" | "socks5"; socks5_endpoint?: string; egress_fail_open?: boolean };

export type StartProxyResult = { id: string; pid: number | null; port: number; https_port: number | null; mode: "local-http" | "packaged-ca" | "dev-selfsigned"; listen_addr: string; status: "running" | "stopping" | "failed" | "stopped"; running: boolean; last_error: string | null; endpoints: { localhost: string | null; local_network: string | null; local_networks: (string)[]; public: (string)[] }; uncertified: (string)[]; acme_domain: null; egress: { mode: "direct" | "tor" | "socks5"; fail_open: boolean; socks5_endpoint: string | null }; onion: { address: string | null; published: boolean; reason: string | null; clients: number } | null; trusted_proxies: (string)[]; proxy_protocol: boolean; client_certificates: "off" | "optional" | "required"; client_ca_file: string | null; client_crl_file: string | null; allow_plaintext: boolean; saved: boolean; started_at: string | null; requests: number };

export type StopProxiesBody = { id: string } | { port: number } | { all: true };

export type StopProxiesResult = { status: "stopped"; stopped: (string)[] };

export type RotateOnionBody = { id: string };

export type RotateOnionResult = { id: string; pid: number | null; port: number; https_port: number | null; mode: "local-http" | "packaged-ca" | "dev-selfsigned"; listen_addr: string; status: "running" | "stopping" | "failed" | "stopped"; running: boolean; last_error: string | null; endpoints: { localhost: string | null; local_network: string | null; local_networks: (string)[]; public: (string)[] }; uncertified: (string)[]; acme_domain: null; egress: { mode: "direct" | "tor" | "socks5"; fail_open: boolean; socks5_endpoint: string | null }; onion: { address: string | null; published: boolean; reason: string | null; clients: number } | null; trusted_proxies: (string)[]; proxy_protocol: boolean; client_certificates: "off" | "optional" | "required"; client_ca_file: string | null; client_crl_file: string | null; allow_plaintext: boolean; saved: boolean; started_at: string | null; requests: number };

export type RemoveOnionBody = { id: string };

export type RemoveOnionResult = { id: string; pid: number | null; port: number; https_port: number | null; mode: "local-http" | "packaged-ca" | "dev-selfsigned"; listen_addr: string; status: "running" | "stopping" | "failed" | "stopped"; running: boolean; last_error: string | null; endpoints: { localhost: string | null; local_network: string | null; local_networks: (string)[]; public: (string)[] }; uncertified: (string)[]; acme_domain: null; egress: { mode: "direct" | "tor" | "socks5"; fail_open: boolean; socks5_endpoint: string | null }; onion: { address: string | null; published: boolean; reason: string | null; clients: number } | null; trusted_proxies: (string)[]; proxy_protocol: boolean; client_certificates: "off" | "optional" | "required"; client_ca_file: string | null; client_crl_file: string | null; allow_plaintext: boolean; saved: boolean; started_at: string | null; requests: number };

export type ReloadProxiesBody = { id: string } | { port: number } | { all: true };

export type ReloadProxiesResult = { status: "reloaded"; reloaded: number; total: number; handle_ids: (string)[]; changed: (string)[]; restart_required: (string)[]; policy_version: number | null; errors: ({ handle_id: string; error: string })[] };

export type StopFlmResult = { status: "stopping"; pid: number };

export type HandOverResult = { pid: number; version: string; proxies: ({ mode: "local-http" | "packaged-ca" | "dev-selfsigned"; bind: string; port: number; trustedProxies: (string)[]; allowPlaintext: boolean; allowNoKey?: boolean; httpsPort?: number; onion?: { clients: (string)[] } | null; clientCertificates?: { demand: "optional" | "required"; caFile: string; crlFile: string | null } | null; proxyProtocol?: boolean })[]; elders: (number)[] };

export type TellOfElderBody = { pid: number; requests: number; opened: ({ requestId: string; atMs: number; ip: string; method: string; path: string; principalId: string | null; certificate?: string | null; model: string | null; engineId: string | null; engineModel: string | null; attempts: number; isStream: boolean; outcome: "done" | "aborted" | "failed" | "refused"; status: number; errorCode: string | null; waitedMs: number; firstByteMs: number | null; firstTokenMs: number | null; durationMs: number; usage: { promptTokens: number; completionTokens: number; cachedTokens: number | null; reasoningTokens: number | null } | null; trace: { traceId: string; spanId: string; parentSpanId: string | null; isSampled: boolean } })[]; finished: ({ requestId: string; atMs: number; ip: string; method: string; path: string; principalId: string | null; certificate?: string | null; model: string | null; engineId: string | null; engineModel: string | null; attempts: number; isStream: boolean; outcome: "done" | "aborted" | "failed" | "refused"; status: number; errorCode: string | null; waitedMs: number; firstByteMs: number | null; firstTokenMs: number | null; durationMs: number; usage: { promptTokens: number; completionTokens: number; cachedTokens: number | null; reasoningTokens: number | null } | null; trace: { traceId: string; spanId: string; parentSpanId: string | null; isSampled: boolean } })[] };

export type TellOfElderResult = { stop: boolean };

export type GetPolicyResult = { id: "default"; version: number; updated_at: string; updated_by: string; note: string | null; document: { ip_whitelist?: (string)[]; cors?: { allowed_origins?: (string)[]; allowed_methods?: (string)[]; allowed_headers?: (string)[]; allow_credentials?: boolean; max_age_s?: number }; rate_limit?: { rpm: number; burst?: number }; token_limit?: { tpm: number }; ip_rate_limit?: { enabled?: boolean; rpm?: number; burst?: number; applies_to?: "strangers" | "everybody" }; global_rate_limit?: { rpm: number; burst?: number }; models?: (string)[]; ip_blocklist?: { enabled?: boolean; max_failures?: number; block_duration_minutes?: number; permanent_block_threshold?: number; never?: (string)[] }; intrusion_detection?: { enabled?: boolean; score_threshold?: number; warning_threshold?: number }; anomaly_detection?: { enabled?: boolean; request_rate_threshold?: number; auto_block?: boolean }; resource_protection?: { enabled?: boolean; cpu_threshold?: number; memory_threshold?: number }; connections?: { enabled?: boolean; max_per_address?: number; header_timeout_s?: number; min_body_bytes_per_s?: number }; log_level?: "low" | "medium" | "high" | "critical" }; warnings: ({ path: string; message: string })[] };

export type SetPolicyBody = { document: Record<string, unknown>; if_version?: number; note?: string };

export type SetPolicyResult = { id: "default"; version: number; updated_at: string; updated_by: string; note: string | null; document: { ip_whitelist?: (string)[]; cors?: { allowed_origins?: (string)[]; allowed_methods?: (string)[]; allowed_headers?: (string)[]; allow_credentials?: boolean; max_age_s?: number }; rate_limit?: { rpm: number; burst?: number }; token_limit?: { tpm: number }; ip_rate_limit?: { enabled?: boolean; rpm?: number; burst?: number; applies_to?: "strangers" | "everybody" }; global_rate_limit?: { rpm: number; burst?: number }; models?: (string)[]; ip_blocklist?: { enabled?: boolean; max_failures?: number; block_duration_minutes?: number; permanent_block_threshold?: number; never?: (string)[] }; intrusion_detection?: { enabled?: boolean; score_threshold?: number; warning_threshold?: number }; anomaly_detection?: { enabled?: boolean; request_rate_threshold?: number; auto_block?: boolean }; resource_protection?: { enabled?: boolean; cpu_threshold?: number; memory_threshold?: number }; connections?: { enabled?: boolean; max_per_address?: number; header_timeout_s?: number; min_body_bytes_per_s?: number }; log_level?: "low" | "medium" | "high" | "critical" }; warnings: ({ path: string; message: string })[]; changed: (string)[] };

export type GetPolicySchemaResult = Record<string, unknown>;

export type ValidatePolicyBody = { document: Record<string, unknown> };

export type ValidatePolicyResult = { valid: boolean; problems: ({ path: string; message: string })[]; warnings: ({ path: string; message: string })[] };

export type ListPolicyVersionsQuery = { limit?: number | undefined; cursor?: string | undefined };

export type ListPolicyVersionsResult = { items: ({ version: number; updated_at: string; updated_by: string; note: string | null; state: "in-force" | "past" | "altered"; changed: (string)[] })[]; next: string | null };

export type GetPolicyVersionResult = { version: number; updated_at: string; updated_by: string; note: string | null; state: "in-force" | "past" | "altered"; changed: (string)[]; document: unknown };

export type RollBackPolicyBody = { version: number; if_version?: number; note?: string };

export type RollBackPolicyResult = { id: "default"; version: number; updated_at: string; updated_by: string; note: string | null; document: { ip_whitelist?: (string)[]; cors?: { allowed_origins?: (string)[]; allowed_methods?: (string)[]; allowed_headers?: (string)[]; allow_credentials?: boolean; max_age_s?: number }; rate_limit?: { rpm: number; burst?: number }; token_limit?: { tpm: number }; ip_rate_limit?: { enabled?: boolean; rpm?: number; burst?: number; applies_to?: "strangers" | "everybody" }; global_rate_limit?: { rpm: number; burst?: number }; models?: (string)[]; ip_blocklist?: { enabled?: boolean; max_failures?: number; block_duration_minutes?: number; permanent_block_threshold?: number; never?: (string)[] }; intrusion_detection?: { enabled?: boolean; score_threshold?: number; warning_threshold?: number }; anomaly_detection?: { enabled?: boolean; request_rate_threshold?: number; auto_block?: boolean }; resource_protection?: { enabled?: boolean; cpu_threshold?: number; memory_threshold?: number }; connections?: { enabled?: boolean; max_per_address?: number; header_timeout_s?: number; min_body_bytes_per_s?: number }; log_level?: "low" | "medium" | "high" | "critical" }; warnings: ({ path: string; message: string })[]; changed: (string)[] };

export type ListAllowedNetworksResult = { items: (string)[]; next: null; version: number; warnings: ({ path: string; message: string })[] };

export type AllowNetworkBody = { network: string; note?: string; force?: boolean };

export type AllowNetworkResult = { items: (string)[]; next: null; version: number; warnings: ({ path: string; message: string })[] };

export type DisallowNetworkBody = { network: string; note?: string; force?: boolean };

export type DisallowNetworkResult = { items: (string)[]; next: null; version: number; warnings: ({ path: string; message: string })[] };

export type ListAuditEventsQuery = { type?: string | undefined; severity?: "low" | "medium" | "high" | "critical" | undefined; actor?: string | undefined; target?: string | undefined; ip?: string | undefined; since?: string | undefined; until?: string | undefined; limit?: number | undefined; cursor?: string | undefined; stream?: boolean | undefined };

export type ListAuditEventsResult = { items: ({ seq: number; writer: string; id: string; at: string; type: string; severity: "low" | "medium" | "high" | "critical"; actor: { kind: string; id: string; via: string }; target: string | null; ip: string | null; request_id: string | null; trace_id: string | null; details: Record<string, unknown> | null; previous_hash: string; hash: string })[]; next: string | null };

export type VerifyAuditQuery = { writer?: string | undefined; seq?: number | undefined; hash?: string | undefined };

export type VerifyAuditResult = { ok: boolean; rows: number; findings: ({ writer: string; seq: number | null; problem: "edited" | "missing" | "inserted" | "reordered" | "truncated" | "rewritten" | "erased" | "waiting" | "foreign"; message: string })[]; chains: ({ writer: string; rows: number })[]; erased: number; checkpoint: { seq: number; matches: boolean } | null; unprotected: { rows: number; since: string | null; last_checkpoint: { seq: number; at: string | null } | null }; duration_ms: number };

export type CheckpointAuditResult = { writer: string; seq: number; hash: string; at: string };

export type EraseFromAuditBody = { ip: string };

export type EraseFromAuditResult = { rows: number };

export type ListActivityQuery = { since?: string | undefined; until?: string | undefined; key?: string | undefined; model?: string | undefined; engine?: string | undefined; status?: string | undefined; outcome?: "done" | "aborted" | "failed" | "refused" | undefined; ip?: string | undefined; request_id?: string | undefined; limit?: number | undefined; cursor?: string | undefined };

export type ListActivityResult = { items: ({ time: string; request_id: string; client_ip: string | null; method: string; endpoint: string; api_key_id: string | null; model: string | null; engine_id: string | null; attempts: number; stream: boolean; outcome: "done" | "aborted" | "failed" | "refused" | "running" | "unknown"; status: number | null; error: string | null; queue_ms: number; first_byte_ms: number | null; first_token_ms: number | null; latency_ms: number; prompt_tokens: number | null; completion_tokens: number | null; cached_tokens: number | null; reasoning_tokens: number | null })[]; next: string | null };

export type ListRefusalsQuery = { since?: string | undefined; until?: string | undefined; limit?: number | undefined; cursor?: string | undefined };

export type ListRefusalsResult = { items: ({ time: string; source: string | null; endpoint: string; reason: string; status: number; requests: number })[]; next: string | null };

export type SumActivityQuery = { by?: "model" | "key" | "engine" | "day" | undefined; key?: string | undefined; model?: string | undefined; engine?: string | undefined; since?: string | undefined; until?: string | undefined };

export type SumActivityResult = { by: "model" | "key" | "engine" | "day"; since: string | null; until: string | null; items: ({ name: string | null; requests: number; errors: number; prompt_tokens: number; completion_tokens: number; p50_ms: number | null; p95_ms: number | null })[]; total: { requests: number; errors: number; prompt_tokens: number; completion_tokens: number; p50_ms: number | null; p95_ms: number | null }; refused: number };

export type VerifyActivityResult = { valid: boolean; days: number; rows: number; blocks: number; removed_days: (string)[]; anchored_rows: number; unanchored_rows: number; fault: { kind: "ledger" | "missing-day" | "wrong-day" | "unreadable" | "missing-block" | "wrong-block" | "missing-row" | "extra-row" | "changed-row" | "changed-address" | "anchor"; day: string | null; block: number | null; row: number | null; message: string } | null };

export type EraseFromActivityBody = { ip: string };

export type EraseFromActivityResult = { days: number; places: number };

export type ListCertificatesResult = { items: ({ id: string; mode: "packaged-ca" | "dev-selfsigned" | "manual"; domain: string; names: (string)[]; fingerprint: string; issuer: string; status: "valid" | "expiring" | "expired"; not_before: string; expires_at: string; updated_at: string })[]; next: null };

export type ImportCertificateBody = { certificate_pem: string; private_key_pem: string };

export type ImportCertificateResult = { id: string; mode: "packaged-ca" | "dev-selfsigned" | "manual"; domain: string; names: (string)[]; fingerprint: string; issuer: string; status: "valid" | "expiring" | "expired"; not_before: string; expires_at: string; updated_at: string };

export type RemoveCertificateResult = { id: string; removed: true };

export type GetCaResult = { roots: ({ mode: "packaged-ca" | "dev-selfsigned"; status: "current" | "ending" | "ended"; common_name: string; fingerprint: string; fingerprint_sha1: string; created_at: string; expires_at: string; served_until: string | null; permitted_names: (string)[]; certificate_pem: string })[]; names: (string)[]; names_outside: (string)[] };

export type CreateCaBody = { mode?: "packaged-ca" | "dev-selfsigned" };

export type CreateCaResult = { mode: "packaged-ca" | "dev-selfsigned"; status: "current" | "ending" | "ended"; common_name: string; fingerprint: string; fingerprint_sha1: string; created_at: string; expires_at: string; served_until: string | null; permitted_names: (string)[]; certificate_pem: string };

export type RotateCaBody = { mode?: "packaged-ca" | "dev-selfsigned"; overlap_s?: number };

export type RotateCaResult = { mode: "packaged-ca" | "dev-selfsigned"; status: "current" | "ending" | "ended"; common_name: string; fingerprint: string; fingerprint_sha1: string; created_at: string; expires_at: string; served_until: string | null; permitted_names: (string)[]; certificate_pem: string };

export type ListAlertRulesResult = { items: ({ id: string; event_type: "intrusion" | "anomaly" | "rate_limit" | "api_error" | "ban" | "auth_failure" | "policy" | "resource"; severity: "low" | "medium" | "high" | "critical"; threshold: number | null; enabled: boolean; targets: (string)[] })[]; next: null };

export type SetAlertRuleBody = { event_type?: "intrusion" | "anomaly" | "rate_limit" | "api_error" | "ban" | "auth_failure" | "policy" | "resource"; severity?: "low" | "medium" | "high" | "critical"; threshold?: number | null; enabled?: boolean; targets?: (string)[] };

export type SetAlertRuleResult = { id: string; event_type: "intrusion" | "anomaly" | "rate_limit" | "api_error" | "ban" | "auth_failure" | "policy" | "resource"; severity: "low" | "medium" | "high" | "critical"; threshold: number | null; enabled: boolean; targets: (string)[] };

export type RemoveAlertRuleResult = { id: string; removed: true };

export type ListAlertTargetsResult = { items: ({ id: string; kind: "log" | "webhook"; url: string | null; allow_private: boolean; public_key: string | null; enabled: boolean; updated_at: string })[]; next: null };

export type SetAlertTargetBody = { url: string; allow_private?: boolean };

export type SetAlertTargetResult = { id: string; kind: "log" | "webhook"; url: string | null; allow_private: boolean; public_key: string | null; enabled: boolean; updated_at: string };

export type RemoveAlertTargetResult = { id: string; removed: true };

export type ListAlertDeliveriesQuery = { state?: "waiting" | "sent" | "failed" | undefined; limit?: number | undefined; cursor?: string | undefined };

export type ListAlertDeliveriesResult = { items: ({ id: string; target: string; type: string; message: string; state: "waiting" | "sent" | "failed"; attempts: number; last_error: string | null; created_at: string; next_at: string | null })[]; next: string | null };

export type TestAlertsBody = { target?: string };

export type TestAlertsResult = { items: ({ target: string; ok: boolean; id: string; status: number | null; answer: string | null; error: string | null; duration_ms: number })[]; next: null };

export type GetExposureResult = { status: "ok" | "warning" | "open"; listeners: ({ id: string; address: string; running: boolean; reach: "this-machine" | "this-network" | "internet" | "tor"; urls: (string)[]; tls: boolean; verdict: "ok" | "warning" | "open"; advice: string | null })[]; engines: ({ engine: string; kind: string; port: number; open_at: ({ address: string; reach: "this-machine" | "this-network" | "internet"; answers: "without-key" | "with-key" | "unknown" })[]; verdict: "ok" | "warning" | "open"; advice: string | null })[]; addresses: (string)[] };

export type ListBansQuery = { limit?: number | undefined; cursor?: string | undefined };

export type ListBansResult = { items: ({ ip: string; automatic: boolean; reason: string; blocked_at: string; blocked_until: string | null; permanent_block: boolean; blocked_by: string; failure_count: number; first_failure_at: string | null; refused: number; last_attempt: string | null })[]; next: string | null };

export type AddBanBody = { ip: string; reason?: string; for_s?: number; force?: boolean };

export type AddBanResult = { ip: string; automatic: boolean; reason: string; blocked_at: string; blocked_until: string | null; permanent_block: boolean; blocked_by: string; failure_count: number; first_failure_at: string | null; refused: number; last_attempt: string | null };

export type LiftBanQuery = { ip: string };

export type LiftBanResult = { ip: string; unblocked: true; still_blocked_by: string | null };

export type ClearBansResult = { cleared: true; lifted: number; kept: number };

export type ShowAddressQuery = { ip: string };

export type ShowAddressResult = { ip: string; blocked: { ip: string; automatic: boolean; reason: string; blocked_at: string; blocked_until: string | null; permanent_block: boolean; blocked_by: string; failure_count: number; first_failure_at: string | null; refused: number; last_attempt: string | null } | null; never_blocked: boolean; allowed: boolean; failure_count: number; first_failure_at: string | null; intrusion_score: number; anomaly_score: number; previous_blocks: number };

export type ListIntrusionsQuery = { ip?: string | undefined; limit?: number | undefined; offset?: number | undefined; cursor?: string | undefined; min_score?: number | undefined };

export type ListIntrusionsResult = { items: ({ id: number; ip: string; pattern: string; score: number; total: number; request_path: string | null; user_agent: string | null; method: string | null; request_id: string | null; repeated: number; created_at: string })[]; next: string | null };

export type ListAnomaliesQuery = { ip?: string | undefined; limit?: number | undefined; offset?: number | undefined; cursor?: string | undefined; anomaly_type?: string | undefined };

export type ListAnomaliesResult = { items: ({ id: number; ip: string; anomaly_type: string; score: number; total: number; details: Record<string, unknown>; created_at: string })[]; next: string | null };

export type ReadSecurityStatsResult = { features: { ip_blocklist: "on" | "off" | "automatic-on" | "automatic-off"; intrusion_detection: "on" | "off" | "automatic-on" | "automatic-off"; anomaly_detection: "on" | "off" | "automatic-on" | "automatic-off"; resource_protection: "on" | "off" | "automatic-on" | "automatic-off" }; blocked_ips: { automatic: number; by_owner: number; permanent: number }; addresses: number; held: number; scarce: "CPU" | "memory" | null; last_24h: { by_kind: { intrusion: number; anomaly: number; honeypot: number; resource: number }; by_severity: { low: number; medium: number; high: number; critical: number }; patterns: ({ pattern: string; kind: "intrusion" | "anomaly" | "honeypot" | "resource"; events: number; last_at: string })[] } };

export type GetEgressResult = { mode: "direct" | "tor" | "socks5"; endpoint: string | null; state: "direct" | "starting" | "up" | "down" | "bypassed"; reason: string | null; since: string | null; fail_open: boolean; private_addresses: "tunnel" | "direct"; has_login: boolean };

export type TestEgressBody = { url?: string };

export type TestEgressResult = { ok: boolean; tunnel: { endpoint: string | null; reached: boolean; latency_ms: number | null; error: string | null } | null; targets: ({ name: string; url: string; route: "direct" | "tunnel"; dns: "tunnel" | "here" | "none"; reached: boolean; status: number | null; latency_ms: number | null; error: string | null })[] };

export type SetEgressLoginBody = { user?: string; password: string; tor_control?: boolean };

export type SetEgressLoginResult = { mode: "direct" | "tor" | "socks5"; endpoint: string | null; state: "direct" | "starting" | "up" | "down" | "bypassed"; reason: string | null; since: string | null; fail_open: boolean; private_addresses: "tunnel" | "direct"; has_login: boolean };

export type RemoveEgressLoginResult = { mode: "direct" | "tor" | "socks5"; endpoint: string | null; state: "direct" | "starting" | "up" | "down" | "bypassed"; reason: string | null; since: string | null; fail_open: boolean; private_addresses: "tunnel" | "direct"; has_login: boolean };

/** Every operation of the admin API. */
export function operationsOver(send: Send) {
  return {
    /** How FLM is. Scope: `status:read` */
    getStatus: (input: Cancellable = {}) => send<GetStatusResult>('GET', '/api/v1/status', input),
    /** Examine this installation. Scope: `status:read` */
    runChecks: (input: Cancellable = {}) => send<RunChecksResult>('GET', '/api/v1/check', input),
    /** Collect what helps somebody else to find out what is wrong. Scope: `admin:write` */
    collectSupport: (input: Cancellable = {}) => send<CollectSupportResult>('GET', '/api/v1/support', input),
    /** Open a session with a one-time token. Scope: none; a token of `flm admin token` opens one session. */
    openSession: (input: { body: OpenSessionBody } & Cancellable) => send<OpenSessionResult>('POST', '/api/v1/session', input),
    /** End the session that asks. Scope: `status:read` */
    closeSession: (input: Cancellable = {}) => send<CloseSessionResult>('DELETE', '/api/v1/session', input),
    /** Make a token that opens one session. Scope: `admin:write` */
    issueToken: (input: Cancellable = {}) => send<IssueTokenResult>('POST', '/api/v1/sessions/tokens', input),
    /** List the sessions. Scope: `admin:write` */
    listSessions: (input: Cancellable = {}) => send<ListSessionsResult>('GET', '/api/v1/sessions', input),
    /** End a session. Scope: `admin:write` */
    revokeSession: (input: { params: { id: string } } & Cancellable) => send<RevokeSessionResult>('DELETE', '/api/v1/sessions/{id}', input),
    /** List all API keys. Scope: `keys:read` */
    listKeys: (input: Cancellable = {}) => send<ListKeysResult>('GET', '/api/v1/keys', input),
    /** Create an API key. Scope: `keys:write` */
    createKey: (input: { body: CreateKeyBody } & Cancellable) => send<CreateKeyResult>('POST', '/api/v1/keys', input),
    /** A key for one minute, kept in memory only. Scope: `keys:write` */
    issueEphemeralKey: (input: Cancellable = {}) => send<IssueEphemeralKeyResult>('POST', '/api/v1/keys/ephemeral', input),
    /** Change limits, lists or label of an API key. Scope: `keys:write` */
    updateKey: (input: { params: { id: string }; body: UpdateKeyBody } & Cancellable) => send<UpdateKeyResult>('POST', '/api/v1/keys/{id}', input),
    /** Fetch, once, the key that a rotation by itself made. Scope: `keys:write` */
    collectKey: (input: { params: { id: string } } & Cancellable) => send<CollectKeyResult>('POST', '/api/v1/keys/{id}/collect', input),
    /** Replace an API key. Scope: `keys:write` */
    rotateKey: (input: { params: { id: string }; body: RotateKeyBody } & Cancellable) => send<RotateKeyResult>('POST', '/api/v1/keys/{id}/rotate', input),
    /** Revoke an API key. Scope: `keys:write` */
    revokeKey: (input: { params: { id: string } } & Cancellable) => send<RevokeKeyResult>('POST', '/api/v1/keys/{id}/revoke', input),
    /** List the engines FLM knows. Scope: `engines:read` */
    listEngines: (input: Cancellable = {}) => send<ListEnginesResult>('GET', '/api/v1/engines', input),
    /** Add an engine. Scope: `engines:write` */
    addEngine: (input: { body: AddEngineBody } & Cancellable) => send<AddEngineResult>('POST', '/api/v1/engines', input),
    /** How engines and their models were over time. Scope: `engines:read` */
    readHealthHistory: (input: { query?: ReadHealthHistoryQuery } & Cancellable = {}) => send<ReadHealthHistoryResult>('GET', '/api/v1/engines/health-history', input),
    /** Look for engines now. Scope: `engines:write` */
    detectEngines: (input: Cancellable = {}) => send<DetectEnginesResult>('POST', '/api/v1/engines/detect', input),
    /** Start the trial engine. Scope: `engines:write` */
    startTrialEngine: (input: Cancellable = {}) => send<StartTrialEngineResult>('POST', '/api/v1/engines/trial/start', input),
    /** Stop the trial engine. Scope: `engines:write` */
    stopTrialEngine: (input: Cancellable = {}) => send<StopTrialEngineResult>('POST', '/api/v1/engines/trial/stop', input),
    /** Forget an engine. Scope: `engines:write` */
    removeEngine: (input: { params: { id: string } } & Cancellable) => send<RemoveEngineResult>('DELETE', '/api/v1/engines/{id}', input),
    /** List the models of all engines, or of one. Scope: `models:read` */
    listModels: (input: { query?: ListModelsQuery } & Cancellable = {}) => send<ListModelsResult>('GET', '/api/v1/models', input),
    /** Tell what a name means: every copy and how it is doing. Scope: `models:read` */
    showModel: (input: { query: ShowModelQuery } & Cancellable) => send<ShowModelResult>('GET', '/api/v1/models/named', input),
    /** List the aliases. Scope: `models:read` */
    listAliases: (input: Cancellable = {}) => send<ListAliasesResult>('GET', '/api/v1/models/aliases', input),
    /** Make an alias, or give one other targets. Scope: `models:write` */
    setAlias: (input: { body: SetAliasBody } & Cancellable) => send<SetAliasResult>('PUT', '/api/v1/models/aliases', input),
    /** Forget an alias. Scope: `models:write` */
    removeAlias: (input: { query: RemoveAliasQuery } & Cancellable) => send<RemoveAliasResult>('DELETE', '/api/v1/models/aliases', input),
    /** List the strategies that were set. Scope: `models:read` */
    listStrategies: (input: Cancellable = {}) => send<ListStrategiesResult>('GET', '/api/v1/models/strategies', input),
    /** Say how to choose among the engines that have a model. Scope: `models:write` */
    setStrategy: (input: { body: SetStrategyBody } & Cancellable) => send<SetStrategyResult>('PUT', '/api/v1/models/strategies', input),
    /** Choose by the default again. Scope: `models:write` */
    unsetStrategy: (input: { query: UnsetStrategyQuery } & Cancellable) => send<UnsetStrategyResult>('DELETE', '/api/v1/models/strategies', input),
    /** List all settings. Scope: `config:read` */
    listSettings: (input: Cancellable = {}) => send<ListSettingsResult>('GET', '/api/v1/config', input),
    /** Read a setting. Scope: `config:read` */
    getSetting: (input: { params: { key: string } } & Cancellable) => send<GetSettingResult>('GET', '/api/v1/config/{key}', input),
    /** Change a setting. Scope: `config:write` */
    setSetting: (input: { params: { key: string }; body: SetSettingBody } & Cancellable) => send<SetSettingResult>('PUT', '/api/v1/config/{key}', input),
    /** Take a change back. Scope: `config:write` */
    unsetSetting: (input: { params: { key: string } } & Cancellable) => send<UnsetSettingResult>('DELETE', '/api/v1/config/{key}', input),
    /** What a setting is for and where its value comes from. Scope: `config:read` */
    explainSetting: (input: { params: { key: string } } & Cancellable) => send<ExplainSettingResult>('GET', '/api/v1/config/{key}/explain', input),
    /** List all proxies. Scope: `proxies:read` */
    listProxies: (input: Cancellable = {}) => send<ListProxiesResult>('GET', '/api/v1/proxies', input),
    /** Start a proxy. Scope: `proxies:write` */
    startProxy: (input: { body: StartProxyBody } & Cancellable) => send<StartProxyResult>('POST', '/api/v1/proxies', input),
    /** Stop proxies. Scope: `proxies:write` */
    stopProxies: (input: { body: StopProxiesBody } & Cancellable) => send<StopProxiesResult>('POST', '/api/v1/proxies/stop', input),
    /** Give an onion service another address. Scope: `proxies:write` */
    rotateOnion: (input: { body: RotateOnionBody } & Cancellable) => send<RotateOnionResult>('POST', '/api/v1/proxies/onion/rotate', input),
    /** Remove an onion service. Scope: `proxies:write` */
    removeOnion: (input: { body: RemoveOnionBody } & Cancellable) => send<RemoveOnionResult>('POST', '/api/v1/proxies/onion/remove', input),
    /** Read the settings again. Scope: `proxies:write` */
    reloadProxies: (input: { body: ReloadProxiesBody } & Cancellable) => send<ReloadProxiesResult>('POST', '/api/v1/proxies/reload', input),
    /** Stop FLM. Scope: `proxies:write` */
    stopFlm: (input: Cancellable = {}) => send<StopFlmResult>('POST', '/api/v1/daemon/stop', input),
    /** Leave the data directory to a new process (for FLM itself). Scope: `admin:write` */
    handOver: (input: Cancellable = {}) => send<HandOverResult>('POST', '/api/v1/daemon/hand-over', input),
    /** What a replaced process tells until its end (for FLM itself). Scope: `admin:write` */
    tellOfElder: (input: { body: TellOfElderBody } & Cancellable) => send<TellOfElderResult>('POST', '/api/v1/daemon/elders', input),
    /** The security policy in force. Scope: `policy:read` */
    getPolicy: (input: Cancellable = {}) => send<GetPolicyResult>('GET', '/api/v1/policy', input),
    /** Replace the security policy. Scope: `policy:write` */
    setPolicy: (input: { body: SetPolicyBody } & Cancellable) => send<SetPolicyResult>('PUT', '/api/v1/policy', input),
    /** The JSON Schema of the policy. Scope: `policy:read` */
    getPolicySchema: (input: Cancellable = {}) => send<GetPolicySchemaResult>('GET', '/api/v1/policy/schema', input),
    /** What is wrong with a policy, without storing it. Scope: `policy:read` */
    validatePolicy: (input: { body: ValidatePolicyBody } & Cancellable) => send<ValidatePolicyResult>('POST', '/api/v1/policy/validate', input),
    /** Who changed the policy, when, and what. Scope: `policy:read` */
    listPolicyVersions: (input: { query?: ListPolicyVersionsQuery } & Cancellable = {}) => send<ListPolicyVersionsResult>('GET', '/api/v1/policy/versions', input),
    /** One version of the policy. Scope: `policy:read` */
    getPolicyVersion: (input: { params: { version: string } } & Cancellable) => send<GetPolicyVersionResult>('GET', '/api/v1/policy/versions/{version}', input),
    /** Put an earlier version back, as a new one. Scope: `policy:write` */
    rollBackPolicy: (input: { body: RollBackPolicyBody } & Cancellable) => send<RollBackPolicyResult>('POST', '/api/v1/policy/rollback', input),
    /** Who may come at all. Scope: `policy:read` */
    listAllowedNetworks: (input: Cancellable = {}) => send<ListAllowedNetworksResult>('GET', '/api/v1/policy/ip-whitelist', input),
    /** Let an address or network in. Scope: `policy:write` */
    allowNetwork: (input: { body: AllowNetworkBody } & Cancellable) => send<AllowNetworkResult>('POST', '/api/v1/policy/ip-whitelist/add', input),
    /** Take an address or network off the list. Scope: `policy:write` */
    disallowNetwork: (input: { body: DisallowNetworkBody } & Cancellable) => send<DisallowNetworkResult>('POST', '/api/v1/policy/ip-whitelist/remove', input),
    /** List what is on record, or follow it with stream=true. Scope: `audit:read` */
    listAuditEvents: (input: { query?: ListAuditEventsQuery } & Cancellable = {}) => send<ListAuditEventsResult>('GET', '/api/v1/audit/events', input),
    /** Examine the chain, also against a checkpoint. Scope: `audit:read` */
    verifyAudit: (input: { query?: VerifyAuditQuery } & Cancellable = {}) => send<VerifyAuditResult>('GET', '/api/v1/audit/verify', input),
    /** How far the chain is, to be kept elsewhere. Scope: `audit:write` */
    checkpointAudit: (input: Cancellable = {}) => send<CheckpointAuditResult>('POST', '/api/v1/audit/checkpoint', input),
    /** Erase an address from all rows. Scope: `audit:write` */
    eraseFromAudit: (input: { body: EraseFromAuditBody } & Cancellable) => send<EraseFromAuditResult>('POST', '/api/v1/audit/erase', input),
    /** List requests, newest first. Scope: `activity:read` */
    listActivity: (input: { query?: ListActivityQuery } & Cancellable = {}) => send<ListActivityResult>('GET', '/api/v1/activity', input),
    /** List refused strangers, counted by minute. Scope: `activity:read` */
    listRefusals: (input: { query?: ListRefusalsQuery } & Cancellable = {}) => send<ListRefusalsResult>('GET', '/api/v1/activity/refusals', input),
    /** What requests add up to. Scope: `activity:read` */
    sumActivity: (input: { query?: SumActivityQuery } & Cancellable = {}) => send<SumActivityResult>('GET', '/api/v1/activity/stats', input),
    /** Whether the log is as FLM wrote it. Scope: `activity:read` */
    verifyActivity: (input: Cancellable = {}) => send<VerifyActivityResult>('GET', '/api/v1/activity/verify', input),
    /** Erase the address of a client. Scope: `activity:write` */
    eraseFromActivity: (input: { body: EraseFromActivityBody } & Cancellable) => send<EraseFromActivityResult>('POST', '/api/v1/activity/erase', input),
    /** List all certificates. Scope: `certs:read` */
    listCertificates: (input: Cancellable = {}) => send<ListCertificatesResult>('GET', '/api/v1/certificates', input),
    /** Bring a certificate and its key. Scope: `certs:write` */
    importCertificate: (input: { body: ImportCertificateBody } & Cancellable) => send<ImportCertificateResult>('POST', '/api/v1/certificates', input),
    /** Remove a certificate that was brought. Scope: `certs:write` */
    removeCertificate: (input: { params: { id: string } } & Cancellable) => send<RemoveCertificateResult>('DELETE', '/api/v1/certificates/{id}', input),
    /** The private authorities and what they cover. Scope: `certs:read` */
    getCa: (input: Cancellable = {}) => send<GetCaResult>('GET', '/api/v1/ca', input),
    /** Make the root of a private authority where there is none. Scope: `certs:write` */
    createCa: (input: { body: CreateCaBody } & Cancellable) => send<CreateCaResult>('POST', '/api/v1/ca', input),
    /** Put a new root in place of the one that signs. Scope: `certs:write` */
    rotateCa: (input: { body: RotateCaBody } & Cancellable) => send<RotateCaResult>('POST', '/api/v1/ca/rotate', input),
    /** List all alert rules. Scope: `alerts:read` */
    listAlertRules: (input: Cancellable = {}) => send<ListAlertRulesResult>('GET', '/api/v1/alerts/rules', input),
    /** Make or change an alert rule. Scope: `alerts:write` */
    setAlertRule: (input: { params: { id: string }; body: SetAlertRuleBody } & Cancellable) => send<SetAlertRuleResult>('PUT', '/api/v1/alerts/rules/{id}', input),
    /** Remove an alert rule. Scope: `alerts:write` */
    removeAlertRule: (input: { params: { id: string } } & Cancellable) => send<RemoveAlertRuleResult>('DELETE', '/api/v1/alerts/rules/{id}', input),
    /** List where alerts go. Scope: `alerts:read` */
    listAlertTargets: (input: Cancellable = {}) => send<ListAlertTargetsResult>('GET', '/api/v1/alerts/targets', input),
    /** Make a webhook, or change where it leads. Scope: `alerts:write` */
    setAlertTarget: (input: { params: { id: string }; body: SetAlertTargetBody } & Cancellable) => send<SetAlertTargetResult>('PUT', '/api/v1/alerts/targets/{id}', input),
    /** Remove a webhook. Scope: `alerts:write` */
    removeAlertTarget: (input: { params: { id: string } } & Cancellable) => send<RemoveAlertTargetResult>('DELETE', '/api/v1/alerts/targets/{id}', input),
    /** List what was sent, and what waits. Scope: `alerts:read` */
    listAlertDeliveries: (input: { query?: ListAlertDeliveriesQuery } & Cancellable = {}) => send<ListAlertDeliveriesResult>('GET', '/api/v1/alerts/deliveries', input),
    /** Send a test message, and say what came back. Scope: `alerts:write` */
    testAlerts: (input: { body: TestAlertsBody } & Cancellable) => send<TestAlertsResult>('POST', '/api/v1/alerts/test', input),
    /** Find out what can be reached from where, and which engines answer without FLM in front. Scope: `security:read` */
    getExposure: (input: Cancellable = {}) => send<GetExposureResult>('GET', '/api/v1/security/exposure', input),
    /** List who is refused. Scope: `security:read` */
    listBans: (input: { query?: ListBansQuery } & Cancellable = {}) => send<ListBansResult>('GET', '/api/v1/security/bans', input),
    /** Refuse an address or network, also with a valid key. Scope: `security:write` */
    addBan: (input: { body: AddBanBody } & Cancellable) => send<AddBanResult>('POST', '/api/v1/security/bans', input),
    /** Refuse an address or network no longer. Scope: `security:write` */
    liftBan: (input: { query: LiftBanQuery } & Cancellable) => send<LiftBanResult>('DELETE', '/api/v1/security/bans', input),
    /** Lift all bans that would end by themselves. Scope: `security:write` */
    clearBans: (input: Cancellable = {}) => send<ClearBansResult>('POST', '/api/v1/security/bans/clear', input),
    /** How an address stands. Scope: `security:read` */
    showAddress: (input: { query: ShowAddressQuery } & Cancellable) => send<ShowAddressResult>('GET', '/api/v1/security/addresses', input),
    /** List what strangers did to find a way in. Scope: `security:read` */
    listIntrusions: (input: { query?: ListIntrusionsQuery } & Cancellable = {}) => send<ListIntrusionsResult>('GET', '/api/v1/security/intrusions', input),
    /** List what no client does. Scope: `security:read` */
    listAnomalies: (input: { query?: ListAnomaliesQuery } & Cancellable = {}) => send<ListAnomaliesResult>('GET', '/api/v1/security/anomalies', input),
    /** What abuse protection does. Scope: `security:read` */
    readSecurityStats: (input: Cancellable = {}) => send<ReadSecurityStatsResult>('GET', '/api/v1/security/stats', input),
    /** How requests leave this machine. Scope: `proxies:read` */
    getEgress: (input: Cancellable = {}) => send<GetEgressResult>('GET', '/api/v1/egress', input),
    /** Try the way out. Scope: `proxies:write` */
    testEgress: (input: { body: TestEgressBody } & Cancellable) => send<TestEgressResult>('POST', '/api/v1/egress/test', input),
    /** Set what the SOCKS server is told. Scope: `proxies:write` */
    setEgressLogin: (input: { body: SetEgressLoginBody } & Cancellable) => send<SetEgressLoginResult>('PUT', '/api/v1/egress/login', input),
    /** Forget what the SOCKS server is told. Scope: `proxies:write` */
    removeEgressLogin: (input: Cancellable = {}) => send<RemoveEgressLoginResult>('DELETE', '/api/v1/egress/login', input),
  };
}
