/** Takes secrets out of text before it reaches a log, an error or a terminal. Every log line passes here. */

/** Patterns of secrets that may appear inside text. The first group, where there is one, is kept. */
const SECRETS: readonly RegExp[] = [
  /(flm_[0-9A-Za-z]{8})[0-9A-Za-z]{6,}/g, // our own keys, whatever stands before them: the id part is public
  /\b((?:Bearer|Basic)\s+)[^\s"',;]+/gi,
  /\b((?:sk|hf|ghp|gho|xoxb|xoxp)[-_])[0-9A-Za-z_-]{12,}/g,
  /\beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]*/g, // JWTs
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g,
  /([?&](?:key|api_key|token|access_token|password|secret)=)[^&\s"]+/gi,
  /(:\/\/[^\s:/@]+:)[^\s@/]+(?=@)/g, // passwords in URLs
];

const SECRET_FIELD =
  /^(?:(?:proxy-)?authorization|(?:set-)?cookie|password|passphrase|secret|token|(?:x-)?api[_-]?key|plain_?key|pepper|credential)$/i;

/** `text` with every secret replaced by `[redacted]`. */
export function redact(text: string): string {
  let out = text;
  for (const pattern of SECRETS) {
    out = out.replace(pattern, (_match, kept: unknown) =>
      typeof kept === 'string' ? `${kept}[redacted]` : '[redacted]',
    );
  }
  return out;
}

const MAX_DEPTH = 6;

/** A copy of `value` for a log line: strings redacted, fields with a secret's name emptied, depth bounded, no bytes. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redact(value);
  if (typeof value === 'bigint') return String(value); // which JSON cannot say
  if (value === null || typeof value !== 'object') return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redactValue(item, depth + 1));
  const out: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    out[key] = SECRET_FIELD.test(key) && item !== null ? '[redacted]' : redactValue(item, depth + 1);
  }
  return out;
}

/** An identifier short enough to recognise and too short to use (FLM-118). */
export function mask(id: string): string {
  return id.length <= 8 ? `${id.slice(0, 2)}***` : `${id.slice(0, 4)}***${id.slice(-4)}`;
}
