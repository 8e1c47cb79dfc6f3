/** Calls of the system's C library that the runtime has no name for. Linux only; null wherever it cannot be had. */
import { dlopen, type FFIFunction, type Library } from 'bun:ffi';

/** glibc, then musl on both architectures. */
const NAMES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'];

export function openLibc<const Calls extends Record<string, FFIFunction>>(
  calls: Calls,
): Library<Calls> | null {
  if (process.platform !== 'linux') return null;
  for (const name of NAMES) {
    try {
      return dlopen(name, calls);
    } catch {
      // Another C library, or none that may be loaded.
    }
  }
  return null;
}
