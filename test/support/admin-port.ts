/** An FLM whose admin API has a port, and sessions for it. */
import { isRecord } from '../../src/lib/json';
import type { TestDir } from './data-dir';
import { dataOf, type RunningFlm, startFlm } from './executable';
import { testHome } from './home';
import { freePort } from './ports';

export interface AdminPortFlm extends AsyncDisposable {
  readonly home: TestDir;
  readonly running: RunningFlm;
  /** `http://127.0.0.1:<port>` */
  readonly base: string;
  /** A new one-time token. */
  token(): Promise<string>;
  /** Opens a session and resolves with what a script shows. */
  bearer(): Promise<string>;
}

export async function startWithAdminPort(): Promise<AdminPortFlm> {
  const port = await freePort();
  const home = testHome({ FLM_ADMIN_PORT: String(port) });
  const running = await startFlm(home.env);
  const base = `http://127.0.0.1:${port}`;

  async function token(): Promise<string> {
    const issued = await dataOf(home.env, ['admin', 'token', '--json']);
    if (!isRecord(issued) || typeof issued.token !== 'string') throw new Error('flm admin token made none');
    return issued.token;
  }

  return {
    home,
    running,
    base,
    token,
    async bearer() {
      const response = await fetch(`${base}/api/v1/session`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token: await token(), as: 'bearer' }),
      });
      const opened: unknown = await response.json();
      if (!isRecord(opened) || typeof opened.bearer !== 'string')
        throw new Error(`no session: ${JSON.stringify(opened)}`);
      return opened.bearer;
    },
    async [Symbol.asyncDispose]() {
      await running.stop();
      home[Symbol.dispose]();
    },
  };
}
