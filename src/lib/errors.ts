/**
 * The one catalogue of everything that can go wrong: code, HTTP status, OpenAI type, exit code, message, hint.
 * docs/errors.md is generated from it. Rooms throw FlmError; the edges (gateway, admin, cli) render it.
 */

/** OpenAI's error types, as its SDKs know them. */
export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'timeout_error'
  | 'server_error';

/** 0 ok · 1 user error · 2 internal error · 3 start-up configuration, which a restart does not mend (design §3). */
export type ExitCode = 1 | 2 | 3;

interface ErrorSpec {
  readonly status: number;
  readonly type: ErrorType;
  readonly exit: ExitCode;
  /** `{name}` is filled from the error's meta. */
  readonly message: string;
  /** What to do about it; null where the message already says so. */
  readonly hint: string | null;
  /** The code in OpenAI-shaped answers, where it is not simply the lower-case code (FLM-085). */
  readonly wire?: string;
}

export const ERRORS = {
  // The gateway: requests of clients
  INVALID_API_KEY: {
    status: 401,
    type: 'authentication_error',
    exit: 1,
    message: 'The API key is missing, unknown, expired or revoked.',
    hint: 'Send "Authorization: Bearer flm_..." with a key made by "flm api-keys create".',
  },
  NO_API_KEYS: {
    status: 401,
    type: 'authentication_error',
    exit: 1,
    message: 'This FLM has no API key yet, so nobody can use it.',
    hint: 'On the machine that runs FLM: flm api-keys create --label my-app',
    wire: 'invalid_api_key',
  },
  FORBIDDEN: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'This key may not do that: it lacks the scope "{scope}".',
    hint: 'Make a key with that scope: flm api-keys create --label L --scope {scope}',
  },
  HOST_NOT_ALLOWED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'FLM listens on this machine only and does not answer to the name "{host}".',
    hint: 'Use localhost or 127.0.0.1, or allow the name: flm config set proxy.allowed_hosts {host}',
  },
  HOST_NOT_CERTIFIED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'No certificate of FLM holds "{host}".',
    hint: 'Use a name or an address that one holds ("flm security ca status"), bring a certificate for it, or add it to the setting certs.names and run "flm security ca rotate".',
  },
  MODEL_NOT_ALLOWED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'This key may not use the model "{model}".',
    hint: 'GET /v1/models lists the models of a key; its owner can widen the list.',
  },
  MODEL_NOT_IN_POLICY: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'The security policy does not let anybody use the model "{model}".',
    hint: 'GET /v1/models lists what may be used; the owner of FLM can widen the list "models" of the policy.',
    wire: 'model_not_allowed',
  },
  INVALID_REQUEST: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: 'The request is not valid: {reason}.',
    hint: null,
  },
  INVALID_JSON: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: 'The body is not valid JSON: {reason}.',
    hint: 'Send one JSON object in UTF-8.',
  },
  DUPLICATE_KEY: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message:
      'The body holds "{key}" more than once or in another spelling, so FLM and the engine could read it differently.',
    hint: 'Send each key once, in lower case.',
  },
  INVALID_MODEL: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: '"model" must be a model name or flm://<engine>/<model>: {reason}.',
    hint: 'GET /v1/models lists what is there.',
  },
  MODEL_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'No running engine has the model "{model}".',
    hint: 'GET /v1/models or "flm models list" shows what is there.',
  },
  MODEL_UNAVAILABLE: {
    status: 503,
    type: 'server_error',
    exit: 1,
    message: 'The engine that has the model "{model}" does not answer at the moment.',
    hint: 'Try again soon, or see how it is: flm engines list',
  },
  ROUTE_NOT_SUPPORTED: {
    status: 501,
    type: 'invalid_request_error',
    exit: 1,
    message: 'No engine that has the model "{model}" takes {route}; {others}.',
    hint: null,
  },
  NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is nothing at {path}.',
    hint: null,
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    type: 'invalid_request_error',
    exit: 1,
    message: '{path} does not take {method}.',
    hint: null,
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    type: 'invalid_request_error',
    exit: 1,
    message: 'The body is larger than {limit} bytes.',
    hint: 'The owner can raise the limit: flm config set proxy.max_body_bytes <bytes>',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    type: 'invalid_request_error',
    exit: 1,
    message: 'FLM does not take {what} here.',
    hint: 'Send Content-Type: application/json without Content-Encoding.',
  },
  QUEUE_FULL: {
    status: 429,
    type: 'rate_limit_error',
    exit: 1,
    message: 'The engine "{engine}" is busy, and as many requests as may wait for it do: {waiting}.',
    hint: 'Try again after the time in Retry-After.',
  },
  IP_BLOCKED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'This address may not use FLM.',
    hint: 'Its owner can lift that: flm security ip-blocklist unblock <address>',
  },
  BAN_LOCKS_OUT: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'A ban of {ip} would shut out {whom}.',
    hint: 'Ban a smaller network, or say --force.',
  },
  BAN_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: '{ip} is not banned.',
    hint: 'Who is: flm security ip-blocklist list',
  },
  IP_NOT_ALLOWED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'This address is not on the list of those that may use FLM.',
    hint: 'Its owner can add it: flm security ip-whitelist add <address>',
  },
  ORIGIN_NOT_ALLOWED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'Web pages of "{origin}" may not use this.',
    hint: 'Its owner can allow them in cors.allowed_origins: flm security policy edit',
  },
  KEY_ADDRESS_REFUSED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'This key may not be used from this address.',
    hint: 'Its owner can change that: flm api-keys update {key} --cidr <network>',
  },
  KEY_CERTIFICATE_REFUSED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'This key may only be used with a client certificate that was laid down for it.',
    hint: 'Connect by HTTPS with that certificate. Its owner can change that: flm api-keys update {key} --client-certificate <fingerprint>',
  },
  KEY_ORIGIN_REFUSED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'This key may not be used by {from}.',
    hint: 'Its owner can change that: flm api-keys update {key} --origin <origin>',
  },
  POLICY_UNREADABLE: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'The security policy cannot be read, so nobody is let in: {reason}.',
    hint: 'Put one of its versions back: flm security policy history, then flm security policy rollback N',
  },
  POLICY_INVALID: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: 'The policy is not valid, and the one in force stays: {problems}.',
    hint: 'docs/policy.md explains the keys; "flm security policy schema" prints the JSON Schema.',
  },
  POLICY_CONFLICT: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'Version {version} of the policy is in force, not {expected}: somebody else has changed it.',
    hint: 'See what is new: flm security policy show',
  },
  POLICY_VERSION_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no version {version} of the policy.',
    hint: '"flm security policy history" shows the versions.',
  },
  POLICY_VERSION_ALTERED: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'Version {version} of the policy is not as it was written, so it cannot be put back.',
    hint: 'Take another one: flm security policy history',
  },
  POLICY_LOCKS_OUT: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'That would shut out everybody who used FLM in the last hour: {clients}.',
    hint: 'Add their networks first, or say --force.',
  },
  NETWORK_NOT_LISTED: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: '{network} is not on the list.',
    hint: '"flm security ip-whitelist list" shows it.',
  },
  RATE_LIMITED: {
    status: 429,
    type: 'rate_limit_error',
    exit: 1,
    message: 'Too many requests: the limit of {subject} is {allowance}.',
    hint: 'Try again after the time in Retry-After.',
    wire: 'rate_limit_exceeded',
  },
  TOKENS_LIMITED: {
    status: 429,
    type: 'rate_limit_error',
    exit: 1,
    message: 'Too many tokens: the limit of {subject} is {limit} a minute.',
    hint: 'Try again after the time in Retry-After, or ask for fewer tokens (max_tokens).',
    wire: 'rate_limit_exceeded',
  },
  TOO_MANY_PARALLEL: {
    status: 429,
    type: 'rate_limit_error',
    exit: 1,
    message: 'This key has as many requests under way as it may: {limit}.',
    hint: 'Wait until one of them has ended.',
    wire: 'rate_limit_exceeded',
  },
  RESOURCE_THROTTLE: {
    status: 503,
    type: 'server_error',
    exit: 1,
    message: 'The machine is at its limit ({resource}), so FLM takes nothing new for a moment.',
    hint: 'Try again after the time in Retry-After.',
  },
  TOO_MANY_REQUESTS_OPEN: {
    status: 503,
    type: 'server_error',
    exit: 1,
    message: 'FLM serves as many requests as it may: {limit}.',
    hint: 'Try again soon, or raise proxy.max_connections.',
    wire: 'resource_throttle',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    type: 'timeout_error',
    exit: 1,
    message: 'The engine did not finish within {limitMs} ms.',
    hint: 'Ask for a stream, or raise proxy.request_timeout_ms.',
  },
  BODY_TOO_SLOW: {
    status: 408,
    type: 'timeout_error',
    exit: 1,
    message: 'The body of the request came too slowly: on average less than {bytesPerSecond} bytes a second.',
    hint: 'Send it again on a better connection, or lower connections.min_body_bytes_per_s of the policy.',
  },
  STREAMING_TIMEOUT: {
    status: 408,
    type: 'timeout_error',
    exit: 1,
    message: 'The stream took longer than {limitMs} ms.',
    hint: 'Raise proxy.stream_timeout_ms.',
  },
  SHUTTING_DOWN: {
    status: 503,
    type: 'server_error',
    exit: 1,
    message: 'FLM is stopping.',
    hint: 'Try again in a moment.',
  },
  CLIENT_CLOSED_REQUEST: {
    status: 499,
    type: 'invalid_request_error',
    exit: 1,
    message: 'The client closed the connection.',
    hint: null,
  },
  INTERNAL_ERROR: {
    status: 500,
    type: 'server_error',
    exit: 2,
    message: 'FLM failed inside. This is a bug.',
    hint: 'The log has the details under this request id.',
  },

  // Engines
  ENGINE_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no engine "{engine}".',
    hint: '"flm engines list" shows the engines.',
  },
  ENGINE_EXISTS: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'There is already an engine "{engine}".',
    hint: 'Choose another --id, or remove the old one: flm engines remove {engine}',
  },
  ENGINE_URL_REFUSED: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: 'FLM does not forward to {url}: {reason}.',
    hint: 'Give the address of an engine, such as http://127.0.0.1:8080.',
  },
  ENGINE_NETWORK_ERROR: {
    status: 502,
    type: 'server_error',
    exit: 1,
    message: 'The engine "{engine}" cannot be reached: {reason}.',
    hint: 'Is it running? "flm engines list" shows what FLM sees.',
    wire: 'network_error',
  },
  ENGINE_API_ERROR: {
    status: 502,
    type: 'server_error',
    exit: 1,
    message: 'The engine "{engine}" gave an answer that FLM cannot use: {reason}.',
    hint: null,
    wire: 'invalid_response',
  },
  ENGINE_UNAVAILABLE: {
    status: 503,
    type: 'server_error',
    exit: 1,
    message: 'The engine {engine} has failed several times in a row and is left alone for a while.',
    hint: 'Try again later, or see how it is: flm engines list',
  },
  ENGINE_NEEDS_KEY: {
    status: 502,
    type: 'server_error',
    exit: 1,
    message: 'The engine "{engine}" wants a key of its own, and FLM has none that it accepts.',
    hint: 'flm engines add --url ... --key-env NAME with the key in $NAME; if it was added by hand, remove it first.',
  },
  ENGINE_TIMEOUT: {
    status: 504,
    type: 'timeout_error',
    exit: 1,
    message: 'The engine "{engine}" did not answer within {limitMs} ms.',
    hint: null,
  },
  EGRESS_REFUSED: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: 'FLM does not connect to {host}: {reason}.',
    hint: null,
  },
  EGRESS_TUNNEL_DOWN: {
    status: 503,
    type: 'server_error',
    exit: 1,
    message: 'The engine "{engine}" is reached through a tunnel, and that is down: {reason}.',
    hint: 'FLM goes on by itself when it is back. "flm egress status" on its machine tells more.',
  },
  EGRESS_SHARED: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'All proxies of this FLM leave the same way ({now}), and others run already.',
    hint: 'To change it for all of them: flm config set egress.mode direct|tor|socks5',
  },
  ONION_UNAVAILABLE: {
    status: 503,
    type: 'server_error',
    exit: 1,
    message: 'There can be no onion service now: {reason}.',
    hint: 'FLM needs a tor on this machine with "ControlPort 9051" and "CookieAuthentication 1" in its torrc (egress.tor_control).',
  },
  NO_ONION: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'The proxy {proxy} has no onion service.',
    hint: 'Start one with: flm proxy start --onion',
  },
  NO_MODELS: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'No engine with a model runs, so there is nobody to ask.',
    hint: 'Start an engine, or try one: flm engines try',
  },
  TRIAL_UNAVAILABLE: {
    status: 400,
    type: 'server_error',
    exit: 1,
    message: 'The trial engine cannot be installed here: {reason}.',
    hint: 'Install an engine instead. Ollama: https://ollama.com/download, then "ollama pull llama3.2". llama.cpp: "brew install llama.cpp" or "winget install llama.cpp", then "llama-server -hf ggml-org/gemma-3-1b-it-GGUF".',
  },
  TRIAL_FAILED: {
    status: 500,
    type: 'server_error',
    exit: 2,
    message: 'The trial engine does not start: {reason}.',
    hint: 'Install it afresh: flm engines try --remove, then flm engines try.',
  },

  // Names of models
  ALIAS_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no alias "{name}".',
    hint: '"flm models alias list" shows the aliases.',
  },

  // API keys
  KEY_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no API key "{id}".',
    hint: '"flm api-keys list" shows the keys.',
  },
  KEY_NOT_WAITING: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'No new key waits to be collected for "{id}".',
    hint: '"flm api-keys list" shows which do. A key is handed over once; for another one: flm api-keys rotate {id}',
  },
  KEY_ALREADY_REVOKED: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'The API key "{id}" is already revoked.',
    hint: null,
  },

  // Proxies and start-up
  PROXY_PORT_IN_USE: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'Port {port} on {bind} is taken by {by}.',
    hint: 'Stop it, or choose another port with --port.',
  },
  PROXY_ALREADY_RUNNING: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'FLM already runs on this data directory (process {pid}).',
    hint: '"flm status" shows it.',
  },
  PROXY_EXISTS: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'This FLM already serves port {port} ({id}).',
    hint: '"flm proxy status" shows all proxies. To start it differently, stop it first: flm proxy stop --port {port}',
  },
  PROXY_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no proxy {proxy}.',
    hint: '"flm proxy status" shows all proxies.',
  },
  DAEMON_FAILED: {
    status: 500,
    type: 'server_error',
    exit: 2,
    message: 'FLM did not come up in the background: {reason}.',
    hint: 'Its log may say more: {log}',
  },
  HANDOVER_UNAVAILABLE: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'FLM cannot be replaced while it runs: {reason}.',
    hint: null,
  },
  SERVICE_UNAVAILABLE: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: 'FLM cannot be installed as a service here: {reason}.',
    hint: 'Without one, FLM runs in the background all the same: flm proxy start',
  },
  PROXY_NOT_RUNNING: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'FLM is not running.',
    hint: 'Start it with: flm up',
  },
  PROXY_INVALID_CONFIG: {
    status: 400,
    type: 'invalid_request_error',
    exit: 3,
    message: 'FLM cannot start like this: {reason}.',
    hint: null,
  },
  EXPOSURE_REFUSED: {
    status: 400,
    type: 'invalid_request_error',
    exit: 3,
    message: 'Binding {bind} would offer FLM without TLS on a public address ({address}).',
    hint: 'Bind a private address, serve HTTPS with --mode packaged-ca, or say --allow-plaintext if the network in between is yours.',
  },
  EXPOSURE_WITHOUT_KEY: {
    status: 400,
    type: 'invalid_request_error',
    exit: 3,
    message:
      'Listening on {bind} would offer FLM to other machines ({address}), and nobody has an API key yet.',
    hint: 'Make a key first: flm api-keys create --label my-app. Or bind 127.0.0.1 without --onion, or say --allow-no-key and make keys later.',
  },

  // Alerts
  ALERT_RULE_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no alert rule "{id}".',
    hint: '"flm security alerts list" shows the rules.',
  },
  ALERT_TARGET_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no target of alerts "{id}".',
    hint: '"flm security alerts targets list" shows the targets.',
  },
  ALERT_TARGET_IN_USE: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'Rules still send to "{id}": {rules}.',
    hint: 'Give them another target first: flm security alerts set <rule> --target log',
  },

  // Configuration
  CONFIG_NOT_SET: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no setting "{key}".',
    hint: '"flm config list" shows all settings.',
  },
  CONFIG_INVALID: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: '{key} cannot be {value}: {reason}.',
    hint: '"flm config explain {key}" says what it takes.',
  },
  CONFIG_FILE_INVALID: {
    status: 400,
    type: 'invalid_request_error',
    exit: 3,
    message: '{source} is not usable: {reason}.',
    hint: 'Mend or remove it, then start again.',
  },

  // Data
  DB_ERROR: {
    status: 500,
    type: 'server_error',
    exit: 2,
    message: 'The database {file} failed: {reason}.',
    hint: 'Is there room on the disk, and does no other program hold the file? "flm check" examines both databases.',
  },
  DB_DAMAGED: {
    status: 500,
    type: 'server_error',
    exit: 3,
    message: 'The database {file} is damaged: {reason}.',
    hint: 'Restore {file} from a backup. To start anew without it, move it away.',
  },
  DB_MISSING: {
    status: 500,
    type: 'server_error',
    exit: 3,
    message:
      'security.db is {state}, and with it all API keys and the keys of engines; the key that opens it is still here.',
    hint: 'Restore security.db from a backup. To start anew without those keys, move security.db, security.key and security.key.json away.',
  },
  DB_LOCKED: {
    status: 503,
    type: 'server_error',
    exit: 1,
    message: 'Another FLM process uses {dir} and does not answer.',
    hint: 'Wait for it, or stop it, then try again.',
  },
  DB_KEY_MISSING: {
    status: 500,
    type: 'server_error',
    exit: 3,
    message: 'security.db is encrypted and its key is not here: {reason}.',
    hint: 'Bring the key back. Without it nobody can open the file; to start anew, move security.db and security.key.json away.',
  },
  DB_KEY_WRONG: {
    status: 500,
    type: 'server_error',
    exit: 3,
    message: 'security.db does not open with the key from {source}: wrong key, or the file is damaged.',
    hint: 'Bring back the right key, or restore a backup. FLM has changed nothing.',
  },
  MIGRATION_FAILED: {
    status: 500,
    type: 'server_error',
    exit: 2,
    message: 'The database {file} cannot be brought to this version: {reason}.',
    hint: 'Nothing was changed. Use the FLM version that wrote it, or restore a backup.',
  },
  IO_ERROR: {
    status: 500,
    type: 'server_error',
    exit: 2,
    message: 'Cannot use {path}: {reason}.',
    hint: 'Check its permissions and the space left on the disk.',
  },

  // Certificates
  CERTIFICATE_INVALID: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: 'This certificate cannot be used: {reason}.',
    hint: null,
  },
  CLIENT_CERTIFICATE_REQUIRED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'This FLM asks everybody for a client certificate, and there was none.',
    hint: 'Give your client its certificate and key; with curl: --cert and --key.',
  },
  CLIENT_CERTIFICATE_REFUSED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'The client certificate is not accepted: {reason}.',
    hint: null,
  },
  CERTIFICATE_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'Nobody has brought a certificate "{id}".',
    hint: '"flm security certificates list" shows them. Those of the private authority cannot be removed.',
  },
  CA_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no certificate authority for {mode} yet.',
    hint: '"flm security install-ca" makes one and lets this machine trust it; "flm security ca export" makes it, too.',
  },
  CA_ROTATING: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'The last root is still served beside its successor, until {until}.',
    hint: 'Wait until then, or end it at once: flm security ca rotate --overlap 0s. Who trusts only an older root is locked out by that.',
  },
  CA_FILE_INVALID: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: 'There is no root certificate in {path}: {reason}.',
    hint: 'Name a file that holds it as PEM, as "flm security ca export" writes it.',
  },

  // The command line
  USAGE_ERROR: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: '{reason}.',
    hint: 'Add --help for the usage.',
  },
  OUTPUT_FAILED: {
    status: 500,
    type: 'server_error',
    exit: 2,
    message: 'What the command has to say could not be written: {reason}.',
    hint: 'The command did its work all the same. Is there room where its output goes?',
  },
  INVALID_INPUT: {
    status: 400,
    type: 'invalid_request_error',
    exit: 1,
    message: '{field}: {reason}.',
    hint: null,
  },
  // The admin API
  UNAUTHENTICATED: {
    status: 401,
    type: 'authentication_error',
    exit: 1,
    message: 'The admin API does not know who is asking.',
    hint: 'Use the flm command on the machine that runs FLM, or open a session with a token of "flm admin token".',
  },
  ADMIN_LOCKED: {
    status: 429,
    type: 'rate_limit_error',
    exit: 1,
    message: 'Too many wrong tokens: the admin API opens no session for {seconds} seconds.',
    hint: 'On the machine that runs FLM, "flm admin token" makes a new token and ends the wait.',
  },
  ORIGIN_REFUSED: {
    status: 403,
    type: 'permission_error',
    exit: 1,
    message: 'Only pages of the admin API itself may use a session: {reason}.',
    hint: 'From a program, open a session with "as": "bearer" and send it as "Authorization: Bearer ...".',
  },
  SESSION_NOT_FOUND: {
    status: 404,
    type: 'not_found_error',
    exit: 1,
    message: 'There is no session "{id}".',
    hint: '"flm admin sessions list" shows the sessions.',
  },
  ADMIN_PORT_OFF: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'The admin API has no port, so no session can be opened: {reason}.',
    hint: 'Choose a free port and start FLM again: flm config set admin.port 7844',
  },
  BODY_TIMEOUT: {
    status: 408,
    type: 'timeout_error',
    exit: 1,
    message: 'The body did not arrive within {limitMs} ms.',
    hint: null,
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'This Idempotency-Key was used for another request.',
    hint: 'Take a new key, such as a UUID, for each change.',
  },
  IDEMPOTENCY_UNDER_WAY: {
    status: 409,
    type: 'invalid_request_error',
    exit: 1,
    message: 'The first request with this Idempotency-Key is still under way.',
    hint: 'Ask again in a second.',
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

export type ErrorMeta = Readonly<Record<string, string | number | boolean | null>>;

export interface FlmErrorOptions {
  /** Fills `{name}` in message and hint. Never holds a secret or a prompt. */
  readonly meta?: ErrorMeta;
  readonly cause?: unknown;
  /** The request parameter at fault, for OpenAI's `param`. */
  readonly param?: string;
  /** Replaces the catalogue's hint where the place knows better. */
  readonly hint?: string;
}

/** The only error that rooms throw on purpose: a code from the catalogue and what fills its message. */
export class FlmError extends Error {
  override readonly name = 'FlmError';
  readonly code: ErrorCode;
  readonly meta: ErrorMeta;
  readonly param: string | null;
  readonly hint: string | null;

  constructor(code: ErrorCode, options: FlmErrorOptions = {}) {
    const meta = options.meta ?? {};
    super(
      fill(ERRORS[code].message, meta),
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.meta = meta;
    this.param = options.param ?? null;
    const hint = options.hint ?? ERRORS[code].hint;
    this.hint = hint === null ? null : fill(hint, meta);
  }

  /** HTTP status of the answer. */
  get status(): number {
    return ERRORS[this.code].status;
  }

  get type(): ErrorType {
    return ERRORS[this.code].type;
  }

  get exit(): ExitCode {
    return ERRORS[this.code].exit;
  }

  /** The code as OpenAI-shaped answers carry it. */
  get wireCode(): string {
    return wireCodeOf(this.code);
  }
}

function wireCodeOf(code: ErrorCode): string {
  const spec: ErrorSpec = ERRORS[code];
  return spec.wire ?? code.toLowerCase();
}

/**
 * An error as another part of FLM told it over HTTP: the same code (by its name, or as `/v1` spells it), the words as they
 * were sent. A code that is not in the catalogue becomes `otherwise`.
 */
export function errorFromWire(
  wire: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
    readonly requestId?: string | null;
  },
  otherwise: ErrorCode = 'INTERNAL_ERROR',
): FlmError {
  const codes = Object.keys(ERRORS) as ErrorCode[];
  const code = codes.find((known) => known === wire.code || wireCodeOf(known) === wire.code) ?? otherwise;
  const error = new FlmError(code, { meta: { requestId: wire.requestId ?? null } });
  return Object.defineProperties(error, { message: { value: wire.message }, hint: { value: wire.hint } });
}

/**
 * `error` itself when it is an FlmError; DB_ERROR or DB_DAMAGED for what SQLite says to a store, such as that the disk is full; else
 * INTERNAL_ERROR with it as the cause: insides never leak out.
 */
export function toFlmError(error: unknown): FlmError {
  if (error instanceof FlmError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!code.startsWith('SQLITE_')) return new FlmError('INTERNAL_ERROR', { cause: error });
  return new FlmError(/^SQLITE_(CORRUPT|NOTADB)/.test(code) ? 'DB_DAMAGED' : 'DB_ERROR', {
    meta: { file: 'of this installation', reason: reasonOf(error) },
    cause: error,
  });
}

/** What a caught value says, in one line, for a `{reason}`. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]?.replace(/[.\s]+$/, '') ?? '';
}

function fill(template: string, meta: ErrorMeta): string {
  return template.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
    const value = meta[name];
    return value === undefined ? placeholder : String(value);
  });
}
