/** The executable with a person in front of it: stdin, stdout and stderr are one terminal. */
import type { Env } from '../../src/lib/paths';
import { executable, REPOSITORY, remember } from './executable';
import { type Collected, createCollector } from './output';

export interface OnTerminal extends AsyncDisposable {
  readonly pid: number;
  /** What has been on the screen, escape sequences included; lines end in CR LF. */
  readonly screen: Collected;
  type(text: string): void;
  /** The exit code; a negative number is the signal it died of. */
  readonly exited: Promise<number>;
}

export const CTRL_C = '\u0003';
export const CTRL_D = '\u0004';

export async function onTerminal(env: Env, words: readonly string[]): Promise<OnTerminal> {
  remember(env);
  const screen = createCollector();
  const child = Bun.spawn([await executable(), ...words], {
    env: { TERM: 'xterm-256color', ...env },
    cwd: REPOSITORY,
    terminal: { cols: 100, rows: 40, data: (_, bytes) => screen.push(bytes), exit: () => screen.end() },
  });
  const exited = child.exited.then((code) => (child.signalCode === null ? code : -code));
  return {
    pid: child.pid,
    screen,
    type: (text) => void child.terminal?.write(text),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
      child.terminal?.close();
    },
  };
}

/** The text without what moves the cursor and colours it. */
export function plain(screen: string): string {
  return Bun.stripANSI(screen).replaceAll('\r', '');
}
