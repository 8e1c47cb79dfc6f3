/** The cookie of a browser's session. Without TLS it cannot be `__Host-`; other ports of this machine see it too. */

const NAME = 'flm_session';
// SameSite does not tell ports apart, so every change is held against its Origin as well.
const ATTRIBUTES = 'Path=/api/v1; HttpOnly; SameSite=Strict';

export function sessionCookie(secret: string, maxAgeS: number): string {
  return `${NAME}=${secret}; ${ATTRIBUTES}; Max-Age=${maxAgeS}`;
}

export function clearedCookie(): string {
  return `${NAME}=; ${ATTRIBUTES}; Max-Age=0`;
}

/** The secret in a Cookie header, or null. */
export function readCookie(header: string | null): string | null {
  for (const pair of (header ?? '').split(';')) {
    const [name, value] = pair.trim().split('=', 2);
    if (name === NAME && value !== undefined && value !== '') return value;
  }
  return null;
}
