/** Loads the code that reads revocation lists, which most installations never need. */

/** The library's decorators want `reflect-metadata` before them; a bundle keeps that order only between two imports in turn. */
export async function loadRevocationLists(): Promise<typeof import('./revocation-lists')> {
  await import('reflect-metadata');
  return import('./revocation-lists');
}
