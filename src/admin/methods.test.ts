/** Which methods a path takes. */
import { expect, test } from 'bun:test';
import { methodsOf } from './methods';

const at = methodsOf([
  { method: 'GET', path: '/a/' },
  { method: 'POST', path: '/a' },
  { method: 'DELETE', path: '/a/:id' },
  { method: 'POST', path: '/a/detect' },
  { method: 'GET', path: '/a.b/:id/c' },
]);

test.each([
  ['/a', ['GET', 'HEAD', 'POST']],
  ['/a/', ['GET', 'HEAD', 'POST']],
  ['/a/x%2Fy', ['DELETE']],
  // An engine may be called "detect".
  ['/a/detect', ['DELETE', 'POST']],
  ['/a.b/1/c', ['GET', 'HEAD']],
  ['/axb/1/c', null],
  ['/a/x/y', null],
  ['/', null],
  ['', null],
] as const)('%p takes %p', (path, methods) => {
  expect(at(path)).toEqual(methods === null ? null : [...methods]);
});
