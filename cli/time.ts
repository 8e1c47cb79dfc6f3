/** Times as a person reads them: of their own place, to the minute. JSON keeps the exact ones. */

/** `2026-11-23 19:02` for an ISO time. */
export function localTime(iso: string): string {
  const time = new Date(iso);
  const two = (part: number) => String(part).padStart(2, '0');
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}
