/** Loads the code that makes certificates, which most commands never need. */

/** The library's decorators want `reflect-metadata` before them; a bundle keeps that order only between two imports in turn. */
export async function loadIssue(): Promise<typeof import('./issue')> {
  await import('reflect-metadata');
  return import('./issue');
}
