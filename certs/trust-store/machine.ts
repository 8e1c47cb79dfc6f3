/** What the stores of trusted roots need of a machine, so that tests can put another one in its place. */

/** A machine with stores: where they are, who asks, and how programs are run there. */
export interface TrustMachine {
  readonly platform: NodeJS.Platform;
  readonly uid: number;
  /** Whose browsers are meant. */
  readonly home: string;
  /** What stands before every path of the system; `/` in earnest. */
  readonly root: string;
  /** How this command is run again by root, for people: `sudo flm security install-ca --cert-path …`. */
  readonly asRoot: string;
  has(program: string): boolean;
  /** Runs a program without a shell. Its words and its input hold names and paths, never a secret. */
  run(words: readonly string[], input?: string): Promise<{ readonly code: number; readonly output: string }>;
}

/** A root as stores want it. */
export interface TrustRoot {
  /** SHA-256 of the certificate, 64 hexadecimal digits. */
  readonly id: string;
  readonly sha1: string;
  readonly commonName: string;
  /** DER. */
  readonly certificate: Buffer;
  /** Where it lies as PEM, for programs that want a file. */
  readonly file: string;
}

/**
 * What became of one store. `present` and `absent`: there was nothing to do. `skipped`: this user has no such store, or
 * something is missing that would open it.
 */
export interface StoreReport {
  readonly store: string;
  readonly path: string;
  readonly result: 'added' | 'present' | 'removed' | 'absent' | 'skipped' | 'failed';
  readonly message: string | null;
}

/** One place that holds trusted roots. */
export interface TrustStore {
  readonly name: string;
  readonly path: string;
  has(root: TrustRoot): Promise<boolean>;
  /** @throws Error with words for people */
  add(root: TrustRoot): Promise<void>;
  /** Also what is left of one that is not trusted any more. False when there was nothing. @throws Error with words for people */
  remove(root: TrustRoot): Promise<boolean>;
}

/** A store that cannot be opened, and why. */
export interface ClosedStore {
  readonly name: string;
  readonly path: string;
  readonly reason: string;
  readonly result: 'skipped' | 'failed';
}

/** Runs a program of a store. @throws Error with the first line of what it said */
export async function runOrThrow(
  machine: TrustMachine,
  words: readonly string[],
  input?: string,
): Promise<string> {
  const { code, output } = await machine.run(words, input);
  if (code === 0) return output;
  const said = output.split('\n').find((line) => line.trim() !== '') ?? `exit code ${code}`;
  throw new Error(`${words[0] ?? 'the program'} says: ${said.trim()}`);
}
