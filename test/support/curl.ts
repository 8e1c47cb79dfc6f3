/** curl, as people paste it. */
export interface Curled {
  readonly status: number;
  readonly body: string;
}

/** Runs curl; the answer's status and body. */
export async function curl(url: string, key: string | null, body?: unknown): Promise<Curled> {
  const words = ['curl', '-sSN', url, '-w', '\\n%{http_code}'];
  if (key !== null) words.push('-H', `Authorization: Bearer ${key}`);
  if (body !== undefined) words.push('-H', 'Content-Type: application/json', '-d', JSON.stringify(body));
  const child = Bun.spawn(words, { env: { PATH: process.env.PATH }, stdout: 'pipe', stderr: 'pipe' });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`curl: ${err}`);
  const end = out.lastIndexOf('\n');
  return { status: Number(out.slice(end + 1)), body: out.slice(0, end) };
}
